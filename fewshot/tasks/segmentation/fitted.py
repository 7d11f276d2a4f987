"""Heads fitted on all annotated images of a data set, which segment further images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.hardware import torch_threads
from fewshot.paths import places_of
from fewshot.tasks.segmentation.annotated import AnnotatedImages
from fewshot.tasks.segmentation.counting import segmented
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, threads_of
from fewshot.tasks.segmentation.draws import EVERY_CLASS, DrawSet
from fewshot.tasks.segmentation.estimators.base import (
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.fitting import DrawFit
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.source import MaskSource


@dataclass(frozen=True, eq=False)
class Annotated:
    """The annotated images of a data set, as a draw that has all of them.

    Attributes
    ----------
    source : AnnotatedImages
    features : DenseFeatures
    drawn : DrawSet
        One draw, without queries.
    """

    source: AnnotatedImages
    features: DenseFeatures
    drawn: DrawSet

    @property
    def dataset(self) -> MaskDataset:
        """The data set that they are of."""
        return self.source.dataset

    @property
    def rows(self) -> NDArray[np.int64]:
        """Their rows."""
        return self.drawn.support_of(0)

    def images_by_class(self) -> NDArray[np.int64]:
        """Numbers (C,) of annotated images that show a class."""
        counts: NDArray[np.int64] = (self.dataset.presence()[self.rows] > 0).sum(0)
        return counts

    def fit(self, heads: Sequence[DenseHead], seed: int = 0) -> FittedHeads:
        """Unfitted copies of heads, fitted on all of them.

        Raises
        ------
        FewshotError
            A head for another number of classes.
        """
        for head in heads:
            head.check_ways(self.drawn.ways)
        return FittedHeads(DrawFit(self.source, self.drawn, 0, heads, seed))


@dataclass(frozen=True, eq=False)
class FittedHeads:
    """Heads fitted on all annotated images, and what is predicted of them."""

    fits: DrawFit

    def predictions(
        self, estimators: Mapping[str, SegmentationEstimator], level: float
    ) -> list[dict[str, SegmentationPrediction]]:
        """What estimators predict of every head, by name, with intervals of a nominal coverage."""
        return self.fits.predictions(estimators, level)


def segment_image(
    head: DenseHead, features: DenseFeatures, image: Image.Image
) -> NDArray[np.int16]:
    """Class numbers (H, W) of an RGB image by a fitted head."""
    tokens = features.tokens(image)
    # Sums that cores share have other last bits.
    cores = torch_threads(1) if features.device.type == "cpu" else nullcontext()
    with torch.inference_mode(), cores:
        scores = head.scores(tokens.features.to(features.device), tokens.grid)
        answer = segmented(scores.view(*tokens.grid, -1), tokens.placement)
    numbers: NDArray[np.int16] = answer.cpu().numpy()
    return numbers


def annotated(
    source: MaskSource, settings: SegmentationSettings, threads: int | None = None
) -> Annotated:
    """All annotated images that supports are drawn from; tokens are extracted where missing.

    Parameters
    ----------
    source : MaskSource
    settings : SegmentationSettings
    threads : int, optional
        All cores by default; one for an accelerator.

    Raises
    ------
    FewshotError
        Images or masks that cannot be read, or a backbone without dense features.
    """
    dataset = source.load()
    features = source.features(settings)
    bank = DenseBank(places_of(source.settings["paths"]).banks, features, dataset.images)
    bank.ensure(dataset.support, threads or threads_of(source.device))
    images = AnnotatedImages(dataset, bank, source.device)
    return Annotated(images, features, draw_of_all(dataset))


def draw_of_all(dataset: MaskDataset) -> DrawSet:
    """One draw with every image of the support part, and no query."""
    rows = np.asarray(dataset.support, dtype=np.int64)[None]
    ways = len(dataset.classnames)
    return DrawSet(
        "total",
        rows.shape[1],
        rows,
        np.full_like(rows, EVERY_CLASS),
        np.empty((1, 0), dtype=np.int64),
        np.arange(ways)[None],
        ways,
    )
