"""The images with masks and the backbone of a run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.datasets import COMMON
from fewshot.datasets import kinds as all_kinds
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.paths import places_of
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.settings import SegmentationSettings


class MaskSource:
    """Images with masks, and the backbone, of a configuration.

    Parameters
    ----------
    settings : mapping
        The whole configuration.
    device : torch.device
    data : MaskDataset, optional
        A data set at hand, in place of that of the settings.
    """

    def __init__(
        self, settings: Mapping[str, Any], device: torch.device, data: MaskDataset | None = None
    ) -> None:
        if data is not None and not isinstance(data, MaskDataset):
            raise FewshotError(
                "features",
                f"expected images with masks, got {type(data).__name__}",
                "Give a folder with images/ and masks/, a MaskDataset, or a name of `fewshot list "
                "datasets`.",
            )
        self.settings, self.device, self._given = settings, device, data

    def load(self) -> MaskDataset:
        """The images and their masks; nothing is decoded yet, and they are listed once."""
        return self._dataset

    @cached_property
    def _dataset(self) -> MaskDataset:
        if self._given is not None:
            return self._given
        from fewshot.tasks.segmentation.masks import load_masks

        _expect_known(self.settings["dataset"])
        return load_masks(self.settings["dataset"], places_of(self.settings["paths"]))

    def backbone(self) -> Backbone:
        """The backbone, for the kind of images of the data set; no weights are loaded yet."""
        places = places_of(self.settings["paths"])
        folders = Folders(places.weights, places.digests)
        return load_backbone(dict(self.settings["backbone"]), folders, **self.load().images.input)

    def features(self, settings: SegmentationSettings) -> DenseFeatures:
        """The dense features of the backbone, on the device of the source."""
        return DenseFeatures(
            self.backbone(), settings.size, settings.stride, settings.layers, self.device
        )


def _expect_known(settings: Mapping[str, Any]) -> None:
    """Raise for a setting that data sets of this kind do not have, with masks or without."""
    from fewshot.tasks.segmentation.masks import kinds

    kind = str(settings.get("kind"))
    if kind not in kinds:  # of another package, which checks its own
        return
    known = {*COMMON, "card", *inspect.signature(all_kinds[kind].load()).parameters}
    subset = settings.get("subset")
    expect(
        subset in (None, "all"),
        "dataset.subset",
        f"expected all, got {subset!r}: train.txt and test.txt name the parts of images with masks",
        "Write these lists into the folder.",
    )
    for name in sorted(settings.keys() - known):
        raise FewshotError("dataset", f"{kind!r} has no setting {name!r}", suggestion(name, known))
