"""Settings of the computation of cells, checked, from the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot.estimators.calibration.calibrators import METHODS, SOURCES
from fewshot.estimators.calibration.intervals import check_level
from fewshot.estimators.calibration.transferred import load_general
from fewshot.evaluation.cells import POLICIES, TASKS
from fewshot.exceptions import expect_choice, expect_positive_int
from fewshot.features.bank import NORMALIZATIONS
from fewshot.hardware import available_cores, device_named, episodes_device
from fewshot.report.write import check_figures
from fewshot.tasks.engine.settings import Settings


def figures_of(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the file formats of figures."""
    figures = settings["report"]["figures"]
    kinds = figures if isinstance(figures, list) else [figures]
    check_figures("report.figures", kinds)
    return tuple(kinds)


def engine_of(settings: dict[str, Any]) -> Settings:
    """Check and return the settings that all tasks share; set the number of threads of torch."""
    expect_choice("task", settings["task"], TASKS)
    expect_choice("results.policy", settings["results"]["policy"], POLICIES)
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
        expect_positive_int("threads", threads)
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
