"""Folders of images and masks: ``images/NAME.jpg`` and ``masks/NAME.png``, with lists of parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fewshot.datasets.layout import subset_named
from fewshot.datasets.parts import SUBSETS
from fewshot.datasets.walk import is_file, printable, sub_folders
from fewshot.exceptions import FewshotError, expect
from fewshot.tasks.segmentation.masks.colours import ColourTable, colour_table
from fewshot.tasks.segmentation.masks.files import MaskFiles
from fewshot.tasks.segmentation.masks.lists import (
    CLASSES,
    part_lists,
    read_classnames,
    read_names,
    without_zero,
)
from fewshot.tasks.segmentation.masks.pairs import Pairs, expect_pairs, paired, refuse_lonely
from fewshot.tasks.segmentation.masks.pixels import rules_of
from fewshot.tasks.segmentation.masks.settings import Options

ROOT = "dataset.root"
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "segmentationclass", "annotation",
    "ground_truth", "groundtruth", "gt", "segmentation", "segmentations", "seg",
)  # fmt: skip
# Behind the name of a folder of images, for that of its masks: camvid's trainannot, train_labels.
BESIDE = re.compile(r"[ _-]?(annot|annotations?|masks?|labels?|gt|seg)")
TWO_NAMES = ("background", "foreground")


@dataclass(frozen=True)
class Part:
    """Folders of images and of masks, which may be one.

    Attributes
    ----------
    subset : str or None
        "train", "validation" or "test", where the folders say so.
    images, masks : Path
    """

    subset: str | None
    images: Path
    masks: Path


def parts_of_folder(root: Path) -> list[Part]:
    """Folders of images and masks below `root`, by the layouts that are told apart.

    ``images/`` and ``masks/``, either of which may have ``train/``, ``val/`` and ``test/``;
    ``train/images/`` and ``train/masks/``; ``train/`` and ``train_labels/``. Empty: none of these.
    """
    subs = sub_folders(root)
    images, masks = _named(subs, IMAGE_FOLDERS), _named(subs, MASK_FOLDERS)
    if images and masks:
        return _subsets_within(images, masks) or [Part(None, images, masks)]
    parts = []
    for folder in subs:
        subset = subset_named(folder.name)
        if subset is None:
            continue
        inner = sub_folders(folder)
        images, masks = _named(inner, IMAGE_FOLDERS), _named(inner, MASK_FOLDERS)
        beside = [
            other
            for other in subs
            if other.name.casefold().startswith(folder.name.casefold())
            and BESIDE.fullmatch(other.name.casefold()[len(folder.name) :])
        ]
        if images and masks:
            parts.append(Part(subset, images, masks))
        elif len(beside) == 1:
            parts.append(Part(subset, folder, beside[0]))
    return _distinct(parts)


def _named(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    by_name = {folder.name.casefold(): folder for folder in folders}
    return next((by_name[name] for name in names if name in by_name), None)


def _subsets_within(images: Path, masks: Path) -> list[Part]:
    """Sub-folders for the parts, if all sub-folders of images are such and have one for masks."""
    pairs = [(subset_named(folder.name), folder) for folder in sub_folders(images)]
    pairs = [(subset, folder) for subset, folder in pairs if subset is not None]
    of_masks = {subset_named(folder.name): folder for folder in sub_folders(masks)}
    return _distinct(
        [Part(subset, folder, of_masks[subset]) for subset, folder in pairs if subset in of_masks]
    )


def _distinct(parts: list[Part]) -> list[Part]:
    for number, part in enumerate(parts):
        for other in parts[:number]:
            expect(
                part.subset != other.subset,
                ROOT,
                f"{printable(str(other.images))!r} and {printable(str(part.images))!r} are both "
                f"folders of the part {part.subset}",
                "Rename one of them.",
            )
    return parts


def read_folder(root: Path, parts: list[Part], options: Options) -> MaskFiles:
    """Images and masks of the folders of :func:`parts_of_folder`.

    ``classes.txt`` names the classes; ``train.txt`` lists the images that supports are drawn from,
    ``test.txt``, or else ``val.txt``, those that are segmented.

    Raises
    ------
    FewshotError
        Images without a mask and masks without an image, wrong lists, wrong names of classes.
    """
    pairs, rows_of_part, skipped = _joined(root, parts, options)
    lists = part_lists(root)
    names = {name: row for row, name in enumerate(pairs.names)}
    facts: dict[str, Any] = {"layout": "folder", "skipped": skipped}
    where = printable(str(parts[0].images if len(parts) == 1 else root))
    if lists:
        rows_of_part = {
            part: read_names(file, _with_lonely(names, pairs), where)
            for part, file in lists.items()
        }
        _refuse_listed(rows_of_part, pairs, lists, options, skipped)
    elif pairs.lonely:
        refuse_lonely(pairs.lonely, parts[0].images, parts[0].masks)
    kept, support, queries, used = chosen(rows_of_part, len(pairs.names), root)
    facts["parts"] = used
    if len(kept) < len(pairs.names):
        facts["unlisted"] = len(pairs.names) - len(kept)
    classnames, table = _classes(root, options)
    rules = rules_of(
        None if classnames is None else len(classnames),
        options.binary,
        options.ignore_index,
        options.reduce_zero_label,
        table,
    )
    if options.binary and classnames is None:
        classnames = TWO_NAMES
    return MaskFiles(
        root,
        [pairs.images[row] for row in kept],
        [pairs.masks[row] for row in kept],
        [pairs.names[row] for row in kept],
        classnames,
        rules,
        support,
        queries,
        facts=facts,
    )


def _joined(
    root: Path, parts: list[Part], options: Options
) -> tuple[Pairs, dict[str, list[int]], list[dict[str, str]]]:
    """All parts after each other, the rows of each, and what is skipped."""
    names: list[str] = []
    images: list[Path] = []
    masks: list[Path] = []
    lonely: list[tuple[str, Path]] = []
    rows: dict[str, list[int]] = {}
    skipped: list[dict[str, str]] = []
    for part in parts:
        pairs = paired(part.images, part.masks)
        if options.on_error == "skip":
            skipped += [
                {"path": printable(file.relative_to(root).as_posix()), "reason": f"no {other}"}
                for kind, file in pairs.lonely
                for other in ("mask" if kind == "image" else "image",)
            ]
            pairs = replace(pairs, lonely=[])
        elif part.subset is not None:
            refuse_lonely(pairs.lonely, part.images, part.masks)
        expect_pairs(pairs, part.images, part.masks)
        if part.subset is not None:
            rows[part.subset] = list(range(len(names), len(names) + len(pairs.names)))
        prefix = "" if part.subset is None else f"{_part_name(root, part)}/"
        names += [f"{prefix}{name}" for name in pairs.names]
        images, masks = images + pairs.images, masks + pairs.masks
        lonely += pairs.lonely
    return Pairs(names, images, masks, lonely), rows, skipped


def _part_name(root: Path, part: Part) -> str:
    words = part.images.relative_to(root).parts
    return next(word for word in words if subset_named(word) == part.subset)


def _with_lonely(names: Mapping[str, int], pairs: Pairs) -> dict[str, int]:
    """Rows by name, with negative ones for images that have no mask."""
    from fewshot.tasks.segmentation.masks.lists import without_extension

    rows = dict(names)
    images = [file for kind, file in pairs.lonely if kind == "image"]
    for number, file in enumerate(images, start=1):
        rows.setdefault(without_extension(printable(file.name)), -number)
    return rows


def _refuse_listed(
    rows: Mapping[str, list[int]],
    pairs: Pairs,
    lists: Mapping[str, Path],
    options: Options,
    skipped: list[dict[str, str]],
) -> None:
    """Raise for a listed image that has no mask."""
    images = [file for kind, file in pairs.lonely if kind == "image"]
    for part, numbers in rows.items():
        without = [images[-number - 1] for number in numbers if number < 0]
        if without:
            raise FewshotError(
                ROOT,
                f"image {printable(str(without[0]))!r}, which {lists[part]} names, has no mask"
                + (f", nor have {len(without) - 1} others of that list" if without[1:] else ""),
                "Masks have the names of their images: images/NAME.jpg and masks/NAME.png.",
            )


def chosen(
    rows: Mapping[str, list[int]], images: int, root: Path
) -> tuple[list[int], list[int], list[int] | None, dict[str, str]]:
    """Which rows are kept, support and queries among these, and the names of their parts.

    Parameters
    ----------
    rows : mapping
        Rows by "train", "validation", "test".
    images : int
        M.
    root : Path
        For messages.

    Raises
    ------
    FewshotError
        Parts without one to learn from.
    """
    judged = next((part for part in ("test", "validation") if part in rows), None)
    if not rows:
        return list(range(images)), list(range(images)), None, {}
    expect(
        "train" in rows,
        ROOT,
        f"{printable(str(root))!r} has the part {judged}, and no part train to learn from",
        "Add train.txt, or a folder train.",
    )
    if judged is None:
        return list(range(images)), list(rows["train"]), None, {"support": "train"}
    kept = sorted({*rows["train"], *rows[judged]})
    place = {row: i for i, row in enumerate(kept)}
    support = [place[row] for row in rows["train"]]
    queries = [place[row] for row in rows[judged]]
    return kept, support, queries, {"support": "train", "queries": judged}


assert SUBSETS == ("train", "validation", "test")


def _classes(root: Path, options: Options) -> tuple[tuple[str, ...] | None, ColourTable | None]:
    """Names of the classes, and their colours, where the folder or the settings have them."""
    table = colour_table(options.palette, root)
    file = root / CLASSES
    names = read_classnames(file) if is_file(file) else None
    if names is not None and options.reduce_zero_label:
        names = without_zero(names)
    if table is None:
        return names, None
    if names is None:
        return table.classnames, table
    expect(
        set(names) >= set(table.classnames),
        "dataset.palette",
        f"{table.origin} has the classes {', '.join(table.classnames[:5])}, which are not those of "
        f"{file}",
        "Name the same classes in both, or remove classes.txt.",
    )
    order = {number: names.index(name) for number, name in enumerate(table.classnames)}
    numbers = {code: order.get(number, number) for code, number in table.numbers.items()}
    return names, ColourTable(names, numbers, table.origin)
