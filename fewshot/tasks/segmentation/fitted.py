"""A head fitted on all annotated images of a data set, which segments further images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.exceptions import FewshotError
from fewshot.hardware import available_cores
from fewshot.paths import places_of
from fewshot.tasks.segmentation.counting import segmented
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.bilinear import soft_labels
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.heads.base import DenseHead, DenseSupport, SupportImage
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.source import MaskSource


@dataclass(frozen=True, eq=False)
class Annotated:
    """The annotated images of a data set: tokens and soft labels.

    Attributes
    ----------
    dataset : MaskDataset
    rows : ndarray of int64
        Of the data set.
    features : DenseFeatures
    bank : DenseBank
        Has the tokens of `rows`.
    support : DenseSupport
        In the order of `rows`.
    """

    dataset: MaskDataset
    rows: NDArray[np.int64]
    features: DenseFeatures
    bank: DenseBank
    support: DenseSupport

    def fit(self, head: DenseHead, seed: int = 0) -> Fitted:
        """An unfitted copy of a head, fitted on all of them.

        Raises
        ------
        FewshotError
            A head for another number of classes.
        """
        ways = len(self.dataset.classnames)
        if head.only_ways is not None and head.only_ways != ways:
            raise FewshotError(
                "head",
                f"{type(head).__name__} is for {head.only_ways} classes, and {self.dataset.name} "
                f"has {ways}",
            )
        return Fitted(self.features, head.clone().fit(self.support, seed))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted head and the features it reads."""

    features: DenseFeatures
    head: DenseHead

    def segment(self, image: Image.Image) -> NDArray[np.int16]:
        """Class numbers (H, W) of an RGB image."""
        tokens = self.features.tokens(image)
        with torch.inference_mode():
            scores = self.head.scores(tokens.features, tokens.grid)
            answer = segmented(scores.view(*tokens.grid, -1), tokens.placement)
        numbers: NDArray[np.int16] = answer.cpu().numpy()
        return numbers


def annotated(
    source: MaskSource,
    settings: SegmentationSettings,
    rows: Sequence[int] | None = None,
    threads: int | None = None,
) -> Annotated:
    """Tokens and soft labels of annotated images, extracted where they are missing.

    Parameters
    ----------
    source : MaskSource
    settings : SegmentationSettings
    rows : sequence of int, optional
        Of the data set; by default all that supports are drawn from.
    threads : int, optional
        All cores by default.

    Raises
    ------
    FewshotError
        Images or masks that cannot be read, or a backbone without dense features.
    """
    dataset = source.load()
    chosen = np.asarray(dataset.support if rows is None else rows, dtype=np.int64)
    features = DenseFeatures(
        source.backbone(), settings.size, settings.stride, settings.layers, source.device
    )
    bank = DenseBank(places_of(source.settings["paths"]).banks, features, dataset.images)
    bank.ensure(chosen, threads or available_cores())
    ways = len(dataset.classnames)
    images = [_image(dataset, bank, int(row), ways) for row in chosen]
    return Annotated(dataset, chosen, features, bank, DenseSupport(images, ways))


def _image(dataset: MaskDataset, bank: DenseBank, row: int, ways: int) -> SupportImage:
    tokens = bank.tokens(row)
    mask = torch.from_numpy(dataset.read_mask(row).astype(np.int64))
    return SupportImage(tokens.features, soft_labels(mask, ways, tokens.placement), tokens.grid)
