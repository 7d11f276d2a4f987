"""Runs with unlabelled images: what saw them stands apart, and so do cells that differ in them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fewshot
from fewshot.loggers.record import metrics_of
from fewshot.report.answer import answer
from fewshot.report.charts.coverage import coverage_chart
from fewshot.report.charts.rows import labelled, predicting
from fewshot.report.charts.unlabelled import unlabelled_chart, unlabelled_lines
from fewshot.report.figures.classification import classification_figures
from fewshot.report.payload.payload import payload
from fewshot.report.tasks import report_of
from fewshot.report.text.papers import paper_pivots, paper_tables
from fewshot.report.text.table import markdown_table, summary_table
from fewshot.report.wording import (
    best_estimator,
    drawn_name,
    estimator_columns,
    fallback_notes,
    nearest_estimators,
    protocol_text,
)
from fewshot.results.comparing import compare
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.querying import cells_table

ESTIMATORS = ["cot", "auto_support", "auto", "em_disagreement", "loo", "oracle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on the same classes: without unlabelled images, with 3, 12 and 6 per class."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 50)
    features = rng.normal(size=(8, 12))[labels] + 0.9 * rng.normal(size=(400, 12))
    folder = tmp_path_factory.mktemp("runs")
    for number in (None, 3, 12, 6):
        drawn = {} if number is None else {"unlabelled": number, "strangers": 0.25}
        chosen = ["auto"] if number is None else ESTIMATORS
        result = fewshot.evaluate(
            features, labels, head="ncm", shots=[2], ways=4, episodes=12, dataset="toy",
            estimators=chosen, **drawn,
        )  # fmt: skip
        result.save(folder / str(number))
    return folder


@pytest.fixture(scope="module")
def store(folder):
    """All of the runs."""
    return Store(find_runs([folder]))


@pytest.fixture(scope="module")
def cells(store):
    """Cells by number of unlabelled images."""
    return {cell["unlabelled"]: cell for cell in store.summary()["cells"]}


def tables(store):
    report = report_of("classification")
    return {
        name: store.rows(name, [*report.task.identity, *columns])
        for name, columns in report.columns.items()
    }


def said(store):
    cells, report = store.summary()["cells"], report_of("classification")
    return [
        line for part in answer(report.evaluated(cells, tables(store))) for line in part["lines"]
    ]


def test_cells_that_differ_in_unlabelled_images_alone_are_several(store, cells):
    assert len(store.summary()["cells"]) == 4
    assert {cell["unlabelled_images"] for cell in cells.values()} == {
        "", "3 + 25 % strangers", "6 + 25 % strangers", "12 + 25 % strangers",
    }  # fmt: skip
    assert not store.summary()["left_aside"]
    rows = store.rows("episodes")
    assert rows.groupby("unlabelled_images", observed=True).size().tolist() == [12] * 4
    table = cells_table(store.summary())
    assert set(table["unlabelled_images"]) == {cell["unlabelled_images"] for cell in cells.values()}
    report = report_of("classification")
    for cell, of_cell in report.evaluated(list(cells.values()), tables(store)):
        assert of_cell.actual.mean() == pytest.approx(cell["actual_error"]["mean"])


def test_estimators_stand_in_groups_by_what_they_saw(cells):
    columns = estimator_columns([cells[None], cells[3]])
    assert [(column.name, column.sees) for column in columns] == [
        ("auto", True), ("cot", True), ("em_disagreement", True), ("auto", False),
        ("auto_support", False), ("loo", False), ("oracle", False),
    ]  # fmt: skip
    assert columns[0].row(cells[None]) == {} and columns[3].row(cells[3]) == {}
    assert columns[3].row(cells[None]) == cells[None]["estimators"]["auto"]


def test_each_group_has_its_nearest_estimator(cells):
    maes = {name: row["mae"] for name, row in cells[3]["estimators"].items() if name != "oracle"}
    seeing = {name for name in maes if name in ("auto", "cot", "em_disagreement")}
    expected = {min(seeing, key=maes.get), min(maes.keys() - seeing, key=maes.get)}
    assert nearest_estimators(cells[3]) == expected and best_estimator(cells[3]) in expected
    table = summary_table([cells[3]])
    assert sum(line.count("*") for line in table.splitlines() if line.startswith("ncm ")) == 2
    assert "* marks the lowest of either" in " ".join(table.split())
    # An estimator without a rival of its kind is not marked.
    alone = copy.deepcopy(cells[3])
    for name in ("cot", "em_disagreement"):
        del alone["estimators"][name]
    assert nearest_estimators(alone) == expected - seeing


def test_the_head_of_the_table_says_how_they_were_drawn(cells):
    assert "3 unlabelled images per class, equal shares, 25 % strangers" in protocol_text(
        [cells[3]]
    )
    assert "unlabelled" not in protocol_text([cells[None]])
    several = protocol_text([cells[12], cells[3]])
    assert "3 or 12 unlabelled images per class, equal shares, 25 % strangers" in several
    queries = cells[3] | {"unlabelled": "queries", "strangers": 0.0}
    assert "the queries without their labels as unlabelled images" in protocol_text([queries])
    assert "3 unlabelled images per class, equal shares" in markdown_table([cells[3]])


def test_a_column_tells_cells_apart_where_they_differ(cells):
    assert "unlabelled  accuracy" in summary_table([cells[3], cells[6]])
    assert "unlabelled  accuracy" not in summary_table([cells[3]])
    rows = [line.split()[:4] for line in summary_table([cells[3], cells[6]]).splitlines()]
    assert ["ncm", "4", "2", "3"] in rows and ["ncm", "4", "2", "6"] in rows
    # Cells without any of the estimators of a block have no line in it.
    table = summary_table([cells[None], cells[3]])
    assert next(line.split()[3] for line in table.splitlines() if line.startswith("ncm")) == "3"


def test_every_reservation_has_its_number_of_episodes(cells):
    cell = copy.deepcopy(cells[3])
    cell["estimators"] = {"auto": cell["estimators"]["auto"] | {
        "fallbacks": 9, "fallback_reason": "strangers; shifted",
        "reservations": {"strangers": 7, "shifted": 3},
    }}  # fmt: skip
    assert fallback_notes([cell]) == [
        ("auto", "7 of 12 episodes of 4-way 2-shot with ncm", "strangers"),
        ("auto", "3 of 12 episodes of 4-way 2-shot with ncm", "shifted"),
    ]
    assert "7 of 12 episodes of 4-way 2-shot with ncm: strangers" in summary_table([cell])
    del cell["estimators"]["auto"]["reservations"]  # of runs that did not count them
    assert fallback_notes([cell])[0][1:] == (
        "9 of 12 episodes of 4-way 2-shot with ncm", "strangers; shifted",
    )  # fmt: skip


def test_the_summary_counts_reservations_by_episode(store, cells):
    rows = store.rows("predictions", ["unlabelled_images", "estimator", "reason"])
    for cell in cells.values():
        for name, row in cell["estimators"].items():
            own = rows["unlabelled_images"].eq(cell["unlabelled_images"]) & rows["estimator"].eq(
                name
            )
            reasons = rows["reason"][own].dropna().astype(str)
            for reason, count in row["reservations"].items():
                assert sum(reason in text.split("; ") for text in reasons) == count > 0
            assert row["fallbacks"] <= sum(row["reservations"].values())


def test_sentences_compare_with_and_without_them(store):
    (line,) = [line for line in said(store) if line.startswith("Predicted errors")]
    assert "auto, with 12 unlabelled images per class, 25 % strangers, is off by" in line
    assert "from the shots alone (" in line and " with them, " in line
    (more,) = [line for line in said(store) if line.startswith("More unlabelled")]
    assert [word in more for word in ("with 3,", "with 6,", "with 12.")] == [True] * 3


def test_sentences_of_the_support_alone_say_nothing_of_unlabelled_images(folder):
    sentences = said(Store(find_runs([folder / "None"])))
    assert any("auto, from the shots alone, is off by" in line for line in sentences)
    assert not any("unlabelled" in line for line in sentences)


def test_the_curve_begins_with_the_support_alone(cells):
    chart = unlabelled_chart(list(cells.values()))
    assert [text for _, text in chart.x.ticks] == ["0", "3", "6", "12"]
    ((trace,),) = [panel.traces for panel in chart.panels]
    expected = [cells[3]["estimators"]["auto_support"]["mae"]]
    expected += [cells[number]["estimators"]["auto"]["mae"] for number in (3, 6, 12)]
    assert trace.y == pytest.approx([100 * mae for mae in expected])
    assert len(trace.whiskers) == 4
    widths = unlabelled_chart(list(cells.values()), "width").panels[0].traces[0].y
    assert widths[-1] == pytest.approx(100 * cells[12]["estimators"]["auto"]["width"])


def test_one_number_of_images_is_no_curve(cells):
    assert unlabelled_chart([cells[None], cells[3]]) is None
    assert unlabelled_lines([cells[None], cells[3]]) == []
    queries = cells[6] | {"unlabelled": "queries"}
    assert unlabelled_chart([cells[3], queries]) is None


def test_ways_of_drawing_are_lines_of_their_own(cells):
    uneven = [cells[n] | {"unlabelled_shares": "dirichlet"} for n in (3, 6)]
    chart = unlabelled_chart([cells[3], cells[6], *uneven])
    assert [name for name, _ in chart.legend] == [
        "2 shots, equal shares, 25 % strangers", "2 shots, dirichlet shares, 25 % strangers",
    ]  # fmt: skip


def test_figures_mark_and_group_what_saw_them(store, cells):
    chart = coverage_chart(list(cells.values()))
    assert [panel.title for panel in chart.panels] == ["auto ‡", "auto", "auto_support"]
    marked = tables(store)["predictions"].assign(
        estimator=lambda rows: (
            rows["estimator"].astype(str) + np.where(rows["sees_unlabelled"], " ‡", "")
        )
    )
    assert predicting(marked)[:4] == ["auto ‡", "cot ‡", "em_disagreement ‡", "auto"]
    heads = labelled(tables(store)["episodes"])["head"].unique().tolist()
    assert heads == [f"ncm, {n} unlabelled" for n in ("no", "3", "6", "12")]
    rows = tables(store)
    figures = classification_figures(list(cells.values()), rows["episodes"], rows["predictions"])
    figure = next(plot.figure for plot in figures if plot.kind == "coverage_vs_nominal")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-1] == "‡ sees unlabelled images, others the shots alone"
    assert {"mae_vs_unlabelled", "width_vs_unlabelled"} <= {plot.kind for plot in figures}


def test_tables_for_papers_compare_like_with_like(store):
    (mae,) = [table for table in paper_pivots(store) if table.measure == "mae"]
    assert "unlabelled_images" in mae.column_keys
    assert [place[mae.column_keys.index("unlabelled_images")] for place in mae.columns] == [
        "", "3 + 25 % strangers", "6 + 25 % strangers", "12 + 25 % strangers",
    ]  # fmt: skip
    for column in mae.columns[1:]:
        best = {
            row[mae.row_keys.index("estimator")]
            for (row, place), entry in mae.entries.items()
            if place == column and entry.best
        }
        assert best & {"auto", "cot", "em_disagreement"} and best & {"auto_support", "loo"}
    text = paper_tables(store, "markdown")
    assert "| auto ‡ |" in text and "| auto\\_support |" in text and "‡: saw unlabelled" in text
    assert r"auto $\ddagger$ &" in paper_tables(store, "latex")


def test_the_page_has_all_of_it(store):
    summary = store.summary()
    data, sentences = payload(summary, {name: rows for name, rows in tables(store).items()})
    cell = next(c for c in data["cells"] if c["unlabelled_images"].startswith("6"))
    assert cell["unlabelled"] == "6 unlabelled images per class, equal shares, 25 % strangers"
    assert cell["unlabelled_images"] == "6 unlabelled + 25 % strangers"
    assert [one["chart"]["words"]["y"] for one in data["lines"]] == ["MAE, points", "width, points"]
    assert data["tasks"]["classification"]["keys"] == {
        "unlabelled_images": "Unlabelled images",
        "protocol": "Protocol",
    }
    assert sentences
    assert drawn_name("") == "no unlabelled"


def test_heads_are_compared_where_the_images_are_the_same(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(6), 20)
    features = rng.normal(size=(6, 6))[labels] + rng.normal(size=(120, 6))
    for number in (2, 4):
        fewshot.evaluate(
            features, labels, head=["ncm", "lda"], shots=2, ways=3, episodes=6, unlabelled=number,
            estimators=["constant"],
        ).save(tmp_path / str(number))  # fmt: skip
    pairs = compare(Store(find_runs([tmp_path])), "head", ["ncm", "lda"])["pairs"]
    assert [pair["unlabelled_images"] for pair in pairs] == ["2", "4"]


def test_loggers_keep_them_apart(cells):
    names = {metric.name for metric in metrics_of([cells[3]])}
    assert {"ncm/auto (unlabelled)/mae", "ncm/auto_support/mae"} <= names
    assert "ncm/auto/mae" not in names
    both = {metric.name for metric in metrics_of([cells[None], cells[3]])}
    assert "unlabelled none/ncm/auto/mae" in both
    assert "unlabelled 3 + 25 % strangers/ncm/auto (unlabelled)/mae" in both


def test_without_any_there_is_no_column(folder):
    table = cells_table(Store(find_runs([folder / "None"])).summary())
    assert "unlabelled_images" not in table


def test_results_in_a_notebook_and_their_figure(folder):
    results = fewshot.Results.load(folder / "3")
    assert "auto ‡ MAE" in results._repr_html_() and "auto_support MAE" in results._repr_html_()
    with pytest.raises(fewshot.FewshotError, match="no figure 'unlabelled'"):
        results.plot("unlabelled")
