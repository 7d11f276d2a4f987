"""A browser, and synthetic runs in the form of real ones, without images, features or heads."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from fewshot.results.schema import SCHEMA_VERSION
from fewshot.statistics.populations import LEVELS
from fewshot.statistics.predictions import (
    compare_estimators,
    coverage_curve,
    interval_metrics,
    mean_interval,
    prediction_metrics,
)
from fewshot.tasks import table_columns, tasks
from fewshot.tasks.base import CELL_COLUMNS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
CLASSES = ["AnnualCrop", "Forest", "Highway", "Industrial", "Pasture", "River", "SeaLake"]
NEED_TWO = "leave-one-out needs two shots of every class"
# Spread of the estimators around the episode's true error.
SPREAD = {"constant": None, "gaussian": 0.05, "loo": 0.08, "margin": 0.03}
OTHERS = {"auto": 0.035, "oracle": 0.001, "oracle_sigma": 0.01}
GUESS = "margin answered: the shots disagree with the base classes"
# What summaries did not have at first.
NEW = ("fallbacks", "fallback_reason", "sees_queries", "coverage", "width", "level")


class Run(NamedTuple):
    """Inputs of the report."""

    summary: dict
    rows: dict[str, pd.DataFrame]

    @property
    def episodes(self):
        return self.rows["episodes"]

    @property
    def predictions(self):
        return self.rows["predictions"]


def make_cell(rng, *, episodes, classes, estimators, undefined, fallbacks, intervals, **names):
    """Rows and summary of one cell.

    `undefined` and `fallbacks` map an estimator to (reason, share), `intervals` to half a width.
    """
    shots, ways = names["shots"], names["ways"]
    true = rng.beta(6, 10, episodes) * (1.3 if shots == 1 else 0.5) * (0.9 if ways > 1 else 1)
    queries = 15 * ways
    actual = rng.binomial(queries, np.clip(true, 0, 1)) / queries
    common = {"task": "classification", "unlabelled_images": "", "protocol": "", **names}
    number = np.arange(episodes)
    drawn = [list(rng.choice(classes, min(ways, len(classes)), replace=False)) for _ in number]
    rows = pd.DataFrame(common, index=number).assign(
        episode=number,
        classes=drawn,
        queries=queries,
        unlabelled=0,
        support=5,
        actual_error=actual,
        accuracy=1 - actual,
        query_error=actual,
    )
    predicted = {}
    for name in estimators:
        spread = (SPREAD | OTHERS).get(name, 0.1)
        noise = 0 if spread is None else rng.normal(0, spread, episodes)
        value = np.full(episodes, true.mean() + 0.01) if spread is None else true + noise
        value = np.clip(value, 0, 1)
        if name in undefined:
            value[: round(undefined[name][1] * episodes)] = np.nan
        predicted[name] = value
    tables, metrics = [], {}
    for name, value in predicted.items():
        reason = undefined.get(name, (None,))[0]
        simpler, share = fallbacks.get(name, (None, 0.0))
        fell_back = (number >= episodes - round(share * episodes)) & np.isfinite(value)
        half = intervals.get(name, np.nan)
        steps = half * np.array(LEVELS) / 0.9
        lower, upper = np.clip(value - half, 0, 1), np.clip(value + half, 0, 1)
        reasons = np.where(np.isnan(value), reason, np.where(fell_back, simpler, None))
        tables.append(
            pd.DataFrame(common, index=number).assign(
                episode=number,
                estimator=name,
                calibration="none",
                sees_unlabelled=False,
                predicted_error=value,
                lower=lower,
                upper=upper,
                reason=pd.Series(reasons, dtype=object),
                actual_error=actual,
            )
        )
        bands = np.stack([value[:, None] - steps, value[:, None] + steps], 1)
        metrics[name] = {
            "calibration": "none",
            "sees_queries": name.startswith("oracle"),
            "reason": reason or simpler,
            "fallbacks": int(fell_back.sum()),
            "fallback_reason": simpler,
            "level": 0.9 if name in intervals else None,
            **prediction_metrics(value, actual, predicted.get("constant")),
            **interval_metrics(lower, upper, actual),
            "coverage_curve": coverage_curve(bands, actual),
            "seconds_per_episode": 0.0004,
        }
    summary = {
        **common,
        "queries": "all",
        "episodes": episodes,
        "head_parameters": {},
        "accuracy": mean_interval(1 - actual),
        "actual_error": mean_interval(actual),
        "base": {"classes": 12, "episodes": 600, "actual_error": float(true.mean()) + 0.01},
        "estimators": metrics,
        "comparisons": compare_estimators(predicted, actual),
        "hashes": {"features": "9f86d081884c7d65" * 4, "episodes": "60303ae22b998861" * 4},
        "duration_s": 1.25,
        "episodes_per_second": episodes / 1.25,
    }
    predictions = (
        pd.concat(tables) if tables else pd.DataFrame(columns=list(table_columns("predictions")))
    )
    return (
        rows[list(table_columns("episodes"))],
        predictions[list(table_columns("predictions"))],
        summary,
    )


def make_run(
    *,
    pairs=(("eurosat", "resnet18"),),
    heads=("ncm", "lda"),
    shots=(1, 5),
    ways=5,
    episodes=600,
    estimators=tuple(SPREAD),
    classes=tuple(CLASSES),
    undefined=None,
    fallbacks=None,
    intervals=None,
):
    """A run; by default leave-one-out is undefined at one shot."""
    rng = np.random.default_rng(0)
    cells = []
    for dataset, backbone in pairs:
        for head in heads:
            for K in shots:
                default = {"loo": (NEED_TWO, 1.0)} if K == 1 else {}
                names = {"dataset": dataset, "part": "novel", "backbone": backbone}
                names |= {"feature": "pooled", "head": head, "variant": ""}
                names |= {"ways": ways, "shots": K, "seed": 0}
                cells.append(
                    make_cell(
                        rng,
                        episodes=episodes,
                        classes=list(classes),
                        estimators=estimators,
                        undefined=default if undefined is None else undefined,
                        fallbacks=fallbacks or {},
                        intervals=intervals or {},
                        **names,
                    )
                )
    summary = {
        "schema_version": 1,
        "created": "2026-03-01T12:00:00+00:00",
        "duration_s": 4.2,
        "environment": {"fewshot": "0.1.0", "python": "3.11.7", "torch": "2.5.1", "threads": 2},
        "data": {
            "images": 27000,
            "classes": 10,
            "classes_per_part": {"base": 5, "validation": 0, "novel": 5},
            "skipped": [{"file": "River/River_17.jpg", "reason": "truncated image"}],
            "dropped_classes": ["Residential"],
        },
        "cells": [cell[2] for cell in cells],
    }
    # What reaches a report has been, or could have been, through summary.json.
    summary = json.loads(json.dumps(summary))
    frames = (pd.concat([cell[i] for cell in cells], ignore_index=True) for i in (0, 1))
    return Run(summary, dict(zip(("episodes", "predictions"), frames, strict=True)))


@pytest.fixture(scope="session")
def run():
    """Two heads, 1 and 5 shots, four estimators, 600 episodes."""
    return make_run()


@pytest.fixture(scope="session")
def judged():
    """A run with all features: ``auto`` last, intervals, oracles and fallbacks."""
    return make_run(
        estimators=("oracle", *SPREAD, "oracle_sigma", "auto"),
        episodes=200,
        fallbacks={"gaussian": (GUESS, 0.25)},
        intervals={"auto": 0.1, "margin": 0.02},
    )


def without_judging(run):
    """The same run without the keys that older versions did not write."""
    summary = json.loads(json.dumps(run.summary))
    for cell in summary["cells"]:
        del cell["comparisons"]
        for row in cell["estimators"].values():
            for name in (*NEW, "coverage_curve"):
                row.pop(name)
    unbounded = run.predictions.assign(lower=np.nan, upper=np.nan)
    return Run(summary, run.rows | {"predictions": unbounded})


@pytest.fixture(scope="session")
def old():
    """`without_judging`."""
    return without_judging


@pytest.fixture(scope="session")
def make():
    """The function `make_run`."""
    return make_run


@pytest.fixture(scope="session")
def data_of():
    """Function that returns the data of a page's script."""
    element = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
    return lambda page: json.loads(element.search(page)[1])


