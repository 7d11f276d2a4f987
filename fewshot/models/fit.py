"""Fit a classifier on a few labelled images."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict, Unpack

from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.notices import Notices
from fewshot.evaluation.predict import predict
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.models.classifier import Classifier

# What a classifier has as parameters too, so that a clone is fitted in the same way.
SHARED = ("calibrator", "device", "weights", "size")


class FitOptions(TypedDict, total=False):
    """The options of `fewshot.predict`, for editors and type checkers."""

    backbone: str | Iterable[str]
    head: str | Head | Iterable[str | Head]
    base: Any
    unlabelled: Any
    query: Any
    target: float | None
    more: int | Iterable[int]
    next_labels: int | None
    calibrator: str | None
    level: float
    on_error: str
    device: str
    weights: str | Path | None
    size: int | None
    notices: Notices | None


def fit(images: Any, **options: Unpack[FitOptions]) -> Classifier:
    """Fit a classifier on a few labelled images, to save and to classify others with.

    Parameters
    ----------
    images : str, Path, FeatureBank or Forecasts
        A folder with a sub-folder of images per class; features; or what `fewshot.predict`
        returned, whose best head on its best backbone is fitted.
    **options
        As for `fewshot.predict`: ``backbone``, ``head``, ``base``, ``unlabelled``, ``calibrator``,
        ``level``, ``on_error``, ``device``, ``weights``, ``size`` ...

    Returns
    -------
    Classifier
        Its backbone and head are those that were taken, so that a clone is fitted in the same way.

    Raises
    ------
    FewshotError
        See `fewshot.predict`; an unknown option, or options beside forecasts.
    """
    known = set(FitOptions.__annotations__)
    for name in options.keys() - known:
        raise FewshotError(name, "fewshot.fit has no such argument", suggestion(name, known))
    if isinstance(images, Forecasts):
        expect(not options, next(iter(options), ""), "expected no options beside forecasts, which "
               "were made with theirs", "Give it to fewshot.predict.")  # fmt: skip
        return Classifier.of(images)
    if not isinstance(images, str | Path | FeatureBank | ImageDataset):
        problem = f"expected a folder, features or forecasts, got {type(images).__name__}"
        remedy = "With labels beside them: fewshot.Classifier().fit(X, y)."
        raise FewshotError("images", problem, remedy)
    forecasts = predict(images, **options)
    shared = {name: value for name, value in options.items() if name in SHARED}
    return Classifier.of(forecasts, **shared)


# Its options with their defaults, as `help` and editors of notebooks show them.
fit.__signature__ = inspect.signature(predict).replace(return_annotation="Classifier")  # type: ignore[attr-defined]
