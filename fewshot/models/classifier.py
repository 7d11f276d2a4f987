"""A classifier to take away: images in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import unreadable_of
from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.networks import Network
from fewshot.evaluation.predict import BACKBONES, HEADS, predict
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import make_bank
from fewshot.features.ranges import unit_length
from fewshot.heads.base import Head
from fewshot.models.header import Header
from fewshot.models.inputs import feature_tensor, image_dataset, is_feature_array
from fewshot.models.labels import Labels
from fewshot.models.taken import take
from fewshot.tasks.classification.labelling.fitted import FittedClassifier
from fewshot.tasks.classification.labelling.labels import BUDGET, LEVEL, labels_of


class Classifier(ClassifierMixin, BaseEstimator):
    """A classifier fitted on a few labelled images, with its predicted error.

    A scikit-learn classifier of images (paths, PIL images, arrays), or of features. Which backbone
    and head are taken is decided by the errors that are predicted for them, as `fewshot.predict`
    does; no validation set is needed.

    Parameters
    ----------
    backbone : str or several, or None
        As for `fewshot.extract`; None: X has features.
    head : str, Head, or several
    level : float
        Nominal coverage of the interval of the predicted error.
    calibrator : str, optional
        JSON of ``fewshot calibrate``.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    size : int, optional
        Input of the network in pixels.

    Attributes
    ----------
    classes_ : ndarray of shape (N,)
        Labels, in the order of the columns of `predict_proba`.
    fitted_ : FittedClassifier
    network_ : Network or None
        None for a classifier of features.
    header_ : Header
        What `save` writes of it: the predicted error with its interval, versions, a model card.
    """

    classes_: NDArray
    fitted_: FittedClassifier
    network_: Network | None
    header_: Header

    def __init__(
        self,
        backbone: str | Iterable[str] | None = BACKBONES,
        head: str | Head | Iterable[str | Head] = HEADS,
        level: float = 0.9,
        calibrator: str | None = None,
        device: str = "auto",
        weights: str | Path | None = None,
        size: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.head = head
        self.level = level
        self.calibrator = calibrator
        self.device = device
        self.weights = weights
        self.size = size

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on images or features X (M) and labels y (M,), strings or integers."""
        options: dict[str, Any] = {
            "head": self.head,
            "level": self.level,
            "calibrator": self.calibrator,
        }
        if self.backbone is None:
            forecasts = predict(make_bank(feature_tensor(X).numpy(), y), **options)
        else:
            forecasts = predict(
                _labelled(X, y), backbone=self.backbone, device=self.device, weights=self.weights,
                size=self.size, on_error="raise", **options,
            )  # fmt: skip
        return self._take(forecasts)

    @classmethod
    def of(cls, forecasts: Forecasts) -> Self:
        """The best head on the best backbone of a prediction, fitted."""
        return cls()._take(forecasts)

    def _take(self, forecasts: Forecasts) -> Self:
        self.fitted_, self.network_, self.header_ = take(forecasts)
        self.classes_ = np.array(self.fitted_.classnames)
        return self

    def predict(self, X: Any) -> NDArray:
        """Labels (M,) of images or features."""
        answers: NDArray = self.classes_[self.predict_proba(X).argmax(-1)]
        return answers

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities (M, N), float64; rows sum to 1.

        Parameters
        ----------
        X : path, or sequence of M paths, PIL images or uint8 arrays (H, W, 3); or features (M, D)

        Raises
        ------
        FewshotError
            An image that cannot be read, weights that cannot be had, other features.
        """
        probabilities: NDArray = self.fitted_.predict_proba(self._features(X)).numpy()
        return probabilities

    def predict_set(self, X: Any, level: float = LEVEL) -> NDArray:
        """Which classes are in the set (M, N), bool, that has the true one at a level."""
        probabilities = self.fitted_.predict_proba(self._features(X))
        members: NDArray = self.fitted_.sets.members(probabilities, level).numpy()
        return members

    def classify(self, images: Any, budget: float = BUDGET, level: float = LEVEL) -> Labels:
        """Labels of images with their doubts; those that cannot be read are named and passed over.

        Parameters
        ----------
        images : as for `predict_proba`
        budget : float in [0, 1)
            Expected share of wrong labels among those that nobody is asked to look at.
        level : float in (0, 1)
            Of the sets of classes.
        """
        dataset = image_dataset(images, "images")
        features, failures = self._streamed(dataset)
        lost = {failure["row"] for failure in failures}
        files = [path for row, path in enumerate(dataset.paths) if row not in lost]
        rows = labels_of(self.fitted_, features, files, budget=budget, level=level)
        return Labels(rows, failures, self.fitted_.classnames, budget, level, self.header_.name)

    @property
    def card(self) -> str:
        """The model card, in Markdown."""
        return self.header_.card

    def save(self, path: str | Path, with_weights: bool = False) -> None:
        """Write it as one file: see docs/models.md.

        Parameters
        ----------
        path : path
            By custom ``NAME.fewshot``.
        with_weights : bool
            Whether the weights of the network are packed; else they are referred to by their hash.
        """
        from fewshot.models.saving import save_classifier

        save_classifier(self, path, with_weights)

    def _features(self, X: Any) -> torch.Tensor:
        """Features (M, D) as the head takes them."""
        if is_feature_array(X):
            return self._normalised(feature_tensor(X))
        dataset = image_dataset(X)
        features, failures = self._streamed(dataset)
        if failures:
            raise unreadable_of(failures[:1])
        return features

    def _streamed(self, dataset: ImageDataset) -> tuple[torch.Tensor, list[dict[str, Any]]]:
        if self.network_ is None:
            raise FewshotError("X", "expected features (M, D), as it was fitted on, got images")
        parts, failures = [], []
        for batch in self.network_.stream(dataset):
            parts.append(batch.features)
            failures += batch.failures
        parts = [part for part in parts if len(part)]
        features = torch.cat(parts) if parts else torch.empty((0, 0))
        return self._normalised(features), failures

    def _normalised(self, features: torch.Tensor) -> torch.Tensor:
        return unit_length(features) if self.header_.normalize == "l2" else features


def _labelled(X: Any, y: Any) -> ImageDataset:
    from dataclasses import replace

    from fewshot.datasets.labels import encode_labels

    dataset = image_dataset(X)
    labels, names = encode_labels(y, None)
    expect(len(labels) == len(dataset), "y", f"expected {len(dataset)} labels, got {len(labels)}")
    return replace(dataset, labels=labels, classnames=names)
