"""Synthetic payloads of the page with any number of cells."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BACKBONES = ("clip_vitb32", "dinov2_vits14", "efficientnet_lite0", "mobilenet_v2", "resnet50")
HEADS = ("ncm", "lda", "logistic", "ridge", "tip_adapter", "laplacian_shot", "em_dirichlet")
HEADS += ("bdcspn", "pt_map", "svm")
USES = {"tip_adapter": ["text"], "laplacian_shot": ["queries"], "em_dirichlet": ["queries"]}
USES |= {"bdcspn": ["queries"], "pt_map": ["queries", "query_prior"]}
DATASETS = ("caltech101", "eurosat", "flowers", "pets", "textures")
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def text_of(values: Any, kind: str) -> str:
    """Numbers as base64 of little-endian integers."""
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode()


def shares(values: Any) -> str:
    """Numbers in [0, 1] as encoded in the page."""
    values = np.asarray(values, dtype=float)
    steps = np.where(np.isnan(values), 65535, np.rint(np.nan_to_num(values).clip(0, 1) * 65534))
    return text_of(steps, "<u2")


def picture(seed: int) -> str:
    """A small image of a single colour as a data URL."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 18, (64, 64, 3)) + rng.integers(60, 200, 3)
    buffer = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(buffer, "WEBP", quality=40)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def around(mean: float, half: float) -> list[float]:
    """Bounds of an interval."""
    return [mean - half, mean + half]


def estimator(name: str, rng: Any, actual: Any, episodes: int, undefined: bool) -> tuple[Any, Any]:
    """Metrics of an estimator, and its points."""
    spread = {"auto": 0.03, "loo": 0.06, "constant": 0.0, "oracle": 0.002}.get(name, 0.05)
    predicted = actual + rng.normal(0, spread, len(actual)) if spread else actual * 0 + 0.21
    predicted = np.clip(predicted, 0, 1)
    gap = np.abs(predicted - actual)
    order = np.array_split(np.argsort(predicted), 8)
    bounded = name == "auto"
    metrics = {
        "name": name, "calibration": "base" if bounded else "none",
        "sees_queries": name == "oracle", "reason": None, "fallbacks": 0, "fallback_reason": None,
        "defined": episodes, "predicted": float(predicted.mean()), "mae": float(gap.mean()),
        "mae_interval": around(float(gap.mean()), 0.002), "rmse": float((gap**2).mean() ** 0.5),
        "bias": float((predicted - actual).mean()), "relative_error": 0.1,
        "spearman": 0.6 if spread else None,
        "spearman_interval": [0.5, 0.7] if spread else None,
        "order": "It tells harder ones apart." if spread else "It does not tell them apart.",
        "slope": 0.9 if spread else None, "intercept": 0.0,
        "skill": 0.3 if spread else 0.0, "level": 0.9 if bounded else None,
        "coverage": 0.88 if bounded else None, "width": 0.15 if bounded else None,
        "coverage_curve": [[n, n - 0.02] for n in LEVELS] if bounded else None,
        "bins": [[float(predicted[o].mean()), float(actual[o].mean()), len(o)] for o in order],
        "seconds_per_episode": 4e-4,
    }  # fmt: skip
    points = {"name": name, "predicted": shares(predicted), "lower": None, "upper": None}
    if bounded:
        points |= {"lower": shares(predicted - 0.07), "upper": shares(predicted + 0.07)}
    if undefined:
        reason = "leave-one-out needs two shots of every class"
        empty = dict.fromkeys(set(metrics) - {"name", "calibration", "sees_queries", "fallbacks"})
        metrics |= {**empty, "defined": 0, "reason": reason, "bins": []}
        points = None
    return metrics, points


def measure(name: str, mean: float, better: str = "higher", at: float | None = None) -> Any:
    """One measure with intervals for episodes and classes, none for images."""
    intervals = {"episodes": around(mean, 0.004), "images": None, "classes": around(mean, 0.03)}
    return {"name": name, "better": better, "mean": mean, "intervals": intervals, "at": at,
            "reasons": {"images": "every image of a class is in each episode"}}  # fmt: skip


