"""A run: data set, features, episodes, heads, predicted errors, results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from fewshot.config.compose import resolved
from fewshot.evaluation.facts import environment, run_data
from fewshot.evaluation.folder import default_name, write_run
from fewshot.evaluation.settings import evaluation_of, figures_of
from fewshot.exceptions import expect_choice
from fewshot.files import plain_name, writing
from fewshot.hardware import available_cores
from fewshot.loggers.dispatch import loggers_of, tell
from fewshot.report.tasks import report_of
from fewshot.report.text.terminal import CHOICES
from fewshot.results.schema import SCHEMA_VERSION, Failed, RunSummary
from fewshot.tasks.base import TaskOutput
from fewshot.tasks.engine.settings import Settings


class RunOutcome(NamedTuple):
    """Run folder, failed cells, and the numbers of cells computed and reused."""

    folder: Path
    failed: list[Failed]
    computed: int = 0
    taken: int = 0


def run(config: DictConfig, folder: Path, label: str | None = None) -> RunOutcome:
    """Evaluate a configuration and write a run folder in `folder`, named `label` in a sweep."""
    begun = time.perf_counter()
    with writing("paths.runs", folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # fails before the work if not writable
    settings = resolved(config)
    figures = figures_of(settings)  # raises before any work
    expect_choice("report.estimators", settings["report"]["estimators"], CHOICES)
    loggers = loggers_of(settings["logger"])
    evaluation = evaluation_of(settings)
    report_of(evaluation.task.name)  # that of another package may be missing
    output, engine = evaluation.run(), evaluation.settings
    cells = output.cells
    seconds = round(time.perf_counter() - begun, 3)
    summary = run_summary(output, engine, seconds, settings["backbone"])
    names = (str(output.bank.info.get(key)) for key in ("dataset", "backbone"))
    target = folder / (plain_name(label) if label else default_name(*names))
    written = write_run(target, settings, summary, output, figures, alone=label is None)
    evaluation.store.forget(cells)
    tell(loggers, written, summary, settings)
    taken = sum(cell.summary.get("reused_from") is not None for cell in cells)
    return RunOutcome(written, output.failed, len(cells) - taken, taken)


def estimate(config: DictConfig) -> str:
    """What `run` would do and how long it would take, from a few images; nothing is stored."""
    evaluation = evaluation_of(resolved(config))
    return evaluation.task.estimate(evaluation)


def run_summary(
    output: TaskOutput, engine: Settings, seconds: float, backbone: Mapping[str, Any]
) -> RunSummary:
    """The summary of a run, as ``summary.json`` has it.

    Parameters
    ----------
    output : TaskOutput
    engine : Settings
        Of the computation.
    seconds : float
        That it took.
    backbone : mapping
        Settings of the backbone; empty where features are given.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_s": seconds,
        "environment": environment(str(engine.device), engine.threads or available_cores()),
        "data": run_data(output, backbone).facts(),
        "cells": [cell.summary for cell in output.cells],
        "left_out": output.left_out,
        "failed": output.failed,
    }
