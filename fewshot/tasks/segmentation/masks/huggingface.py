"""Tables of Hugging Face's ``datasets`` with a column of images and one of masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.huggingface import chosen_tables, image_reader, load_tables
from fewshot.datasets.huggingface_columns import image_column, package
from fewshot.datasets.images import UnreadableImageError, image_size, opened_image, pixel_limit
from fewshot.datasets.parts import SUBSET_NAMES
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.tasks.segmentation.masks.assembly import assembled
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.masks.colours import colour_table
from fewshot.tasks.segmentation.masks.folder import chosen, named_classes
from fewshot.tasks.segmentation.masks.pixels import PixelRules, class_numbers, rules_of
from fewshot.tasks.segmentation.masks.rows import MaskRows
from fewshot.tasks.segmentation.masks.settings import MaskOptions

# Names of columns of masks, where there are several columns of images.
MASK_COLUMNS = ("label", "mask", "annotation", "labels", "masks", "segmentation", "label_image",
                "semantic_segmentation", "segmentation_mask", "annotated", "gt")  # fmt: skip
IMAGE_COLUMNS = ("image", "img", "pixel_values", "images", "picture", "photo")


def load_huggingface(settings: Mapping[str, Any], options: MaskOptions) -> MaskDataset:
    """Images and masks of a set of the hub or of a folder; none is decoded.

    Parameters
    ----------
    settings : mapping
        ``path``, ``config``, ``image``, ``label`` (the column of masks), ``hf_split``,
        ``revision`` of ``dataset=huggingface``.
    options : MaskOptions

    Raises
    ------
    FewshotError
        Not found, no connection, no column of masks, ``datasets`` not installed.
    """
    path = settings.get("path")
    tables = chosen_tables(
        load_tables(path, settings.get("config"), settings.get("revision")),
        settings.get("hf_split"),
    )
    first = next(iter(tables.values()))
    picture, mask = columns_of(first, settings.get("image"), settings.get("label"))
    limit = pixel_limit(options.max_pixels)
    title = str(path).rstrip("/").rpartition("/")[2]
    names = [f"{split}/{row:06d}" for split, table in tables.items() for row in range(len(table))]
    starts = np.cumsum([0, *map(len, tables.values())])
    classnames, table = named_classes(options), colour_table(options.palette, Path())
    if table is not None and classnames is None:
        classnames = table.classnames
    rules = rules_of(
        None if classnames is None else len(classnames), options.binary, options.ignore_index,
        options.reduce_zero_label, table,
    )  # fmt: skip
    if options.binary and classnames is None:
        classnames = ("background", "foreground")
    readers = [image_reader(table, picture, limit) for table in tables.values()]
    cells = [_cells(table, picture) for table in tables.values()]
    masks = [_cells(table, mask) for table in tables.values()]

    def at(row: int) -> tuple[int, int]:
        split = int(np.searchsorted(starts, row, side="right")) - 1
        return split, int(row - starts[split])

    def picked(functions: list[Callable[[int], Any]], row: int) -> Any:
        split, place = at(row)
        return functions[split](place)

    def digests() -> list[str]:
        return [
            f"{table._fingerprint} {row}" for table in tables.values() for row in range(len(table))
        ]

    parts = _parts(tables, starts)
    kept, support, queries, used = chosen(parts, range(len(names)), Path(str(path)))
    source = MaskRows(
        name=title if options.name in (None, "huggingface") else str(options.name),
        paths=tuple(names),
        masks=tuple(f"{name}, column {mask}" for name in names),
        classnames=classnames,
        read=lambda row: picked(readers, row),
        read_mask=lambda row: _numbers(picked(masks, row), rules, f"{names[row]}, {mask}", limit),
        size=lambda row: image_size(picked(cells, row), limit),
        digests=digests,
        mask_digests=digests,
        support=np.arange(len(names)),
        queries=None,
        rules=rules.text,
        white_ignored=rules.white_ignored,
        facts={"layout": "huggingface", "parts": used},
    ).take_rows(np.array(kept, np.int64))
    source = source.with_parts(support, queries)
    return assembled(source, options.group, options.on_error, options.cache)


def columns_of(table: Any, image: str | None, label: str | None) -> tuple[str, str]:
    """The columns of images and masks.

    Parameters
    ----------
    table : datasets.Dataset
    image, label : str or None
        ``dataset.image`` and ``dataset.label``; None: by their names among the columns of images.

    Raises
    ------
    FewshotError
        No such column, or several that could be meant.
    """
    pictures = [name for name, kind in table.features.items() if isinstance(kind, package().Image)]
    if label is None:
        label = next((name for name in MASK_COLUMNS if name in pictures and name != image), None)
    expect(
        label is not None,
        "dataset.label",
        f"expected a column of masks, of type Image; those are {', '.join(pictures) or 'none'}",
        "Name it by dataset.label=COLUMN.",
    )
    if label not in pictures:
        raise FewshotError(
            "dataset.label",
            f"expected a column of masks, of type Image, got {label!r}",
            suggestion(str(label), pictures) if pictures else "",
        )
    others = [name for name in pictures if name != label]
    if image is None and len(others) > 1:
        image = next((name for name in IMAGE_COLUMNS if name in others), None)
    if image is None and len(others) == 1:
        image = others[0]
    picture = image_column(table, image)
    expect(picture != label, "dataset.label", f"{label!r} is the column of images, too")
    return picture, str(label)


def _cells(table: Any, column: str) -> Callable[[int], bytes | Path]:
    """A function from row number to the encoded image."""
    encoded = table.select_columns([column]).cast_column(column, package().Image(decode=False))

    def cell(row: int) -> bytes | Path:
        content = encoded[row][column]
        if not content or not (content["bytes"] or content["path"]):
            raise UnreadableImageError("the cell is empty")
        return content["bytes"] or Path(content["path"])

    return cell


def _numbers(content: bytes | Path, rules: PixelRules, name: str, limit: int) -> NDArray[np.int16]:
    with opened_image(content, limit) as image:
        return class_numbers(image, rules, name)


def _parts(tables: Mapping[str, Any], starts: NDArray) -> dict[str, list[int]]:
    """Rows by part, by the names of the splits; none where a name says nothing."""
    if len(tables) == 1:
        return {}
    rows: dict[str, list[int]] = {}
    for number, split in enumerate(tables):
        part = SUBSET_NAMES.get(split.lower())
        if part is None:
            raise FewshotError(
                "dataset.hf_split",
                f"split {split!r} is none of train, validation and test; there are "
                f"{', '.join(tables)}",
                "Choose the splits, such as train+test.",
            )
        rows.setdefault(part, []).extend(range(starts[number], starts[number + 1]))
    return rows
