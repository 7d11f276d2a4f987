"""Synthetic runs of segmentation in the form of real ones: summaries and rows that agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fewshot.results.result import Result
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.statistics.populations import mean_interval
from fewshot.tasks.segmentation.pictures import triptych
from fewshot.tasks.segmentation.schema import (
    CLASS_PREDICTIONS,
    CLASSES,
    DRAWS,
    EXAMPLES,
    IMAGES,
    PREDICTIONS,
)

CLASSNAMES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
              "pedestrian", "bicyclist")  # fmt: skip
BASE = np.array([0.88, 0.72, 0.08, 0.86, 0.55, 0.66, 0.12, 0.2, 0.6, 0.25, 0.3])
SHARES = np.array([0.16, 0.23, 0.01, 0.3, 0.08, 0.11, 0.01, 0.02, 0.05, 0.02, 0.01])
BETTER = {"pixel_lda": 0.0, "ridge": -0.04, "prototype": -0.1}
GAIN = {1: -0.05, 2: -0.02, 5: 0.0, 10: 0.01}
BIAS = {"loo_image": -0.015, "resubstitution": 0.1, "constant": 0.0}
NOISE = {"loo_image": 0.02, "resubstitution": 0.02, "constant": 0.0}
RESERVATION = "fence: a single annotated image has it"


def picture(seed: int, ignored: bool = True) -> str:
    """A small image of bands with its truth and prediction."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(11), 8)[:, None] + np.zeros((1, 120), int)
    if ignored:
        truth[40:48, 20:60] = -1
    noisy = np.clip(truth + (rng.random(truth.shape) < 0.1), 0, 10)
    pixels = 20 * truth[..., None] + rng.integers(0, 40, (*truth.shape, 3))
    return triptych(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), truth, noisy)


