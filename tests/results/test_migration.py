"""Runs of version 1, in the layout that they had, read and rewritten."""

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fewshot.exceptions import FewshotError
from fewshot.results import store
from fewshot.results.folders import find_runs
from fewshot.results.migration import (
    SUMMARY_STEPS,
    TABLE_STEPS,
    migrated_summary,
    table_version,
)
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import migrate_run, read_runs

NAMED = {"task": "classification", "dataset": "digits", "backbone": "net", "feature": "pooled",
         "head": "ncm", "ways": 2, "shots": 1, "seed": 0}  # fmt: skip
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
CELL_TYPES = [("task", TEXT), ("dataset", TEXT), ("backbone", TEXT), ("feature", TEXT),
              ("head", TEXT), ("ways", WHOLE), ("shots", WHOLE), ("seed", WHOLE),
              ("episode", WHOLE)]  # fmt: skip
EPISODES = pa.schema([*CELL_TYPES, ("classes", pa.list_(TEXT)), ("queries", WHOLE),
                      ("actual_error", REAL), ("accuracy", REAL),
                      ("query_error", REAL)])  # fmt: skip
PREDICTIONS = pa.schema([*CELL_TYPES, ("estimator", TEXT), ("calibration", TEXT),
                         ("predicted_error", REAL), ("lower", REAL), ("upper", REAL),
                         ("reason", TEXT), ("actual_error", REAL)])  # fmt: skip
FIRST = {
    "schema_version": 1,
    "created": "2025-03-01T10:00:00+00:00",
    "duration_s": 1.0,
    "environment": {"fewshot": "0.1.0", "device": "cpu"},
    "data": {"images": 20, "classes": 2},
    "cells": [
        {
            **NAMED, "queries": "all", "episodes": 2, "head_parameters": {},
            "accuracy": {"mean": 0.7, "lower": 0.6, "upper": 0.8, "level": 0.95,
                         "population": "episodes"},
            "actual_error": {"mean": 0.3, "lower": 0.2, "upper": 0.4, "level": 0.95,
                             "population": "episodes"},
            "base": {"reason": "no base classes"},
            "estimators": {
                "oracle": {"calibration": "none", "defined": 2, "reason": None,
                           "predicted_error": 0.3, "mae": 0.05, "skill": None},
                "loo": {"calibration": "none", "defined": 0, "reason": "needs two shots",
                        "predicted_error": None, "mae": None, "skill": None},
            },
            "hashes": {"features": "f", "episodes": "e"}, "duration_s": 0.5,
        }
    ],
}  # fmt: skip


@pytest.fixture
def old(workplace):
    """A run folder as the first version wrote it."""
    folder = workplace / "runs" / "old"
    folder.mkdir(parents=True)
    rows = [
        NAMED | {"episode": i, "classes": ["a", "b"], "queries": 18, "accuracy": 0.9 - i / 3,
                 "actual_error": 0.1 + i / 3, "query_error": 0.1}
        for i in range(2)
    ]  # fmt: skip
    guesses = [
        NAMED | {"episode": i, "estimator": name, "calibration": "none", "predicted_error": guess,
                 "lower": None, "upper": None, "reason": why, "actual_error": 0.1 + i / 3}
        for name, guess, why in (("oracle", 0.3, None), ("loo", None, "needs two shots"))
        for i in range(2)
    ]  # fmt: skip
    for name, content, schema in (
        ("episodes", rows, EPISODES),
        ("predictions", guesses, PREDICTIONS),
    ):
        noted = schema.with_metadata({"fewshot.schema_version": "1"})
        table = pa.Table.from_pylist(content, noted)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    (folder / "summary.json").write_text(json.dumps(FIRST, indent=2))
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_every_version_has_a_step():
    assert list(SUMMARY_STEPS) == list(TABLE_STEPS) == list(range(1, SCHEMA_VERSION))


def test_a_summary_of_the_first_version_gets_what_it_lacks():
    before = json.dumps(FIRST)
    new = migrated_summary(FIRST, "here")
    assert json.dumps(FIRST) == before
    assert new["schema_version"] == SCHEMA_VERSION
    assert (new["left_out"], new["failed"]) == ([], [])
    assert new["data"] == {**FIRST["data"], "extraction": None, "part": "novel"}
    (cell,) = new["cells"]
    assert (cell["key"], cell["reused_from"], cell["comparisons"]) == (None, None, [])
    sees_queries = {name: row["sees_queries"] for name, row in cell["estimators"].items()}
    assert sees_queries == {"oracle": True, "loo": False}
    intervals = cell["accuracy_intervals"]
    assert intervals["episodes"] == {**FIRST["cells"][0]["accuracy"], "reason": None}
    assert (intervals["classes"]["lower"], intervals["classes"]["population"]) == (None, "classes")
    assert intervals["classes"]["reason"]
    for key, value in FIRST["cells"][0].items():  # nothing that was there has changed
        assert cell[key] == value or key == "estimators"


