"""Data of the page's script against the rows of the run."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd
import pytest

from fewshot.report.charts.bins import equal_bins
from fewshot.report.payload.cells import number_of
from fewshot.report.payload.packing import (
    MISSING,
    STEPS,
    file_numbers,
    json_text,
    lean,
    shares,
)
from fewshot.report.payload.payload import payload
from fewshot.report.payload.points import share_budget


def of(run, **options):
    return payload(*run, **options).data


def rows_of(table, cell):
    names = ("dataset", "backbone", "head", "ways", "shots", "seed")
    for name in names:
        table = table[table[name] == cell[name]]
    return table


def integers(text, kind="<u2"):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def read_shares(text):
    steps = integers(text)
    return np.where(steps == MISSING, np.nan, steps / STEPS)


def test_shares_come_back_within_half_a_step():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.random(5000), [0, 1, 0.5, -1e-9, 1 + 1e-9]])
    back = read_shares(shares(values))
    assert np.abs(back - values).max() <= 0.5 / 65534 + 1e-8
    assert back[5000:5002].tolist() == [0, 1]
    decoded = read_shares(shares([np.nan, 0.25, None]))
    assert np.isnan(decoded).tolist() == [True, False, True]
    assert integers(file_numbers([3, -1]), "<u4").tolist() == [3, 0xFFFFFFFF]


def test_every_cell_has_its_numbers_and_points(judged):
    data = of(judged)
    assert [(c["head"], c["shots"]) for c in data["cells"]] == [
        ("lda", 1), ("lda", 5), ("ncm", 1), ("ncm", 5),
    ]  # fmt: skip
    for cell in data["cells"]:
        rows = rows_of(judged.episodes, cell)
        (measure,) = cell["measures"]
        assert measure["name"] == "accuracy" and measure["better"] == "higher"
        assert measure["mean"] == pytest.approx(rows["accuracy"].mean())
        half = 1.96 * rows["accuracy"].std() / len(rows) ** 0.5
        low, high = measure["intervals"]["episodes"]
        assert (high - low) / 2 == pytest.approx(half, rel=1e-2)
        assert measure["intervals"]["classes"] is None and measure["reasons"]["classes"]
        points = data["points"][cell["points"]]
        np.testing.assert_allclose(read_shares(points["actual"]), rows["actual_error"], atol=1e-5)
        said = rows_of(judged.predictions, cell)
        for estimator in points["estimators"]:
            predicted = said[said["estimator"] == estimator["name"]]
            for key, name in (("predicted", "predicted_error"), ("upper", "upper")):
                if estimator[key] is not None:
                    np.testing.assert_allclose(
                        read_shares(estimator[key]), predicted[name], atol=1e-5
                    )
        assert (
            [estimator["name"] for estimator in cell["estimators"]][:1]
            == ["auto"]
            == [cell["spokesman"]]
        )
        assert [estimator["sees_queries"] for estimator in cell["estimators"]][-2:] == [True, True]
        bounded = {estimator["name"] for estimator in points["estimators"] if estimator["lower"]}
        assert bounded == {"auto", "margin"}


def test_the_order_of_the_rows_does_not_matter(judged):
    rng = np.random.default_rng(1)
    mixed = {name: t.iloc[rng.permutation(len(t))] for name, t in judged.rows.items()}
    first, second = of(judged), of((judged.summary, mixed))
    for cell, other in zip(first["cells"], second["cells"], strict=True):
        a, b = (data["points"][c["points"]] for data, c in ((first, cell), (second, other)))
        order = np.argsort(second["sets"][b["set"]]["episodes"])
        np.testing.assert_array_equal(read_shares(a["actual"]), read_shares(b["actual"])[order])
        for x, y in zip(a["estimators"], b["estimators"], strict=True):
            np.testing.assert_array_equal(
                read_shares(x["predicted"]), read_shares(y["predicted"])[order]
            )


def test_names_as_categories_are_the_same(judged):
    texts = [name for name in judged.episodes if judged.episodes[name].dtype == "str"]
    rows = {name: t.astype(dict.fromkeys(texts, "category")) for name, t in judged.rows.items()}
    rows["predictions"]["estimator"] = rows["predictions"]["estimator"].astype("category")
    assert of((judged.summary, rows)) == of(judged)


def test_bins_and_worst_episodes(run):
    data = of(run)
    cell = data["cells"][-1]
    said = rows_of(run.predictions, cell).query("estimator == 'margin'")
    (margin,) = (entry for entry in cell["estimators"] if entry["name"] == "margin")
    grouped = said.groupby(equal_bins(said["predicted_error"].to_numpy(), 10))
    means = grouped[["predicted_error", "actual_error"]].mean().assign(n=grouped.size())
    np.testing.assert_allclose(margin["bins"], means)
    assert cell["spokesman"] == "margin"
    said = said.assign(gap=(said["predicted_error"] - said["actual_error"]).abs().round(12))
    worst = said.sort_values(["gap", "episode"], ascending=[False, True]).head(5)
    assert [entry["episode"] for entry in cell["worst"]] == worst["episode"].tolist()
    classes = rows_of(run.episodes, cell).set_index("episode")["classes"]
    assert all(entry["classes"] == classes[entry["episode"]] for entry in cell["worst"])


def same_episodes(run):
    """The run with one hash of episodes per number of shots, and the same classes."""
    first = run.episodes[run.episodes["head"] == "ncm"]
    for cell in run.summary["cells"]:
        cell["hashes"] = {"episodes": f"drawn with {cell['shots']}"}
        of_cell = (run.episodes["head"] == cell["head"]) & (run.episodes["shots"] == cell["shots"])
        drawn = first.loc[first["shots"] == cell["shots"], "classes"]
        run.episodes.loc[of_cell, "classes"] = pd.Series(
            drawn.tolist(), run.episodes.index[of_cell]
        )
    return run


def test_cells_on_the_same_episodes_share_a_set(make):
    run = same_episodes(make(episodes=30))
    data = of(run)
    assert len(data["sets"]) == 2 and len(data["points"]) == 4
    names = data["datasets"]["eurosat"]["classnames"]
    for cell in data["cells"]:
        episode_set = data["sets"][data["points"][cell["points"]]["set"]]
        assert (
            episode_set["shots"] == cell["shots"]
            and episode_set["of"] == 30
            and episode_set["support"] is None
        )
        drawn = np.array(names)[integers(episode_set["classes"]).reshape(30, 5)]
        assert drawn.tolist() == rows_of(run.episodes, cell)["classes"].tolist()


def test_an_episode_that_a_cell_does_not_have_is_missing(make):
    run = same_episodes(make(episodes=10, shots=(5,), estimators=("margin",)))
    gone = (run.episodes["head"] == "ncm") & (run.episodes["episode"] == 3)
    data = of((run.summary, run.rows | {"episodes": run.episodes[~gone]}))
    lda, ncm = (read_shares(data["points"][i]["actual"]) for i in (0, 1))
    assert np.isnan(ncm).nonzero()[0].tolist() == [3]
    assert not np.isnan(lda).any()


def test_points_keep_to_their_budget_and_are_the_first_episodes(judged):
    budget = 20_000
    data = of(judged, point_bytes=budget)
    sizes = {len(episode_set["episodes"]) for episode_set in data["sets"]}
    (size,) = sizes
    assert 1 < size < 200
    spent = len(json_text(data["points"])) + len(json_text(data["sets"]))
    assert 0.5 * budget < spent < 1.3 * budget
    for episode_set in data["sets"]:
        assert episode_set["episodes"] == list(range(size)) and episode_set["of"] == 200


@pytest.mark.parametrize(
    ("sizes", "costs", "budget", "most"),
    [
        ([10, 10], [1, 1], 100, 10),
        ([10, 10], [1, 1], 10, 5),
        ([2, 100], [1, 1], 10, 8),
        ([100, 100], [1, 3], 40, 10),
        ([100], [50], 10, 1),
        ([], [], 10, 1),
    ],
)
def test_the_budget_is_used_up(sizes, costs, budget, most):
    assert share_budget(sizes, costs, budget) == most


def test_empty_predictions_and_no_rows(make):
    run = make(heads=("ncm",), shots=(1,), estimators=(), episodes=20)
    (cell,) = of(run)["cells"]
    assert cell["estimators"] == cell["worst"] == [] and cell["spokesman"] is None
    assert of(run)["points"][0]["estimators"] == []
    (cell,) = of((run.summary, {}))["cells"]
    assert cell["points"] is None


def test_what_is_missing_is_told(run):
    gaps = {
        "failed": [{"head": "lda", "shots": 1, "error": "features: too few"}],
        "left_out": [{"head": "ncm", "shots": 0, "reason": "needs 1 shot of every class"}],
        "unreadable": [{"run": "runs/a", "reason": "episodes.parquet is damaged"}],
    }
    data = of((run.summary | gaps, run.rows))
    assert data["failed"] == ["lda with 1 shot: features: too few"]
    assert data["left_out"] == ["ncm with 0 shots (needs 1 shot of every class)"]
    assert data["unreadable"] == ["runs/a: episodes.parquet is damaged"]


def test_old_runs_have_what_they_said(run, old):
    for cell in of(old(run))["cells"]:
        for estimator in cell["estimators"]:
            assert estimator["coverage"] is None and estimator["fallbacks"] == 0
        assert cell["comparisons"] == []


def test_joined_summaries_say_which_run_made_a_cell(run):
    made = [
        {"name": name, "folder": f"nowhere/{name}", "created": name, "duration_s": 1,
         "environment": {"device": name}, "data": {"feature_dim": 7}}
        for name in ("a", "b")
    ]  # fmt: skip
    cells = [cell | {"run": i % 2} for i, cell in enumerate(run.summary["cells"])]
    data = of((run.summary | {"made": made, "cells": cells}, run.rows))
    assert [run_entry["name"] for run_entry in data["runs"]] == ["a", "b"]
    for cell in data["cells"]:
        name = "ab"[cell["made"]["run"]]
        assert (name == "a") == (cell["shots"] == 1)
        assert cell["cost"]["device"] == name and cell["cost"]["feature_dim"] == 7
        assert cell["made"]["command"] is None


@pytest.mark.parametrize(
    ("value", "number"),
    [("25.6M", 25.6e6), ("4k", 4e3), (7, 7.0), (None, None), ("many", None), ("1.2.3M", None)],
)
def test_numbers_of_parameters(value, number):
    assert number_of(value) == number


def test_json_is_lean_and_harmless():
    value = {"a</script>": [1 / 3, np.float64("nan"), float("inf"), True, 7, None, "\u2028&"]}
    assert lean(value)["a</script>"][:6] == [0.333333, None, None, True, 7, None]
    text = json_text(value | {"x": np.int64(3)})
    assert "<" not in text and "&" not in text and "\u2028" not in text
    assert text.endswith('"x":3}')


def test_long_lists_of_facts_are_cut(run):
    summary = run.summary | {"data": {"skipped": [{"file": f"{i}.jpg"} for i in range(100)]}}
    (entry,) = of((summary, run.rows))["runs"]
    assert entry["data"]["skipped"][-1] == "and 88 more" and len(entry["data"]["skipped"]) == 13
