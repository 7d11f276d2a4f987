"""Which columns of a Hugging Face table are the images and the labels."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.labels import missing, refuse_missing_texts
from fewshot.datasets.split_files.columns import CLASSES
from fewshot.datasets.split_files.tables import folded_column
from fewshot.exceptions import FewshotError, install_command, suggestion

LABEL_NAMES = ("label", "labels", "class", "target")  # tried where no column is a ClassLabel
OTHER_LABEL_NAMES = frozenset().union(*CLASSES)  # tried last, as in lists of images


def package() -> Any:
    """The package ``datasets``, which is an extra."""
    try:
        # A folder of that name in the current one passes for a package, but has nothing in it.
        importlib.import_module("datasets.config")
        return importlib.import_module("datasets")
    except ImportError:
        raise FewshotError(
            "dataset.kind",
            "huggingface needs the package `datasets`, which is not installed",
            f"Run: {install_command('hf')}.",
        ) from None


def image_column(table: Any, column: str | None) -> str:
    """The column of images: `column`, or the only one of type Image."""
    if column is not None:
        return _existing("dataset.image", column, table)
    columns = [name for name, kind in table.features.items() if isinstance(kind, package().Image)]
    return _only("dataset.image", "Image", columns, table)


def label_column(table: Any, column: str | None) -> str:
    """The column of labels: `column`, or the only ClassLabel, or one called ``label``."""
    if column is not None:
        return _existing("dataset.label", column, table)
    kinds = table.features.items()
    columns = [name for name, kind in kinds if isinstance(kind, package().ClassLabel)]
    if not columns:
        columns = [name for name in LABEL_NAMES if name in table.features][:1]
    if not columns:
        columns = [name for name in table.features if folded_column(name) in OTHER_LABEL_NAMES]
    return _only("dataset.label", "ClassLabel", columns, table)


def numbered(tables: Mapping[str, Any], column: str) -> tuple[NDArray, tuple[str, ...]]:
    """Class number of every row of all tables, and the names of the classes.

    Names are those of the ClassLabel; other columns (text, whole numbers) are sorted values.

    Raises
    ------
    FewshotError
        Rows without a label, as hidden test sets have; splits with different classes.
    """
    listed = {tuple(getattr(table.features[column], "names", None) or ()) for table in
              tables.values() if _has(table, column)}  # fmt: skip
    if len(listed) != 1:
        raise FewshotError(
            "dataset.label",
            f"{column!r} has different classes in the splits {', '.join(tables)}",
            "Choose one with dataset.hf_split.",
        )
    values: list[Any] = []
    for split, table in tables.items():
        column_values = table.select_columns([column])[:][column] if _has(table, column) else [None]
        _refuse_unlabelled(column_values, split, column, tables)
        values += column_values
    names = listed.pop()
    if names:
        return np.array(values, dtype=np.int64), names
    if not all(isinstance(value, str | int) for value in values):
        raise FewshotError(
            "dataset.label", f"expected a column of class names or numbers, got {column!r}"
        )
    classes = sorted(set(values))
    number = {value: i for i, value in enumerate(classes)}
    return np.array([number[value] for value in values], dtype=np.int64), tuple(map(str, classes))


def _refuse_unlabelled(
    labels: list[Any], split: str, column: str, tables: Mapping[str, Any]
) -> None:
    """Raise for rows without a label, which Hugging Face marks by -1, too."""
    rows = missing(np.array(labels, dtype=object)) | np.array([v == -1 for v in labels], bool)
    if not labels:
        return
    if rows.all():
        raise FewshotError(
            "dataset.hf_split",
            f"split {split!r} has images without a label only",
            f"Leave it out: there are {'+'.join(tables)}.",
        )
    if rows.any():
        raise FewshotError(
            "dataset.hf_split",
            f"split {split!r} has {int(rows.sum())} of {len(rows)} images without a label (None, "
            f"NaN, empty or -1 in {column!r}), first in row {int(np.argmax(rows))}",
            f"Leave it out (there are {'+'.join(tables)}), or save the set without these rows.",
        )
    if isinstance(labels[0], str):
        remedy = "Save the set without these rows, or rename the class."
        refuse_missing_texts("dataset.label", np.array(labels, dtype=str), remedy)


def _has(table: Any, column: str) -> bool:
    return column in table.features


def _existing(argument: str, column: str, table: Any) -> str:
    if column not in table.features:
        names = list(table.features)
        raise FewshotError(
            argument, f"expected a column of {', '.join(names)}, got {column!r}",
            suggestion(column, names),
        )  # fmt: skip
    return column


def _only(argument: str, kind: str, columns: list[str], table: Any) -> str:
    if len(columns) != 1:
        problem = f"several columns are of type {kind}" if columns else f"no column of type {kind}"
        shown = columns or list(table.features)
        raise FewshotError(argument, f"{problem}: {', '.join(shown)}", "Name the one to use.")
    return columns[0]
