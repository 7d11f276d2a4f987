"""``fewshot -m tune=optuna``: values chosen on base classes, by the real sweeper."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper.config")

SPACE = "head.logistic.C=tag(log, interval(0.001, 100))"


@pytest.fixture
def tune(feature_file):
    """A search of three trials over features with a split."""
    with np.load(feature_file) as old:
        split = np.where(old["labels"] < 3, "base", "novel")
        np.savez(feature_file, **old, split=split)
    return ["-m", "tune=optuna", "dataset=features", "dataset.path=f.npz", "episodes.ways=3",
            "episodes.count=20", "episodes.shots=1", "threads=1", "head=logistic", SPACE,
            "hydra.sweeper.n_trials=3"]  # fmt: skip


@pytest.mark.slow
def test_a_search_that_is_given_again(fewshot, tune):
    done = fewshot(*tune)
    assert done.code == 0, done.err
    assert "Best of 3 trials on base classes: head.logistic.C=" in done.out
    (outcome_file,) = Path("runs").glob("*_sweep/tuning.json")
    outcome = json.loads(outcome_file.read_text())
    trials = sorted(outcome_file.parent.glob("[0-9]*/summary.json"))
    cells = [json.loads(path.read_text())["cells"][0] for path in trials]
    assert {(cell["dataset"], cell["part"]) for cell in cells} == {("f", "base")}
    errors = [cell["actual_error"]["mean"] for cell in cells]
    best = cells[int(np.argmin(errors))]
    assert outcome["error"]["mean"] == pytest.approx(min(errors))
    assert outcome["best"]["head.logistic.C"] == best["head_parameters"]["C"]
    default = json.loads((outcome_file.parent / "as_they_were" / "summary.json").read_text())[
        "cells"
    ][0]
    assert default["head_parameters"]["C"] == 1.0
    assert outcome["default"]["mean"] == pytest.approx(default["actual_error"]["mean"])

    command = re.search(r"On novel classes:\n  fewshot (.*)", done.out)[1]
    novel = fewshot(*shlex.split(command), "estimator=constant", "paths.runs=novel")
    assert novel.code == 0, novel.err
    (rows,) = Path("novel").glob("*/episodes.parquet")
    assert set(pd.read_parquet(rows)["dataset"]) == {"f"}
    (summary,) = Path("novel").glob("*/summary.json")
    judged = json.loads(summary.read_text())["cells"][0]
    assert judged["head_parameters"]["C"] == outcome["best"]["head.logistic.C"]

    done = fewshot(*tune[:-1], "hydra.sweeper.n_trials=4")
    assert done.code == 0, done.err
    last = max(Path("runs").glob("*_sweep"), key=lambda path: path.stat().st_mtime_ns)
    runs = sorted(last.glob("[0-9]*/summary.json"))
    again = [json.loads(path.read_text())["cells"][0] for path in runs]
    assert [cell["reused_from"] is not None for cell in again] == [True] * 3 + [False]
    assert [entry["key"] for entry in again[:3]] == [entry["key"] for entry in cells]


def test_no_base_classes(fewshot, feature_settings):
    done = fewshot("-m", "tune=optuna", *feature_settings, "head=logistic", SPACE)
    assert done.code == 2
    assert "episodes.part: expected base classes to draw from" in done.err
    assert "Traceback" not in done.err
