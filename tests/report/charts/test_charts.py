"""Charts as data: the same for paper and page."""

from dataclasses import asdict

import numpy as np
import pytest

from fewshot.report.charts import calibration, coverage, scatter
from fewshot.report.charts.base import aside, categories
from fewshot.report.charts.calibration import calibration_bins, calibration_chart
from fewshot.report.charts.matrix import accuracy_matrix_of
from fewshot.report.charts.ranks import joined, rank_caption
from fewshot.report.charts.shots import error_chart, mae_chart
from fewshot.report.comparison.ranks import ranks
from fewshot.report.figures import calibration_curve, coverage_vs_nominal, predicted_vs_actual
from fewshot.report.payload.payload import payload


def test_page_and_paper_have_the_same_words(judged):
    words = payload(*judged).data["charts"]
    figures = {
        "calibration": (calibration, calibration_curve(judged.predictions)),
        "coverage": (coverage, coverage_vs_nominal(judged.summary["cells"])),
        "scatter": (scatter, predicted_vs_actual(judged.predictions)),
    }
    assert words.keys() == figures.keys()
    for name, (chart, figure) in figures.items():
        assert words[name] == asdict(chart.WORDS)
        labels = {axes.get_xlabel() for axes in figure.axes} - {""}
        assert labels == {words[name]["x"]}
        assert {axes.get_ylabel() for axes in figure.axes} - {""} == {words[name]["y"]}


def test_bins_of_the_page_are_the_points_of_the_figure(make):
    run = make(heads=("ncm",), shots=(5,), estimators=("margin", "gaussian"), episodes=83)
    (cell,) = payload(*run).data["cells"]
    bins = {entry["name"]: np.array(entry["bins"]) for entry in cell["estimators"]}
    (panel,) = calibration_chart(run.predictions).panels
    assert [trace.name for trace in panel.traces] == ["margin", "gaussian"]
    for trace in panel.traces:
        np.testing.assert_allclose(bins[trace.name][:, 0] * 100, trace.x)
        np.testing.assert_allclose(bins[trace.name][:, 1] * 100, trace.y)
        assert bins[trace.name][:, 2].sum() == 83


def test_too_few_episodes_have_no_bins_anywhere():
    rng = np.random.default_rng(0)
    assert calibration_bins(rng.random(9), rng.random(9)) is None
    predicted = np.r_[rng.random(10), np.nan]
    bins = calibration_bins(predicted, rng.random(11))
    assert bins.sizes.tolist() == [5, 5]


def test_lines_over_shots_say_where_their_intervals_are(run):
    chart = error_chart(run.episodes, run.predictions, "eurosat")
    assert chart.title == "eurosat" and [p.title for p in chart.panels] == [
        "ncm, 5-way",
        "lda, 5-way",
    ]
    actual = chart.panels[0].traces[-1]
    cell = run.summary["cells"][0]["actual_error"]
    assert actual.capped and actual.x == [0, 1]
    assert actual.whiskers[0] == pytest.approx((0, 100 * cell["lower"], 100 * cell["upper"]))
    assert chart.y.limits[1] > max(high for p in chart.panels for t in p.traces
                                   for _, _, high in t.whiskers)  # fmt: skip
    names = [name for name, _ in mae_chart(run.predictions).legend]
    assert names == ["constant", "gaussian", "loo", "margin"]


def test_the_matrix_is_of_means_over_seeds():
    """The best seed of a head does not count for it."""
    accuracies = {("ncm", 0): 0.5, ("ncm", 1): 0.9, ("lda", 0): 0.75, ("lda", 1): 0.75}
    cells = [
        {"task": "classification", "dataset": dataset, "part": "novel", "backbone": "net",
         "feature": "pooled", "head": head, "variant": "", "ways": 5, "shots": 1, "seed": seed,
         "accuracy": {"mean": mean}}
        for dataset in ("a", "b")
        for (head, seed), mean in accuracies.items()
    ]  # fmt: skip
    matrix = accuracy_matrix_of(cells)
    np.testing.assert_allclose(matrix.values, [[75, 75]])
    assert (matrix.rows, matrix.columns) == (["net"], ["a", "b"])
    assert accuracy_matrix_of(cells[:4]) is None


def test_a_part_of_the_classes_is_a_column_of_its_own():
    cells = [
        {"task": "classification", "dataset": "a", "part": part, "backbone": "net",
         "feature": "pooled", "head": "ncm", "variant": "", "ways": 5, "shots": 1, "seed": 0,
         "accuracy": {"mean": mean}}
        for part, mean in (("novel", 0.5), ("base", 0.9))
    ]  # fmt: skip
    matrix = accuracy_matrix_of(cells)
    assert matrix.columns == ["a", "a (base classes)"]
    np.testing.assert_allclose(matrix.values, [[50, 90]])


def test_groups_of_ranks_and_their_words(make):
    run = make(heads=("ncm", "lda", "knn"), shots=(1, 5), episodes=20)
    (ranking,) = ranks(run.summary["cells"])
    assert ranking["groups"] == [] and ranking["critical_difference"] is None
    assert ranking["caption"].startswith("Over 2 contexts (")
    tested = ranking | {"over": "6 data sets", "p": 0.0123, "critical_difference": 1.0, "note": ""}
    assert rank_caption(tested) == (
        "Over 6 data sets. Friedman test: p = 0.012. A bar on the right joins what is not told "
        "apart."
    )
    # A difference as large as the critical one tells apart (Demsar 2006).
    assert joined([1.0, 2.0, 2.5], 1.0) == [(1, 2)]


def test_places_on_an_axis():
    axis = categories([1, 5, 20])
    assert axis.limits == (-0.5, 2.5) and axis.ticks == [(0, "1"), (1, "5"), (2, "20")]
    offsets = [aside(i, 3, 0.1) for i in range(3)]
    assert offsets == pytest.approx([-0.1, 0, 0.1])
