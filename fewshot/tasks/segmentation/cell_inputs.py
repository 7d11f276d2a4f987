"""What the rows and the summary of a cell are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.part_names import NOVEL
from fewshot.results.schema import CellColumns
from fewshot.tasks.segmentation.annotated import annotated_pixels
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.estimators.base import SegmentationEstimator, SegmentationPrediction
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.judging import Judged
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.measures import (
    dice,
    fb_iou,
    miou,
    pixel_accuracy,
)
from fewshot.tasks.segmentation.schema import (
    NAME,
)

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

    @cached_property
    def annotated_pixels(self) -> NDArray[np.int64]:
        """Annotated pixels (E, S, N) of every class in every image of every draw."""
        return annotated_pixels(self.dataset, self.drawn)

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