def make_set(rng: Any, dataset: str, ways: int, shots: int, episodes: int, data: Any) -> Any:
    """Classes and files of the episodes of one setting."""
    classes = np.stack([rng.permutation(len(data["classnames"]))[:ways] for _ in range(episodes)])
    support = rng.integers(0, len(data["files"]), (episodes, ways, shots))
    return {
        "dataset": dataset, "episodes": list(range(episodes)), "of": 2 * episodes, "ways": ways,
        "shots": shots, "classes": text_of(classes, "<u2"), "support": text_of(support, "<u4"),
    }  # fmt: skip


def make_cell(rng: Any, names: Any, difficulty: float, points: int, estimators: Any) -> Any:
    """A cell of classification, and its points."""
    actual = rng.beta(8, 8 / difficulty - 8, points)
    # The mean is what it should be, so that tests know who is ahead.
    actual = np.clip(actual - actual.mean() + difficulty, 0, 1)
    pairs = [
        estimator(name, rng, actual, 2 * points, name == "loo" and names["shots"] == 1)
        for name in estimators
    ]
    accuracy = 1 - float(actual.mean())
    key = rng.bytes(32).hex()
    difference = {"mean": -0.01, "lower": -0.014, "upper": -0.006}
    pair = {"first": "auto", "second": "constant", "measure": "mae", "at": None}
    comparisons = [pair | {"episodes": points, "difference": difference}]
    if not {"auto", "constant"} <= set(estimators):
        comparisons = []
    cell = {
        "task": "classification", **names, "queries": "all", "episodes": 2 * points,
        "source": None, "against": None, "uses": USES.get(names["head"], []),
        "measures": [measure("accuracy", accuracy)],
        "estimators": [metrics for metrics, _ in pairs],
        "spokesman": estimators[0] if estimators else None,
        "comparisons": comparisons,
        "cost": {"seconds": float(rng.uniform(0.2, 4)), "images_per_second": 120.0,
                 "episodes_per_second": float(10 ** rng.uniform(1, 4)), "extraction_seconds": 60.0,
                 "parameters": 2.5e7, "feature_dim": 1280, "peak_memory_mib": 812.0,
                 "device": "cpu"},
        "made": {"run": 0, "key": key, "hashes": {"features": "9f86d081" * 8},
                 "head_parameters": {"metric": "euclidean"}, "base": {"classes": 50},
                 "reused_from": None, "command": f"fewshot head={names['head']} episodes.count=9",
                 "more": []},
        "points": None, "worst": [],
    }  # fmt: skip
    return cell, {"actual": shares(actual), "estimators": [p for _, p in pairs if p]}


def make_payload(
    *,
    datasets: Any = DATASETS[:2],
    backbones: Any = BACKBONES,
    heads: Any = HEADS,
    shots: Any = (1, 2, 5, 10),
    seeds: Any = (0,),
    points: int = 200,
    estimators: Any = ("auto", "loo", "constant"),
    classes: Any = tuple(f"class {i}" for i in range(20)),
    files: Any = tuple(f"folder/image_{i:04}.jpg" for i in range(400)),
    thumbnails: int = 40,
) -> dict[str, Any]:
    """All combinations as cells of classification."""
    rng = np.random.default_rng(0)
    data = {"classnames": list(classes), "files": list(files)}
    pictures = {str(i): picture(i) for i in range(thumbnails)}
    cells, packed, sets, index = [], [], [], {}
    for d, dataset in enumerate(datasets):
        for b, backbone in enumerate(backbones):
            for h, head in enumerate(heads):
                for K in shots:
                    for seed in seeds:
                        if (dataset, K, seed) not in index:
                            index[dataset, K, seed] = len(sets)
                            sets.append(make_set(rng, dataset, 5, K, points, data))
                        names = {"dataset": dataset, "backbone": backbone, "feature": "pooled"}
                        names |= {"head": head, "ways": 5, "shots": K, "seed": seed}
                        worse = 0.32 * K**-0.35 + 0.02 * b + 0.008 * h + 0.05 * d
                        cell, cell_points = make_cell(rng, names, worse, points, estimators)
                        cells.append(
                            cell | {"points": len(packed) if cell_points["estimators"] else None}
                        )
                        packed.append({"set": index[dataset, K, seed], **cell_points})
    return {
        "version": 1, "level": 0.95, "cells": cells, "points": packed, "sets": sets,
        "datasets": {name: {**data, "thumbnails": pictures} for name in datasets},
        "ranks": make_ranks(list(heads)),
        "runs": [{"name": "2026-03-01_12-00-00", "created": "2026-03-01T12:00:00+00:00",
                  "duration_s": 4.2, "environment": {"fewshot": "0.1.0", "torch": "2.5.1"},
                  "data": {"images": 27000, "classes": 10}}],
        "left_out": [], "failed": [], "unreadable": [],
    }  # fmt: skip


