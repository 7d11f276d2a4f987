"""MLflow logger: one MLflow run per record, by default in a SQLite file beside the runs."""

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

# MLflow's limits: characters of names besides alphanumeric ones, length of values, batch size.
ALLOWED = "_-. :/"
MAX_LENGTH = 500
BATCH_SIZE = 100
SECRETS = {"password", "passwd", "pwd", "token", "access_token", "api_key", "key", "secret"}


class MLflow(Logger):
    """Metrics by shots, parameters, tags, and the report as an artifact.

    Parameters
    ----------
    uri : str or None
        URI of the store; None: MLFLOW_TRACKING_URI, else ``mlflow.db`` in `folder`.
    experiment : str
        Name of the experiment; created if there is none.
    folder : str
        Folder of a local store and its artifacts.
    """

    name = "mlflow"
    modules = ("mlflow",)

    def __init__(self, uri: str | None, experiment: str, folder: str) -> None:
        self.uri, self.experiment, self.folder = uri, experiment, folder

    def check(self) -> None:
        """As `Logger.check`; also raise for a password in `uri`: it belongs in the environment."""
        super().check()
        if self.uri is not None and _has_credentials(self.uri):
            raise FewshotError(
                "logger.mlflow.uri",
                "expected a URI without a password, as settings are saved with every run",
                "Set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and _PASSWORD.",
            )
        if self._is_local():
            self.expect_installed("sqlalchemy", "alembic")  # mlflow-skinny has neither

    def _root(self) -> Path:
        return Path(self.folder).expanduser().resolve()

    def _uri(self) -> str:
        default = f"sqlite:///{(self._root() / 'mlflow.db').as_posix()}"
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or default

    def _is_local(self) -> bool:
        """Whether the store is a local SQLite file."""
        return self._uri().startswith("sqlite")

    def log(self, record: Record) -> None:
        """Create a run, write the record and finish the run."""
        with _quiet():
            from mlflow import MlflowClient

            with self._locked():
                client = MlflowClient(tracking_uri=self._uri())
                run = client.create_run(self._experiment(client), run_name=record.name)
            try:
                _write(client, run.info.run_id, record)
            except BaseException:
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)

    def _experiment(self, client: Any) -> str:
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is not None:
            return str(experiment.experiment_id)
        artifacts = (self._root() / "mlflow").as_uri() if self._is_local() else None
        return str(client.create_experiment(self.experiment, artifact_location=artifacts))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock under which one process at a time creates the local database and its experiment."""
        if not self._is_local():
            yield
            return
        self._root().mkdir(parents=True, exist_ok=True)
        with FileLock(self._root() / ".mlflow.lock"):
            yield


def _has_credentials(uri: str) -> bool:
    """Whether a URI has a password or token, in its user information or its query parameters."""
    parts = urlsplit(uri)
    token = parts.username if parts.scheme in ("http", "https") else None
    return bool(parts.password or token or SECRETS & {key.lower() for key in parse_qs(parts.query)})


def _write(client: Any, run: str, record: Record) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    for batch in _batches(record.metrics):
        rows = [
            Metric(allowed_name(metric.name), metric.value, now, metric.step) for metric in batch
        ]
        client.log_batch(run, metrics=rows)
    for pairs in _batches(list(record.parameters.items())):
        client.log_batch(
            run, params=[Param(allowed_name(key), text[:MAX_LENGTH]) for key, text in pairs]
        )
    tags = [RunTag(allowed_name(key), text[:MAX_LENGTH]) for key, text in record.tags.items()]
    client.log_batch(run, tags=tags)
    if record.page is not None:
        client.log_artifact(run, str(record.page))


def _batches(values: list[Any]) -> Iterator[list[Any]]:
    return (values[start : start + BATCH_SIZE] for start in range(0, len(values), BATCH_SIZE))


def allowed_name(name: str) -> str:
    """`name` with ``_`` for every character that MLflow does not allow."""
    return "".join(
        character if character.isalnum() or character in ALLOWED else "_" for character in name
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Context without MLflow's usage statistics and without its messages on creating tables."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401  sets the levels of its loggers on import

    noisy = [logging.getLogger(logger) for logger in ("mlflow", "alembic")]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
