"""Summary of a run with its cells, and its folder."""

import pytest


def cell(**changes):
    estimators = {"margin": {"predicted_error": 0.2, "mae": 0.05, "coverage": 0.9},
                  "loo": {"predicted_error": None, "mae": None, "coverage": None}}  # fmt: skip
    return {
        "task": "classification", "dataset": "d", "backbone": "b", "feature": "f", "head": "ncm",
        "ways": 5, "shots": 1, "seed": 0, "accuracy": {"mean": 0.75},
        "actual_error": {"mean": 0.25}, "estimators": estimators,
        "hashes": {"features": "a" * 64, "episodes": "e" * 64},
    } | changes  # fmt: skip


@pytest.fixture
def make_cell():
    return cell


@pytest.fixture
def summary():
    """Two heads, two numbers of shots."""
    cells = [
        cell(head=head, shots=shots, accuracy={"mean": accuracy},
             actual_error={"mean": 1 - accuracy})
        for head, shots, accuracy in (("ncm", 5, 0.9), ("ncm", 1, 0.75), ("lda", 1, 0.5))
    ]  # fmt: skip
    return {"schema_version": 2, "environment": {"fewshot": "0.1.0", "threads": 2,
            "git_commit": None}, "cells": cells}  # fmt: skip


@pytest.fixture
def settings():
    return {
        "seed": 0, "head": {"ncm": {}, "lda": {"shrinkage": "auto"}}, "threads": None,
        "llm": {"key": "OPENAI_API_KEY"}, "paths": {"runs": "runs"},
    }  # fmt: skip


@pytest.fixture
def folder(workplace):
    """A complete run folder."""
    made = workplace / "runs" / "one_run"
    made.mkdir(parents=True)
    (made / "report.html").write_text("<p>a page</p>")
    return made
