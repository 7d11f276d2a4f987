"""Weights & Biases logger: runs are written to a folder and sent only in mode "online"."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from fewshot.exceptions import expect_choice
from fewshot.loggers.base import Logger
from fewshot.loggers.record import Record

MODES = ("offline", "online")


class WeightsAndBiases(Logger):
    """Metrics with shots as their axis, parameters, tags, and the report as an artifact.

    Parameters
    ----------
    project : str
    entity : str or None
        User or team; None: wandb's own default.
    mode : {"offline", "online"}
        "online" sends to the server that wandb is configured for. "offline" writes files that
        ``wandb sync`` sends later.
    folder : str
        Parent of the folder ``wandb/`` with the files.
    """

    name = "wandb"
    modules = ("wandb",)

    def __init__(self, project: str, entity: str | None, mode: str, folder: str) -> None:
        self.project, self.entity, self.mode, self.folder = project, entity, mode, folder

    def check(self) -> None:
        """As `Logger.check`; also raise for an unknown mode."""
        expect_choice("logger.wandb.mode", self.mode, MODES)
        super().check()

    def log(self, record: Record) -> None:
        """Create a run, write the record and finish the run."""
        if self.mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        folder = Path(self.folder).expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        run: Any = wandb.init(
            project=self.project,
            entity=self.entity,
            name=record.name,
            dir=str(folder),
            mode="online" if self.mode == "online" else "offline",
            config={**record.parameters, **record.tags},
            job_type=record.tags["fewshot.kind"],
            settings=_private_settings(),
        )
        try:
            _write(run, record)
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()


def _private_settings() -> Any:
    """Settings under which wandb prints nothing and records no console, code or machine data."""
    import wandb

    return wandb.Settings(
        silent=True, console="off", save_code=False, disable_git=True, reinit="create_new",
        x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True,
        x_save_requirements=False,
    )  # fmt: skip


def _write(run: Any, record: Record) -> None:
    import wandb

    run.define_metric("shots")
    run.define_metric("*", step_metric="shots")
    for step, group in itertools.groupby(record.metrics, key=lambda metric: metric.step):
        run.log({"shots": step, **{metric.name: metric.value for metric in group}})
    if record.page is not None:
        artifact = wandb.Artifact(f"report-{run.id}", type="report")
        artifact.add_file(str(record.page))
        run.log_artifact(artifact)
