"""Contents of the figures; names in them are text."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

from fewshot.exceptions import FewshotError
from fewshot.report import write
from fewshot.report.charts.bins import bin_means, equal_bins
from fewshot.report.charts.scatter import scatter_chart
from fewshot.report.figures import (
    calibration_curve,
    coverage_vs_nominal,
    error_vs_shots,
    mae_vs_shots,
    predicted_vs_actual,
)
from fewshot.report.figures.classification import group_figures
from fewshot.report.figures.style import COLORS, marker, nth
from fewshot.statistics.populations import mean_interval

TEXT = "{http://www.w3.org/2000/svg}text"
HOSTILE = ("$x_1$ <b>&", "_y %", "\\frac", "a$b", "url(#x)", "\x00\x1b\u202e")


def texts(axes):
    return [text.get_text() for text in axes.texts]


def plots_of(run):
    """The plots of a run with one data set and backbone, by kind."""
    plots = group_figures(run.summary["cells"], run.episodes, run.predictions)
    return {plot.kind: plot for plot in plots}


def document(plot):
    """A figure as an SVG document."""
    (path,) = plot.save(Path(), ["svg"])
    return path.read_text()


def svg_of(run):
    """All text of every plot, as a browser would show it, by kind."""
    return {
        kind: ["".join(node.itertext()) for node in ET.fromstring(document(plot)).iter(TEXT)]
        for kind, plot in plots_of(run).items()
    }


def lines_of(axes):
    """Points of lines that are estimators or cells, not the diagonal."""
    return [line for line in axes.lines if line.get_marker() != "None"]


def test_panels_show_every_estimator_of_every_head(run):
    figure = predicted_vs_actual(run.predictions)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == [
        f"{head}, {name}"
        for head in ("ncm", "lda")
        for name in ("constant", "gaussian", "loo", "margin")
    ]
    for axes in figure.axes:
        assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1


def test_printed_mae_is_that_of_all_episodes(run):
    figure = predicted_vs_actual(run.predictions, points=50)
    margin = run.summary["cells"][0]["estimators"]["margin"]["mae"]
    five = run.summary["cells"][1]["estimators"]["margin"]["mae"]
    assert texts(figure.axes[3]) == [
        f"1 shot: MAE {100 * margin:.1f}\n5 shots: MAE {100 * five:.1f}"
    ]
    assert sum(len(dots.get_offsets()) for dots in figure.axes[3].collections) == 50


def test_points_are_where_the_rows_are(make):
    run = make(heads=("ncm",), shots=(5,), episodes=30, estimators=("margin",))
    (axes,) = predicted_vs_actual(run.predictions).axes
    rows = run.predictions[["predicted_error", "actual_error"]].to_numpy(float)
    np.testing.assert_allclose(axes.collections[0].get_offsets(), 100 * rows)


def test_lines_over_shots_are_means_with_their_interval(run):
    figure = error_vs_shots(run.episodes, run.predictions)
    assert [axes.get_title("left") for axes in figure.axes] == ["ncm, 5-way", "lda, 5-way"]
    (bars,) = figure.axes[0].containers
    for i, cell in enumerate(run.summary["cells"][:2]):
        assert bars.lines[0].get_ydata()[i] == pytest.approx(100 * cell["actual_error"]["mean"])
        low, high = bars.lines[2][0].get_segments()[i][:, 1]
        assert low == pytest.approx(100 * cell["actual_error"]["lower"])
        assert high == pytest.approx(100 * cell["actual_error"]["upper"])
    # Leave-one-out has a number at five shots only.
    names = list(run.summary["cells"][0]["estimators"])
    lengths = [len(line.get_xdata()) for line in figure.axes[0].lines[: len(names)]]
    assert dict(zip(names, lengths, strict=True)) == {
        "constant": 2,
        "gaussian": 2,
        "loo": 1,
        "margin": 2,
    }


def test_nothing_is_cut_off(run):
    for axes in error_vs_shots(run.episodes, run.predictions).axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            assert low <= min(line.get_ydata()) and max(line.get_ydata()) <= high


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"heads": ("ncm",), "shots": (5,), "estimators": ("margin",)},
        {"heads": ("ncm",), "shots": (5,), "episodes": 1},
        {"shots": (0, 1, 4, 32), "estimators": tuple("abcde"), "episodes": 10},
    ],
    ids=["single", "one episode", "many"],
)
def test_other_sizes(make, options):
    for plot in plots_of(make(**options)).values():
        assert document(plot).count("<svg") == 1


def test_nobody_predicted(make):
    run = make(shots=(1,), estimators=("loo",), episodes=10)
    figure = predicted_vs_actual(run.predictions)
    assert figure is None
    assert list(plots_of(run)) == ["error_vs_shots"]
    figure = error_vs_shots(run.episodes, run.predictions)
    interval = mean_interval(run.episodes["actual_error"][:10])
    drawn = figure.axes[0].containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx([100 * interval["mean"]])


def test_ways_are_told_apart(make):
    few, many = (make(heads=("ncm",), shots=(5,), episodes=10, ways=ways) for ways in (2, 5))
    rows = few.predictions.__class__(
        {name: [*few.predictions[name], *many.predictions[name]] for name in few.predictions}
    )
    figure = predicted_vs_actual(rows)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["2-way", "5-way", "predicted = actual"]


def test_numbers_of_shots_have_panels_where_ways_differ(make):
    sets = [
        make(heads=("ncm", "lda"), shots=(1, 5), episodes=10, ways=ways).predictions
        for ways in (2, 5)
    ]
    rows = sets[0].__class__({name: [*sets[0][name], *sets[1][name]] for name in sets[0]})
    estimators = list(dict.fromkeys(rows["estimator"]))
    silent = (rows["shots"] == 1) & (rows["estimator"] != estimators[0])
    rows.loc[silent, ["predicted_error", "lower", "upper"]] = float("nan")
    chart = scatter_chart(rows)
    titles = [panel.title for panel in chart.panels]
    assert len(titles) == 2 * 2 + (len(estimators) - 1) * 2  # none without predictions
    assert {f"{estimators[0]}, ncm, 1 shot", f"{estimators[1]}, lda, 5 shots"} <= set(titles)
    for panel in chart.panels:
        assert [series.label for series in panel.series] == ["2-way", "5-way"]
        assert [series.place for series in panel.series] == [0, 1]
        assert panel.episodes == 20


def test_names_are_never_formulas(make):
    run = make(heads=HOSTILE[:3], estimators=HOSTILE[2:], shots=(5,), episodes=12)
    shown = svg_of(run)
    scatter, lines = shown["predicted_vs_actual"], shown["error_vs_shots"]
    assert "$x_1$ <b>&, \\frac" in scatter and "_y %, url(#x)" in scatter
    assert "_y %, 5-way" in lines and "predicted by a$b" in lines
    assert "predicted by \ufffd\ufffd\ufffd" in lines


def test_files_are_the_same_every_time(run, workplace):
    def saved():
        (plot,) = (entry for entry in plots_of(run).values() if entry.kind == "mae_vs_shots")
        return [path.read_bytes() for path in plot.save(workplace, ["svg", "pdf", "png"])]

    first = saved()
    assert first == saved()
    assert [entry[:4] for entry in first] == [b"<?xm", b"%PDF", b"\x89PNG"]
    assert b"CreationDate" not in first[1]


def test_user_settings_stay_out_and_come_back(run):
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black"}):
        svg = document(plots_of(run)["error_vs_shots"])
        assert "<svg" in svg and "#000000; opacity" not in svg
        assert matplotlib.rcParams["text.usetex"] is True
        assert matplotlib.rcParams["axes.facecolor"] == "black"


def test_no_pyplot():
    code = "import sys, fewshot.report.write; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_file_names_are_safe_and_distinct(make):
    pairs = (("../../etc", "a/b"), ("../../etc", "a\\b"), ("CUB", "x"), ("cub", "x"))
    run = make(pairs=pairs, heads=("ncm",), shots=(5,), estimators=("margin",), episodes=5)
    names = [
        plot.name for plot in group_figures(run.summary["cells"], run.episodes, run.predictions)
    ]
    # Five episodes are too few for a calibration curve, and nobody gave intervals.
    assert len({name.lower() for name in names}) == len(names) == 4 * 3
    assert not any(set(name) & set("/\\") for name in names)


def test_auto_comes_first_and_oracles_last_with_their_mark(judged):
    shown = svg_of(judged)
    titles = shown["predicted_vs_actual"]
    names = ["auto", "constant", "gaussian", "loo", "margin", "oracle †", "oracle_sigma †"]
    assert [text for text in titles if text.startswith("ncm, ")] == [f"ncm, {n}" for n in names]
    assert "oracle †" in shown["mae_vs_shots"]


def test_bands_are_the_mean_bounds(judged):
    figure = predicted_vs_actual(judged.predictions)
    bands = [len(axes.lines) - 1 for axes in figure.axes]
    # Two edges per number of shots, for auto and margin of two heads.
    assert sorted(bands) == [0] * 10 + [4] * 4
    rows = judged.predictions.query("head == 'ncm' and estimator == 'auto' and shots == 5")
    low, high = figure.axes[0].lines[2:4]
    assert low.get_ydata().min() >= 100 * rows["lower"].min() - 1e-9
    assert high.get_ydata().max() <= 100 * rows["upper"].max() + 1e-9
    np.testing.assert_allclose((high.get_ydata() - low.get_ydata()).max(), 20, atol=1e-6)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-1] == "prediction interval"


def test_equal_predictions_have_a_bar(make):
    run = make(heads=("ncm",), shots=(5,), estimators=("constant",), intervals={"constant": 0.1})
    (axes,) = predicted_vs_actual(run.predictions).axes
    assert len(axes.containers) == 2


def test_mae_over_shots_is_that_of_the_table(run):
    figure = mae_vs_shots(run.predictions)
    lines = dict(zip(run.summary["cells"][0]["estimators"], figure.axes[0].lines, strict=True))
    for i, cell in enumerate(run.summary["cells"][:2]):
        for name in ("constant", "gaussian", "margin"):
            interval = cell["estimators"][name]["mae_interval"]
            assert lines[name].get_ydata()[i] == pytest.approx(100 * interval["mean"])
    assert len(lines["loo"].get_xdata()) == 1
    assert lines["constant"].get_marker() == "None" and lines["margin"].get_marker() != "None"
    ends = np.concatenate([b.get_segments() for b in figure.axes[0].collections])[:, :, 1]
    margin = run.summary["cells"][1]["estimators"]["margin"]["mae_interval"]
    bounds = 100 * np.array([margin["lower"], margin["upper"]])
    assert any(np.allclose(end, bounds) for end in ends)


def test_calibration_curve_is_binned_means(run):
    figure = calibration_curve(run.predictions)
    assert [axes.get_title("left") for axes in figure.axes] == [
        f"{head}, {shots}" for head in ("ncm", "lda") for shots in ("1 shot", "5 shots")
    ]
    rows = run.predictions.query("head == 'ncm' and shots == 5 and estimator == 'margin'")
    ordered = rows.sort_values("predicted_error")
    pieces = [ordered.iloc[i : i + 60] for i in range(0, 600, 60)]
    lines = lines_of(figure.axes[1])
    # constant, gaussian, loo, margin: a point for the first.
    assert [len(line.get_xdata()) for line in lines] == [1, 10, 10, 10]
    for drawn, name in zip(lines[3].get_data(), ("predicted_error", "actual_error"), strict=True):
        np.testing.assert_allclose(drawn, [100 * p[name].mean() for p in pieces], rtol=1e-6)


def test_equal_predictions_share_a_bin():
    x = np.array([0.0] * 7 + [0.2] * 2 + [0.4])
    bins = equal_bins(x, 5)
    assert len(set(bins[:7])) == 1
    centres, counts = bin_means(bins, x, np.ones(10))
    assert list(centres) == pytest.approx([0.0, 0.2, 0.4]) and list(counts) == [1, 1, 1]


def test_coverage_is_that_of_the_summary(judged):
    figure = coverage_vs_nominal(judged.summary["cells"])
    assert [axes.get_title("left") for axes in figure.axes] == ["auto", "margin"]
    for line, cell in zip(lines_of(figure.axes[0]), judged.summary["cells"], strict=True):
        curve = 100 * np.array(cell["estimators"]["auto"]["coverage_curve"])
        np.testing.assert_allclose(line.get_xydata(), curve)
    again = [cell | {"seed": 1} for cell in judged.summary["cells"]]
    both = coverage_vs_nominal([*judged.summary["cells"], *again])
    assert len(lines_of(both.axes[0])) == 4


def test_nothing_is_drawn_where_it_would_be_empty(run, make, old):
    assert list(plots_of(run)) == [
        "predicted_vs_actual",
        "error_vs_shots",
        "mae_vs_shots",
        "calibration_curve",
    ]
    assert "coverage_vs_nominal" not in plots_of(old(run))
    few = make(heads=("ncm",), shots=(5,), episodes=9)
    assert "calibration_curve" not in plots_of(few)
    assert coverage_vs_nominal(run.summary["cells"]) is None
    nobody = run.predictions[:0]
    assert mae_vs_shots(nobody) is calibration_curve(nobody) is None
    assert error_vs_shots(run.episodes[:0], nobody) is None


@pytest.mark.slow
def test_many_estimators_are_wrapped(make):
    names = tuple(f"estimator_{i}" for i in range(13))
    run = make(estimators=names, shots=(1, 5), episodes=20, intervals=dict.fromkeys(names, 0.1))
    shown = {}
    for kind, plot in plots_of(run).items():
        assert plot.figure.get_figwidth() <= 12
        shown[kind] = {text.get_text() for text in plot.figure.findobj(Text)}
    assert all(set(names) <= shown[kind] for kind in ("mae_vs_shots", "calibration_curve"))
    assert set(names) <= shown["coverage_vs_nominal"]


def test_without_matplotlib_figures_name_their_extra_before_any_work(monkeypatch):
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    write.check_figures("report.figures", [])
    with pytest.raises(
        FewshotError, match=r"report\.figures: figures need matplotlib.*'\.\[figures\]'"
    ):
        write.check_figures("report.figures", ["svg"])


def test_series_differ_in_colour_or_marker():
    assert len({(nth(COLORS, i), marker(i)) for i in range(36)}) == 36
