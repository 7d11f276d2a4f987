"""An evaluation from the settings of the command line, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot.estimators.calibration.calibrators import METHODS, SOURCES
from fewshot.estimators.calibration.intervals import check_level
from fewshot.estimators.calibration.transferred import load_general
from fewshot.evaluation.evaluation import Evaluation
from fewshot.evaluation.named import complete_estimators, create_objects
from fewshot.evaluation.notices import Notices, OnTerminal
from fewshot.evaluation.sources import TwoSets
from fewshot.exceptions import expect_choice, expect_positive_int
from fewshot.features.bank import NORMALIZATIONS
from fewshot.hardware import available_cores, check_threads, device_named, episodes_device
from fewshot.importing import attribute_at
from fewshot.report.write import check_figures
from fewshot.results.cells import CellStore
from fewshot.tasks import task_named
from fewshot.tasks.base import Task
from fewshot.tasks.engine.settings import Settings


def figures_of(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the file formats of figures."""
    figures = settings["report"]["figures"]
    kinds = figures if isinstance(figures, list) else [figures]
    check_figures("report.figures", kinds)
    return tuple(kinds)


def evaluation_of(
    settings: dict[str, Any], notices: Notices | None = None
) -> Evaluation[Any, Any, Any, Any]:
    """The evaluation of a configuration; raises before any work.

    Parameters
    ----------
    settings : dict
        As `fewshot.config.compose.resolved` returns them.
    notices : Notices, optional
        What is told on the way; on standard error by default.
    """
    task = task_named(settings["task"])
    engine = engine_of(settings)
    seeds = settings["seed"] if isinstance(settings["seed"], list) else [settings["seed"]]
    sampling = attribute_at(task.sampling)(settings["episodes"])
    chosen = create_objects(task.registry("estimator"), settings["estimator"])
    return Evaluation(
        task=task,
        source=source_of_settings(task, settings, engine.device),
        heads=tuple(create_objects(task.registry("head"), settings["head"]).items()),
        estimators=complete_estimators(chosen, sampling),
        sampling=sampling,
        seeds=tuple(seeds),
        settings=engine,
        options=settings.get(task.name) or {},
        store=CellStore(Path(str(settings["paths"]["runs"])), settings["results"]["policy"]),
        notices=OnTerminal() if notices is None else notices,
    )


def source_of_settings(task: Task, settings: dict[str, Any], device: torch.device) -> Any:
    """What the task takes its data from; of two data sets with ``episodes.queries_from``."""
    source = attribute_at(task.source)(settings, device)
    episodes = settings["episodes"]
    queries = episodes.get("queries_from")
    if queries is None or queries == "":
        return source
    other = source.other(str(queries), "episodes.queries_from")
    return TwoSets(source, other, episodes["min_images"], episodes["part"])


def engine_of(settings: dict[str, Any]) -> Settings:
    """Check and return the settings that all tasks share; set the number of threads of torch."""
    calibration = settings["calibration"]
    expect_choice("calibration.source", calibration["source"], SOURCES)
    expect_choice("calibration.method", calibration["method"], METHODS[:-1])
    check_level("calibration.level", calibration["level"])
    normalizations = ("auto", *NORMALIZATIONS)
    expect_choice("features.normalize", settings["features"]["normalize"], normalizations)
    expect_positive_int("calibration.episodes", calibration["episodes"])
    if calibration["calibrator"]:
        load_general(Path(str(calibration["calibrator"])))
    threads = settings["threads"]
    if threads is not None:
        check_threads(threads)
    torch.set_num_threads(threads or available_cores())
    return Settings(
        calibration=calibration["source"],
        method=calibration["method"],
        level=calibration["level"],
        calibrator=calibration["calibrator"],
        base_episodes=calibration["episodes"],
        device=episodes_device(device_named(settings["device"])),
        threads=threads,
    )
