"""Rows of one-class tasks on disk, joined over runs."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.results.folders import find_runs
from fewshot.results.result import join_rows
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs, read_table, write_tables
from fewshot.tasks import table_columns
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.one_class.cells import evaluate_one_class
from fewshot.tasks.one_class.scores import NameVectors
from fewshot.tasks.one_class.settings import OneClassSettings

LABELS = np.repeat(np.arange(4), 8)
NAMES = [f"class {c}" for c in range(4)]


def judge(seed, negatives="uniform"):
    rng = np.random.default_rng(0)
    text = rng.normal(size=(4, 6))
    bank = make_bank(text[LABELS] + rng.normal(size=(32, 6)), LABELS, NAMES, text=text)
    settings = OneClassSettings(
        tasks=4, prevalences=[0.5], rules=["fixed"], fixed=0.2, negatives=negatives, draws=50
    )
    tree = {name: ["thing"] for name in NAMES}
    names = NameVectors(torch.from_numpy(bank.text))
    return evaluate_one_class(bank, names, settings, Settings(threads=1), seed, taxonomy=tree).cells


def write(folder, cells, created):
    folder.mkdir()
    summary = {"schema_version": SCHEMA_VERSION, "created": created}
    summary["cells"] = [cell.summary for cell in cells]
    write_tables(folder, summary, join_rows(cells))


def test_rows_come_back_and_the_last_run_counts(workplace):
    older, newer, other = judge(0), judge(0), judge(0, "distance")
    older[0].rows("one_class")["macro_f1"] = 7.0
    write(workplace / "b", older, "2024-01-01")
    write(workplace / "a", newer, "2024-01-02")
    write(workplace / "c", other, "2024-01-03")  # other negatives: another cell
    runs = find_runs([workplace])
    rows = read_table(runs, "one_class")
    assert len(rows) == 8
    uniform = rows[rows["against"] == "uniform"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        uniform, newer[0].rows("one_class"), check_dtype=False, check_categorical=False
    )
    summary, episodes, _ = read_runs(runs)
    assert [cell["against"] for cell in summary["cells"]] == ["uniform", "distance 1"]
    assert episodes.empty
    assert not (workplace / "a" / "verification.parquet").exists()


def test_types_are_in_the_file_and_numbers_are_json(workplace):
    write(workplace / "run", judge(0), "")
    schema = pq.read_schema("run/one_class.parquet")
    kinds = {"string": "str", "double": "float64", "int64": "int64"}
    assert {field.name: kinds[str(field.type)] for field in schema} == table_columns("one_class")
    (cell,) = json.loads((workplace / "run" / "summary.json").read_text())["cells"]
    assert cell["prevalences"][0]["macro_f1"]["population"] == "classes"
    assert cell["head_parameters"] == {"fixed": 0.2}


def test_a_damaged_table(workplace):
    write(workplace / "run", judge(0), "")
    (workplace / "run" / "one_class.parquet").write_bytes(b"x" * 400)
    with pytest.raises(FewshotError, match=r"run/one_class\.parquet cannot be read"):
        read_table(find_runs(["run"]), "one_class")
