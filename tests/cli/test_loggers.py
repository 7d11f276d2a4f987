"""``logger=...`` on the command line."""

import json
from pathlib import Path

import pytest

from fewshot.loggers import base, tensorboard

QUICK = ("head=ncm", "estimator=constant")


@pytest.fixture
def told(monkeypatch):
    """Records that TensorBoard would get."""
    records = []
    monkeypatch.setattr(base, "find_spec", lambda _: True)
    monkeypatch.setattr(tensorboard.TensorBoard, "log", lambda self, record: records.append(record))
    return records


def test_a_run_is_told_when_it_is_complete(fewshot, given, told):
    done = fewshot(*given, *QUICK, "logger=tensorboard")
    assert done.code == 0, done.err
    (record,) = told
    assert record.tags["fewshot.kind"] == "run"
    folder = Path(record.tags["fewshot.folder"])
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    values = {one.step: one.value for one in record.metrics if one.name == "ncm/accuracy"}
    assert values == {cell["shots"]: cell["accuracy"]["mean"] for cell in cells}
    assert record.parameters["dataset.path"] == "f.npz"


def test_a_sweep_is_told_after_its_jobs(fewshot, given, told):
    done = fewshot("-m", *given, *QUICK, "logger=[tensorboard]", "episodes.shots=1,2")
    assert done.code == 0, done.err
    assert [one.tags["fewshot.kind"] for one in told] == ["run", "run", "sweep"]
    curve = [one.step for one in told[-1].metrics if one.name == "ncm/accuracy"]
    assert curve == [1, 2]


def test_a_logger_that_fails_costs_a_warning(fewshot, given, told, monkeypatch):
    def broken(self, record):
        raise OSError("no space")

    monkeypatch.setattr(tensorboard.TensorBoard, "log", broken)
    done = fewshot(*given, *QUICK, "logger=tensorboard")
    assert done.code == 0
    assert "warning: logger tensorboard: no space" in done.err
    assert list(Path("runs").glob("*/report.html"))


def test_mistakes_are_told_before_any_work(refusal, given, monkeypatch):
    assert "Did you mean 'tensorboard'?" in refusal(*given, "logger=tensorbord")
    message = refusal(*given, "logger.wandb.mode=online")
    assert message.startswith("logger.wandb.mode: it is a setting of logger=wandb only")
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    assert "pip install" in refusal(*given, "logger=wandb")
    assert "pip install" in refusal("-m", *given, "logger=wandb", "seed=0,1")