def test_what_a_late_run_of_version_1_had_stays():
    late = json.loads(json.dumps(FIRST))
    late["failed"] = [{"head": "x"}]
    late["cells"][0] |= {
        "key": "k" * 64,
        "reused_from": "run",
        "accuracy_intervals": {"episodes": 1},
    }
    late["cells"][0]["estimators"]["loo"] |= {"sees_queries": True, "level": 0.9}
    new = migrated_summary(late, "here")
    assert new["failed"] == [{"variant": "", "head": "x"}]
    (cell,) = new["cells"]
    assert (cell["key"], cell["accuracy_intervals"]) == ("k" * 64, {"episodes": 1})
    assert cell["estimators"]["loo"]["level"] == 0.9
    assert cell["estimators"]["loo"]["sees_queries"]


def test_the_first_version_is_read_and_left_as_it_is(old):
    before = files(old)
    summary, episodes, predictions = read_runs(find_runs(["runs"]))
    assert files(old) == before
    assert summary["schema_version"] == SCHEMA_VERSION
    assert episodes["actual_error"].tolist() == [0.1, 0.1 + 1 / 3]
    assert episodes["classes"].map(list).tolist() == [["a", "b"]] * 2
    assert predictions["predicted_error"].isna().tolist() == [False, False, True, True]


def test_migration_keeps_the_rows_and_is_done_once(old):
    before = read_runs(find_runs(["runs"]))
    assert migrate_run(old) == 1
    assert json.loads((old / "summary.json").read_text())["schema_version"] == SCHEMA_VERSION
    for name in ("episodes", "predictions"):
        schema = pq.read_schema(old / f"{name}.parquet")
        assert table_version(schema) == SCHEMA_VERSION
        expected = {"episodes": EPISODES, "predictions": PREDICTIONS}[name]
        added = {"dataset": [("part", TEXT)], "head": [("variant", TEXT)],
                 "seed": [("unlabelled_images", TEXT), ("protocol", TEXT)],
                 "classes": [("support", WHOLE)],
                 "queries": [("unlabelled", WHOLE)],
                 "calibration": [("sees_unlabelled", pa.bool_())]}  # fmt: skip
        fields = [(f.name, f.type) for f in expected]
        fields = [f for kind in fields for f in (kind, *added.get(kind[0], ()))]
        assert schema.remove_metadata() == pa.schema(fields)
    for table, reread in zip(before[1:], read_runs(find_runs(["runs"]))[1:], strict=True):
        pd.testing.assert_frame_equal(table, reread, check_exact=True)
    after = files(old)
    assert migrate_run(old) is None
    assert files(old) == after


def test_numbers_that_were_none(old):
    """The first runs wrote NaN, which is no JSON."""
    path = old / "summary.json"
    path.write_text(path.read_text().replace('"lower": 0.6', '"lower": NaN'))
    assert read_runs(find_runs(["runs"]))[0]["cells"][0]["accuracy"]["lower"] is None
    assert migrate_run(old) == 1
    assert json.loads(path.read_text())["cells"][0]["accuracy"]["lower"] is None


def test_an_interrupted_migration_is_readable_and_goes_on(old, monkeypatch):
    before = read_runs(find_runs(["runs"]))[1:]
    real = pq.write_table

    def fails_at_the_second(table, path, **options):
        if "predictions" in str(path):
            raise OSError(28, os.strerror(28))
        real(table, path, **options)

    monkeypatch.setattr(store.pq, "write_table", fails_at_the_second)
    with pytest.raises(FewshotError, match="the disk is full"):
        migrate_run(old)
    assert {path.name for path in old.iterdir()} == {
        "summary.json", "episodes.parquet", "predictions.parquet"
    }  # fmt: skip
    for table, reread in zip(before, read_runs(find_runs(["runs"]))[1:], strict=True):
        pd.testing.assert_frame_equal(table, reread)
    monkeypatch.undo()
    assert migrate_run(old) == 1
    assert migrate_run(old) is None


def test_a_damaged_run_is_not_touched(old):
    path = old / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    before = files(old)
    with pytest.raises(FewshotError, match=r"predictions\.parquet cannot be read"):
        migrate_run(old)
    assert files(old) == before


def test_a_table_of_a_newer_version(old):
    path = old / "episodes.parquet"
    table = pq.read_table(path)
    newer = str(SCHEMA_VERSION + 1)
    pq.write_table(table.replace_schema_metadata({"fewshot.schema_version": newer}), path)
    with pytest.raises(FewshotError, match=rf"version {newer}; .* up to {SCHEMA_VERSION}\. Update"):
        read_runs(find_runs(["runs"]))


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None])
def test_versions_that_are_none(version):
    with pytest.raises(ValueError, match="schema_version"):
        migrated_summary({**FIRST, "schema_version": version}, "here")


