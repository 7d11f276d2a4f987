"""Cells are stored, found by key and read back."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fewshot.exceptions import FewshotError
from fewshot.files import ABANDONED
from fewshot.results import cells, store
from fewshot.results.cells import (
    find_cells,
    forget_cells,
    keep_cell,
    write_cells,
)
from fewshot.results.folders import find_runs
from fewshot.results.result import Result
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.tasks import table_columns

KEY, OTHER = "a" * 64, "b" * 64


def make_cell(key, head="ncm", episodes=3):
    named = {"task": "classification", "dataset": "d", "part": "novel", "backbone": "b",
             "feature": "f", "head": head, "variant": "", "ways": 2, "shots": 1,
             "seed": 0, "unlabelled_images": "", "protocol": ""}  # fmt: skip
    rows = pd.DataFrame({"episode": np.arange(episodes)}).assign(
        **named, support=2, queries=4, unlabelled=0
    )
    rows["classes"] = [["x", "y"]] * episodes
    rows["actual_error"] = rows["query_error"] = np.arange(episodes) / 7 + (head == "lda") / 3
    rows["accuracy"] = 1 - rows["actual_error"]
    guesses = rows.assign(estimator="loo", calibration="none", sees_unlabelled=False,
                          lower=np.nan, upper=np.nan,
                          predicted_error=[np.nan] + [0.1] * (episodes - 1),
                          reason=["none"] + [None] * (episodes - 1))  # fmt: skip
    summary = {**named, "episodes": episodes, "estimators": {"loo": {}}, "key": key}
    summary |= {"comparisons": [], "reused_from": None}
    tables = {"episodes": rows, "predictions": guesses}
    made = {name: table[list(table_columns(name))] for name, table in tables.items()}
    return Result(made, summary)


def make_run(folder, *made, version=SCHEMA_VERSION):
    folder.mkdir(parents=True)
    summary = {"schema_version": version, "cells": [result.summary for result in made]}
    write_cells(folder, summary, made)
    return folder


def assert_same(first, second):
    episodes = [
        cell.episodes.assign(classes=cell.episodes["classes"].map(list)) for cell in (first, second)
    ]
    pd.testing.assert_frame_equal(*episodes, check_exact=True)
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)


def test_one_cell_of_many_comes_back(workplace):
    ncm, lda = make_cell(KEY), make_cell(OTHER, "lda")
    make_run(workplace / "runs" / "s" / "head=ncm", ncm, lda)
    by_key = find_cells(workplace / "runs", [OTHER, "c" * 64])
    assert list(by_key) == [OTHER]
    assert_same(by_key[OTHER], lda)
    assert by_key[OTHER].summary == lda.summary | {"reused_from": "s/head=ncm"}
    assert find_cells(workplace / "nowhere", [KEY]) == {}


def test_a_cell_is_kept_until_it_is_forgotten(workplace):
    keep_cell(workplace, make_cell(KEY))
    keep_cell(workplace, make_cell(OTHER, "lda"))
    by_key = find_cells(workplace, [KEY, OTHER])
    assert {cell.summary["reused_from"] for cell in by_key.values()} == {".cells"}
    assert_same(by_key[KEY], make_cell(KEY))
    forget_cells(workplace, [KEY])
    assert find_cells(workplace, [KEY, OTHER]).keys() == {OTHER}
    forget_cells(workplace, [KEY, OTHER])
    assert list(workplace.iterdir()) == []


def test_a_complete_run_goes_before_a_kept_cell(workplace):
    keep_cell(workplace, make_cell(KEY))
    make_run(workplace / "zzz", make_cell(KEY))
    assert find_cells(workplace, [KEY])[KEY].summary["reused_from"] == "zzz"


@pytest.mark.parametrize("name", ["episodes.parquet", "predictions.parquet", "summary.json"])
def test_damage_is_passed_over_for_the_next_run(workplace, name):
    path = make_run(workplace / "a", make_cell(KEY)) / name
    make_run(workplace / "b", make_cell(KEY))
    whole = path.read_bytes()
    assert find_cells(workplace, [KEY])[KEY].summary["reused_from"] == "a"
    for damage in (whole[:-9], b"", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        assert find_cells(workplace, [KEY])[KEY].summary["reused_from"] == "b"
    path.unlink()
    assert find_cells(workplace, [KEY])[KEY].summary["reused_from"] == "b"


@pytest.mark.parametrize(
    "change",
    [
        {"estimators": {}},
        {"episodes": 4},
        {"head": "lda"},
        {"ways": None},
        {"task": "verification"},
    ],
)
def test_rows_that_do_not_fit_the_summary(workplace, change):
    cell = make_cell(KEY)
    make_run(workplace / "a", Result(cell.tables, cell.summary | change))
    assert find_cells(workplace, [KEY]) == {}


@pytest.mark.parametrize(
    "content", [[KEY], {"cells": KEY}, {"cells": [{"key": KEY}]}, {"key": KEY}]
)
def test_summaries_that_are_none(workplace, content):
    (workplace / "a").mkdir()
    odd = {"schema_version": SCHEMA_VERSION, "key": KEY, "x": content}
    (workplace / "a" / "summary.json").write_text(json.dumps(odd))
    (workplace / "b").mkdir()
    (workplace / "b" / "summary.json").write_text(json.dumps(content))
    assert find_cells(workplace, [KEY]) == {}


def test_other_schemas_and_hidden_folders_are_not_read(workplace):
    make_run(workplace / "a", make_cell(KEY), version=SCHEMA_VERSION + 1)
    make_run(workplace / ".run.1.ab.partial", make_cell(KEY))
    make_run(workplace / ".cells" / f".{KEY}.1.ab.partial", make_cell(KEY))
    assert find_cells(workplace, [KEY]) == {}


def test_kept_cells_are_no_runs(workplace):
    keep_cell(workplace, make_cell(KEY))
    with pytest.raises(FewshotError, match="no run under"):
        find_runs([workplace])


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("shift", [-ABANDONED - 10, ABANDONED + 10])
def test_what_a_killed_process_was_writing_goes_in_time(workplace, dead, shift):
    """Whether the clock was changed forwards or backwards since."""
    folder = workplace / ".cells"
    old, new, written = (
        f".{KEY}.{n}.partial" for n in (f"{dead}.ab", f"{dead}.cd", f"{os.getpid()}.ef")
    )
    for name in (old, new, written):
        (folder / name).mkdir(parents=True)
    for name in (old, written):
        then = (folder / name).stat().st_mtime + shift
        os.utime(folder / name, (then, then))
    forget_cells(workplace, [KEY])
    assert {path.name for path in folder.iterdir()} == {new, written}


def test_cells_of_version_1_are_taken_as_those_of_2(workplace):
    make_run(workplace / "a", make_cell(KEY), version=1)
    cell = find_cells(workplace, [KEY])[KEY]
    assert_same(cell, make_cell(KEY))
    assert cell.summary["head_uses"] == []


def test_a_full_disk_leaves_what_was_finished(workplace, monkeypatch):
    """The second cell does not fit; the first one is read, and the second written later."""
    keep_cell(workplace, make_cell(KEY))
    real = store.pq.write_table

    def half(table, path, **options):
        if "predictions" in str(path):
            Path(path).write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(table, path, **options)

    monkeypatch.setattr(store.pq, "write_table", half)
    with pytest.raises(FewshotError, match="the disk is full"):
        keep_cell(workplace, make_cell(OTHER, "lda"))
    assert find_cells(workplace, [KEY, OTHER]).keys() == {KEY}
    assert [path.name for path in (workplace / ".cells").iterdir()] == [KEY]
    monkeypatch.undo()
    keep_cell(workplace, make_cell(OTHER, "lda"))
    assert find_cells(workplace, [KEY, OTHER]).keys() == {KEY, OTHER}


def test_a_damaged_kept_cell_is_replaced(workplace):
    keep_cell(workplace, make_cell(KEY))
    (workplace / ".cells" / KEY / "episodes.parquet").unlink()
    assert find_cells(workplace, [KEY]) == {}
    keep_cell(workplace, make_cell(KEY))
    assert_same(find_cells(workplace, [KEY])[KEY], make_cell(KEY))


def test_several_may_keep_the_same_cell_at_once(workplace):
    errors = []

    def work():
        try:
            for _ in range(5):
                keep_cell(workplace, make_cell(KEY))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_same(find_cells(workplace, [KEY])[KEY], make_cell(KEY))
    assert [path.name for path in (workplace / ".cells").iterdir()] == [KEY]


def test_a_full_disk_leaves_nothing(workplace, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(cells, "write_cells", full)
    with pytest.raises(FewshotError, match="the disk is full"):
        keep_cell(workplace, make_cell(KEY))
    assert list(workplace.iterdir()) == []


def test_a_summary_is_read_again_only_when_it_changes(workplace, monkeypatch):
    """Every job of a sweep looks through all runs."""
    path = make_run(workplace / "a", make_cell(KEY)) / "summary.json"
    read, real = [], Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda p, **how: read.append(p) or real(p, **how))
    for _ in range(3):
        assert find_cells(workplace, [OTHER]) == {}
    assert read == [path]
    path.write_text(real(path).replace(KEY, "c" * 64))  # of the same size
    assert find_cells(workplace, [KEY]) == {}
    assert find_cells(workplace, ["c" * 64]).keys() == {"c" * 64}


def test_a_run_that_is_completed_while_one_looks(workplace, monkeypatch):
    keep_cell(workplace, make_cell(KEY))
    real = cells.run_folders

    def looked(runs, **kept):
        folders = list(real(runs, **kept))
        if not (workplace / "a").exists():
            make_run(workplace / "a", make_cell(KEY))
            forget_cells(workplace, [KEY])
        return folders

    monkeypatch.setattr(cells, "run_folders", looked)
    assert find_cells(workplace, [KEY])[KEY].summary["reused_from"] == "a"


def test_cells_of_one_run_are_parsed_once(workplace, monkeypatch):
    make_run(workplace / "a", make_cell(KEY), make_cell(OTHER, "lda"))
    parsed, real = [], json.loads
    monkeypatch.setattr(cells.json, "loads", lambda text: parsed.append(text) or real(text))
    assert find_cells(workplace, [KEY, OTHER]).keys() == {KEY, OTHER}
    assert sum(KEY in str(text) for text in parsed) == 1
