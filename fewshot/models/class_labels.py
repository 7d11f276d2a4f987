"""Labels of users, of any type, as class names and numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from fewshot.datasets.labels import as_array, as_text, missing, refuse_missing
from fewshot.exceptions import FewshotError, expect
from fewshot.models.header import LABEL_TYPES

TEXT, *TYPES = LABEL_TYPES


class ClassLabels(NamedTuple):
    """Labels as classes.

    Attributes
    ----------
    classes : ndarray of shape (N,)
        The labels that occur, sorted, of the type of the labels.
    numbers : ndarray of shape (M,), int64
        Positions in `classes`.
    """

    classes: NDArray
    numbers: NDArray

    @property
    def names(self) -> tuple[str, ...]:
        """Class names (N)."""
        return tuple(str(label) for label in self.classes.tolist())


def class_labels(y: Any) -> ClassLabels:
    """Classes of labels (M,): texts (also as bytes, in UTF-8), whole numbers or booleans.

    Raises
    ------
    FewshotError
        Missing labels, fewer than two classes, labels that cannot be compared.
    ValueError
        Scikit-learn's: no labels of classes (a regression target, several labels per row).
    """
    # As scikit-learn words it, whose checks look for these words.
    expect(y is not None, "y", "requires y to be passed, but the target y is None")
    values = column_or_1d(as_array(y), warn=True)
    refuse_missing("y", missing(y).reshape(-1))
    if values.dtype == object and all(isinstance(value, Integral) for value in values):
        values = np.array(values.tolist())  # of pandas' Int64
    if values.dtype.kind == "S":
        values = as_text("y", values)
    try:
        check_classification_targets(values)
        classes, numbers = np.unique(values, return_inverse=True)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values})
        problem = f"expected labels of one type, got {' and '.join(kinds)}"
        raise FewshotError("y", problem) from None
    expect(len(classes) > 1, "y", f"expected two classes or more, got {len(classes)} class")
    return ClassLabels(classes, numbers.astype(np.int64))


def type_of_labels(classes: NDArray) -> str:
    """Type of labels as a model file states it: of `LABEL_TYPES`."""
    return classes.dtype.name if classes.dtype.name in TYPES else TEXT


def labels_of_names(names: Sequence[str], kind: str) -> NDArray:
    """Labels (N,) of a type from their class names.

    Raises
    ------
    ValueError
        A name is not that of a label of this type, as "300" of int8.
    """
    if kind not in TYPES:
        return np.array(names, dtype=str)
    if kind == "bool":
        labels = np.array([name == "True" for name in names])
    else:
        number = float if kind.startswith("float") else int
        values = np.array([number(name) for name in names], dtype=object)
        with np.errstate(over="ignore"):  # compared below
            labels = _cast(values, kind)
    for name, label in zip(names, labels.tolist(), strict=True):
        if str(label) != name:
            raise ValueError(f"the class {name!r} is no {kind}")
    return labels


def _cast(values: NDArray, kind: str) -> NDArray:
    try:
        return values.astype(kind)
    except OverflowError as error:  # an integer of any length
        raise ValueError(f"a class is no {kind}: {error}") from None
