"""Rows of verification on disk, joined with those of classification."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import fewshot
from fewshot.episodes import sample_episodes
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads.ncm import NCM
from fewshot.results.folders import find_runs
from fewshot.results.result import join_rows
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs, read_table, write_tables
from fewshot.tasks import table_columns
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification.cell import evaluate_verification

LABELS = np.repeat(np.arange(5), 8)
FEATURES = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def verify(seed):
    drawn = sample_episodes(LABELS, 3, 1, 4, 5, seed=seed)
    settings = Settings(threads=1)
    return evaluate_verification(make_bank(FEATURES, LABELS), drawn, ("ncm", NCM()), settings, 0)


def write(folder, result, created):
    folder.mkdir()
    cells = [result.summary]
    summary = {"schema_version": SCHEMA_VERSION, "created": created, "cells": cells}
    write_tables(folder, summary, join_rows([result]))


def test_rows_come_back_and_the_last_run_counts(workplace):
    older, newer = verify(0), verify(1)
    write(workplace / "b", older, "2024-01-01T00:00:00+00:00")
    write(workplace / "a", newer, "2024-01-02T00:00:00+00:00")
    other = fewshot.evaluate(
        FEATURES, LABELS, ways=3, shots=1, queries=4, episodes=6, estimators=[]
    )
    write(workplace / "c", other, "2024-01-03T00:00:00+00:00")
    assert not (workplace / "c" / "verification.parquet").exists()
    runs = find_runs([workplace])
    pd.testing.assert_frame_equal(
        read_table(runs, "verification"),
        newer.rows("verification"),
        check_dtype=False,
        check_categorical=False,
    )
    summary, episodes, predictions = read_runs(runs)
    assert [cell["task"] for cell in summary["cells"]] == ["verification", "classification"]
    assert (len(episodes), len(predictions)) == (6, 0)
    assert list(episodes) == list(table_columns("episodes"))
    assert read_table(find_runs([workplace / "c"]), "verification").empty


def test_types_are_in_the_file(workplace):
    write(workplace / "run", verify(0), "")
    schema = pq.read_schema("run/verification.parquet")
    kinds = {"string": "str", "double": "float64", "int64": "int64"}
    assert {field.name: kinds[str(field.type)] for field in schema} == table_columns("verification")
    assert json.loads((workplace / "run" / "summary.json").read_text())["cells"][0]["prevalence"]


def test_a_damaged_table(workplace):
    write(workplace / "run", verify(0), "")
    (workplace / "run" / "verification.parquet").write_bytes(b"x" * 400)
    with pytest.raises(FewshotError, match=r"run/verification\.parquet cannot be read"):
        read_table(find_runs(["run"]), "verification")
