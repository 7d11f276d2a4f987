"""Folders of images and masks: ``images/NAME.jpg`` and ``masks/NAME.png``, with lists of parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.datasets.layout import subset_named
from fewshot.datasets.walk import instead_of_file, is_file, printable, sub_folders
from fewshot.exceptions import expect
from fewshot.tasks.segmentation.masks.colours import ColourTable, colour_table
from fewshot.tasks.segmentation.masks.files import MaskFiles
from fewshot.tasks.segmentation.masks.lists import (
    CLASSES,
    part_lists,
    read_classnames,
    read_names,
    without_zero,
)
from fewshot.tasks.segmentation.masks.pairs import Pairs, paired, refuse_missing, refuse_unused
from fewshot.tasks.segmentation.masks.pixels import rules_of
from fewshot.tasks.segmentation.masks.settings import MaskOptions

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
    """Sub-folders for the parts, if all sub-folders of images are such; those that have masks."""
    pairs = [(subset_named(folder.name), folder) for folder in sub_folders(images)]
    if any(subset is None for subset, _ in pairs):
        return []
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


def read_folder(root: Path, parts: list[Part], options: MaskOptions) -> MaskFiles:
    """Images and masks of the folders of :func:`parts_of_folder`.

    ``classes.txt`` names the classes; ``train.txt`` lists the images that supports are drawn from,
    ``test.txt``, or else ``val.txt``, those that are segmented.

    Raises
    ------
    FewshotError
        Images without a mask and masks without an image, wrong lists, wrong names of classes.
    """
    pairs, rows_of_part = _joined(root, parts)
    lists = part_lists(root)
    images, masks = (parts[0].images, parts[0].masks) if len(parts) == 1 else (root, root)
    if lists:
        names = {name: row for row, name in enumerate(pairs.names)}
        where = printable(str(images))
        rows_of_part = {part: read_names(file, names, where) for part, file in lists.items()}
    rows_of_part = _used(rows_of_part, pairs)
    skipped = _without_missing(pairs, rows_of_part, (images, masks), bool(lists), options)
    present = [row for row, mask in enumerate(pairs.masks) if mask is not None]
    facts: dict[str, Any] = {"layout": "folder", "skipped": skipped}
    kept, support, queries, used = chosen(rows_of_part, present, root)
    facts["parts"] = used
    if len(kept) < len(present):
        facts["unlisted"] = len(present) - len(kept)
    classnames, table = classes_of(root, options)
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
        [mask for row in kept if (mask := pairs.masks[row]) is not None],
        [_without_part(pairs.names[row], root, parts) for row in kept],
        classnames,
        rules,
        support,
        queries,
        facts=facts,
    )


def _joined(root: Path, parts: list[Part]) -> tuple[Pairs, dict[str, list[int]]]:
    """All parts after each other, and the rows of each."""
    joined = Pairs([], [], [], [])
    rows: dict[str, list[int]] = {}
    for part in parts:
        pairs = paired(part.images, part.masks)
        refuse_missing(pairs, pairs.missing[: len(pairs.missing) == len(pairs.names)], part.masks)
        start, prefix = len(joined.names), ""
        if part.subset is not None:
            rows[part.subset] = list(range(start, start + len(pairs.names)))
            prefix = f"{_part_name(root, part)}/"
        joined = Pairs(
            joined.names + [f"{prefix}{name}" for name in pairs.names],
            joined.images + pairs.images,
            joined.masks + pairs.masks,
            joined.unused + pairs.unused,
        )
    return joined, rows


def _part_name(root: Path, part: Part) -> str:
    words = part.images.relative_to(root).parts
    return next(word for word in words if subset_named(word) == part.subset)


def _without_part(name: str, root: Path, parts: Sequence[Part]) -> str:
    """The name of an image without the folder of its part, which is no group of images."""
    prefixes = [f"{_part_name(root, part)}/" for part in parts if part.subset is not None]
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def _used(rows: Mapping[str, list[int]], pairs: Pairs) -> dict[str, list[int]]:
    """Rows of the parts that are used: validation only where no test has masks."""
    test = rows.get("test", [])
    masked = any(pairs.masks[row] is not None for row in test) or "validation" not in rows
    unused = "validation" if test and masked else "test"
    return {part: numbers for part, numbers in rows.items() if part != unused or not test}


def _without_missing(
    pairs: Pairs,
    rows: dict[str, list[int]],
    folders: tuple[Path, Path],
    listed: bool,
    options: MaskOptions,
) -> list[dict[str, str]]:
    """Take images without a mask out of `rows`, or raise; return those that are skipped.

    With lists, what they do not name does not matter.
    """
    used = sorted(row for numbers in rows.values() for row in numbers)
    needed = used if listed or rows else list(range(len(pairs.names)))
    if options.on_error != "skip":
        refuse_missing(pairs, needed, folders[1], ", which a list names," if listed else "")
        if not listed:
            refuse_unused(pairs, folders[0])
    missing = [row for row in needed if pairs.masks[row] is None]
    for part, numbers in rows.items():
        rows[part] = [row for row in numbers if pairs.masks[row] is not None]
    return [{"path": pairs.names[row], "reason": "it has no mask"} for row in missing]


def chosen(
    rows: Mapping[str, list[int]], images: Sequence[int], root: Path
) -> tuple[list[int], list[int], list[int] | None, dict[str, str]]:
    """Which rows are kept, support and queries among these, and the names of their parts.

    Parameters
    ----------
    rows : mapping
        Rows by "train", "validation", "test".
    images : sequence of int
        All rows that can be kept.
    root : Path
        For messages.

    Raises
    ------
    FewshotError
        Parts without one to learn from.
    """
    judged = next((part for part in ("test", "validation") if part in rows), None)
    if not rows:
        return list(images), list(range(len(images))), None, {}
    expect(
        "train" in rows,
        ROOT,
        f"{printable(str(root))!r} has the part {judged}, and no part train to learn from",
        "Add train.txt, or a folder train.",
    )
    if judged is None:
        place = {row: i for i, row in enumerate(images)}
        return list(images), [place[row] for row in rows["train"]], None, {"support": "train"}
    kept = sorted({*rows["train"], *rows[judged]})
    place = {row: i for i, row in enumerate(kept)}
    support = [place[row] for row in rows["train"]]
    queries = [place[row] for row in rows[judged]]
    return kept, support, queries, {"support": "train", "queries": judged}


def classes_of(
    root: Path, options: MaskOptions
) -> tuple[tuple[str, ...] | None, ColourTable | None]:
    """Names of the classes, and their colours, where the folder or the settings have them."""
    table = colour_table(options.palette, root)
    file = root / CLASSES
    names = named_classes(options)
    if names is None and is_file(file):
        names = read_classnames(file)
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
    return names, ColourTable(names, numbers, tuple(range(len(names))), table.origin)


def named_classes(options: MaskOptions) -> tuple[str, ...] | None:
    """Class names of the file that ``dataset.classnames`` names, if it names one."""
    if options.classnames in (None, "auto", "data", "card", "clip"):
        return None
    file = Path(str(options.classnames)).expanduser()
    expect(
        is_file(file),
        "dataset.classnames",
        f"expected auto, or a file of names, got {instead_of_file(file)}",
    )
    return read_classnames(file, "dataset.classnames")
