"""Predicted mean IoU of heads on several backbones, from the annotated images of a folder alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.evaluation.inputs import BACKBONE
from fewshot.evaluation.mask_source import ESTIMATOR, mask_source
from fewshot.evaluation.named import named_heads
from fewshot.evaluation.networks import Usable
from fewshot.evaluation.notices import AsWarnings, Notices
from fewshot.report.text.segmented import forecast_text, prediction_facts
from fewshot.tasks import task_named
from fewshot.tasks.segmentation.estimators.base import (
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.estimators.leave_out import LeaveOneGroupOut, LeaveOneImageOut
from fewshot.tasks.segmentation.fitted import Annotated, annotated
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.schema import NAME
from fewshot.tasks.segmentation.settings import SegmentationSettings

if TYPE_CHECKING:
    import pandas as pd

OF_GROUPS = "loo_group"
HEADS = ("pixel_lda", "prototype")


@dataclass(frozen=True, eq=False)
class MaskForecast:
    """What is predicted of a head on a backbone, fitted on all annotated images.

    Attributes
    ----------
    backbone, head : str
    predicted : SegmentationPrediction
        Of further images like the annotated ones.
    new_groups : SegmentationPrediction or None
        Of images of other groups (places, patients), where the data set has groups.
    """

    backbone: str
    head: str
    predicted: SegmentationPrediction
    new_groups: SegmentationPrediction | None = None


@dataclass(frozen=True, eq=False)
class MaskForecasts:
    """Forecasts of every head on every backbone, the highest mean IoU first.

    Attributes
    ----------
    rows : list of MaskForecast
    dataset : str
    classnames : tuple of str
    images : list of int
        Annotated images that show a class.
    annotated : int
        Images in all.
    level : float
        Nominal coverage of the intervals.
    """

    rows: list[MaskForecast]
    dataset: str
    classnames: tuple[str, ...]
    images: list[int]
    annotated: int
    level: float

    @property
    def best(self) -> MaskForecast:
        """The forecast with the highest mean IoU."""
        return self.rows[0]

    @property
    def table(self) -> pd.DataFrame:
        """A row per backbone and head: ``miou`` with its interval, and ``pixel_error``.

        Of data sets with groups also ``group_miou``, ``group_lower`` and ``group_upper``.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "backbone": row.backbone,
                "head": row.head,
                "miou": row.predicted.miou,
                "lower": row.predicted.lower,
                "upper": row.predicted.upper,
                "pixel_error": row.predicted.pixel_error,
                **_of_groups(row.new_groups),
                "reservations": "; ".join(row.predicted.reservations),
            }
            for row in self.rows
        )

    @property
    def classes(self) -> pd.DataFrame:
        """A row per backbone, head and class: ``iou`` with its interval, annotated ``images``."""
        import pandas as pd

        return pd.DataFrame(
            {
                "backbone": row.backbone,
                "head": row.head,
                "class": name,
                "iou": row.predicted.iou[c],
                "lower": row.predicted.class_lower[c],
                "upper": row.predicted.class_upper[c],
                "images": self.images[c],
                "reservation": row.predicted.class_reservations.get(c, ""),
            }
            for row in self.rows
            for c, name in enumerate(self.classnames)
        )

    def as_json(self) -> dict[str, Any]:
        """All of it in types of JSON; null where nothing is known."""
        return {
            "dataset": self.dataset,
            "annotated": self.annotated,
            "images": dict(zip(self.classnames, self.images, strict=True)),
            "best": {"backbone": self.best.backbone, "head": self.best.head},
            "forecasts": [
                {
                    "backbone": row.backbone,
                    "head": row.head,
                    **prediction_facts(row.predicted, self.classnames, self.level),
                    "new_groups": None
                    if row.new_groups is None
                    else prediction_facts(row.new_groups, self.classnames, self.level),
                }
                for row in self.rows
            ],
        }

    def __str__(self) -> str:
        return forecast_text(self)

    __repr__ = __str__


def predict_masks(
    support: Any,
    backbone: str | Iterable[str] = BACKBONE,
    head: str | DenseHead | Iterable[str | DenseHead] = HEADS,
    *,
    level: float = SegmentationSettings.level,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    weights: str | Path | None = None,
    threads: int | None = None,
    seed: int = 0,
    notices: Notices | None = None,
) -> MaskForecasts:
    """Predict how well heads segment that are fitted on all annotated images of a folder.

    Every annotated image is segmented by heads that are fitted on the others.

    Parameters
    ----------
    support : str, Path or MaskDataset
        A folder with ``images/`` and ``masks/``, or a name of ``fewshot list datasets``.
    backbone : str, or several
        Names of ``fewshot list backbones``.
    head : str or DenseHead, or several
        Names of ``fewshot list heads --task segmentation``, or objects.
    level : float in (0, 0.99]
        Nominal coverage of the intervals.
    options, settings, device, weights, threads, seed
        See `fewshot.segment`.
    notices : Notices, optional
        What is told on the way; warnings of Python by default.

    Raises
    ------
    FewshotError
        No masks there, masks that do not fit, an unknown head, or no backbone that can be used.
    """
    names = [backbone] if isinstance(backbone, str) else list(backbone)
    heads = named_heads(head, task_named(NAME).registry("head"))
    usable = Usable(names, AsWarnings() if notices is None else notices)
    common = {"options": {**(options or {}), "level": level}, "settings": settings,
              "device": device, "weights": weights}  # fmt: skip
    supports = usable.of(names, partial(_annotated, support, threads, common))
    rows = []
    for name, images in supports.items():
        fits = images.fit([entry for _, entry in heads], seed)
        estimators: dict[str, SegmentationEstimator] = {ESTIMATOR: LeaveOneImageOut()}
        if images.dataset.groups is not None:
            estimators[OF_GROUPS] = LeaveOneGroupOut()
        predictions = fits.predictions(estimators, level)
        rows += [
            MaskForecast(name, label, predicted[ESTIMATOR], predicted.get(OF_GROUPS))
            for (label, _), predicted in zip(heads, predictions, strict=True)
        ]
    first = next(iter(supports.values()))
    return MaskForecasts(
        sorted(rows, key=_worst_last),
        first.dataset.name,
        first.dataset.classnames,
        first.images_by_class().tolist(),
        len(first.rows),
        level,
    )


def _annotated(support: Any, threads: int | None, common: dict[str, Any], name: str) -> Annotated:
    source, section = mask_source(support, argument="images", backbone=name, **common)
    return annotated(source, section, threads)


def _of_groups(predicted: SegmentationPrediction | None) -> dict[str, float]:
    if predicted is None:
        return {}
    return {
        "group_miou": predicted.miou,
        "group_lower": predicted.lower,
        "group_upper": predicted.upper,
    }


def _worst_last(row: MaskForecast) -> float:
    """Minus the mean IoU; those without a prediction come last."""
    miou = row.predicted.miou
    return 1.0 if math.isnan(miou) else -miou
