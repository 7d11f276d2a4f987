"""Images to features of a frozen network, as a transformer of scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fewshot.evaluation.networks import Network, network_named
from fewshot.evaluation.predict import BACKBONES
from fewshot.features.ranges import unit_length
from fewshot.models.inputs import errors_of, image_dataset


class ImageFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of images under a frozen network, at unit length.

    Nothing is learned from the images. They are read and kept in the cache as by
    `fewshot.extract`, so that an image set goes through the network once, however often a search
    or a validation asks for it.

    Parameters
    ----------
    backbone : str
        As for `fewshot.extract`.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    size : int, optional
        Input of the network in pixels.
    cache : bool
        Whether features are looked for in the cache, and kept there. Without it they are computed
        in float32, with it in bfloat16 where that gives nearly the same (``features.precision``).

    Attributes
    ----------
    network_ : Network
        Pickles have its name and settings, no weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> import fewshot
    >>> model = make_pipeline(fewshot.ImageFeatures(), fewshot.Classifier(backbone=None))
    >>> model[0].backbone
    'efficientnet_lite0'
    """

    network_: Network

    def __init__(
        self,
        backbone: str = BACKBONES[0],
        device: str = "auto",
        weights: str | Path | None = None,
        size: int | None = None,
        cache: bool = True,
    ) -> None:
        self.backbone = backbone
        self.device = device
        self.weights = weights
        self.size = size
        self.cache = cache

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the network; `y` is ignored.

        Parameters
        ----------
        X : as for `transform`
        y : ignored

        Raises
        ------
        FewshotError
            An unknown backbone or device, or no weights; images as for `transform`.
        """
        network = network_named(
            self.backbone, device=self.device, weights=self.weights, size=self.size
        )
        dataset = image_dataset(X)
        with errors_of("X"):
            if self.cache:
                # The precision of these images is that of all that follow.
                bank = network(dataset)
                self.network_ = network.at(bank.info["causes"]["precision"])
                self._n_features_out = bank.dim
            else:
                self.network_ = network.at("float32")
                first = dataset.take_rows(np.array([0]))
                self._n_features_out = self.network_.features(first).shape[1]
        return self

    def transform(self, X: Any) -> NDArray:
        """Features (M, D), float32, at unit length.

        Parameters
        ----------
        X : path, or sequence of M images
            As for `Classifier.fit`; a folder stands for the images in it, at any depth.

        Raises
        ------
        FewshotError
            An image that cannot be read, which is named; something else than images.
        """
        check_is_fitted(self)
        dataset = image_dataset(X)
        with errors_of("X"):
            if self.cache:
                bank = self.network_(dataset)
                rows = bank.take(torch.arange(len(bank)))
            else:
                rows = unit_length(self.network_.features(dataset))
        features: NDArray = rows.float().numpy()
        return features

    def __sklearn_tags__(self) -> Any:
        """Images are taken; no matrices."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags
