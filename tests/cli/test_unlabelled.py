"""Unlabelled images by the settings ``episodes.*``: rows, replayed episodes, mistakes."""

import json
from pathlib import Path

import pandas as pd
import pytest

from fewshot.episodes import EpisodeSet

SETTINGS = ("dataset=features", "dataset.path=f.npz", "episodes.ways=3", "episodes.count=5",
            "episodes.shots=[1,2]", "head=ncm", "estimator=[loo]", "threads=1")  # fmt: skip


def finished():
    """Run folders, the first one first."""
    folders = {path.parent for path in Path("runs").rglob("summary.json")}
    return sorted(folders, key=lambda folder: folder.stat().st_mtime_ns)


@pytest.mark.parametrize(
    ("settings", "facts", "number"),
    [
        (("unlabelled=3", "strangers=0.25"), [3, "equal", 0.25], 12),
        (("unlabelled=3", "unlabelled_shares=dirichlet"), [3, "dirichlet", 0.0], 9),
        (("unlabelled=queries", "queries=4"), ["queries", "equal", 0.0], 12),
    ],
)
def test_settings_reach_rows_and_replayed_episodes(fewshot, feature_file, settings, facts, number):
    done = fewshot(*SETTINGS, *(f"episodes.{setting}" for setting in settings))
    assert done.code == 0, done.err
    (folder,) = finished()
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    for cell in cells:
        named = [cell[key] for key in ("unlabelled", "unlabelled_shares", "strangers")]
        assert named == facts
    assert set(pd.read_parquet(folder / "episodes.parquet")["unlabelled"]) == {number}
    assert not pd.read_parquet(folder / "predictions.parquet")["sees_unlabelled"].any()
    files = [folder / "episodes" / f"3way_{shots}shot.safetensors" for shots in (1, 2)]
    one, two = map(EpisodeSet.load, files)
    if facts[0] != "queries":
        assert (one.unlabelled == two.unlabelled).all()
    again = fewshot(*SETTINGS, f"episodes.path={files[0]}", "results.policy=always")
    assert again.code == 0, again.err
    (cell,) = json.loads((finished()[-1] / "summary.json").read_text())["cells"]
    assert cell["hashes"]["episodes"] == one.hash() == cells[0]["hashes"]["episodes"]
    assert cell["unlabelled"] == facts[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("unlabelled=0",), r"episodes.unlabelled: expected an integer >= 1"),
        (("unlabelled=some",), "episodes.unlabelled: expected a number per class, 'queries' or"),
        (("unlabelled=9",), "2 shots + 1 query + 9 unlabelled images need 12"),
        (("strangers=0.2",), "episodes.strangers: got 0.2 without unlabelled images"),
        (("unlabelled=2", "strangers=1.5"), "episodes.strangers: expected"),
        (("unlabelled=4", "strangers=0.8"), "episodes.strangers: a share of 0.8 needs 48 images"),
        (("unlabelled=2", "strangers=.2", "ways=6"), "there are 0"),
        (("unlabelled=2", "unlabelled_shares=even"), "episodes.unlabelled_shares: expected one of"),
        (("unlabelled_shares=dirichlet",), "episodes.unlabelled_shares: got dirichlet without"),
    ],
)
def test_mistakes_are_one_line(refusal, feature_file, settings, message):
    assert message in refusal(*SETTINGS, *(f"episodes.{setting}" for setting in settings))


def test_no_settings_beside_drawn_episodes(fewshot, refusal, feature_file):
    assert fewshot(*SETTINGS, "episodes.unlabelled=2").code == 0
    path = next(Path("runs").rglob("3way_1shot.safetensors"))
    told = refusal(*SETTINGS, f"episodes.path={path}", "episodes.unlabelled=2")
    assert "episodes.unlabelled: expected null with drawn episodes" in told


@pytest.mark.parametrize("sampler", ["balanced", "imbalanced", "all_way"])
def test_every_sampler_has_the_settings(fewshot, feature_file, sampler):
    done = fewshot(f"episodes={sampler}", "--cfg", "job")
    assert done.code == 0, done.err
    assert "  unlabelled: null" in done.out and "  strangers: 0.0" in done.out
    few = ("episodes.shots=1", "episodes.count=3", "episodes.unlabelled=2")
    extra = ("episodes.queries=2",) if sampler == "imbalanced" else ()
    kept = [s for s in SETTINGS if not s.startswith("episodes") or sampler != "all_way"]
    done = fewshot(f"episodes={sampler}", *kept, *few, *extra)
    assert done.code == 0, done.err
