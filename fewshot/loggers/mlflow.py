"""MLflow: a run in a store of the user's, by default a SQLite file beside the runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from filelock import FileLock

from fewshot.exceptions import FewshotError
from fewshot.loggers.base import Logger
from fewshot.loggers.record import Record

# What MLflow takes in names, how long values may be, and how many go into a request.
PLAIN = "_-. :/"
LONGEST = 500
BATCH = 100
SECRETS = {"password", "passwd", "pwd", "token", "access_token", "api_key", "key", "secret"}


class MLflow(Logger):
    """Metrics by shots, parameters, tags, and the report as an artifact.

    Parameters
    ----------
    uri : str or None
        Of the store; None: MLFLOW_TRACKING_URI, else ``mlflow.db`` in `folder`.
    experiment : str
    folder : str
        Where a store of its own lies, with the artifacts.
    """

    name = "mlflow"
    modules = ("mlflow",)

    def __init__(self, uri: str | None, experiment: str, folder: str) -> None:
        self.uri, self.experiment, self.folder = uri, experiment, folder

    def check(self) -> None:
        """As for all loggers; a password belongs into the environment, not into the settings."""
        super().check()
        if self.uri is not None and _tells_a_secret(self.uri):
            raise FewshotError(
                "logger.mlflow.uri",
                "expected a URI without a password, as settings are saved with every run",
                "Set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and _PASSWORD.",
            )
        if self._own():
            self.expect_installed("sqlalchemy", "alembic")  # mlflow-skinny has neither

    def _place(self) -> Path:
        return Path(self.folder).expanduser().resolve()

    def _uri(self) -> str:
        own = f"sqlite:///{(self._place() / 'mlflow.db').as_posix()}"
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or own

    def _own(self) -> bool:
        """Whether the store is a file here."""
        return self._uri().startswith("sqlite")

    def log(self, record: Record) -> None:
        """Make a run and finish it."""
        with _quiet():
            from mlflow import MlflowClient

            with self._alone():
                client = MlflowClient(tracking_uri=self._uri())
                run = client.create_run(self._experiment(client), run_name=record.name)
            try:
                _write(client, run.info.run_id, record)
            except BaseException:
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)

    def _experiment(self, client: Any) -> str:
        known = client.get_experiment_by_name(self.experiment)
        if known is not None:
            return str(known.experiment_id)
        where = (self._place() / "mlflow").as_uri() if self._own() else None
        return str(client.create_experiment(self.experiment, artifact_location=where))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time make the database and the experiment in it."""
        if not self._own():
            yield
            return
        self._place().mkdir(parents=True, exist_ok=True)
        with FileLock(self._place() / ".mlflow.lock"):
            yield


def _tells_a_secret(uri: str) -> bool:
    """Whether a URI has a password, a token in its place, or one among its parameters."""
    parts = urlsplit(uri)
    token = parts.username if parts.scheme in ("http", "https") else None
    return bool(parts.password or token or SECRETS & {key.lower() for key in parse_qs(parts.query)})


def _write(client: Any, run: str, record: Record) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    for some in _batches(record.metrics):
        rows = [Metric(plain(one.name), one.value, now, one.step) for one in some]
        client.log_batch(run, metrics=rows)
    for pairs in _batches(list(record.parameters.items())):
        client.log_batch(run, params=[Param(plain(key), text[:LONGEST]) for key, text in pairs])
    tags = [RunTag(plain(key), text[:LONGEST]) for key, text in record.tags.items()]
    client.log_batch(run, tags=tags)
    if record.page is not None:
        client.log_artifact(run, str(record.page))


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def plain(name: str) -> str:
    """A name that MLflow takes."""
    return "".join(one if one.isalnum() or one in PLAIN else "_" for one in name)


@contextmanager
def _quiet() -> Iterator[None]:
    """No usage statistics leave the machine, and tables are made without a word."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401  sets levels of its own

    talkers = [logging.getLogger(one) for one in ("mlflow", "alembic")]
    before = [one.level for one in talkers]
    for one in talkers:
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for one, level in zip(talkers, before, strict=True):
            one.setLevel(level)
