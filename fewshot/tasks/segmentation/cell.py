"""Rows and summary of a cell: one head on the draws of one number of shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from fewshot.datasets.part_names import NOVEL
from fewshot.results.result import Result
from fewshot.results.schema import CellColumns
from fewshot.tasks.base import columns_of
from fewshot.tasks.segmentation.annotated import annotated_pixels
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.estimators.base import SegmentationEstimator, SegmentationPrediction
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.judging import Judged
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.measures import (
    class_iou,
    dice,
    fb_iou,
    miou,
    miou_by_class,
    pixel_accuracy,
)
from fewshot.tasks.segmentation.resampling import LEVEL, Resampling
from fewshot.tasks.segmentation.schema import (
    CLASS_PREDICTIONS,
    CLASSES,
    DRAWS,
    EXAMPLES,
    IMAGES,
    KEYS,
    NAME,
    PREDICTIONS,
    TABLES,
    ClassSummary,
    EstimatorSummary,
    SegmentationSummary,
)

RANKS = ("worst", "median", "best")
BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class CellInputs:
    """What the rows of a cell are made of.

    Attributes
    ----------
    dataset : MaskDataset
    drawn : DrawSet
    head : (str, DenseHead)
        Name for the rows, and the unfitted head.
    seed : int
    judged : Judged
    predictions : sequence of E dict of str to SegmentationPrediction
        By estimator; without those that see the truth.
    estimators : mapping of str to SegmentationEstimator
    level : float
        Nominal coverage of predicted intervals.
    columns : mapping
        ``backbone``, ``feature``, ``resolution``.
    """

    dataset: MaskDataset
    drawn: DrawSet
    head: tuple[str, DenseHead]
    seed: int
    judged: Judged
    predictions: Sequence[dict[str, SegmentationPrediction]]
    estimators: Mapping[str, SegmentationEstimator]
    level: float
    columns: Mapping[str, str]

    @property
    def background(self) -> int | None:
        """Number that the draws have for the background; None without any."""
        if self.drawn.has_background:
            return 0
        place = self.dataset.background
        number = -1 if place is None else int(self.drawn.labels[0, place])
        return None if number < 0 else number

    def identity(self) -> dict[str, Any]:
        """Columns that identify the cell."""
        columns: CellColumns = {
            "task": NAME,
            "dataset": self.dataset.name,
            "part": NOVEL,
            "backbone": self.columns["backbone"],
            "feature": self.columns["feature"],
            "head": self.head[0],
            "variant": self.head[1].variant(),
            "ways": self.drawn.ways,
            "shots": self.drawn.shots,
            "seed": self.seed,
        }
        keys = {"sampler": self.drawn.kind, "resolution": self.columns["resolution"]}
        return {**columns, **keys}

    def names(self, draw: int) -> list[str]:
        """Names of the classes 0 to N - 1 of a draw."""
        names = [BACKGROUND] * self.drawn.ways
        for number, label in enumerate(self.drawn.labels[draw]):
            if label > 0 or (label == 0 and not self.drawn.has_background):
                names[label] = self.dataset.classnames[number]
        return names


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
        "confusion": _confusion(judged),
        "classes": _class_summaries(inputs, totals, predictions, main),
        "estimators": {
            name: _estimator_summary(name, inputs, totals, predictions)
            for name in inputs.estimators
        },
        "comparisons": [],
        "support_images": float(drawn.images.mean()),
    }
    if drawn.has_background:
        summary["miou_by_class"] = _by_class(inputs, totals)
    return Result(tables, cast("SegmentationSummary", summary))


def measures_of(background: int | None, first: int) -> dict[str, Callable[[NDArray], NDArray]]:
    """Measures of counts by name, over classes from `first` on; FB-IoU with a background."""
    measures: dict[str, Callable[[NDArray], NDArray]] = {
        "miou": partial(miou, first=first),
        "pixel_accuracy": pixel_accuracy,
        "dice": partial(dice, first=first),
    }
    if background is not None:
        measures["fb_iou"] = partial(fb_iou, background=background)
    return measures


def main_estimator(estimators: Mapping[str, SegmentationEstimator]) -> str | None:
    """The estimator whose predictions stand beside the actual measures: the first that may."""
    return next((name for name, e in estimators.items() if not e.sees_truth), None)


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
            **{name: measures.get(name, unknown) for name in DRAWS.columns if name in (
                "miou", "pixel_accuracy", "dice", "fb_iou")},
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
    pixels = annotated_pixels(inputs.dataset, inputs.drawn)
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


def _confusion(judged: Judged) -> list[list[float]] | None:
    """Shares of the pixels of a true class (rows) by predicted class, all draws together."""
    if judged.confusions is None:
        return None
    total = judged.confusions.sum(0).astype(float)
    shares = total / np.maximum(total.sum(1, keepdims=True), 1)
    return [[round(float(value), 6) for value in row] for row in shares]


def _by_class(inputs: CellInputs, totals: NDArray) -> float:
    classes = np.stack(
        [np.argsort(np.where(row > 0, row, len(row) + 1))[: inputs.drawn.ways - 1]
         for row in inputs.drawn.labels]
    )  # fmt: skip
    return miou_by_class(totals, classes)


def _class_summaries(
    inputs: CellInputs,
    totals: NDArray,
    predictions: Sequence[dict[str, SegmentationPrediction]],
    main: str | None,
) -> list[ClassSummary]:
    """A class over the draws that have it, in order of the data set's classes."""
    iou, images = class_iou(totals), (annotated_pixels(inputs.dataset, inputs.drawn) > 0).sum(1)
    pixels = totals[:, 1]
    places: dict[str, list[tuple[int, int]]] = {}
    for e in range(len(totals)):
        for n, name in enumerate(inputs.names(e)):
            places.setdefault(name, []).append((e, n))
    summaries = []
    for name, members in places.items():
        e, n = np.array(members).T
        values = iou[e, n]
        mean, half = _mean_half(values[np.isfinite(values)])
        said = [predictions[i][main].iou[j] for i, j in members] if main is not None else []
        summaries.append(
            ClassSummary(
                name=name,
                iou=mean,
                lower=None if mean is None or half is None else mean - half,
                upper=None if mean is None or half is None else mean + half,
                share=float(pixels[e, n].sum() / max(1, pixels[e].sum())),
                support_images=float(images[e, n].mean()),
                predicted=_mean(np.array(said, dtype=float)),
            )
        )
    return summaries


