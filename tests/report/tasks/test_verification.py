"""Table, figure and page of verification, alone and beside classification."""

import numpy as np
import pytest

import fewshot
from fewshot.episodes import sample_episodes
from fewshot.features import make_bank
from fewshot.heads import heads
from fewshot.report import (
    markdown_table,
    render_report,
    summary_table,
    write_report,
)
from fewshot.report.payload.payload import payload
from fewshot.report.tasks import report_of
from fewshot.results.result import join_rows
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification.cell import evaluate_verification, note_comparisons

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 12)
    means = rng.normal(size=(7, 9))
    features = means[labels] + rng.normal(size=(84, 9))
    return features.astype(np.float32), labels, means.astype(np.float32)


@pytest.fixture(scope="module")
def results(arrays):
    features, labels, text = arrays
    bank = make_bank(features, labels, text=text, info={"dataset": HOSTILE, "backbone": "net"})
    pairs = [
        (drawn, (name, heads.create(name)))
        for shots in (0, 1, 4)
        for drawn in [sample_episodes(labels, 3, shots, 5, 20)]
        for name in ("ncm", "zero_shot")
        if heads.create(name).least_shots <= shots
    ]
    settings = Settings(threads=1)
    done = [(drawn, evaluate_verification(bank, drawn, head, settings, 0)) for drawn, head in pairs]
    note_comparisons(done)
    return [cell for _, cell in done]


@pytest.fixture(scope="module")
def both(arrays, results):
    features, labels, _ = arrays
    other = fewshot.evaluate(
        features, labels, ways=3, shots=1, episodes=20, estimators=["constant"]
    )
    return [*results, *other.cells]


def test_the_table_has_every_measure_and_interval(results):
    cells = [result.summary for result in results]
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


def test_both_tasks_stand_side_by_side(both, data_of):
    text = summary_table([result.summary for result in both])
    assert text.index("accuracy %") < text.index("Verification: ")
    page = render_report({"cells": [result.summary for result in both]}, join_rows(both))
    cells = data_of(page)["cells"]
    assert [cell["task"] for cell in cells] == ["classification", *["verification"] * 5]
    assert [cell["points"] for cell in cells] == [0, *[None] * 5]
    assert ": classification</h3>" in page and ": verification</h3>" in page


def test_the_page_of_verification_alone(results, tmp_path, data_of):
    summary = {"cells": [result.summary for result in results]}
    write_report(tmp_path, summary, join_rows(results), figures=["svg"])
    page = (tmp_path / "report.html").read_text()
    assert page == render_report(summary, join_rows(results), [tmp_path])  # the same every time
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "verification_vs_shots.svg"}
    assert HOSTILE not in page
    data = data_of(page)
    by_setting = {(cell["head"], cell["shots"]): cell for cell in summary["cells"]}
    for cell in data["cells"]:
        expected = by_setting[cell["head"], cell["shots"]]
        names = ["auroc", "average_precision", "fpr95"]
        assert [measure["name"] for measure in cell["measures"]] == names
        assert [measure["better"] for measure in cell["measures"]] == ["higher", "higher", "lower"]
        for measure in cell["measures"]:
            for population in ("episodes", "images", "classes"):
                interval = expected[measure["name"]][population]
                bounds = measure["intervals"][population]
                assert (bounds is None) == (interval["lower"] is None)
                if bounds:
                    assert bounds == pytest.approx([interval["lower"], interval["upper"]], rel=1e-5)
                else:
                    assert measure["reasons"][population] == interval["reason"]
        assert cell["estimators"] == [] and cell["spokesman"] is None and cell["points"] is None
        assert cell["made"]["more"][0] == ["share of positives", "33.3 % of the queries"]
    (pairs,) = (cell["comparisons"] for cell in data["cells"] if cell["comparisons"]
                and cell["shots"] == 4)  # fmt: skip
    assert [(pair["first"], pair["second"], pair["measure"]) for pair in pairs] == [
        ("ncm", "zero_shot", name) for name in names
    ]


def test_the_answer_names_the_best_and_how_clear_it_is(results):
    cells = [result.summary for result in results]
    (part, _) = payload({"cells": cells}, join_rows(results)).answer
    assert len(part["lines"]) == 3
    four = {cell["head"]: cell for cell in cells if cell["shots"] == 4}
    best = max(four, key=lambda head: four[head]["auroc"]["episodes"]["mean"])
    (other,) = set(four) - {best}
    line = part["lines"][2]
    assert line.startswith(f"3-way, 4 shots: net with {best}, AUROC ")
    (gap,) = four["ncm"]["comparisons"]
    interval = gap["auroc"]["episodes"]
    intervals = (interval, gap["auroc"]["classes"])
    excludes = [bounds["lower"] > 0 or bounds["upper"] < 0 for bounds in intervals]
    assert excludes == [True, False]  # clear over episodes, not for other classes
    assert f"; ahead of the next head, {other}, on these classes (+" in line


def test_the_plot_shows_the_means(results):
    cells = [result.summary for result in results]
    (plot,) = report_of("verification").figures(cells, {})
    figure = plot.figure
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["AUROC, 3-way", "AP, 3-way", "FPR95, 3-way"]
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    shown = sorted(len(line.get_xdata()) for line in lines)
    assert shown == [2, 3]  # nearest class mean has no zero shots
    expected = [100 * c["auroc"]["episodes"]["mean"] for c in cells if c["head"] == "ncm"]
    assert any(list(line.get_ydata()) == pytest.approx(expected) for line in lines)


def test_shares_that_differ_have_a_column(results):
    first, *rest = (result.summary for result in results)
    text = summary_table([first | {"prevalence": 0.5, "auroc": None}, *rest])
    assert "positive %" in text
    assert "of the queries are of the class" not in text


def test_the_answer_follows_the_mean_over_seeds(results):
    first_cell = next(result.summary for result in results if result.summary["comparisons"])
    first, second = first_cell["comparisons"][0]["first"], first_cell["comparisons"][0]["second"]
    lucky, gap = first_cell | {"seed": 1}, first_cell["comparisons"][0]["auroc"]["episodes"]

    def judged(head, mean, seed):
        interval = {"mean": mean, "lower": mean - 0.01, "upper": mean + 0.01}
        intervals = {"episodes": interval, "classes": {"lower": None, "upper": None}}
        pairs = [first_cell["comparisons"][0]] if head == first else []
        return lucky | {"head": head, "seed": seed, "auroc": intervals, "comparisons": pairs}, None

    line, *_ = report_of("verification").lines([
        judged(first, 0.90, 0), judged(first, 0.70, 1),
        judged(second, 0.85, 0), judged(second, 0.85, 1), judged("third", 0.99, 0),
    ])  # fmt: skip
    assert f"with {second}, AUROC 85.0 % (mean of 2 seeds);" in line and first in line
    half = 100 * (gap["upper"] - gap["lower"]) / 2 / 2**0.5
    assert f"± {half:.1f} points on the same episodes" in line
