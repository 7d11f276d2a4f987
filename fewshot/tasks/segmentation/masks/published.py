"""Layouts of published data sets: PASCAL VOC, Cityscapes, ADE20K."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fewshot.datasets.walk import image_files, is_folder, printable, sub_folders
from fewshot.exceptions import FewshotError, expect
from fewshot.tasks.segmentation.masks.colours import voc_table
from fewshot.tasks.segmentation.masks.files import MaskFiles
from fewshot.tasks.segmentation.masks.folder import (
    Part,
    chosen,
    classes_of,
    parts_of_folder,
    read_folder,
)
from fewshot.tasks.segmentation.masks.lists import part_lists, read_names
from fewshot.tasks.segmentation.masks.names import ADE20K, CITYSCAPES, VOC
from fewshot.tasks.segmentation.masks.pairs import paired, refuse_missing
from fewshot.tasks.segmentation.masks.pixels import PixelRules, rules_of
from fewshot.tasks.segmentation.masks.settings import MaskOptions

ROOT = "dataset.root"
LISTS = Path("ImageSets", "Segmentation")
ADE20K_IMAGES = "ADE_"  # how the names of its images begin
CITY_IMAGE, CITY_MASK = "_leftImg8bit", "_gtFine_labelIds"


def voc_root(root: Path) -> Path | None:
    """The folder with ``JPEGImages`` and ``SegmentationClass``: `root`, or one below VOCdevkit."""
    places = [root, root / "VOCdevkit"]
    candidates = [
        root,
        *(sub for place in places if is_folder(place) for sub in sub_folders(place)),
    ]
    held = [
        folder
        for folder in candidates
        if is_folder(folder / "JPEGImages") and is_folder(folder / "SegmentationClass")
    ]
    if len(held) > 1:
        names = ", ".join(printable(folder.name) for folder in held)
        raise FewshotError(
            ROOT, f"{printable(str(root))!r} has several sets of VOC: {names}", "Name one of them."
        )
    return held[0] if held else None


def read_voc(root: Path, options: MaskOptions) -> MaskFiles:
    """PASCAL VOC's layout, also as annotation tools export it.

    Supports are drawn from ``train.txt`` of ``ImageSets/Segmentation`` and ``val.txt``, whose masks
    are public, is segmented, or ``test.txt`` without such a file. Classes are those of VOC unless
    the folder names others.

    Raises
    ------
    FewshotError
        No lists, lists of other images.
    """
    folder = root / LISTS
    expect(
        is_folder(folder),
        ROOT,
        f"{printable(str(root))!r} has JPEGImages and SegmentationClass, and no {LISTS}",
        f"Put train.txt and val.txt, the names of images by line, into {LISTS}.",
    )
    lists = part_lists(folder)
    expect(
        "train" in lists,
        ROOT,
        f"{printable(str(folder))!r} has no train.txt",
        "It lists the images that annotated ones are drawn from, a name per line.",
    )
    if "validation" in lists:
        lists.pop("test", None)  # its masks are not public
    images, masks = root / "JPEGImages", root / "SegmentationClass"
    pairs = paired(images, masks)
    names = {name: row for row, name in enumerate(pairs.names)}
    rows = {part: read_names(file, names, str(images)) for part, file in lists.items()}
    listed = sorted(row for numbers in rows.values() for row in numbers)
    skipped = []
    if options.on_error == "skip":
        skipped = [row for row in listed if pairs.masks[row] is None]
        rows = {part: [row for row in kept if row not in skipped] for part, kept in rows.items()}
    refuse_missing(
        pairs, [row for row in listed if row not in skipped], masks, ", which a list names,"
    )
    everything = sorted({row for numbers in rows.values() for row in numbers})
    kept, support, queries, used = chosen(rows, everything, root)
    classnames, table = classes_of(root, options)
    if classnames is None and not options.binary:
        classnames, table = VOC, voc_table(VOC)
    rules = rules_of(
        None if classnames is None else len(classnames),
        options.binary,
        options.ignore_index,
        options.reduce_zero_label,
        table,
    )
    return MaskFiles(
        root,
        [pairs.images[row] for row in kept],
        [mask for row in kept if (mask := pairs.masks[row]) is not None],
        [pairs.names[row] for row in kept],
        classnames,
        rules,
        support,
        queries,
        facts={
            "layout": "voc",
            "parts": used,
            "skipped": [{"path": pairs.names[row], "reason": "it has no mask"} for row in skipped],
        },
    )


def is_cityscapes(root: Path) -> bool:
    """Whether a folder has ``leftImg8bit`` and ``gtFine``."""
    return is_folder(root / "leftImg8bit") and is_folder(root / "gtFine")


def read_cityscapes(root: Path, options: MaskOptions) -> MaskFiles:
    """Cityscapes' layout: 19 classes; supports from ``train``, segmented is ``val``.

    The group of an image is its city.

    Raises
    ------
    FewshotError
        No images of the part train, an image without ``*_gtFine_labelIds.png``.
    """
    images: list[Path] = []
    masks: list[Path] = []
    rows: dict[str, list[int]] = {}
    skipped = []
    for part, name in (("train", "train"), ("validation", "val")):
        folder = root / "leftImg8bit" / name
        for file in image_files(folder) if is_folder(folder) else []:
            mask = _mask_in(root / "gtFine" / name, file)
            if not mask.is_file():
                if options.on_error != "skip":
                    raise FewshotError(
                        ROOT,
                        f"image {printable(str(file))!r} has no mask {printable(str(mask))!r}",
                        "Extract gtFine_trainvaltest.zip, or set dataset.on_error=skip.",
                    )
                skipped.append({"path": file.name, "reason": "it has no mask"})
                continue
            rows.setdefault(part, []).append(len(images))
            images.append(file)
            masks.append(mask)
    expect("train" in rows, ROOT, f"{printable(str(root))!r} has no images in leftImg8bit/train")
    kept, support, queries, used = chosen(rows, range(len(images)), root)
    numbers = tuple((value, number) for number, (value, _) in enumerate(CITYSCAPES))
    classnames = tuple(name for _, name in CITYSCAPES)
    return MaskFiles(
        root,
        [images[row] for row in kept],
        [masks[row] for row in kept],
        [images[row].stem.removesuffix(CITY_IMAGE) for row in kept],
        classnames,
        PixelRules(len(classnames), (), numbers=numbers),
        support,
        queries,
        groups=[images[row].parent.name for row in kept],
        facts={"layout": "cityscapes", "parts": used, "skipped": skipped},
    )


def _mask_in(folder: Path, image: Path) -> Path:
    return folder / image.parent.name / f"{image.stem.removesuffix(CITY_IMAGE)}{CITY_MASK}.png"


def ade20k_parts(root: Path) -> list[Part]:
    """Folders of the parts, if a folder is ADE20K's of the scene parsing benchmark."""
    parts = parts_of_folder(root)
    if {part.subset for part in parts} != {"train", "validation"}:
        return []
    first = next(iter(image_files(parts[0].images)), None)
    return parts if first is not None and first.name.startswith(ADE20K_IMAGES) else []


def read_ade20k(root: Path, parts: list[Part], options: MaskOptions) -> MaskFiles:
    """ADE20K's layout: 150 classes, 0 is of no class; segmented is ``validation``."""
    files = read_folder(root, parts, replace(options, reduce_zero_label=True))
    facts = {**files.facts, "layout": "ade20k"}
    if files.classnames is not None:
        return replace(files, facts=facts)
    rules = rules_of(len(ADE20K), False, options.ignore_index, True)
    return replace(files, classnames=ADE20K, rules=rules, facts=facts)
