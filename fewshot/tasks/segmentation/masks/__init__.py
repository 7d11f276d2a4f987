"""Data sets with masks: images, their pixels by class, parts and groups."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fewshot.exceptions import FewshotError
from fewshot.lazy import lazy
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.paths import Places
    from fewshot.tasks.segmentation.masks.base import MaskDataset as MaskDataset

# Of the kinds of data sets (`fewshot.datasets.kinds`), those whose masks are read here: functions
# from settings and `MaskOptions` to a `MaskDataset`.
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

    kind = str(settings.get("kind"))
    if kind in kinds:
        dataset: MaskDataset = kinds[kind].load()(settings, options_of(settings, places))
        return dataset
    return _of_another_package(kind, settings)


def _of_another_package(kind: str, settings: Mapping[str, Any]) -> MaskDataset:
    """The data set that a loader of another package makes, if it has masks."""
    from fewshot.datasets import COMMON
    from fewshot.datasets import kinds as all_kinds
    from fewshot.tasks.segmentation.masks.base import MaskDataset

    entry = all_kinds[kind]
    made: object = None
    if entry.package is not None:
        takes = inspect.signature(entry.load()).parameters
        plain = {key: value for key, value in settings.items() if key not in COMMON or key in takes}
        made = all_kinds.create(kind, **plain)
    if isinstance(made, MaskDataset):
        return made
    raise FewshotError(
        "dataset",
        f"{kind!r} has no masks",
        f"Data sets with masks are of the kinds {', '.join(kinds.names())}.",
    )


_HOMES = {"IGNORED": "base", "MaskDataset": "base", "write_folder": "writing"}
__all__ = ["kinds", "load_masks", *_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)
