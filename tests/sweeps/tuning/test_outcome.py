"""What a search came to, from the rows of its trials."""

import json
import math
import shlex

import numpy as np
import pandas as pd
import pytest

from fewshot.exceptions import FewshotError
from fewshot.sweeps.tuning.outcome import (
    Outcome,
    episode_errors,
    novel_command,
    outcome,
    trials,
)
from fewshot.sweeps.tuning.trial import mean_error

OVERRIDES = ["tune=optuna", "head=logistic", "head.logistic.C=tag(log, interval(1, 9))",
             "episodes.part=base", "dataset.root=my images", "hydra.sweeper.n_trials=3",
             "episodes.shots=[1,5]"]  # fmt: skip


def write_run(folder, errors):
    """`errors` (cells, episodes)."""
    folder.mkdir(parents=True)
    cells = [{"shots": k, "actual_error": {"mean": float(values.mean())}}
             for k, values in enumerate(errors)]  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"cells": cells}))
    tables = [pd.DataFrame({"shots": k, "episode": range(len(values)), "actual_error": values})
              for k, values in enumerate(errors)]  # fmt: skip
    pd.concat(tables).to_parquet(folder / "episodes.parquet")
    return folder


@pytest.fixture
def search(workplace):
    rng = np.random.default_rng(0)
    errors = {"as_they_were": rng.uniform(size=(2, 40))}
    for number, gain in enumerate((0.1, 0.3, 0.2)):
        noise = rng.normal(0, 0.01, size=(2, 40))
        errors[f"{number}_C"] = errors["as_they_were"] - gain + noise
    for name, values in errors.items():
        write_run(workplace / "sweep" / name, values)
    return workplace / "sweep", errors


def test_best_default_and_their_difference(search):
    folder, errors = search
    result = outcome(folder, {"head.logistic.C": 3.5}, OVERRIDES, "base", folder / "as_they_were")
    best, default = (errors[name].mean(0) for name in ("1_C", "as_they_were"))
    assert result.trials == 3
    assert result.error["mean"] == pytest.approx(best.mean())
    assert result.default["mean"] == pytest.approx(default.mean())
    assert result.difference["mean"] == pytest.approx((best - default).mean())
    half = 1.959964 * (best - default).std(ddof=1) / np.sqrt(40)
    assert result.difference["upper"] - result.difference["mean"] == pytest.approx(half)
    assert f"-{100 * (default - best).mean():.2f} ± {100 * half:.2f} %" in str(result)
    assert "Best of 3 trials on base classes: head.logistic.C=3.5" in str(result)


def test_without_the_settings_as_they_were(search):
    result = outcome(search[0], {"head.logistic.C": 3.5}, OVERRIDES, "base", None)
    assert result.default is None
    assert result.difference is None
    assert "as they were" not in str(result)


def test_a_folder_that_was_searched_before(search):
    folder, errors = search
    default = folder / "as_they_were"
    inputs = ({"head.logistic.C": 3.5}, OVERRIDES, "base", default)
    result = outcome(folder, *inputs, earlier=[folder / "1_C"])
    assert result.trials == 2
    assert result.error["mean"] == pytest.approx(errors["2_C"].mean())


def test_the_order_of_trials(workplace):
    for name in ("10_x", "9_x", "0_x", ".11_x"):
        write_run(workplace / name, np.zeros((1, 2)))
    assert [run.name for run in trials(workplace)] == ["0_x", "9_x", "10_x"]


def test_the_command_has_the_values_and_no_search():
    words = shlex.split(novel_command(OVERRIDES, {"head.logistic.C": 3.5}))
    assert words == ["fewshot", "head=logistic", "dataset.root=my images", "episodes.shots=[1,5]",
                     "head.logistic.C=3.5"]  # fmt: skip
    words = shlex.split(novel_command(["launcher=joblib", "head=knn,ncm"], {"head": "knn"}))
    assert words == ["fewshot", "head=knn"]


def test_cells_weigh_the_same(search):
    errors = episode_errors(search[0] / "0_C")
    assert errors == pytest.approx(search[1]["0_C"].mean(0))
    with pytest.raises(FewshotError, match="task=classification"):
        mean_error([{"auroc": 1}])


def test_numbers_that_are_missing_or_rounded_are_not_printed_as_such():
    """One episode has no interval; a difference of less than the digits has no sign."""
    single = {"mean": 0.25, "lower": math.nan, "upper": math.nan}
    tiny = {"mean": -1e-6, "lower": -3e-6, "upper": 1e-6}
    text = str(Outcome({"a": 1}, 2, "base", single, None, tiny, "fewshot"))
    assert "25.00 %" in text and "nan" not in text
    assert " 0.00 ± 0.00 %" in text and "-0.00" not in text
