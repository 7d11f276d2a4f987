"""Records written by the trackers' libraries and read with their readers, without network."""

import json
import socket
import struct
import time
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.loggers import base, loggers
from fewshot.loggers.dispatch import loggers_of, tell
from fewshot.loggers.mlflow import allowed_name
from fewshot.paths import options


@pytest.fixture
def made(workplace):
    """Function that builds a logger with the settings of conf/logger."""

    def make(name, **changes):
        settings = options("logger")[name][name] | {"folder": str(workplace / "runs")} | changes
        return loggers_of({name: settings})[0]

    return make


@pytest.fixture
def no_network(monkeypatch):
    """Connections to anywhere but this machine fail the test."""
    connect, tried = socket.socket.connect, []

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            tried.append(address)
            raise OSError("no network in tests")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield
    assert not tried


def test_every_logger_has_settings_and_every_setting_a_logger():
    assert set(options("logger")) == set(loggers)


def test_tensorboard(made, folder, summary, settings):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = made("tensorboard", folder="events")
    assert tell([logger, logger], folder, summary, settings) == []
    assert sorted(path.name for path in Path("events").iterdir()) == ["one_run", "one_run-2"]
    events = EventAccumulator("events/one_run-2")
    events.Reload()
    curve = [(entry.step, entry.value) for entry in events.Scalars("ncm/accuracy")]
    assert curve == [(1, 0.75), (5, pytest.approx(0.9))]
    text = events.Tensors("parameters/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| head.lda.shrinkage | auto |" in text


@pytest.mark.slow  # it makes the tables of a database
def test_mlflow(made, folder, summary, settings, no_network, monkeypatch):
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    from mlflow import MlflowClient

    summary["cells"][0]["dataset"] = "d (base classes)"
    logger = made("mlflow")
    assert tell([logger, logger], folder, summary, settings) == []
    client = MlflowClient(tracking_uri=f"sqlite:///{folder.parent / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'fewshot'")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    run = runs[0]
    assert run.info.run_name == "one_run"
    assert run.data.params["head.lda.shrinkage"] == "auto"
    assert run.data.tags["fewshot.fewshot"] == "0.1.0"
    (last,) = client.get_metric_history(run.info.run_id, "d _base classes_/ncm/accuracy")
    assert (last.step, last.value) == (5, 0.9)
    (artifact,) = client.list_artifacts(run.info.run_id)
    assert artifact.path == "report.html"
    assert (folder.parent / "mlflow" / run.info.run_id / "artifacts" / "report.html").is_file()


def test_mlflow_takes_no_password(made, monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda _: True)
    for uri in ("https://me:secret@example.org", "https://token@example.org",
                "postgresql://example.org/db?user=me&password=secret"):  # fmt: skip
        with pytest.raises(FewshotError, match="without a password") as caught:
            made("mlflow", uri=uri)
        assert "secret" not in str(caught.value)
    made("mlflow", uri="postgresql://me@example.org/db?sslmode=require")
    assert allowed_name("a/b (c)·1-shot") == "a/b _c__1-shot"


def records_of(path):
    """Records of a .wandb file: blocks of 32 KiB, pieces with checksum, length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        remaining = 32768 - at % 32768
        if remaining < 7:
            at += remaining
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or last
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def whole_file(path):
    """Records of a file, once wandb's process has written the last one."""
    for _ in range(300):
        records = list(records_of(path))
        if any(entry.HasField("exit") for entry in records):
            break
        time.sleep(0.1)
    return records


def test_wandb_offline(made, folder, summary, settings, no_network):
    pytest.importorskip("wandb")
    assert tell([made("wandb")], folder, summary, settings) == []
    (file,) = (folder.parent / "wandb").glob("offline-run-*/*.wandb")
    records = whole_file(file)
    history = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json)
         for item in entry.history.item}
        for entry in records if entry.HasField("history")
    ]  # fmt: skip
    curve = {entry["shots"]: entry.get("ncm/accuracy") for entry in history}
    assert curve == {1: 0.75, 5: 0.9}
    (run,) = (entry.run for entry in records if entry.HasField("run"))
    config = {item.key or "/".join(item.nested_key): item.value_json for item in run.config.update}
    assert config["head.lda.shrinkage"] == '"auto"'
    assert run.display_name == "one_run"
    assert any(entry.HasField("artifact") for entry in records) or b"report-" in file.read_bytes()


def test_wandb_modes(made):
    with pytest.raises(FewshotError, match=r"logger.wandb.mode: expected one of 'offline', 'onlin"):
        made("wandb", mode="onlne")


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_package_that_is_missing(made, name, monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    with pytest.raises(FewshotError, match=rf"{name} needs .*pip install '\.\[{name}\]'"):
        made(name)


def test_a_logger_that_fails_loses_nothing(folder, summary, settings, capsys):
    class Broken(base.Logger):
        name, modules = "broken", ()

        def log(self, record):
            raise ConnectionError("nobody\nanswers")

    assert tell([Broken(), Broken()], folder, summary, settings) == ["broken", "broken"]
    (line, _) = capsys.readouterr().err.splitlines()
    assert line == f"fewshot: warning: logger broken: nobody answers ({folder} is complete)"


def test_a_warning_tells_no_password(folder, summary, settings, capsys):
    class Refused(base.Logger):
        name, modules = "refused", ()

        def log(self, record):
            raise ConnectionError("no answer from https://me:secret@example.org/api")

    assert tell([Refused()], folder, summary, settings) == ["refused"]
    err = capsys.readouterr().err
    assert "https://***@example.org/api" in err
    assert "secret" not in err


def test_settings_that_a_logger_does_not_have():
    with pytest.raises(FewshotError, match=r"'tensorboard' has no setting 'foldr'.*'folder'"):
        loggers_of({"tensorboard": {"foldr": "x"}})
