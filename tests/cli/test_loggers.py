"""``logger=...`` on the command line."""

import json
from pathlib import Path

import pytest

from fewshot.loggers import base, tensorboard

QUICK = ("head=ncm", "estimator=constant")


@pytest.fixture
def logged(monkeypatch):
    """Records that TensorBoard would get."""
    records = []
    monkeypatch.setattr(base, "find_spec", lambda _: True)
    monkeypatch.setattr(tensorboard.TensorBoard, "log", lambda self, record: records.append(record))
    return records


def test_a_run_is_told_when_it_is_complete(fewshot, feature_settings, logged):
    done = fewshot(*feature_settings, *QUICK, "logger=tensorboard")
    assert done.code == 0, done.err
    (record,) = logged
    assert record.tags["fewshot.kind"] == "run"
    folder = Path(record.tags["fewshot.folder"])
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    values = {entry.step: entry.value for entry in record.metrics if entry.name == "ncm/accuracy"}
    assert values == {cell["shots"]: cell["accuracy"]["mean"] for cell in cells}
    assert record.parameters["dataset.path"] == "f.npz"


def test_a_sweep_is_told_after_its_jobs(fewshot, feature_settings, logged):
    done = fewshot("-m", *feature_settings, *QUICK, "logger=[tensorboard]", "episodes.shots=1,2")
    assert done.code == 0, done.err
    assert [entry.tags["fewshot.kind"] for entry in logged] == ["run", "run", "sweep"]
    curve = [entry.step for entry in logged[-1].metrics if entry.name == "ncm/accuracy"]
    assert curve == [1, 2]


def test_a_logger_that_fails_costs_a_warning(fewshot, feature_settings, logged, monkeypatch):
    def broken(self, record):
        raise OSError("no space")

    monkeypatch.setattr(tensorboard.TensorBoard, "log", broken)
    done = fewshot(*feature_settings, *QUICK, "logger=tensorboard")
    assert done.code == 0
    assert "warning: logger tensorboard: no space" in done.err
    assert list(Path("runs").glob("*/report.html"))


def test_mistakes_are_told_before_any_work(refusal, feature_settings, monkeypatch):
    assert "Did you mean 'tensorboard'?" in refusal(*feature_settings, "logger=tensorbord")
    message = refusal(*feature_settings, "logger.wandb.mode=online")
    assert message.startswith("logger.wandb.mode: it is a setting of logger=wandb only")
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    assert "pip install" in refusal(*feature_settings, "logger=wandb")
    assert "pip install" in refusal("-m", *feature_settings, "logger=wandb", "seed=0,1")