def _mean_half(values: NDArray) -> tuple[float | None, float | None]:
    """Mean and half the width of Student's interval over draws; None where undefined."""
    if not len(values):
        return None, None
    if len(values) == 1:
        return float(values[0]), None
    t = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
    return float(values.mean()), float(t * values.std(ddof=1) / np.sqrt(len(values)))


def _mean(values: NDArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _estimator_summary(
    name: str,
    inputs: CellInputs,
    totals: NDArray,
    predictions: Sequence[dict[str, SegmentationPrediction]],
) -> EstimatorSummary:
    said = [by_name[name] for by_name in predictions]
    actual, actual_iou = miou(totals, inputs.drawn.first), class_iou(totals)
    predicted = np.array([p.miou for p in said])
    lower, upper = np.array([p.lower for p in said]), np.array([p.upper for p in said])
    inside = (lower <= actual) & (actual <= upper)
    has = np.isfinite(lower) & np.isfinite(actual)
    iou = np.stack([p.iou for p in said])
    errors = np.array([p.pixel_error for p in said]) - (1 - pixel_accuracy(totals))
    reservations = [r for p in said for r in p.reservations]
    return {
        "predicted_miou": _mean(predicted),
        "mae": _mean(np.abs(predicted - actual)),
        "bias": _mean(predicted - actual),
        "coverage": float(inside[has].mean()) if has.any() else None,
        "width": _mean(upper - lower),
        "class_correlation": _correlation(iou.ravel(), actual_iou.ravel()),
        "class_mae": _mean(np.abs(iou - actual_iou).ravel()),
        "pixel_error_bias": _mean(errors),
        "level": inputs.level if has.any() else None,
        "reservations": list(dict.fromkeys(reservations)),
    }


def _correlation(first: NDArray, second: NDArray) -> float | None:
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 3 or first[known].std() == 0 or second[known].std() == 0:
        return None
    return float(np.corrcoef(first[known], second[known])[0, 1])
