"""Queries of another data set, by the setting ``episodes.queries_from``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SETTINGS = ("dataset=features", "dataset.path=art.npz", "episodes.ways=3", "episodes.count=4",
            "episodes.shots=1", "head=ncm", "estimator=[loo]", "threads=1")  # fmt: skip


@pytest.fixture
def files():
    """Two files of features in the working folder; the second has one class less, and another."""
    generator = np.random.default_rng(0)
    for name, classes in (("art", "a_1 b c d"), ("photos", "B D A-1 e")):
        labels = np.repeat(classes.split(), 5)
        np.savez(f"{name}.npz", features=generator.normal(size=(20, 4)), labels=labels)


def test_rows_and_summary_say_both(fewshot, files):
    done = fewshot(*SETTINGS, "episodes.queries_from=photos.npz", "episodes.min_images=drop")
    assert done.code == 0, done.err
    assert "photos has no 'c', left out" in done.err
    assert "predicted errors are of queries like the shots" in " ".join(done.err.split())
    (folder,) = {path.parent for path in Path("runs").rglob("summary.json")}
    assert set(pd.read_parquet(folder / "episodes.parquet")["dataset"]) == {"art -> photos"}
    facts = json.loads((folder / "summary.json").read_text())["data"]
    assert (facts["queries_from"], facts["without_queries"]) == ("photos", ["c"])
    assert (facts["classes"], facts["images"]) == (3, 30)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("episodes.queries_from=photos.npz", "episodes.queries_from: 1 of 4 classes have no"),
        (
            "episodes.queries_from=nowhere",
            "queries_from: expected a registered name, got 'nowhere'",
        ),
        ("episodes.queries_from=no.npz", "episodes.queries_from: expected a file, got nothing"),
    ],
)
def test_mistakes_are_one_line(fewshot, files, setting, message):
    done = fewshot(*SETTINGS, setting)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
