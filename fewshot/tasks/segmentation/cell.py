"""Rows and summary of a cell: one head on the draws of one number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.results.result import Result
from fewshot.tasks.base import columns_of
from fewshot.tasks.segmentation.cell_inputs import CellInputs, main_estimator, measures_of
from fewshot.tasks.segmentation.cell_summary import (
    class_summaries,
    confusion_shares,
    episodic_miou,
    estimator_summary,
)
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.measures import (
    class_iou,
    miou,
    pixel_accuracy,
)
from fewshot.tasks.segmentation.resampling import Resampling
from fewshot.tasks.segmentation.schema import (
    CLASS_PREDICTIONS,
    CLASSES,
    DRAWS,
    EXAMPLES,
    IMAGES,
    KEYS,
    PREDICTIONS,
    TABLES,
    SegmentationSummary,
)

RANKS = ("worst", "median", "best")


def segmentation_cell(inputs: CellInputs) -> Result:
    """The rows of a cell, and its summary without what the run adds.

    The table ``segmentation`` has a row per draw, ``segmentation_classes`` per draw and class,
    ``segmentation_predictions`` per draw and estimator, ``segmentation_class_predictions`` per
    draw, estimator and class, ``segmentation_images`` per draw and query.
    """
    drawn, judged = inputs.drawn, inputs.judged
    totals = judged.counts.sum(1)  # (E, 3, N)
    queries = float((drawn.queries >= 0).sum(1).mean())
    predictions = _with_yardsticks(inputs, totals)
    main = main_estimator(inputs.estimators)
    resampling = Resampling(drawn.queries, inputs.dataset.groups)
    measures = measures_of(inputs.background, drawn.first)
    intervals = {name: resampling.intervals(judged.counts, m) for name, m in measures.items()}
    near = judged.boundary
    of_classes = measures["miou"]
    intervals["boundary_iou"] = None if near is None else resampling.intervals(near, of_classes)
    intervals.setdefault("fb_iou", None)
    tables = {
        DRAWS.name: _draws(inputs, totals, predictions, main),
        CLASSES.name: _classes(inputs, totals),
        PREDICTIONS.name: _predictions(inputs, totals, predictions),
        CLASS_PREDICTIONS.name: _class_predictions(inputs, totals, predictions),
        IMAGES.name: _images(inputs),
        EXAMPLES.name: _examples(inputs),
    }
    identity = inputs.identity()
    tables = {
        table.name: tables[table.name].assign(**identity)[list(columns_of(table, KEYS))]
        for table in TABLES
    }
    summary = {
        **identity,
        "episodes": len(drawn),
        "queries": int(queries) if queries == int(queries) else round(queries, 1),
        "classnames": inputs.names(0),
        "class_predictions": len(inputs.estimators) * drawn.ways,
        "examples": len(RANKS),
        "query_rows": int((drawn.queries >= 0).sum()),
        **intervals,
        "confusion": confusion_shares(judged),
        "classes": class_summaries(inputs, totals, predictions, main),
        "estimators": {
            name: estimator_summary(name, inputs, totals, predictions) for name in inputs.estimators
        },
        "comparisons": [],
        "support_images": float(drawn.images.mean()),
    }
    if drawn.has_background:
        summary["miou_by_class"] = episodic_miou(inputs, totals)
    return Result(tables, cast("SegmentationSummary", summary))


def _with_yardsticks(
    inputs: CellInputs, totals: NDArray
) -> list[dict[str, SegmentationPrediction]]:
    """Predictions by draw, in the order of the estimators, with those that see the truth."""
    complete = []
    for draw, predictions in enumerate(inputs.predictions):
        others, first = totals[np.arange(len(totals)) != draw], inputs.drawn.first
        complete.append(
            {
                name: e.predict_from(others, inputs.level, first)
                if e.sees_truth
                else predictions[name]
                for name, e in inputs.estimators.items()
            }
        )
    return complete


def _draws(
    inputs: CellInputs,
    totals: NDArray,
    predictions: Sequence[dict[str, SegmentationPrediction]],
    main: str | None,
) -> pd.DataFrame:
    none = SegmentationPrediction.none(inputs.drawn.ways)
    said = [none if main is None else by_name[main] for by_name in predictions]
    unknown = np.full(len(totals), np.nan)
    near = inputs.judged.boundary
    measures = {
        name: m(totals) for name, m in measures_of(inputs.background, inputs.drawn.first).items()
    }
    return pd.DataFrame(
        {
            "episode": range(len(totals)),
            "fb_iou": unknown,
            **measures,
            "boundary_iou": unknown if near is None else miou(near.sum(1), inputs.drawn.first),
            "support_images": inputs.drawn.images,
            "queries": (inputs.drawn.queries >= 0).sum(1),
            "predicted_miou": [p.miou for p in said],
            "predicted_lower": [p.lower for p in said],
            "predicted_upper": [p.upper for p in said],
        }
    )  # fmt: skip


def _classes(inputs: CellInputs, totals: NDArray) -> pd.DataFrame:
    draws, ways = len(totals), inputs.drawn.ways
    pixels = inputs.annotated_pixels
    return pd.DataFrame(
        {
            "episode": np.repeat(np.arange(draws), ways),
            "class": [name for e in range(draws) for name in inputs.names(e)],
            "iou": class_iou(totals).reshape(-1),
            "support_images": (pixels > 0).sum(1).reshape(-1),
            "support_pixels": pixels.sum(1).reshape(-1),
            "pixels": totals[:, 1].reshape(-1),
            "predicted_pixels": totals[:, 2].reshape(-1),
        }
    )


def _predictions(
    inputs: CellInputs, totals: NDArray, predictions: Sequence[dict[str, SegmentationPrediction]]
) -> pd.DataFrame:
    actual, error = miou(totals, inputs.drawn.first), 1 - pixel_accuracy(totals)
    rows = [
        {
            "episode": e,
            "estimator": name,
            "predicted_miou": said.miou,
            "lower": said.lower,
            "upper": said.upper,
            "level": inputs.level if np.isfinite(said.lower) else np.nan,
            "actual_miou": actual[e],
            "predicted_pixel_error": said.pixel_error,
            "actual_pixel_error": error[e],
            "reservations": list(said.reservations),
        }
        for e, by_name in enumerate(predictions)
        for name, said in by_name.items()
    ]
    return pd.DataFrame(rows, columns=["episode", *PREDICTIONS.columns])


def _class_predictions(
    inputs: CellInputs, totals: NDArray, predictions: Sequence[dict[str, SegmentationPrediction]]
) -> pd.DataFrame:
    actual = class_iou(totals)
    rows = [
        {
            "episode": e,
            "estimator": name,
            "class": classname,
            "predicted_iou": said.iou[n],
            "lower": said.class_lower[n],
            "upper": said.class_upper[n],
            "actual_iou": actual[e, n],
            "reservation": said.class_reservations.get(n, ""),
        }
        for e, by_name in enumerate(predictions)
        for name, said in by_name.items()
        for n, classname in enumerate(inputs.names(e))
    ]
    return pd.DataFrame(rows, columns=["episode", *CLASS_PREDICTIONS.columns])


def _images(inputs: CellInputs) -> pd.DataFrame:
    draw, place = np.nonzero(inputs.drawn.queries >= 0)
    counts = inputs.judged.counts[draw, place]  # (R, 3, N)
    shown = [np.flatnonzero(c.any(0)) for c in counts]
    paths = inputs.dataset.images.paths
    lists = {
        name: [c[i][classes] for c, classes in zip(counts, shown, strict=True)]
        for i, name in enumerate(("intersection", "truth", "predicted"))
    }
    return pd.DataFrame(
        {
            "episode": draw,
            "file": [paths[row] for row in inputs.drawn.queries[draw, place]],
            "miou": miou(counts, inputs.drawn.first),
            "pixel_accuracy": pixel_accuracy(counts),
            "classes": shown,
            **lists,
        }
    )


def counts_of_rows(rows: pd.DataFrame, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Counts (E, Q, 3, N) of the rows of ``segmentation_images``, for shape (E, Q, N)."""
    draws, queries, ways = shape
    counts = np.zeros((draws, queries, 3, ways), dtype=np.int64)
    place = rows.groupby("episode").cumcount().to_numpy()
    columns = [rows[name] for name in ("classes", "intersection", "truth", "predicted")]
    for e, q, classes, *values in zip(rows["episode"], place, *columns, strict=True):
        counts[e, q][:, np.asarray(classes, dtype=np.int64)] = np.stack(values)
    return counts


def _examples(inputs: CellInputs) -> pd.DataFrame:
    rows = []
    for draw in range(len(inputs.drawn)):
        chosen = example_places(
            inputs.judged.counts[draw], inputs.drawn.queries[draw], inputs.drawn.first
        )
        for rank, (place, value) in zip(RANKS, chosen, strict=True):
            file = inputs.dataset.images.paths[inputs.drawn.queries[draw, place]]
            rows.append({"episode": draw, "rank": rank, "file": file, "miou": value, "picture": ""})
    return pd.DataFrame(rows, columns=["episode", *EXAMPLES.columns])


def example_places(counts: NDArray, queries: NDArray, first: int) -> list[tuple[int, float]]:
    """Places of the worst, the median and the best query of a draw, and their mIoU."""
    values = np.where(queries >= 0, miou(counts, first), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return [(0, float("nan"))] * len(RANKS)
    order = known[np.argsort(values[known], kind="stable")]
    places = (order[0], order[(len(order) - 1) // 2], order[-1])
    return [(int(place), float(values[place])) for place in places]
