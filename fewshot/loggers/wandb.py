"""Weights & Biases: a run in a folder, sent only if that is asked for."""

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
        ``wandb sync`` sends when told to.
    folder : str
        The files go to ``wandb/`` in it.
    """

    name = "wandb"
    modules = ("wandb",)

    def __init__(self, project: str, entity: str | None, mode: str, folder: str) -> None:
        self.project, self.entity, self.mode, self.folder = project, entity, mode, folder

    def check(self) -> None:
        """As for all loggers."""
        expect_choice("logger.wandb.mode", self.mode, MODES)
        super().check()

    def log(self, record: Record) -> None:
        """Make a run and finish it."""
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
            settings=_modest(),
        )
        try:
            _write(run, record)
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()


def _modest() -> Any:
    """Nothing of terminal, code or machine is recorded, and nothing printed."""
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
    for step, group in itertools.groupby(record.metrics, key=lambda one: one.step):
        run.log({"shots": step, **{one.name: one.value for one in group}})
    if record.page is not None:
        artifact = wandb.Artifact(f"report-{run.id}", type="report")
        artifact.add_file(str(record.page))
        run.log_artifact(artifact)
