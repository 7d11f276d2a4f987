"""Data sets with masks: images, their pixels by class, parts and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fewshot.lazy import lazy
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.paths import Places
    from fewshot.tasks.segmentation.masks.base import MaskDataset as MaskDataset

# Of the kinds of data sets (`fewshot.datasets.kinds`), those whose masks are read here: functions
# from settings and `Options` to a `MaskDataset`.
kinds = Registry("dataset.kind")
_HERE = "fewshot.tasks.segmentation.masks"
kinds.add("folder", f"{_HERE}.layouts:load_folder", "images/ and masks/, VOC, Cityscapes, ...")
kinds.add("torchvision", f"{_HERE}.torchvision:load_torchvision", "a set of torchvision's")
kinds.add("huggingface", f"{_HERE}.huggingface:load_huggingface", "columns of images and masks")
kinds.add("scenes", f"{_HERE}.scenes:load_settings", "generated scenes, no download")


def load_masks(settings: Mapping[str, Any], places: Places | None = None) -> MaskDataset:
    """Load the data set with masks that the settings of the group ``dataset`` describe.

    Parameters
    ----------
    settings : mapping
        :class:`~fewshot.datasets.settings.DatasetSettings`, and what its kind takes.
    places : Places, optional
        Where data sets lie, and where hashes and numbers of pixels are cached.

    Raises
    ------
    FewshotError
        A kind without masks, settings out of range, files that do not fit together. Errors in
        single masks are raised by ``read_mask`` and ``presence`` of the result.
    """
    from fewshot.tasks.segmentation.masks.settings import options_of

    loader = kinds[str(settings.get("kind"))].load()
    dataset: MaskDataset = loader(settings, options_of(settings, places))
    return dataset


_HOMES = {"IGNORED": "base", "MaskDataset": "base", "write_folder": "writing"}
__all__ = ["kinds", "load_masks", *_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)
