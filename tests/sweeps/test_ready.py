"""Every file of conf/sweep composes, says how long it takes, and runs on a tiny data set."""

import json
from pathlib import Path

import numpy as np
import pytest

from fewshot.cli.main import main
from fewshot.config.compose import settings_from
from fewshot.paths import options
from fewshot.sweeps.ready import ready_sweeps

SWEEPS = sorted(ready_sweeps())
TINY = [
    "dataset=features", "dataset.path=tiny.npz", "backbone=efficientnet_lite0", "seed=0",
    "threads=1", "episodes.count=3", "episodes.shots=[1,2]", "calibration.episodes=20",
]  # fmt: skip
OWN = {
    "text_cross_domain": ["text.learn_from=tiny.npz"],
    "text_verification": ["head=[ncm,zero_shot]"],
    "clip_protocol": ["head=[zero_shot,gda,tip_adapter]"],
    "error_prediction": ["estimator=[auto,margin,loo,constant]"],
    "offline": ["head=[ncm,ridge]"],
    "published": ["head=[zero_shot,gda,proker]"],
    "published_episodes": ["head=[ncm,tim]"],
}


@pytest.fixture
def tiny(workplace):
    """30 classes x 18 rows of 8 features, with text vectors."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 18)
    means = rng.normal(size=(30, 8)) * 2
    features = means[labels] + rng.normal(size=(len(labels), 8))
    np.savez(
        workplace / "tiny.npz",
        features=features.astype(np.float32),
        labels=labels,
        text=(means + rng.normal(size=means.shape)).astype(np.float32),
    )


@pytest.mark.parametrize("name", SWEEPS)
def test_it_composes(name):
    settings = settings_from([f"sweep={name}"])
    assert settings["head"]


@pytest.mark.parametrize("name", SWEEPS)
def test_its_head_says_what_and_how_long(name):
    facts = ready_sweeps()[name]
    assert facts["what"].endswith(".")
    assert facts["commands"][0].startswith(f"fewshot -m sweep={name}")
    assert any(word in facts["duration"] for word in ("minute", "hour", "day"))
    assert len(facts["summary"]) < 130


@pytest.mark.parametrize("name", SWEEPS)
def test_what_it_goes_through_exists(name):
    """Data sets and backbones of its parameters; estimators and heads are checked by composing."""
    parameters = options("sweep")[name]["hydra"]["sweeper"]["params"]
    for group in ("dataset", "backbone"):
        names = str(parameters.get(group, "")).split(",")
        assert {entry for entry in names if entry} <= set(options(group))


@pytest.mark.parametrize(
    "name",
    [name if name == "offline" else pytest.param(name, marks=pytest.mark.slow) for name in SWEEPS],
)
def test_it_runs(name, tiny):
    assert main(["-m", f"sweep={name}", *TINY, *OWN.get(name, ())]) == 0
    (summary,) = Path("runs").glob("*_sweep/*/summary.json")
    cells = json.loads(summary.read_text())["cells"]
    heads = settings_from([f"sweep={name}", *OWN.get(name, ())])["head"]
    assert {cell["head"] for cell in cells} == set(heads)
    assert {cell["shots"] for cell in cells} == {1, 2}
    assert summary.parent.parent.joinpath("report.html").is_file()


def test_they_are_listed(capsys):
    assert main(["list", "sweeps"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == SWEEPS
    assert all("; " in line for line in lines)
    assert main(["list", "sweeps", "offline", "--long"]) == 0
    assert "duration" in capsys.readouterr().out