@pytest.fixture
def outside_tasks(monkeypatch):
    """Tasks of another package, registered for a test."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "outside")
    module = importlib.import_module("any_tasks")
    own = [module.Retrieval, module.Counting, module.NoReport, module.Missing]
    for task in own:
        tasks.add(task.name, task)
    yield own
    for task in own:
        del tasks._entries[task.name]


def _interval(mean, half, population="episodes"):
    return {"mean": mean, "lower": mean - half, "upper": mean + half, "population": population}


def _cell(task, head, shots, **facts):
    names = {"task": task, "dataset": "birds", "part": "base", "backbone": "net"}
    names |= {"feature": "pooled", "head": head, "variant": "", "ways": 5, "shots": shots}
    return {**names, "seed": 0, "queries": 15, "episodes": 3, "duration_s": 2.0, **facts}


@pytest.fixture
def outside_run(outside_tasks):
    """Cells of tasks that the project does not know, and their rows."""
    cells, rows = [], []
    for shots in (1, 5):
        for head, mean in (("cosine", 0.4), ("learned", 0.5)):
            precision = {p: _interval(mean + shots / 50, h, p)
                         for p, h in (("episodes", 0.01), ("classes", 0.2))}  # fmt: skip
            gap = {p: _interval(0.1, h, p) for p, h in (("episodes", 0.02), ("classes", 0.3))}
            pair = {"first": "learned", "second": "cosine", "mean_precision": gap}
            cells.append(
                _cell(
                    "retrieval",
                    head,
                    shots,
                    gallery="small",
                    mean_precision=precision,
                    first_rank=_interval(12.5 * mean, 0.5),
                    cutoffs=[{"cutoff": k, "recall": mean + k / 100} for k in (1, 10)],
                    comparisons=[pair] if head == "learned" else [],
                )
            )
    for head, miss in (("grid", 3.25), ("density", 1.5)):
        cell = _cell("counting", head, 1, miss=_interval(miss, 0.25), objects=17)
        names = {name: cell[name] for name in CELL_COLUMNS}
        rows.append(pd.DataFrame({"episode": range(3), "miss": [miss] * 3}).assign(**names))
        cells.append(cell)
    return Run({"schema_version": SCHEMA_VERSION, "cells": cells}, {"counts": pd.concat(rows)})


@pytest.fixture(scope="session")
def segmentation():
    """The module that makes synthetic runs of segmentation."""
    path = Path(__file__).with_name("segmentation_runs.py")
    specification = importlib.util.spec_from_file_location("segmentation_runs", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def segmented(segmentation):
    """Two heads at 1 and 5 shots: summary and rows by table."""
    return Run(*segmentation.make_run())


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, with the scope of a module: its event loop would disturb other tests."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture
def visit(browser):
    """Function that opens a page; fails on console messages and on requests beyond the file."""
    contexts, complaints, requests = [], [], []

    def open_page(path, hash="", **settings):
        context = browser.new_context(**settings)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri() + hash)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len({url.split("#")[0] for url in requests if url.startswith("file:")}) <= 1
