"""Tasks that the project does not know are shown like its own."""

import pytest

from fewshot.exceptions import FewshotError
from fewshot.report import markdown_table, render_report, summary_table
from fewshot.report.figures.write import write_figures
from fewshot.report.payload.payload import payload
from fewshot.report.tasks import TaskReport, report_of


def test_a_report_class_is_optional(outside_run):
    assert type(report_of("retrieval")) is TaskReport
    assert type(report_of("counting")).__name__ == "CountingReport"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("unreported", "no class derived from fewshot.report.tasks.TaskReport"),
        ("missing_report", "has no 'CountingReprot'. Did you mean 'CountingReport'"),
    ],
)
def test_a_report_that_is_none_is_one_line(outside_tasks, task, words):
    with pytest.raises(FewshotError, match=words) as caught:
        report_of(task)
    assert str(caught.value).startswith(f"task={task}: ")
    assert "\n" not in str(caught.value)


def test_tables(outside_run, run):
    cells = outside_run.summary["cells"]
    own = summary_table(run.summary["cells"])
    text = summary_table([*cells, *run.summary["cells"]])
    assert text.startswith(own)  # tasks of the project come first, as they were
    assert "grid misses 3.25\ndensity misses 1.50" in text
    lines = text.splitlines()
    assert "birds (base classes) · net (pooled)" in lines and "Retrieval" in lines
    (header,) = (line for line in lines if "mean precision %" in line)
    assert header.split() == [
        "head", "ways", "shots", "mean", "precision", "%", "classes", "±", "first", "rank",
    ]  # fmt: skip
    row = next(line.split() for line in lines if line.startswith("learned"))
    assert row == ["learned", "5", "1", "52.0", "±", "1.0", "20.0", "6.25", "±", "0.50"]
    table = markdown_table(cells)
    assert "- density: 1.50" in table
    assert "| learned | 5 | 5 | 60.0 ± 1.0 | 20.0 | 6.25 ± 0.50 |" in table


def test_keys_that_differ_have_a_column(outside_run):
    cells = outside_run.summary["cells"][:2]
    text = summary_table([*cells, *(cell | {"gallery": "large"} for cell in cells)])
    (header,) = (line for line in text.splitlines() if "mean precision %" in line)
    assert header.split()[:4] == ["head", "ways", "shots", "gallery"]
    best = report_of("retrieval").lines([(cell | {"gallery": g}, None) for cell in cells
                                         for g in ("small", "large")])  # fmt: skip
    assert [line.split(":")[0] for line in best] == [
        "5-way, 1 shot, gallery large",
        "5-way, 1 shot, gallery small",
    ]


def test_sentences(outside_run, run):
    answer = payload(*outside_run).answer
    assert [part["heading"] for part in answer[:2]] == [
        "birds (base classes): counting objects",
        "birds (base classes): retrieval",
    ]
    assert answer[0]["lines"] == ["2 counters were tried."]
    first, second = answer[1]["lines"]
    assert first == (
        "5-way, 1 shot: net with learned, mean precision 52.0 ± 1.0 % (± 20.0 for other classes); "
        "ahead of the next head, cosine, on these classes (+10.0 ± 2.0 points on the same "
        "episodes; ± 30.0 for other classes, where it is not clear)."
    )
    assert second.startswith("5-way, 5 shots: net with learned, mean precision 60.0 ± 1.0 %")


def test_lower_is_better_where_the_measure_says_so(outside_run):
    (cell, other) = outside_run.summary["cells"][-2:]
    pair = {"first": "grid", "second": "density", "miss": {"mean": 1.75, "lower": 1.5, "upper": 2}}
    lines = TaskReport(report_of("counting").task).lines(
        [(cell | {"comparisons": [pair]}, None), (other, None)]
    )
    assert lines == [
        "5-way, 1 shot: net with density, miss 1.50 ± 0.25; clearly ahead of the next head, grid "
        "(+1.75 ± 0.25 on the same episodes)."
    ]


def test_figures(outside_run, tmp_path):
    files = write_figures(tmp_path, outside_run.summary["cells"], outside_run.rows, ["svg"])
    assert {path.name for path in files} == {
        "misses.svg", "retrieval_vs_shots.svg", "retrieval_first_rank_vs_shots.svg",
    }  # fmt: skip
    text = (tmp_path / "retrieval_vs_shots.svg").read_text()
    assert "mean precision, 5-way" in text and "learned" in text
    assert "first rank, 5-way" in (tmp_path / "retrieval_first_rank_vs_shots.svg").read_text()


def test_the_page(outside_run, run, data_of):
    both = {**run.summary, "cells": [*outside_run.summary["cells"], *run.summary["cells"]]}
    page = render_report(both, {**run.rows, **outside_run.rows})
    data = data_of(page)
    assert list(data["tasks"]) == ["classification", "counting", "retrieval"]
    assert "objects that were &lt;not&gt; counted" in page
    words = data["tasks"]["retrieval"]
    assert words["title"] == "Retrieval" and words["keys"] == {"gallery": "Gallery"}
    assert words["measures"]["first_rank"] == {
        "title": "first rank", "short": "first rank", "better": "lower", "fraction": False,
    }  # fmt: skip
    cell = next(c for c in data["cells"] if c["task"] == "retrieval" and c["head"] == "learned")
    assert cell["gallery"] == "small" and cell["dataset"] == "birds (base classes)"
    measures = {(m["name"], m["at"]): m for m in cell["measures"]}
    assert measures["mean_precision", None]["intervals"]["classes"] == pytest.approx([0.32, 0.72])
    assert measures["recall", 10]["mean"] == pytest.approx(0.6)
    assert measures["first_rank", None]["mean"] == pytest.approx(6.25)
    (pair,) = cell["comparisons"]
    assert pair["difference"] == {"mean": 0.1, "lower": 0.08, "upper": 0.12}
    counted = next(c for c in data["cells"] if c["task"] == "counting")
    assert counted["made"]["more"] == [["objects", "17"]]
    alone = data_of(render_report(*run))
    assert [c for c in data["cells"] if c["task"] == "classification"] == alone["cells"]
