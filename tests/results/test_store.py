"""Runs on disk: types, versions, joining."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fewshot.exceptions import FewshotError
from fewshot.results.folders import find_runs
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs, write_tables
from fewshot.tasks import table_columns

CELL = {
    "task": "classification", "dataset": "kůň", "part": "novel", "backbone": "net",
    "feature": "pooled", "head": "ncm", "variant": "", "ways": 5, "shots": 1, "seed": 0,
    "unlabelled_images": "",
    "protocol": "",
}  # fmt: skip


def rows(cells, episodes=3, offset=0.0):
    drawn = [
        cell | {"episode": i, "classes": ["a", "b, c", "ž"], "support": 3,
                "queries": 15, "unlabelled": 0, "actual_error": 0.1 * i + offset,
                "accuracy": 0.9, "query_error": 0.01}
        for cell in cells for i in range(episodes)
    ]  # fmt: skip
    predicted = [
        cell | {"episode": i, "estimator": "loo", "calibration": "none", "sees_unlabelled": False,
                "predicted_error": np.nan if i == 1 else 0.2, "lower": np.nan, "upper": 0.4,
                "reason": "needs two shots" if i == 1 else None, "actual_error": 0.1 * i + offset}
        for cell in cells for i in range(episodes)
    ]  # fmt: skip
    return pd.DataFrame(drawn), pd.DataFrame(predicted)


def tables(*arguments, **options):
    return dict(zip(("episodes", "predictions"), rows(*arguments, **options), strict=True))


def write(folder, *cells, created="2024-01-01T00:00:00+00:00", offset=0.0, **changes):
    cells = [CELL | cell for cell in cells or ({},)]
    summary = {"schema_version": SCHEMA_VERSION, "created": created, "cells": cells} | changes
    folder = Path(folder)
    folder.mkdir(parents=True)
    write_tables(folder, summary, tables(cells, offset=offset))
    return folder


def refusal(*folders):
    with pytest.raises(FewshotError) as caught:
        read_runs(find_runs(folders))
    text = str(caught.value)
    assert text.startswith("report: ")
    assert "\n" not in text
    return text


def test_rows_come_back_as_they_went(workplace):
    write("run", {}, {"head": "lda"})
    summary, episodes, predictions = read_runs(find_runs(["run"]))
    expected_episodes, expected_predictions = rows([CELL, CELL | {"head": "lda"}])
    assert list(episodes) == list(table_columns("episodes"))
    assert list(predictions) == list(table_columns("predictions"))
    episodes["classes"] = episodes["classes"].map(list)
    pd.testing.assert_frame_equal(
        episodes, expected_episodes, check_dtype=False, check_categorical=False
    )
    pd.testing.assert_frame_equal(
        predictions, expected_predictions, check_dtype=False, check_categorical=False
    )
    assert episodes["ways"].dtype == np.int64
    assert episodes["actual_error"].dtype == np.float64
    assert predictions["predicted_error"].isna().tolist() == [False, True, False] * 2
    assert predictions["reason"].isna().tolist() == [True, False, True] * 2
    assert [cell["head"] for cell in summary["cells"]] == ["ncm", "lda"]
    assert summary["runs"] == ["run"]


def test_types_and_version_are_in_the_files(workplace):
    write("run")
    for name in ("episodes", "predictions"):
        columns = table_columns(name)
        schema = pq.read_schema(f"run/{name}.parquet")
        assert schema.metadata[b"fewshot.schema_version"] == str(SCHEMA_VERSION).encode()
        kinds = {"string": "str", "double": "float64", "int64": "int64", "bool": "bool"}
        types = {field.name: str(field.type) for field in schema}
        assert {n: kinds.get(t, "list<str>") for n, t in types.items()} == columns
        assert all("list<" in types[n] for n, kind in columns.items() if kind == "list<str>")


def test_types_are_forced_even_where_all_values_are_missing(workplace):
    episodes, predictions = rows([CELL])
    predictions["reason"] = None
    predictions["predicted_error"] = None
    episodes["ways"] = episodes["ways"].astype(np.int16)
    made = {"episodes": episodes, "predictions": predictions}
    write_tables(workplace, {"schema_version": 1, "cells": [CELL]}, made)
    schema = pq.read_schema("predictions.parquet")
    assert str(schema.field("reason").type) == "string"
    assert str(schema.field("predicted_error").type) == "double"
    assert str(pq.read_schema("episodes.parquet").field("ways").type) == "int64"


def test_a_summary_is_plain_json(workplace):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_tables(workplace, {"mean": float("inf")}, tables([CELL]))
    write_tables(workplace, {"cells": [{"lower": float("nan")}]}, tables([CELL]))
    assert json.loads(Path("summary.json").read_text()) == {"cells": [{"lower": None}]}


def test_runs_are_found_at_any_depth_and_once(workplace):
    for name in ("b/2", "a", "b/1"):
        write(f"runs/{name}")
    write("runs/.c.123.partial")  # left by a run that was killed
    runs = [str(path) for path in find_runs(["runs", "runs/a", Path("runs/b")])]
    assert runs == ["runs/a", "runs/b/1", "runs/b/2"]


def test_of_a_cell_that_was_run_again_the_last_counts(workplace):
    write("z_first", {}, {"head": "lda"}, created="2024-01-01T00:00:00+00:00")
    write("a_second", {"head": "lda"}, {"shots": 5}, created="2024-01-02T00:00:00+00:00", offset=5)
    summary, episodes, predictions = read_runs(find_runs(["z_first", "a_second"]))
    cells = {(cell["head"], cell["shots"]) for cell in summary["cells"]}
    assert cells == {("ncm", 1), ("lda", 1), ("ncm", 5)}
    assert len(summary["cells"]) == 3
    for table in (episodes, predictions):
        assert len(table) == 9
        late = table.groupby(["head", "shots"])["actual_error"].min() >= 5
        assert late.to_dict() == {("ncm", 1): False, ("lda", 1): True, ("ncm", 5): True}
    assert summary["created"].startswith("2024-01-02")


def test_folders_of_a_sweep_are_not_taken_for_columns(workplace):
    write("sweep/0_head=lda,seed=9")
    _, episodes, _ = read_runs(find_runs(["sweep"]))
    assert set(episodes["head"]) == {"ncm"}
    assert list(episodes) == list(table_columns("episodes"))


def test_folders_without_runs(workplace):
    (workplace / "empty").mkdir()
    (workplace / "file").touch()
    assert "no run under 'empty'" in refusal("empty")
    assert "expected folders of runs, got 'nowhere'" in refusal("nowhere")
    assert "expected folders of runs, got 'file'" in refusal("file")
    write("good")
    assert "'empty'" in refusal("good", "empty")


def test_a_newer_schema(workplace):
    write("run", schema_version=SCHEMA_VERSION + 1)
    message = refusal("run")
    assert f"has schema version {SCHEMA_VERSION + 1}; this fewshot knows up to" in message
    assert "Update fewshot." in message


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": "x", "cells": []}',
     '{"schema_version": 1, "cells": []}', '{"schema_version": 1, "cells": [{"head": "ncm"}]}',
     '{"schema_version": 1, "cells": 3}'],
)  # fmt: skip
def test_damaged_summaries(workplace, content):
    (write("run") / "summary.json").write_text(content)
    assert "run/summary.json cannot be read" in refusal("run")


@pytest.mark.parametrize("name", ["episodes", "predictions"])
def test_damaged_tables(workplace, name):
    path = write("run") / f"{name}.parquet"
    whole = path.read_bytes()
    for damaged in (whole[:-50], whole[:4], b"", b"x" * 400):
        path.write_bytes(damaged)
        assert f"run/{name}.parquet cannot be read" in refusal("run")
    pd.DataFrame({"head": ["ncm"]}).to_parquet(path)
    assert f"run/{name}.parquet cannot be read" in refusal("run")
    path.unlink()
    assert f"run/{name}.parquet cannot be read" in refusal("run")


def test_the_summary_is_read_by_people_too(workplace):
    write("run")
    text = Path("run/summary.json").read_text(encoding="utf-8")
    assert "kůň" in text
    assert json.loads(text)["cells"][0] == CELL
