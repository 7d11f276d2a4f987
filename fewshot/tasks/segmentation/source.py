"""The images with masks and the backbone of a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.exceptions import FewshotError
from fewshot.paths import places_of
from fewshot.tasks.segmentation.masks.base import MaskDataset


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

        return load_masks(self.settings["dataset"], places_of(self.settings["paths"]))

    def backbone(self) -> Backbone:
        """The backbone, for the kind of images of the data set; no weights are loaded yet."""
        places = places_of(self.settings["paths"])
        folders = Folders(places.weights, places.digests)
        return load_backbone(dict(self.settings["backbone"]), folders, **self.load().images.input)