def second(name="digits", head="lda", parameters=None):
    """A run of version 2, in which a data set's name has the part of its classes."""
    cell = {**NAMED, "dataset": name, "head": head, "episodes": 2, "estimators": {}, "key": None,
            "head_parameters": parameters or {}, "accuracy": {"mean": 0.7}}  # fmt: skip
    return {**FIRST, "schema_version": 2, "cells": [cell], "failed": []}


@pytest.mark.parametrize(
    ("name", "dataset", "part"),
    [
        ("digits", "digits", "novel"),
        ("digits (base classes)", "digits", "base"),
        ("my (base) set (validation classes)", "my (base) set", "validation"),
        ("set (novel classes)", "set (novel classes)", "novel"),  # never written by version 2
        ("a · b", "a · b", "novel"),
    ],
)
def test_the_part_leaves_the_name(name, dataset, part):
    (cell,) = migrated_summary(second(name), "here")["cells"]
    assert (cell["dataset"], cell["part"]) == (dataset, part)


@pytest.mark.parametrize(
    ("head", "parameters", "variant"),
    [
        ("lda", {"shrinkage": "auto", "priors": "uniform"}, ""),
        ("lda", {"shrinkage": 0.1, "priors": "uniform"}, "shrinkage=0.1"),
        ("lda", {"shrinkage": 0.1, "priors": "empirical"}, "priors=empirical, shrinkage=0.1"),
        ("ncm", {"metric": "cosine"}, "metric=cosine"),
        ("my_own", {"a": 1}, ""),  # whose defaults nobody knows
    ],
)
def test_the_variant_comes_from_the_parameters(head, parameters, variant):
    (cell,) = migrated_summary(second(head=head, parameters=parameters), "here")["cells"]
    assert (cell["head"], cell["variant"]) == (head, variant)


def test_rows_of_version_2_get_part_and_variant(workplace):
    folder = workplace / "runs" / "two"
    folder.mkdir(parents=True)
    summary = second("digits (base classes)", parameters={"shrinkage": 0.5})
    named = {name: summary["cells"][0][name] for name in NAMED}
    rows = [
        named | {"episode": i, "classes": ["a", "b"], "queries": 18, "accuracy": 0.9,
                 "actual_error": 0.1, "query_error": 0.1}
        for i in range(2)
    ]  # fmt: skip
    for name, content, schema in (("episodes", rows, EPISODES), ("predictions", [], PREDICTIONS)):
        noted = schema.with_metadata({"fewshot.schema_version": "2"})
        pq.write_table(pa.Table.from_pylist(content, noted), folder / f"{name}.parquet")
    (folder / "summary.json").write_text(json.dumps(summary))
    for step in ("read", "migrated"):
        _, episodes, _ = read_runs(find_runs(["runs"]))
        found = episodes[["dataset", "part", "head", "variant"]].drop_duplicates().to_numpy()
        assert found.tolist() == [["digits", "base", "lda", "shrinkage=0.5"]], step
        few = store.Store(find_runs(["runs"])).rows("episodes", ["variant", "actual_error"])
        assert list(few) == ["variant", "actual_error"]
        assert set(few["variant"]) == {"shrinkage=0.5"}
        assert migrate_run(folder) == (2 if step == "read" else None)


def test_rows_of_version_3_saw_no_unlabelled_images(old):
    cell = {**FIRST["cells"][0], "part": "novel", "variant": ""}
    third = {**FIRST, "schema_version": 3, "left_out": [], "failed": [], "cells": [cell]}
    (migrated,) = migrated_summary(third, "here")["cells"]
    assert [migrated[k] for k in ("unlabelled", "unlabelled_shares", "strangers")] == [None] * 3
    assert [row["sees_unlabelled"] for row in migrated["estimators"].values()] == [False] * 2
    joined = store.Store(find_runs(["runs"]))
    # Also where it alone is read.
    assert joined.rows("episodes", ["unlabelled"])["unlabelled"].tolist() == [0, 0]
    assert joined.rows("episodes", ["support"])["support"].tolist() == [2, 2]  # equal shots then
    seen = joined.rows("predictions", ["sees_unlabelled"])["sees_unlabelled"]
    assert seen.dtype == bool and not seen.any()


def test_an_unlabelled_column_that_is_there_stays(old):
    rows = pq.read_table(old / "episodes.parquet")
    rows = rows.append_column("unlabelled", pa.array([7, 8], pa.int64()))
    pq.write_table(rows, old / "episodes.parquet")
    assert read_runs(find_runs(["runs"]))[1]["unlabelled"].tolist() == [7, 8]
