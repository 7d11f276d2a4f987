"""Which layout a folder with masks has, and the data set that it holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.datasets.walk import direct_images, is_folder, printable, sub_folders
from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.masks.assembly import assembled
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.coco import coco_files, coco_rows
from fewshot.tasks.segmentation.masks.files import MaskFiles, rows_of_files
from fewshot.tasks.segmentation.masks.folder import Part, parts_of_folder, read_folder
from fewshot.tasks.segmentation.masks.pairs import has_suffixed_masks
from fewshot.tasks.segmentation.masks.published import (
    ade20k_parts,
    is_cityscapes,
    read_ade20k,
    read_cityscapes,
    read_voc,
    voc_root,
)
from fewshot.tasks.segmentation.masks.settings import MaskOptions

ROOT = "dataset.root"
EXPECTED = "a folder with images/ and masks/, or in the layout of VOC, Cityscapes, ADE20K or COCO"


def load_folder(settings: Mapping[str, Any], options: MaskOptions) -> MaskDataset:
    """The data set of a folder, in any layout that is told apart.

    Parameters
    ----------
    settings : mapping
        ``root``.
    options : MaskOptions

    Raises
    ------
    FewshotError
        No such folder, or one of another layout.
    """
    root = existing(settings.get("root"), options)
    name = options.name or root.resolve().name
    if coco := coco_files(root, options.annotations):
        source = coco_rows(root, coco, options, name)
    else:
        files = files_of(root, options)
        source = rows_of_files(files, name, options.max_pixels, options.digests)
    return assembled(source, options.group, options.on_error, options.cache)


def existing(root: Any, options: MaskOptions) -> Path:
    """The folder of a data set: `root`, or that of its name among all data sets."""
    if not root and options.data and options.name and is_folder(options.data / options.name):
        return options.data / options.name
    if not root:
        raise FewshotError(
            ROOT,
            f"expected {EXPECTED}, got nothing",
            "Say for instance: fewshot task=segmentation dataset=folder dataset.root=my_images.",
        )
    folder = Path(str(root)).expanduser()
    if not is_folder(folder):
        what = "a file" if os.path.lexists(folder) else "nothing there"
        raise FewshotError(
            ROOT,
            f"expected {EXPECTED}, got {what}: {str(folder)!r}",
            "Check the path; it is relative to the current folder.",
        )
    return folder


def files_of(root: Path, options: MaskOptions) -> MaskFiles:
    """Images and masks of a folder, by its layout.

    Raises
    ------
    FewshotError
        None of the layouts.
    """
    if (voc := voc_root(root)) is not None:
        return read_voc(voc, options)
    if is_cityscapes(root):
        return read_cityscapes(root, options)
    if parts := ade20k_parts(root):
        return read_ade20k(root, parts, options)
    parts = parts_of_folder(root)
    if not parts and has_suffixed_masks(direct_images(root)):
        parts = [Part(None, root, root)]
    if parts:
        return read_folder(root, parts, options)
    raise _no_layout(root)


def _no_layout(root: Path) -> FewshotError:
    subs = [printable(folder.name) for folder in sub_folders(root)]
    near = [folder for folder in (*sub_folders(root), root.resolve().parent) if _has_layout(folder)]
    if len(near) == 1:
        return FewshotError(
            ROOT,
            f"expected {EXPECTED}, got {printable(str(root))!r}",
            f"Did you mean dataset.root={printable(str(near[0]))}?",
        )
    held = f"the folders {', '.join(subs[:8])}" if subs else "no folder"
    return FewshotError(
        ROOT,
        f"expected {EXPECTED}; {printable(str(root))!r} has {held}",
        "Put images into images/ and their masks, PNG files of class numbers with the same names, "
        "into masks/.",
    )


def _has_layout(folder: Path) -> bool:
    """Whether a folder has images and masks, as far as the names of folders say."""
    return bool(parts_of_folder(folder)) or voc_root(folder) is not None or is_cityscapes(folder)
