"""Fit a classifier on a few labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.predict import predict
from fewshot.exceptions import expect_choice
from fewshot.models.classifier import Classifier

if TYPE_CHECKING:
    from fewshot.models.segmentation.segmenter import Segmenter


@overload
def fit(
    images: Any, *, task: Literal["classification"] = "classification", **options: Any
) -> Classifier: ...
@overload
def fit(images: Any, *, task: Literal["segmentation"], **options: Any) -> Segmenter: ...
def fit(images: Any, *, task: str = "classification", **options: Any) -> Classifier | Segmenter:
    """Fit a classifier on a few labelled images, to save and to classify others with.

    Parameters
    ----------
    images : str, Path, FeatureBank or Forecasts
        A folder with a sub-folder of images per class; features; or what `fewshot.predict`
        returned, whose best head on its best backbone is fitted. For segmentation a folder with
        ``images/`` and ``masks/``.
    task : {"classification", "segmentation"}
    **options
        As for `fewshot.predict`; of segmentation as for `fewshot.segment`, and ``prediction=False``
        to leave out the predicted mIoU.

    Returns
    -------
    Classifier, or Segmenter for segmentation

    Raises
    ------
    FewshotError
        See `fewshot.predict`.
    """
    if task == "segmentation":
        from fewshot.models.segmentation.fitting import fit_segmenter

        return fit_segmenter(images, **options)
    expect_choice("task", task, ("classification", "segmentation"))
    forecasts = images if isinstance(images, Forecasts) else predict(images, **options)
    return Classifier.of(forecasts)