def make_cell(
    head: str,
    shots: int,
    *,
    draws: int = 10,
    classnames: tuple[str, ...] = CLASSNAMES,
    pictures: bool = True,
    **names: Any,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Summary and rows of a cell."""
    rng = np.random.default_rng([shots, len(head)])
    C = len(classnames)
    share = SHARES[:C] / SHARES[:C].sum()
    identity = {"task": "segmentation", "dataset": "streets", "part": "novel", "backbone": "net"}
    identity |= {"feature": "last", "head": head, "variant": "", "ways": C, "shots": shots}
    identity |= {"seed": 0, "sampler": "per_class", "resolution": "tokens=1369", **names}
    shift = np.random.default_rng(shots).normal(0, 0.02, (draws, 1))  # the draws are shared
    iou = BASE[:C] + BETTER.get(head, -0.05) + GAIN[shots] + shift + rng.normal(0, 0.03, (draws, C))
    iou = np.clip(iou, 0.01, 0.99)
    miou = iou.mean(1)
    number = np.arange(draws)
    frame = pd.DataFrame(identity | {"x": 0}, index=number).drop(columns="x")
    rows = frame.assign(
        episode=number,
        miou=miou,
        pixel_accuracy=(iou @ share) * 1.1,
        dice=(2 * iou / (1 + iou)).mean(1),
        fb_iou=np.nan,
        boundary_iou=np.nan,
        miou_by_class=np.nan,
        support_images=rng.integers(C * shots // 2, C * shots + 1, draws),
        queries=233,
    )
    of_class = pd.concat(
        [
            frame.assign(
                episode=number, **{"class": name}, iou=iou[:, c], support_images=shots,
                support_pixels=1000, pixels=int(1e6 * share[c]),
                predicted_pixels=int(1e6 * share[c]),
            )
            for c, name in enumerate(classnames)
        ]
    )  # fmt: skip
    predictions, class_predictions, estimators = [], [], {}
    for name, bias in BIAS.items():
        guess = np.clip(iou + bias + rng.normal(0, NOISE[name] * 2, iou.shape), 0, 1)
        guess = np.full_like(iou, miou.mean()) if name == "constant" else guess
        total = guess.mean(1)
        bounded = name == "loo_image"
        half = 0.035 if bounded else np.nan
        level = 0.9 if bounded else np.nan
        predictions.append(
            frame.assign(
                episode=number, estimator=name, predicted_miou=total, lower=total - half,
                upper=total + half, level=level, actual_miou=miou, predicted_pixel_error=0.1,
                actual_pixel_error=0.12, reservations=[[RESERVATION]] * draws,
            )
        )  # fmt: skip
        inside = np.abs(total - miou) <= half
        estimators[name] = {
            "predicted_miou": total.mean(), "mae": np.abs(total - miou).mean(),
            "bias": (total - miou).mean(), "coverage": inside.mean() if bounded else None,
            "width": 2 * half if bounded else None, "class_correlation": 0.96,
            "class_mae": np.abs(guess - iou).mean(), "pixel_error_bias": -0.03,
            "level": 0.9 if bounded else None, "reservations": [RESERVATION] if bounded else [],
        }  # fmt: skip
        if name != "constant":
            class_predictions += [
                frame.assign(
                    episode=number, estimator=name, **{"class": label}, predicted_iou=guess[:, c],
                    lower=np.nan, upper=np.nan, actual_iou=iou[:, c], reservation="",
                )
                for c, label in enumerate(classnames)
            ]  # fmt: skip
    ranks = ("worst", "median", "best")
    examples = [
        frame.assign(
            episode=number, rank=rank, file=f"{rank}_{shots}.png", miou=miou - 0.1 + 0.1 * place,
            picture=[picture(place) if pictures else "", *[""] * (draws - 1)],
        )
        for place, rank in enumerate(ranks)
    ]  # fmt: skip
    images = [
        frame.assign(
            episode=number, file=f"{query}.png", miou=miou, pixel_accuracy=0.8,
            classes=[[0, 1]] * draws, intersection=[[5, 6]] * draws, truth=[[7, 8]] * draws,
            predicted=[[8, 7]] * draws,
        )
        for query in range(2)
    ]  # fmt: skip
    predicted = np.clip(iou + BIAS["loo_image"], 0, 1).mean(0)
    intervals = [mean_interval(column) for column in iou.T]
    summary = {
        **identity,
        "episodes": draws, "queries": 233.0, "classnames": list(classnames),
        "class_predictions": 2 * C, "examples": 3,
        "query_rows": 2 * draws, "confusion": None,
        "miou": _both(miou), "pixel_accuracy": _both(rows["pixel_accuracy"]),
        "dice": _both(rows["dice"]), "fb_iou": None, "boundary_iou": None,
        "classes": [
            {"name": name, "iou": intervals[c]["mean"], "lower": intervals[c]["lower"],
             "upper": intervals[c]["upper"], "share": share[c], "support_images": shots,
             "predicted": predicted[c]}
            for c, name in enumerate(classnames)
        ],
        "estimators": estimators, "comparisons": [],
        "tokens": 1369.0, "input_pixels": 690_000.0, "gflops": 7.1,
        "support_images": float(rows["support_images"].mean()),
        "seconds": {"features_per_image": 0.63, "fit": 0.04 * shots, "bank": 3.2},
        "duration_s": 16.0, "hashes": {"episodes": f"{shots:064d}"},
    }  # fmt: skip
    tables = {
        DRAWS.name: rows.assign(
            predicted_miou=predictions[0]["predicted_miou"],
            predicted_lower=predictions[0]["lower"],
            predicted_upper=predictions[0]["upper"],
        ),
        CLASSES.name: of_class,
        PREDICTIONS.name: pd.concat(predictions),
        CLASS_PREDICTIONS.name: pd.concat(class_predictions),
        EXAMPLES.name: pd.concat(examples),
        IMAGES.name: pd.concat(images),
    }
    return summary, tables


def _both(values: Any) -> dict[str, Any]:
    """Intervals of a mean over draws and over images."""
    interval = mean_interval(np.asarray(values))
    half = 0.01
    images = {"mean": interval["mean"], "lower": interval["mean"] - half,
              "upper": interval["mean"] + half, "level": 0.95}  # fmt: skip
    return {"episodes": interval, "images": images}


def make_run(
    heads: tuple[str, ...] = ("pixel_lda", "ridge"), shots: tuple[int, ...] = (1, 5), **names: Any
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """A run; every head is compared with those before it on the same draws."""
    cells, tables = [], []
    for K in shots:
        before: list[dict[str, Any]] = []
        for head in heads:
            summary, rows = make_cell(head, K, **names)
            for other in before:  # the first of a pair has it
                gap = other["miou"]["episodes"]["mean"] - summary["miou"]["episodes"]["mean"]
                interval = {"mean": gap, "lower": gap - 0.01, "upper": gap + 0.01, "level": 0.95}
                row = {"first": other["head"], "second": head, "miou": {"episodes": interval}}
                other["comparisons"].append(row)
            before.append(summary)
            cells.append(summary)
            tables.append(rows)
    rows = {
        name: pd.concat([table[name] for table in tables], ignore_index=True) for name in tables[0]
    }
    return {"schema_version": SCHEMA_VERSION, "created": "2026-03-01T12:00:00+00:00",
            "cells": cells}, rows  # fmt: skip


def results_of(summary: Mapping[str, Any], rows: Mapping[str, pd.DataFrame]) -> list[Result]:
    """The cells of a run as the engine makes them."""
    names = ("head", "shots")
    return [
        Result(
            {
                table: frame[(frame[list(names)] == [cell[name] for name in names]).all(axis=1)]
                for table, frame in rows.items()
            },
            cell,
        )
        for cell in summary["cells"]
    ]
