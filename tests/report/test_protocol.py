"""Cells of equal ways and shots under different protocols are never mixed."""

import numpy as np
import pytest

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.loggers.record import metrics_of
from fewshot.report.answer import answer
from fewshot.report.charts.rows import labelled
from fewshot.report.payload.payload import payload
from fewshot.report.tasks import report_of
from fewshot.report.text.papers import paper_tables
from fewshot.report.wording import protocol_text
from fewshot.results.comparing import compare
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.migration import migrated_summary
from fewshot.results.querying import query

DIRICHLET = "imbalanced(alpha=2)"


def evaluate(sampler, task):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(6), 20)
    features = rng.normal(size=(6, 6))[labels] + rng.normal(size=(120, 6))
    settings = {}
    if task == "classification":
        settings = {"head": ["ncm", "lda"], "estimators": ["margin"]}
    return fewshot.evaluate(
        features, labels, task=task, shots=[1, 2], ways=3, episodes=6, queries=4, sampler=sampler,
        **settings,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for sampler in ("balanced", "imbalanced"):
        for task in ("classification", "verification"):
            evaluate(sampler, task).save(folder / f"{sampler}_{task}")
    return folder


@pytest.fixture(scope="module")
def store(folder):
    return Store(find_runs([folder]))


@pytest.fixture(scope="module")
def cells(store):
    return [cell for cell in store.summary()["cells"] if cell["task"] == "classification"]


def tables(store):
    report = report_of("classification")
    return {
        name: store.rows(name, [*report.task.identity, *columns])
        for name, columns in report.columns.items()
    }


def test_rows_and_cells_say_it(store, cells):
    assert [cell["protocol"] for cell in cells].count(DIRICHLET) == 4 == len(cells) / 2
    assert not store.summary()["left_aside"]
    rows = store.rows("episodes")
    assert rows.groupby("protocol", observed=True).size().to_dict() == {"": 24, DIRICHLET: 24}
    assert set(store.rows("verification", ["protocol"])["protocol"]) == {"", DIRICHLET}
    report = report_of("classification")
    for cell, of_cell in report.evaluated(cells, tables(store)):
        assert of_cell.actual.mean() == pytest.approx(cell["actual_error"]["mean"])


def test_queries_and_comparisons_keep_them_apart(store):
    task = {"task": ["classification"]}
    chosen = query(store, "cells", {**task, "protocol": [DIRICHLET]})
    assert len(chosen) == 4 and set(chosen["protocol"]) == {DIRICHLET}
    balanced = query(store, "cells", {**task, "protocol": ["balanced"]})
    assert len(balanced) == 4 and set(balanced["protocol"]) == {""}
    assert len(query(store, "episodes", {"protocol": ["balanced"]})) == 24
    with pytest.raises(FewshotError, match="no row has 'all_way'"):
        query(store, "cells", {"protocol": ["all_way"]})
    pairs = compare(store, "head", ["ncm", "lda"], task)["pairs"]
    assert sorted((pair["protocol"], pair["shots"]) for pair in pairs) == [
        ("", 1), ("", 2), (DIRICHLET, 1), (DIRICHLET, 2),
    ]  # fmt: skip
    only = compare(store, "head", ["ncm", "lda"], {**task, "protocol": ["balanced"]})["pairs"]
    assert [pair["shots"] for pair in only] == [1, 2]
    metrics = {metric.name for metric in metrics_of(store.summary()["cells"])}
    assert {f"classification/{name}/ncm/accuracy" for name in ("balanced", DIRICHLET)} <= metrics


def test_tables_and_sentences_name_it_where_it_differs(store, cells):
    report = report_of("classification")
    text = report.text(cells)
    assert "protocol" in text and "balanced" in text and DIRICHLET in text
    lines = [
        line for part in answer(report.evaluated(cells, tables(store))) for line in part["lines"]
    ]
    for name in ("balanced", DIRICHLET):
        assert any(line.startswith(f"3-way, 1 shot, {name}: ") for line in lines), lines
        assert any(line.startswith(f"Predicted errors, 3-way, 1 shot, {name}") for line in lines)
    heads = list(dict.fromkeys(labelled(tables(store)["episodes"])["head"]))
    assert heads == [
        f"{head}, {name}" for name in ("balanced", DIRICHLET) for head in ("ncm", "lda")
    ]
    papers = paper_tables(store, "markdown")
    assert "balanced" in papers and "imbalanced" in papers
    verified = [cell for cell in store.summary()["cells"] if cell["task"] == "verification"]
    text = report_of("verification").text(verified)
    assert "balanced" in text and DIRICHLET in text
    lines = report_of("verification").lines([(cell, None) for cell in verified])
    assert any("balanced: " in line for line in lines) and any(DIRICHLET in line for line in lines)


def test_the_page_has_it(store):
    data, _ = payload(store.summary(), dict(tables(store)))
    assert {cell["protocol"] for cell in data["cells"]} == {"balanced", DIRICHLET}
    assert {cell["made"]["protocol"] for cell in data["cells"]} == {None, DIRICHLET}
    assert data["tasks"]["classification"]["keys"]["protocol"] == "Protocol"


def test_balanced_runs_alone_say_nothing_of_it(cells):
    balanced = [cell for cell in cells if not cell["protocol"]]
    assert protocol_text(balanced) == "6 episodes per row, 4 queries per class, seed 0"
    assert "protocol" not in report_of("classification").text(balanced)
    others = [cell for cell in cells if cell["protocol"]]
    assert protocol_text(others).startswith(f"6 episodes per row, protocol {DIRICHLET}, ")


def test_another_protocol_is_another_key(cells):
    keys = {cell["key"] for cell in cells if cell["key"]}
    assert len(keys) == len([cell for cell in cells if cell["key"]])


def test_earlier_runs_do_not_say_it(cells):
    old = [{key: value for key, value in cell.items() if key != "protocol"} for cell in cells]
    migrated = migrated_summary({"schema_version": 4, "cells": old}, "here")
    assert [cell["protocol"] for cell in migrated["cells"]] == [""] * len(cells)
