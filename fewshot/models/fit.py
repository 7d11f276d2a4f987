"""Fit a classifier on a few labelled images."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.notices import Notices
from fewshot.evaluation.predict import predict
from fewshot.exceptions import FewshotError, expect, expect_choice, suggestion
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.models.classifier import Classifier

if TYPE_CHECKING:
    from fewshot.models.segmentation.segmenter import Segmenter

TASKS = ("classification", "segmentation")
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


@overload
def fit(
    images: Any, *, task: Literal["classification"] = ..., **options: Unpack[FitOptions]
) -> Classifier: ...
@overload
def fit(images: Any, *, task: Literal["segmentation"], **options: Any) -> Segmenter: ...
def fit(images: Any, *, task: str = TASKS[0], **options: Any) -> Classifier | Segmenter:
    """Fit a classifier on a few labelled images, to save and to classify others with.

    Parameters
    ----------
    images : str, Path, ImageDataset, FeatureBank or Forecasts
        A folder with a sub-folder of images per class; a data set; features; or what
        `fewshot.predict` returned, whose best head on its best backbone is fitted. For segmentation
        a folder with ``images/`` and ``masks/``, a MaskDataset or a name of ``fewshot list
        datasets``.
    task : {"classification", "segmentation"}
    **options
        As for `fewshot.predict`: ``backbone``, ``head``, ``base``, ``unlabelled``, ``calibrator``,
        ``level``, ``on_error``, ``device``, ``weights``, ``size`` ... Of segmentation those of
        `fewshot.models.segmentation.fitting.fit_segmenter`: ``backbone``, ``head``, ``options``,
        ``settings``, ``prediction``, ``device``, ``weights`` ...

    Returns
    -------
    Classifier, or Segmenter for segmentation
        Its backbone and head are those that were taken, so that a clone is fitted in the same way.

    Raises
    ------
    FewshotError
        See `fewshot.predict`; an unknown option, or options beside forecasts.
    """
    expect_choice("task", task, TASKS)
    if task == TASKS[1]:
        from fewshot.models.segmentation.fitting import fit_segmenter

        _expect_known(options, [*inspect.signature(fit_segmenter).parameters][1:])
        return fit_segmenter(images, **options)
    _expect_known(options, FitOptions.__annotations__)
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


def _expect_known(options: Iterable[str], known: Iterable[str]) -> None:
    for name in set(options) - set(known):
        raise FewshotError(name, "fewshot.fit has no such argument", suggestion(name, known))


def _signature() -> inspect.Signature:
    """The options of a classifier with their defaults, and the task."""
    shown = inspect.signature(predict)
    task = inspect.Parameter("task", inspect.Parameter.KEYWORD_ONLY, default=TASKS[0])
    parameters = [*shown.parameters.values(), task]
    return shown.replace(parameters=parameters, return_annotation="Classifier | Segmenter")


fit.__signature__ = _signature()  # type: ignore[attr-defined]  # as `help` and notebooks show it
