"""What people see of verification: table, plot and page, alone and beside classification."""

import numpy as np
import pytest

import fewshot
from fewshot.episodes import sample_episodes
from fewshot.features import make_bank
from fewshot.heads import heads
from fewshot.report import markdown_table, render_report, summary_table, write_report
from fewshot.report.plots.verification import verification_vs_shots
from fewshot.results.result import join_rows
from fewshot.tasks.evaluating import evaluate_all
from fewshot.tasks.settings import Settings

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 12)
    means = rng.normal(size=(7, 9))
    features = means[labels] + rng.normal(size=(84, 9))
    return features.astype(np.float32), labels, means.astype(np.float32)


@pytest.fixture(scope="module")
def results(given):
    features, labels, text = given
    bank = make_bank(features, labels, text=text, info={"dataset": HOSTILE, "backbone": "net"})
    pairs = [
        (drawn, (name, heads.create(name)))
        for shots in (0, 1, 4)
        for drawn in [sample_episodes(labels, 3, shots, 5, 20)]
        for name in ("ncm", "zero_shot")
        if heads.create(name).least_shots <= shots
    ]
    return evaluate_all("verification", bank, pairs, {}, Settings(threads=1), 0)


@pytest.fixture(scope="module")
def both(given, results):
    features, labels, _ = given
    other = fewshot.evaluate(
        features, labels, ways=3, shots=1, episodes=20, estimators=["constant"]
    )
    return [*results, other]


def test_the_table_has_every_measure_and_interval(results):
    cells = [one.summary for one in results]
    text = summary_table(cells)
    assert max(map(len, text.splitlines())) <= 100
    for words in ("AUROC %", "AP %", "FPR95 %", "classes ±", "33.3 % of the queries are of the"):
        assert words in text
    mean = 100 * cells[0]["auroc"]["episodes"]["mean"]
    (line,) = (line for line in text.splitlines() if line.split()[:3] == ["zero_shot", "3", "0"])
    assert f"{mean:.1f} ± " in line
    assert "zero_shot: reads the class names" in text
    assert "predicted" not in text
    table = markdown_table(cells)
    assert sum(line.startswith("| ncm") for line in table.splitlines()) == 2
    assert "<script>" not in table.replace("\\<", "")


def test_both_tasks_stand_side_by_side(both):
    text = summary_table([one.summary for one in both])
    assert text.index("accuracy %") < text.index("Verification: ")
    page = render_report({"cells": [one.summary for one in both]}, *join_rows(both))
    assert "What the columns mean" in page
    assert '<section aria-label="Verification, ' in page
    assert '<th scope="col" class="left">Task</th>' in page
    assert page.count('<td class="left">verification</td>') == 5


def test_the_page_of_verification_alone(results, tmp_path):
    summary = {"cells": [one.summary for one in results]}
    write_report(tmp_path, summary, *join_rows(results))
    page = (tmp_path / "report.html").read_text()
    assert page == render_report(summary, *join_rows(results))  # the same every time
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "verification_vs_shots.svg", "verification_vs_shots.png",
    }  # fmt: skip
    assert HOSTILE not in page
    assert "estimators get the support" not in page
    assert "ncm less zero_shot, 3-way 4-shot" in page
    assert page.count("<section") == page.count("</section>") == 2
    assert page.count("<table") == page.count("</table>") == 3


def test_the_plot_shows_the_means(results):
    cells = [one.summary for one in results]
    figure = verification_vs_shots(cells, title="x")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["AUROC, 3-way", "AP, 3-way", "FPR95, 3-way"]
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    shown = sorted(len(line.get_xdata()) for line in lines)
    assert shown == [2, 3]  # nearest class mean has no zero shots
    expected = [100 * c["auroc"]["episodes"]["mean"] for c in cells if c["head"] == "ncm"]
    assert any(list(line.get_ydata()) == pytest.approx(expected) for line in lines)


def test_shares_that_differ_have_a_column(results):
    first, *rest = (one.summary for one in results)
    text = summary_table([first | {"prevalence": 0.5, "auroc": None}, *rest])
    assert "positive %" in text
    assert "of the queries are of the class" not in text
