"""What the figures show, and that names in them are text."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from fewshot.report.figures import draw, inline_svg
from fewshot.report.plots import error_vs_shots, predicted_vs_actual
from fewshot.results.statistics import mean_interval

HOSTILE = ("$x_1$ <b>&", "_y %", "\\frac", "a$b", "url(#x)", "\x00\x1b\u202e")


def texts(axes):
    return [text.get_text() for text in axes.texts]


def svg_of(run):
    """All text of both plots, as a browser would show it."""
    (plots,) = draw(run.episodes, run.predictions).values()
    return [
        ["".join(node.itertext()) for node in ET.fromstring(plot.inline).iter("text")]
        for plot in plots
    ]


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


@pytest.mark.parametrize(
    "options",
    [
        {"heads": ("ncm",), "shots": (5,), "estimators": ("margin",)},
        {"heads": ("ncm",), "shots": (5,), "episodes": 1},
        {"shots": (0, 1, 2, 4, 8, 16, 32), "estimators": tuple("abcdefgh"), "episodes": 10},
    ],
    ids=["single", "one episode", "many"],
)
def test_other_sizes(make, options):
    (plots,) = draw(*make(**options)[1:]).values()
    for plot in plots:
        assert plot.svg.count("<svg") == 1


def test_nobody_predicted(make):
    run = make(shots=(1,), estimators=("loo",), episodes=10)
    figure = predicted_vs_actual(run.predictions)
    assert not figure.axes
    assert [text.get_text() for text in figure.texts] == ["No estimator made a prediction."]
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
    assert labels == ["2-way 5-shot", "5-way 5-shot", "predicted = actual"]


def test_names_are_never_formulas(make):
    run = make(heads=HOSTILE[:3], estimators=HOSTILE[2:], shots=(5,), episodes=12)
    scatter, lines = svg_of(run)
    assert "$x_1$ <b>&, \\frac" in scatter and "_y %, url(#x)" in scatter
    assert "_y %, 5-way" in lines and "predicted by a$b" in lines
    assert "predicted by \ufffd\ufffd\ufffd" in lines


def test_ids_are_repeatable_and_belong_to_one_figure(run):
    first, second = (
        [plot.inline for plot in next(iter(draw(run.episodes, run.predictions).values()))]
        for _ in range(2)
    )
    assert first == second
    ids = [e.attrib["id"] for text in first for e in ET.fromstring(text).iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert "date" not in first[0].lower().split("<g")[0]


def test_references_within_a_figure_still_lead_somewhere(run):
    for plot in next(iter(draw(run.episodes, run.predictions).values())):
        root = ET.fromstring(plot.inline)
        ids = {element.attrib.get("id") for element in root.iter()}
        values = [value for element in root.iter() for value in element.attrib.values()]
        targets = [value[1:] for value in values if value.startswith("#") and "-" in value]
        targets += [value[5:-1] for value in values if value.startswith("url(#")]
        assert targets and set(targets) <= ids


def test_inline_svg_says_what_it_shows():
    text = inline_svg(
        '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><g id="a"/></svg>',
        "plot",
        "A <title>",
        "More & more",
    )
    root = ET.fromstring(text)
    assert root.tag == "svg" and root.attrib["role"] == "img"
    assert (root[0].tag, root[0].text) == ("title", "A <title>")
    assert root.attrib["aria-labelledby"] == root[0].attrib["id"] == "plot-title"
    assert root[2].attrib["id"] == "plot-a" and "width: 96px" in root.attrib["style"]


def test_user_settings_stay_out_and_come_back(run):
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black"}):
        (plots,) = draw(run.episodes, run.predictions).values()
        assert "<svg" in plots[1].svg and "#000000; opacity" not in plots[1].svg
        assert matplotlib.rcParams["text.usetex"] is True
        assert matplotlib.rcParams["axes.facecolor"] == "black"


def test_no_pyplot():
    code = "import sys, fewshot.report.write; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_file_names_are_safe_and_distinct(make):
    pairs = (("../../etc", "a/b"), ("../../etc", "a\\b"), ("CUB", "x"), ("cub", "x"))
    run = make(pairs=pairs, heads=("ncm",), shots=(5,), estimators=("margin",), episodes=5)
    names = [plot.name for pair in draw(run.episodes, run.predictions).values() for plot in pair]
    assert len({name.lower() for name in names}) == 8
    assert not any(set(name) & set("/\\") for name in names)