def make_ranks(heads: list[str]) -> list[dict[str, Any]]:
    """Ranks with a critical difference, and without one."""
    if len(heads) < 2:
        return []
    tested = {"task": "classification", "of": "head", "over": "6 data sets", "names": heads,
              "blocks": 6, "note": "", "p": 0.0004,
              "mean_ranks": [1.2 + 0.8 * i for i in range(len(heads))],
              "test": "Friedman test", "critical_difference": 2.1}  # fmt: skip
    note = "Too few data sets for a critical difference: contexts of one are not independent."
    few = {"of": "backbone", "names": ["resnet50", "mobilenet_v2"], "mean_ranks": [1.3, 1.7]}
    return [worded(tested), worded({**tested, **few, "critical_difference": None, "p": None,
                                    "note": note})]  # fmt: skip


def worded(ranking: dict[str, Any]) -> dict[str, Any]:
    """Ranks with their groups and caption."""
    from fewshot.report.charts.ranks import joined, rank_caption

    groups = joined(ranking["mean_ranks"], ranking["critical_difference"])
    return {**ranking, "groups": groups, "caption": rank_caption(ranking)}


def other_tasks() -> list[dict[str, Any]]:
    """Cells of verification and of one class."""
    rng = np.random.default_rng(1)
    none = {"estimators": [], "spokesman": None, "comparisons": [], "points": None, "worst": []}
    cells = []
    for head in ("ncm", "text_gaussian"):
        for K in (0, 1, 5):
            names = {"dataset": "eurosat", "backbone": "resnet50", "feature": "pooled"}
            names |= {"head": head, "ways": 5, "shots": K, "seed": 0}
            cell, _ = make_cell(rng, names, 0.2, 20, ())
            measures = [measure("auroc", 0.8 + 0.02 * K), measure("fpr95", 0.4, "lower")]
            cells.append(cell | none | {"task": "verification", "measures": measures})
    for rule in ("fixed", "max"):
        names = {"dataset": "eurosat", "backbone": "resnet50", "feature": "projection"}
        names |= {"head": rule, "ways": None, "shots": 0, "seed": 0}
        cell, _ = make_cell(rng, names, 0.2, 20, ())
        ats = [measure("macro_f1", 0.9 - 0.1 * i, at=a) for i, a in enumerate((0.5, 0.2, 0.1))]
        difference = {"mean": 0.02, "lower": 0.01, "upper": 0.03}
        pair = {"first": "fixed", "second": "max", "measure": "macro_f1", "at": 0.5,
                "difference": difference, "episodes": None}  # fmt: skip
        cells.append(cell | none | {"task": "one_class", "source": "llm", "against": "all",
                                    "measures": ats, "comparisons": [pair]})  # fmt: skip
    return cells


def write_page(path: Path, data: Any, answer: Any = ()) -> Path:
    """Render `data` as a run's payload is rendered."""
    from fewshot.report.payload.html import page_text
    from fewshot.report.payload.payload import Payload, page_charts, page_tasks

    data = {
        "charts": page_charts(),
        "tasks": page_tasks(cell["task"] for cell in data["cells"]),
        **data,
    }
    summary = {"cells": data["cells"], "created": "2026-03-01T12:00:00+00:00"}
    path.write_text(page_text(summary, Payload(data, list(answer))), encoding="utf-8")
    return path
