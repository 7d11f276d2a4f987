"""Curves that begin at no shot, on features with text vectors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def joint(feature_file):
    """Settings of a run on features with a text vector per class."""
    with np.load(feature_file) as file:
        arrays = dict(file)
    labels, features = arrays["labels"], arrays["features"]
    text = np.stack([features[labels == c].mean(0) for c in range(6)])
    np.savez(feature_file, **arrays, text=text)
    return ("dataset=features", "dataset.path=f.npz", "episodes.ways=3", "episodes.count=8",
            "estimator=[loo]", "threads=1")  # fmt: skip


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def run_folders():
    return sorted(path.parent for path in Path("runs").rglob("summary.json"))


def test_a_curve_from_no_shot_on(process, joint):
    started = process(*joint, "episodes.shots=[0,1]", "head=[ncm,zero_shot]", "episodes.queries=4")
    _, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert "fewshot: left out: ncm with 0 shots (needs 1 shot of every class)\n" in err
    (folder,) = run_folders()
    summary = summary_of(folder)
    cells = [(cell["head"], cell["shots"]) for cell in summary["cells"]]
    assert cells == [("zero_shot", 0), ("ncm", 1), ("zero_shot", 1)]
    reason = "needs 1 shot of every class"
    assert summary["left_out"] == [{"head": "ncm", "shots": 0, "reason": reason}]
    rows = pd.read_parquet(folder / "episodes.parquet").query("head == 'zero_shot'")
    none, single = (rows[rows["shots"] == shots]["accuracy"].tolist() for shots in (0, 1))
    assert none == single
    page = (folder / "report.html").read_text()
    assert f"ncm with 0 shots ({reason})" in page
    assert "3-way, 0 shots: unknown with zero_shot" in page


def test_features_have_their_own_texts(refusal, joint):
    words = (*joint, "episodes.shots=0", "text.source=descriptions")
    assert "text.source: expected templates for features" in refusal(*words, "head=zero_shot")


def test_left_out_in_a_report_of_several_runs_and_replayed(fewshot, joint):
    for head in ("ncm", "lda"):
        assert fewshot(*joint, "episodes.shots=[0,2]", f"head=[{head},zero_shot]").code == 0
    assert fewshot("report", "runs", "--output", "r.html").code == 0
    assert "ncm, lda with 0 shots (needs 1 shot of every class)" in Path("r.html").read_text()
    path = run_folders()[0] / "episodes" / "3way_0shot.safetensors"
    done = fewshot(*joint, f"episodes.path={path}", "head=[ncm,zero_shot]")
    assert done.code == 0
    assert "left out: ncm with 0 shots" in done.err
    cells = summary_of(run_folders()[-1])["cells"]
    assert [(cell["head"], cell["shots"]) for cell in cells] == [("zero_shot", 0)]


def test_what_nobody_can_do_is_not_drawn(fewshot, joint):
    assert fewshot(*joint, "episodes.shots=[0,1]", "head=ncm").code == 0
    (folder,) = run_folders()
    assert [path.name for path in (folder / "episodes").iterdir()] == ["3way_1shot.safetensors"]


def test_nothing_left_is_told_before_features_are_extracted(refusal, image_settings):
    message = refusal(*image_settings, "episodes.shots=0", "head=[ncm,lda]")
    assert message == (
        "episodes.shots: expected 1 or more for head=ncm,lda, got 0. Raise it, or take a head that "
        "knows the classes by their names, as zero_shot does."
    )
    assert not Path("cache").exists()


def test_negative_shots(refusal, joint):
    assert refusal(*joint, "episodes.shots=[0,-1]").startswith("episodes.shots: expected an int")
