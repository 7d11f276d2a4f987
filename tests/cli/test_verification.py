"""``fewshot task=verification``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def named_features(feature_file):
    """``f.npz`` with a text vector per class."""
    with np.load(feature_file) as old:
        text = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
        np.savez(feature_file, **old, text=text)
    return ["dataset=features", f"dataset.path={feature_file}", "episodes.count=10", "device=cpu",
            "episodes.queries=4", "episodes.ways=3"]  # fmt: skip


def test_a_run_and_its_report(fewshot, named_features):
    settings = ["task=verification", "head=[ncm,zero_shot]", "episodes.shots=[0,2]"]
    done = fewshot(*settings, *named_features)
    assert done.code == 0, done.err
    assert "left out: ncm with 0 shots" in done.err
    (table,) = Path("runs").rglob("verification.parquet")
    rows = pd.read_parquet(table)
    assert len(rows) == 3 * 10 * 3
    summary = json.loads((table.parent / "summary.json").read_text())
    assert [(cell["head"], cell["shots"]) for cell in summary["cells"]] == [
        ("zero_shot", 0), ("ncm", 2), ("zero_shot", 2),
    ]  # fmt: skip
    (pair,) = summary["cells"][1]["comparisons"]
    assert (pair["first"], pair["second"]) == ("ncm", "zero_shot")
    done = fewshot("report", "runs", "--output", "all.html")
    assert done.code == 0
    assert "Verification" in Path("all.html").read_text()


def test_refusals_come_before_any_work(refusal, named_features):
    message = refusal("task=verification", "head=lda", *named_features)
    assert message.startswith("head=lda: expected a head that scores one class at a time")
    message = refusal("task=verify", *named_features)
    assert message.startswith(
        "task: expected a registered name, got 'verify'. Did you mean 'verification'"
    )
