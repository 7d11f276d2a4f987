"""Fit a classifier on a few labelled images."""

from __future__ import annotations

from typing import Any

from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.predict import predict
from fewshot.models.classifier import Classifier


def fit(images: Any, **options: Any) -> Classifier:
    """Fit a classifier on a few labelled images, to save and to classify others with.

    Parameters
    ----------
    images : str, Path, FeatureBank or Forecasts
        A folder with a sub-folder of images per class; features; or what `fewshot.predict`
        returned, whose best head on its best backbone is fitted.
    **options
        As for `fewshot.predict`.

    Returns
    -------
    Classifier

    Raises
    ------
    FewshotError
        See `fewshot.predict`.
    """
    forecasts = images if isinstance(images, Forecasts) else predict(images, **options)
    return Classifier.of(forecasts)
