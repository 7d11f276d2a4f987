"""Data sets of torchvision with masks: VOCSegmentation, SBDataset, OxfordIIITPet, Cityscapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fewshot.datasets.cards import facts_of
from fewshot.datasets.images import UnreadableImageError
from fewshot.datasets.published import data_folder
from fewshot.datasets.torchvision_build import build, expect_source
from fewshot.exceptions import FewshotError, expect, expect_bool, suggestion
from fewshot.tasks.segmentation.masks.assembly import assembled
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.files import MaskFiles, rows_of_files
from fewshot.tasks.segmentation.masks.folder import chosen
from fewshot.tasks.segmentation.masks.names import VOC
from fewshot.tasks.segmentation.masks.pixels import PixelRules
from fewshot.tasks.segmentation.masks.published import is_cityscapes, read_cityscapes
from fewshot.tasks.segmentation.masks.settings import MaskOptions

PETS = ("background", "pet")
# A trimap has 1 for the pet, 2 for what is around it, 3 for the border, which is of no class.
TRIMAP = ((1, 1), (2, 0))


@dataclass(frozen=True)
class LibrarySet:
    """How a class of torchvision is used.

    Attributes
    ----------
    split : str
        Its argument for the split.
    parts : mapping
        Value of that argument by part.
    images, masks : str
        Attributes with the files.
    classnames : tuple of str
    rules : PixelRules
    arguments : mapping
        Further arguments.
    opener : callable, optional
        Reads a mask that is no image.
    """

    split: str
    parts: Mapping[str, str]
    images: str
    masks: str
    classnames: tuple[str, ...]
    rules: PixelRules
    arguments: Mapping[str, Any]
    opener: Callable[[Path], Image.Image] | None = None


def matrix_mask(file: Path) -> Image.Image:
    """The mask in a ``.mat`` file of the Semantic Boundaries Dataset."""
    from scipy.io import loadmat

    try:
        values = loadmat(str(file))["GTcls"][0]["Segmentation"][0]
    except Exception as error:  # a damaged file can make the reader raise anything
        raise UnreadableImageError(str(error) or type(error).__name__) from None
    return Image.fromarray(np.asarray(values, np.uint8))


TRAIN_VAL = {"train": "train", "validation": "val"}
PLANS = {
    "VOCSegmentation": LibrarySet(
        "image_set", TRAIN_VAL, "images", "masks", VOC, PixelRules(len(VOC)), {}
    ),
    "SBDataset": LibrarySet(
        "image_set", TRAIN_VAL, "images", "masks", VOC, PixelRules(len(VOC)),
        {"mode": "segmentation"}, matrix_mask,
    ),
    "OxfordIIITPet": LibrarySet(
        "split", {"train": "trainval", "test": "test"}, "_images", "_segs", PETS,
        PixelRules(2, (), numbers=TRIMAP), {"target_types": "segmentation"},
    ),
}  # fmt: skip
SOURCES = (*PLANS, "Cityscapes")


def load_torchvision(settings: Mapping[str, Any], options: MaskOptions) -> MaskDataset:
    """A data set of torchvision with masks, from its folder.

    Parameters
    ----------
    settings : mapping
        ``source``, ``card``, ``root``, ``options``, ``download`` of ``dataset=torchvision``.
    options : MaskOptions

    Raises
    ------
    FewshotError
        Not there, not complete, or a data set without masks.
    """
    card = settings.get("card")
    facts = facts_of(card)
    library = facts.get("torchvision", {})
    source = expect_source(settings.get("source") or library.get("class"))
    expect(
        source in SOURCES,
        "dataset.source",
        f"expected a data set of torchvision with masks, {', '.join(SOURCES)}, got {source!r}",
        suggestion(source, SOURCES),
    )
    name = source if options.name in (None, "torchvision") else str(options.name)
    folder = data_folder(settings.get("root"), options.data, library.get("folder") or card or name)
    download = settings.get("download", False)
    expect_bool("dataset.download", download)
    if source == "Cityscapes":
        files = _cityscapes(folder, options)
    else:
        files = _files(source, folder, dict(settings.get("options") or {}), download, facts)
    made = rows_of_files(files, name, options.max_pixels, options.digests)
    return assembled(made, options.group, options.on_error, options.cache)


def _cityscapes(folder: Path, options: MaskOptions) -> MaskFiles:
    expect(
        is_cityscapes(folder),
        "dataset.root",
        f"expected the folders leftImg8bit and gtFine in {str(folder)!r}",
        "There is no download for programs: https://www.cityscapes-dataset.com has both archives.",
    )
    return read_cityscapes(folder, options)


def _files(
    source: str, folder: Path, more: dict[str, Any], download: bool, facts: Mapping[str, Any]
) -> MaskFiles:
    plan = PLANS[source]
    parts = plan.parts
    if plan.split in more:  # one split only
        parts = {"": str(more.pop(plan.split))}
    images: list[Path] = []
    masks: list[Path] = []
    rows: dict[str, list[int]] = {}
    for part, split in parts.items():
        arguments = {**plan.arguments, **more, plan.split: split}
        made = build(source, folder, arguments, download, facts)
        pairs = _pairs(made, plan, source)
        if part:
            rows[part] = list(range(len(images), len(images) + len(pairs)))
        images += [image for image, _ in pairs]
        masks += [mask for _, mask in pairs]
    kept, support, queries, used = chosen(rows, range(len(images)), folder)
    return MaskFiles(
        folder,
        [images[row] for row in kept],
        [masks[row] for row in kept],
        [images[row].stem for row in kept],
        plan.classnames,
        replace(plan.rules),
        support,
        queries,
        opener=plan.opener,
        facts={"layout": f"torchvision {source}", "parts": used},
    )


def _pairs(made: Any, plan: LibrarySet, source: str) -> Sequence[tuple[Path, Path]]:
    """Files of images and masks, sorted by the name of the image."""
    images, masks = getattr(made, plan.images, None), getattr(made, plan.masks, None)
    if not images or masks is None or len(images) != len(masks):
        raise FewshotError(
            "dataset", f"torchvision's {source} keeps its masks elsewhere in this release"
        )
    return sorted(zip(map(Path, images), map(Path, masks), strict=True))
