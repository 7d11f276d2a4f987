"""Damaged runs are left out and reported; the cells of other runs are read."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from fewshot.exceptions import FewshotError
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs, store_warnings

TABLES = ("episodes.parquet", "predictions.parquet")


@pytest.fixture
def two(workplace, run_of, made):
    """Runs of one cell each, ``runs/bad`` and ``runs/good``."""
    run_of("runs/bad", made(head="lda"))
    run_of("runs/good", made(head="ncm"))
    return workplace / "runs"


def read(folder):
    summary, episodes, predictions = read_runs(find_runs([folder]))
    return summary, set(episodes["head"]), set(predictions["head"])


def only_good(folder, reason):
    summary, episodes, predictions = read(folder)
    (entry,) = summary["unreadable"]
    assert entry["run"].endswith("bad")
    assert reason in entry["reason"]
    assert "\n" not in entry["reason"]
    assert [cell["head"] for cell in summary["cells"]] == ["ncm"]
    assert episodes == predictions == {"ncm"}
    assert entry["reason"] in store_warnings(summary)[0]
    shutil.rmtree(folder / "good")
    with pytest.raises(FewshotError) as caught:
        read(folder)
    assert reason in str(caught.value)


def test_what_is_whole_is_not_reported(two):
    summary, episodes, _ = read(two)
    assert episodes == {"ncm", "lda"}
    assert summary["unreadable"] == summary["ahead"] == store_warnings(summary) == []


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_truncated_tables(two, name, part):
    path = two / "bad" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    only_good(two, f"{name} cannot be read")


@pytest.mark.parametrize("name", TABLES)
def test_missing_tables(two, name):
    (two / "bad" / name).unlink()
    only_good(two, "there is no such file")


@pytest.mark.parametrize("name", TABLES)
def test_tables_with_a_hole_in_the_middle(two, name):
    """The footer is intact, and rows are read later than the summary."""
    path = two / "bad" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    only_good(two, "bad")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "3", '{"schema_version": 2}', "\udcff"])
def test_damaged_summaries(two, content):
    (two / "bad" / "summary.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    only_good(two, "summary.json cannot be read")


def test_a_summary_cut_short(two):
    path = two / "bad" / "summary.json"
    path.write_text(path.read_text()[:-200])
    only_good(two, "summary.json cannot be read")


def test_a_run_without_a_summary(two):
    (two / "bad" / "summary.json").unlink()
    only_good(two, "has rows but no summary.json")


def test_rows_that_do_not_add_up(two, edited):
    edited(two / "bad", lambda summary: summary["cells"][0].update(episodes=21))
    only_good(two, "has 20 rows where the summary of its run has 21")


def test_rows_of_another_cell(workplace, run_of, made):
    """As many rows as promised, but not of the cells that were promised."""
    run_of("runs/bad", made(head="lda"), made(head="svm"))
    run_of("runs/good", made())
    path = workplace / "runs" / "bad" / "episodes.parquet"
    rows = pd.read_parquet(path)
    rows.loc[25:, "head"] = "lda"
    rows.to_parquet(path)
    only_good(workplace / "runs", "rows of lda (3-way 1-shot) where the summary has 20")


def test_what_a_damaged_run_had_is_taken_from_another(workplace, run_of, made):
    """The later one would count; the earlier one does when it is damaged, even in the middle."""
    run_of("runs/bad", made(worse=0.3), created="2026-01-02T00:00:00+00:00")
    run_of("runs/good", made(), created="2026-01-01T00:00:00+00:00")
    assert read_runs(find_runs(["runs"]))[1]["actual_error"].max() > 0.6
    path = Path("runs/bad/predictions.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    summary, episodes, _ = read_runs(find_runs(["runs"]))
    assert len(summary["unreadable"]) == 1
    assert episodes["actual_error"].max() < 0.6


def test_permission_denied(two, monkeypatch):
    real = Path.read_text

    def guarded(self, *arguments, **options):
        if self.parent.name == "bad":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    only_good(two, "permission denied")


def test_a_folder_that_may_not_be_listed(two, monkeypatch):
    real, read_text = os.scandir, Path.read_text

    def listed(path):
        if Path(path).name == "bad":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    def guarded(self, *arguments, **options):
        if self.parent.name == "bad":
            raise PermissionError(13, "Permission denied", str(self))
        return read_text(self, *arguments, **options)

    monkeypatch.setattr(os, "scandir", listed)
    monkeypatch.setattr(Path, "read_text", guarded)
    summary, episodes, _ = read(two)
    assert "permission denied" in summary["unreadable"][0]["reason"]
    assert episodes == {"ncm"}


def test_folders_that_go_while_they_are_listed(two, monkeypatch):
    """As the cells of a sweep in progress."""
    real = os.scandir

    def listed(path):
        if Path(path).name == "bad":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", listed)
    assert [path.name for path in find_runs([two])] == ["good"]


def test_a_newer_version(two, edited):
    newer = SCHEMA_VERSION + 1
    edited(two / "bad", lambda summary: summary.update(schema_version=newer))
    only_good(two, f"has schema version {newer}; this fewshot knows up to {SCHEMA_VERSION}")
    with pytest.raises(FewshotError, match=r"Update fewshot\."):
        read(two)


@pytest.mark.parametrize("cells", ["in another form", [], {}])
def test_a_newer_version_in_another_form(two, edited, cells):
    newer = SCHEMA_VERSION + 1
    edited(two / "bad", lambda summary: summary.update(schema_version=newer, cells=cells))
    only_good(two, f"has schema version {newer}")


def test_names_that_are_lists(two, edited):
    edited(two / "bad", lambda summary: summary["cells"][0].update(head=["lda"]))
    only_good(two, "cells.0.head: Input should be a valid string")


def test_many_damaged_runs_and_no_other(two, workplace):
    for name in ("bad", "good"):
        (two / name / "summary.json").write_text("{")
    with pytest.raises(FewshotError, match=r"bad/summary\.json .* and 1 more run neither"):
        read(two)


def test_clocks_that_are_ahead_are_named(two, edited):
    ahead = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    edited(two / "bad", lambda summary: summary.update(created=ahead))
    summary, episodes, _ = read(two)
    assert episodes == {"ncm", "lda"}
    assert [Path(run["run"]).name for run in summary["ahead"]] == ["bad"]
    assert "is to come" in store_warnings(summary)[0]


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ("2026-01-01T10:00:00+00:00", "2026-01-01T11:00:00+02:00", "a"),  # 9:00 UTC
        ("2026-01-01", "2026-01-01", "b"),  # by name
        ("2026-01-01", "yesterday", "a"),
        (None, None, "b"),
    ],
)
def test_which_run_counts(workplace, run_of, made, first, second, counts):
    run_of("runs/a", made(), created=first)
    run_of("runs/b", made(worse=0.3), created=second)
    summary, episodes, _ = read_runs(find_runs(["runs"]))
    (cell,) = summary["cells"]
    assert summary["made"][cell["run"]]["name"] == counts
    assert (episodes["actual_error"].max() > 0.6) == (counts == "b")


def test_failures_that_were_mended_are_not_told(workplace, run_of, made):
    failed = [{"head": "lda", "ways": 3, "shots": 1, "error": "x"},
              {"head": "svm", "ways": 3, "shots": 1, "error": "y"}]  # fmt: skip
    run_of("runs/a", made(), failed=failed)
    run_of("runs/b", made(head="lda"))
    summary = Store(find_runs(["runs"])).summary()
    assert [failure["head"] for failure in summary["failed"]] == ["svm"]


def test_few_columns_are_the_same_columns(two):
    columns = {"episodes": ["head", "accuracy"], "predictions": ["estimator"]}
    _, episodes, predictions = read_runs(find_runs([two]), columns=columns)
    _, all_episodes, all_predictions = read_runs(find_runs([two]))
    pd.testing.assert_frame_equal(episodes, all_episodes[["head", "accuracy"]])
    pd.testing.assert_frame_equal(predictions, all_predictions[["estimator"]])
    assert episodes["head"].dtype == "category"


def test_summaries_are_plain(two):
    json.dumps(read(two)[0])


@pytest.mark.parametrize("note", [b"{", b"[1]", b"\xff"])
def test_notes_of_pandas_are_not_needed(two, note):
    import pyarrow.parquet as pq

    path = next(two.glob("bad/**/episodes.parquet"))
    table = pq.read_table(path)
    notes = dict(table.schema.metadata) | {b"pandas": note}
    pq.write_table(table.replace_schema_metadata(notes), path)
    summary, heads, _ = read(two)
    assert summary["unreadable"] == []
    assert heads == {"ncm", "lda"}
