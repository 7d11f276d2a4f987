"""Table, figure and page of one-class tasks; hostile names stay text."""

import numpy as np
import pytest
import torch

from fewshot.features import make_bank
from fewshot.report import (
    markdown_table,
    render_report,
    summary_table,
    write_report,
)
from fewshot.report.charts.looks import rule_look
from fewshot.report.figures.curves import macro_f1_vs_prevalence
from fewshot.report.figures.lines import line_of
from fewshot.report.payload.payload import payload
from fewshot.results.result import join_rows
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.one_class.cells import evaluate_one_class
from fewshot.tasks.one_class.confusers.lists import ConfuserLists, Dropped
from fewshot.tasks.one_class.scores import NameVectors, confusers_from
from fewshot.tasks.one_class.settings import OneClassSettings

HOSTILE = "<script>alert(1)</script>"
C, D = 5, 8


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(C), 9)
    text = rng.normal(size=(C, D))
    names = [f"{HOSTILE} {c}" for c in range(C)]
    info = {"dataset": HOSTILE, "backbone": "net", "feature": "projection"}
    bank = make_bank(text[labels] + rng.normal(size=(45, D)), labels, names, text=text, info=info)
    confusers = ((), *((f"{HOSTILE} near {c}",) for c in range(1, C)))
    vectors = {name[0]: torch.randn(D) for name in confusers if name}
    lists = ConfuserLists(
        tuple(names), confusers, ((Dropped(HOSTILE, "<i>synonym</i>"),),) * C, {"source": "llm"}
    )
    made = {source: confusers_from(lists, vectors, D) for source in ("llm", "random")}
    settings = OneClassSettings(
        tasks=5, prevalences=[0.5, 0.2], draws=50, fixed=0.3, rules=["fixed", "anp", "anp_ft"]
    )
    vectors_of_names = NameVectors(torch.from_numpy(bank.text).float(), None, made)
    return evaluate_one_class(bank, vectors_of_names, settings, Settings(threads=1)).cells


@pytest.fixture(scope="module")
def summary(cells):
    left_out = [{"head": f"source {HOSTILE}", "shots": None, "reason": "it is not at hand"}]
    return {"cells": [cell.summary for cell in cells], "left_out": left_out}


def test_the_table_has_rules_by_sources(summary):
    text = summary_table(summary["cells"])
    assert max(map(len, text.splitlines())) <= 100
    rows = [line.split()[:2] for line in text.splitlines()]
    for row in (["fixed", "-"], ["anp", "llm"], ["anp_ft", "random"]):
        assert row in rows
    mean = 100 * summary["cells"][0]["prevalences"][1]["macro_f1"]["mean"]
    (line,) = (row for row in text.splitlines() if row.split()[:2] == ["fixed", "-"])
    assert f" {mean:.1f} ± " in line
    assert "llm: 1 of 5 classes without confusers, which took: fixed threshold" in text
    assert "F1 at 20 %" in text
    table = markdown_table(summary["cells"])
    assert sum(line.startswith("| anp") for line in table.splitlines()) == 4
    assert "<script>" not in table.replace("\\<", "")


def test_the_page(cells, summary, tmp_path, data_of):
    write_report(tmp_path, summary, join_rows(cells), figures=["png"])
    page = (tmp_path / "report.html").read_text()
    assert page == render_report(summary, join_rows(cells), [tmp_path])  # the same every time
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "macro_f1_vs_prevalence.png"}
    assert HOSTILE not in page and "<i>synonym" not in page
    data = data_of(page)
    assert data["left_out"] == [f"source {HOSTILE} (it is not at hand)"]
    summaries = {(entry.summary["head"], entry.summary["source"]): entry.summary for entry in cells}
    for cell in data["cells"]:
        expected = summaries[cell["head"], cell["source"]]
        assert cell["against"] == expected["against"] and cell["task"] == "one_class"
        first, second = cell["measures"][:2]
        assert (first["name"], first["at"], second["at"]) == ("macro_f1", 0.5, 0.2)
        measure = expected["prevalences"][1]["macro_f1"]
        assert second["mean"] == pytest.approx(measure["mean"], rel=1e-5)
        assert second["intervals"]["episodes"] is None and second["reasons"]["episodes"]
        bounds = [measure["lower"], measure["upper"]]
        assert second["intervals"]["classes"] == pytest.approx(bounds, rel=1e-5)
        by_name = {entry["name"]: entry["better"] for entry in cell["measures"]}
        assert by_name["regret"] == "lower" and by_name["auroc"] == "higher"
    pairs = {
        (entry["first"], entry["second"]) for cell in data["cells"] for entry in cell["comparisons"]
    }
    assert {("anp (llm)", "anp (random)"), ("fixed", "anp_ft (llm)")} <= pairs
    facts = [dict(cell["made"]["more"]) for cell in data["cells"]]
    assert any(f"dropped for {HOSTILE} 0" in entry for entry in facts)
    assert any(f"without confusers: {HOSTILE} 0" in entry for entry in facts)


def test_the_answer_names_the_best_rule_and_how_clear_it_is(cells, summary):
    (part, _) = payload(summary, join_rows(cells)).answer
    best = max(summary["cells"], key=lambda cell: cell["prevalences"][0]["macro_f1"]["mean"])
    assert part["lines"][0].startswith(f"50 % positives: net with {best['head']}")
    assert "ahead of the next rule that it was compared with" in part["lines"][0]
    assert len(part["lines"]) == 2


def test_the_plot_shows_the_means(summary):
    cells = summary["cells"]
    figure = macro_f1_vs_prevalence(cells, title="x")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["llm", "random"]
    (cell,) = (c for c in cells if (c["head"], c["source"]) == ("anp", "random"))
    expected = [100 * entry["macro_f1"]["mean"] for entry in cell["prevalences"]]
    lines = [list(line.get_ydata()) for line in figure.axes[1].lines]
    assert any(values == pytest.approx(expected) for values in lines)
    assert len(lines) == 3  # the fixed threshold is in every panel


def test_runs_that_differ_in_negatives_or_seed_say_so(summary):
    cells = summary["cells"]
    other = [cell | {"against": "distance 1", "seed": 3} for cell in cells]
    text = summary_table([*cells, *other])
    assert "distance 1" in text
    assert "negatives" in text
    assert "seed" in text
    figure = macro_f1_vs_prevalence([*cells, *other])
    assert len(figure.axes) == 4


def test_rules_that_share_a_colour_look_different():
    lines = [line_of(rule_look(i)) for i in range(8)]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(looks) == 8
