"""A head with several parameters: the rows of every variant are kept."""

import pytest

import fewshot
from fewshot.results.cells import write_cells
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import read_runs


@pytest.fixture
def run(tmp_path, rng_features):
    def make(name, created, queries=3, **parameters):
        from fewshot.heads.lda import LDA

        result = fewshot.evaluate(
            *rng_features, head=LDA(**parameters), ways=3, shots=2, episodes=5, queries=queries
        )
        result.summary["key"] = name
        folder = tmp_path / name
        folder.mkdir()
        summary = {"schema_version": SCHEMA_VERSION, "created": created, "environment": {},
                   "data": {}, "cells": [result.summary]}  # fmt: skip
        write_cells(folder, summary, [result])
        return folder

    return make


@pytest.fixture(scope="module")
def rng_features():
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 8)
    return rng.normal(size=(32, 6)).astype("float32"), labels


def test_a_sweep_over_parameters_keeps_all(run):
    runs = [
        run("a", "2026-01-01T00:00:00+00:00", shrinkage=0.1),
        run("b", "2026-01-02T00:00:00+00:00", shrinkage=0.9),
        run("c", "2026-01-03T00:00:00+00:00", shrinkage=0.9),  # again
    ]
    summary, episodes, predictions = read_runs(runs)
    names = ["shrinkage=0.1", "shrinkage=0.9"]
    assert sorted(cell["variant"] for cell in summary["cells"]) == names
    assert {cell["head"] for cell in summary["cells"]} == set(episodes["head"]) == {"lda"}
    assert {cell["variant"]: cell["key"] for cell in summary["cells"]} == dict(
        zip(names, "ac", strict=True)
    )
    assert episodes.groupby("variant", observed=True).size().to_dict() == dict.fromkeys(names, 5)
    assert set(predictions["variant"]) == set(names)
    for cell in summary["cells"]:
        rows = episodes[episodes["variant"] == cell["variant"]]
        assert rows["accuracy"].mean() == pytest.approx(cell["accuracy"]["mean"])


def test_the_variant_is_there_without_any_other(run):
    runs = [run("a", "2026-01-01T00:00:00+00:00", shrinkage=0.1)]
    summary, episodes, _ = read_runs(runs)
    assert [(cell["head"], cell["variant"]) for cell in summary["cells"]] == [
        ("lda", "shrinkage=0.1")
    ]
    assert set(episodes["variant"]) == {"shrinkage=0.1"}


def test_defaults_have_no_variant(run):
    summary, episodes, _ = read_runs([run("a", "2026-01-01T00:00:00+00:00")])
    assert [cell["variant"] for cell in summary["cells"]] == [""]
    assert set(episodes["variant"]) == {""}


def test_numbers_of_queries_are_told_apart(run):
    runs = [
        run("a", "2026-01-01T00:00:00+00:00"),
        run("b", "2026-01-02T00:00:00+00:00", queries=2),
    ]
    summary, episodes, _ = read_runs(runs)
    names = {"queries=2", "queries=3"}
    assert {cell["variant"] for cell in summary["cells"]} == set(episodes["variant"]) == names


def test_other_defaults_of_an_earlier_version_are_told_apart(run):
    """Two runs call their parameters the defaults, which were not the same."""
    runs = [run("a", "2026-01-01T00:00:00+00:00"), run("b", "2026-01-02T00:00:00+00:00")]
    path = runs[0] / "summary.json"
    path.write_text(path.read_text().replace('"shrinkage": "auto"', '"shrinkage": 0.5'))
    summary, episodes, _ = read_runs(runs)
    names = {"shrinkage=auto", "shrinkage=0.5"}
    assert {cell["variant"] for cell in summary["cells"]} == set(episodes["variant"]) == names
