"""CSV for spreadsheets: no text runs as a formula, numbers stay numbers, nothing is lost."""

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fewshot.report.text.csv_cells import csv_cell, from_csv, write_csv
from fewshot.report.text.rows import csv_text

FORMULAS = ("=1+1", "+1+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(\"http://x\")",
            "-2+3 classes", "\uff1d1+1")  # fmt: skip
HARMLESS = ("finch", "", "a=1", "1e5", "-1", "+1.5e-3", "-.5", "-inf", "'tis", "\u00e9")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_marked(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_and_numbers_stay(text):
    assert csv_cell(text) == text


@pytest.mark.parametrize("value", [-1, -0.5, None, True])
def test_values_that_are_no_text_stay(value):
    assert csv_cell(value) is value


@given(st.text() | st.text(alphabet="'=+-@ 1"))
@example("'=1")
@example("''=1")
def test_the_way_back(text):
    assert from_csv(csv_cell(text)) == text


def test_columns_of_every_kind():
    rows = pd.DataFrame({
        "=name": ["=1+1", "finch"],
        "label": pd.Categorical(["@x", "b"]),
        "mean": [-0.5, 1.0],
        "names": [["=a", "b"], ["c"]],
        "made": ["-1", None],
    })  # fmt: skip
    header, *lines = csv.reader(io.StringIO(csv_text(rows)))
    assert header == ["'=name", "label", "mean", "names", "made"]
    assert lines == [
        ["'=1+1", "'@x", "-0.5", '["=a", "b"]', "-1"], ["finch", "b", "1.0", '["c"]', ""],
    ]  # fmt: skip


def test_a_file_of_records(tmp_path):
    target = tmp_path / "labels.csv"
    write_csv("--output", target, ["file", "lead"], [{"file": "=x.png", "lead": -0.25}])
    assert target.read_text() == "file,lead\n'=x.png,-0.25\n"


def test_names_of_data_sets_in_the_tables_of_runs(tmp_path, feature_file):
    from fewshot.cli.main import main

    name = "'=HYPERLINK(1)'"
    run = ["dataset=features", "dataset.path=f.npz", f"dataset.name={name}", "head=[ncm]",
           "estimator=[constant]", "episodes.shots=[1]", "episodes.count=3"]  # fmt: skip
    assert main(run) == 0
    query = ["results", "query", "runs", "--format", "csv", "--output", "q.csv"]
    export = ["results", "export", "runs", "--format", "csv", "--rows", "dataset,head",
              "--columns", "shots", "--output", "x.csv"]  # fmt: skip
    for command, file in ((query, "q.csv"), (export, "x.csv")):
        assert main(command) == 0
        cells = [cell for row in csv.reader((tmp_path / file).open()) for cell in row]
        assert "'=HYPERLINK(1)" in cells
        assert not [cell for cell in cells if re.match(r"[=+@\t\r]", cell)]
