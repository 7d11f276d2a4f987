"""A run: data set, features, episodes, heads, predicted errors, results."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from tqdm import tqdm

from fewshot.config.compose import resolved
from fewshot.episodes import EpisodeSet
from fewshot.estimators import estimators as estimator_registry
from fewshot.evaluation.cells import FailureLog, check_heads, evaluate_missing, recall_cells
from fewshot.evaluation.episodes import (
    configured_bank,
    configured_episodes,
    configured_shots,
    create_objects,
)
from fewshot.evaluation.facts import data_facts, environment, extraction_facts, overlap_warning
from fewshot.evaluation.folder import default_name, write_run
from fewshot.evaluation.settings import engine_of, figures_of
from fewshot.features.bank import FeatureBank
from fewshot.features.data_warnings import data_warnings
from fewshot.files import plain_name, writing
from fewshot.hardware import available_cores
from fewshot.heads import heads as head_registry
from fewshot.loggers.dispatch import loggers_of, tell
from fewshot.report.text.left_out import left_out_text
from fewshot.results.cells import forget_cells
from fewshot.results.result import Result
from fewshot.results.schema import ONE_CLASS, SCHEMA_VERSION, VERIFICATION
from fewshot.tasks.calibration.choosing import check_calibration
from fewshot.tasks.engine.context import check_uses
from fewshot.tasks.engine.least_shots import left_out
from fewshot.tasks.engine.settings import Settings


class TaskOutput(NamedTuple):
    """Output of a task: features, cells, episodes to store, cells left out and failed cells."""

    bank: FeatureBank
    cells: list[Result]
    drawn: list[EpisodeSet]
    left_out: list[dict[str, Any]]
    failed: list[dict[str, Any]]


class RunOutcome(NamedTuple):
    """Run folder, failed cells, and the numbers of cells computed and reused."""

    folder: Path
    failed: list[dict[str, Any]]
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
    loggers = loggers_of(settings["logger"])
    engine = engine_of(settings)
    evaluate = _one_class if settings["task"] == ONE_CLASS else _episodic
    bank, cells, drawn, omitted, failed = evaluate(settings, engine)
    summary = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_s": round(time.perf_counter() - begun, 3),
        "environment": environment(str(engine.device), engine.threads or available_cores()),
        "data": data_facts(bank, drawn)
        | {"extraction": extraction_facts(bank, settings["backbone"])},
        "cells": [cell.summary for cell in cells],
        "left_out": omitted,
        "failed": failed,
    }
    target = folder / (plain_name(label) if label else default_name(bank))
    single = label is None
    written = write_run(target, settings, summary, bank, cells, drawn, figures, explained=single)
    forget_cells(_runs(settings), [cell.summary["key"] for cell in cells if "key" in cell.summary])
    tell(loggers, written, summary, settings)
    taken = sum(cell.summary.get("reused_from") is not None for cell in cells)
    return RunOutcome(written, failed, len(cells) - taken, taken)


def _episodic(settings: dict[str, Any], engine: Settings) -> TaskOutput:
    """Evaluate heads on episodes, for classification and verification."""
    heads = create_objects(head_registry, settings["head"])
    estimators = create_objects(estimator_registry, settings["estimator"])
    check_heads(settings["task"], heads)
    omitted = left_out(heads, configured_shots(settings))  # before features are extracted
    uses = frozenset().union(*(head.uses for head in heads.values()))
    bank = configured_bank(settings, engine, uses)
    for text in data_warnings(bank):
        print(f"fewshot: {text}", file=sys.stderr)
    for name, head in heads.items():
        check_uses(bank, name, head.uses)
    if settings["task"] != VERIFICATION:
        check_calibration(engine, bank)
    if omitted:
        print(f"fewshot: left out: {left_out_text(omitted)}", file=sys.stderr)
    if "text_gaussians" in uses and (warning := overlap_warning(bank)):
        print(f"fewshot: {warning}", file=sys.stderr)
    pairs = [
        (episodes, (name, head))
        for episodes in configured_episodes(settings, bank)
        for name, head in heads.items()
        if head.least_shots <= episodes.fewest_shots
    ]
    drawn = list(dict.fromkeys(episodes for episodes, _ in pairs))
    total = sum(len(episodes) for episodes, _ in pairs)
    with tqdm(total=total, unit="episode", desc="episodes", disable=None) as bar:
        with_progress = replace(engine, progress=bar.update)
        cells, failed = evaluate_missing(
            settings["task"],
            bank,
            pairs,
            estimators,
            with_progress,
            settings["seed"],
            runs=_runs(settings),
            policy=settings["results"]["policy"],
            report_failure=FailureLog(),
        )
    return TaskOutput(bank, cells, drawn, omitted, failed)


def _runs(settings: dict[str, Any]) -> Path:
    return Path(str(settings["paths"]["runs"]))


def _one_class(settings: dict[str, Any], engine: Settings) -> TaskOutput:
    """Evaluate rules on one-class tasks, which have class names in place of shots."""
    from fewshot.evaluation.one_class import one_class_run

    def recall(keys: Sequence[str]) -> Mapping[str, Result] | None:
        return recall_cells(keys, _runs(settings), settings["results"]["policy"])

    bank, result, omitted = one_class_run(settings, engine, recall)
    return TaskOutput(bank, result.cells, [], omitted, [])
