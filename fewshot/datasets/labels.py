"""Encoding of labels (numbers or names) as class numbers; missing labels are errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError, expect

# Missing values after str() or astype(str).
MISSING_TEXTS = ("nan", "NaN", "None", "<NA>", "NaT")
# Floating point that NumPy has: neither bfloat16 nor 8 bits.
HELD = (torch.float16, torch.float32, torch.float64)
UNLABELLED = re.compile(r"-1(\.0*)?")
NUMBER = re.compile(r"\d+(\.0*)?")


def as_array(values: Any) -> NDArray:
    """A NumPy array of a sequence, an array or a tensor on any device."""
    if isinstance(values, torch.Tensor):
        values = values.detach().to_dense().cpu().resolve_conj().resolve_neg()
        if values.is_floating_point() and values.dtype not in HELD:
            values = values.float()
        return values.numpy()
    array = np.asarray(values)
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # of the package ml_dtypes
        array = array.astype(np.float32)
    return array.astype(object) if array.dtype.kind == "T" else array  # texts of any length


def as_text(argument: str, values: NDArray) -> NDArray:
    """Names as str; bytes are taken as UTF-8."""
    try:
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)
    except UnicodeDecodeError as error:
        raise FewshotError(argument, f"expected text or bytes in UTF-8, got {error}") from None


def encode_labels(labels: Any, classnames: Sequence[str] | None) -> tuple[NDArray, tuple[str, ...]]:
    """Class numbers (M,) in 0..C-1 and the C class names.

    Parameters
    ----------
    labels : array-like or tensor of shape (M,)
        Whole numbers or names.
    classnames : sequence of C str, optional
        Whole numbers are then positions in it.

    Raises
    ------
    FewshotError
        Missing labels: None, NaN, NaT, ``pandas.NA``, masked, empty or blank ones, and, unless
        `classnames` has them, the texts "nan", "NaN", "None", "<NA>" and "NaT". Labels that are no
        whole numbers, or not among `classnames`.
    """
    refuse_missing("labels", missing(labels))
    values = _narrowed(as_array(labels))
    if values.dtype.kind in "US" or values.dtype == object:
        names = as_text("labels", values)
        if classnames is None:
            refuse_missing_texts("labels", names, "Drop these rows, or list it in classnames.")
        return _encode_names(names, classnames)
    expect(values.dtype.kind in "iu", "labels", f"expected integers or names, got {values.dtype}")
    return _encode_numbers(values.astype(np.int64), classnames)


def missing(labels: Any) -> NDArray:
    """Which labels (M,) are missing: None, NaN, NaT, ``pandas.NA``, masked, empty or blank."""
    if isinstance(labels, np.ma.MaskedArray):
        return np.ma.getmaskarray(labels) | missing(labels.data)
    values = as_array(labels)
    if values.dtype.kind in "US" and isinstance(labels, list | tuple):
        values = np.array(labels, dtype=object)  # NumPy has made the text "nan" of a NaN
    if values.dtype.kind in "fcmM":
        return np.isnat(values) if values.dtype.kind in "mM" else np.isnan(values)
    if values.dtype.kind in "US":
        return np.asarray(np.char.str_len(np.char.strip(values)) == 0)
    if values.dtype != object:
        return np.zeros(values.shape, dtype=bool)
    import pandas as pd

    blank = [isinstance(value, str | bytes) and not value.strip() for value in values.flat]
    return np.asarray(pd.isna(values)) | np.array(blank, dtype=bool).reshape(values.shape)


def refuse_missing(argument: str, rows: NDArray, remedy: str = "Drop these rows.") -> None:
    """Raise if any of these rows (M,), bool, is set: how many labels are missing, and the first."""
    if rows.any():
        count = int(rows.sum())
        raise FewshotError(
            argument,
            f"{count} of {len(rows)} {'is' if count == 1 else 'are'} missing (None, NaN or empty), "
            f"first in row {int(np.argmax(rows))}",
            remedy,
        )


def refuse_missing_texts(argument: str, names: NDArray, remedy: str) -> None:
    """Raise if any of the names (M,), str, is the text of a missing value."""
    for text in MISSING_TEXTS:
        rows = names == text
        if rows.any():
            raise FewshotError(
                argument,
                f"{int(rows.sum())} of {len(names)} are {text!r}, first in row "
                f"{int(np.argmax(rows))}, which is what missing labels become as text",
                remedy,
            )


def unlabelled(labels: NDArray, classnames: Sequence[str]) -> int:
    """Number of labels (M,) that are -1 among numbers from 0 on.

    scikit-learn and Hugging Face write -1 for "no label". Where the only other label is 1, it is
    one of two classes.
    """
    without = [i for i, name in enumerate(classnames) if UNLABELLED.fullmatch(name)]
    others = [name for i, name in enumerate(classnames) if i not in without]
    two = len(others) == 1 and others[0].rstrip("0").rstrip(".") == "1"
    if not others or two or not all(NUMBER.fullmatch(name) for name in others):
        return 0
    return int(np.isin(labels, without).sum())


def _narrowed(values: NDArray) -> NDArray:
    """Whole numbers as int64, also from floating point and from arrays of objects."""
    if values.dtype == object:
        numbers = all(isinstance(v, Real) and not isinstance(v, bool) for v in values.flat)
        if numbers and values.size:
            whole = all(isinstance(v, Integral) for v in values.flat)
            values = values.astype(np.int64 if whole else np.float64)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        expect(bool(finite.all()), "labels", "expected whole numbers or names, got infinity")
        if np.all(values == np.round(values)):
            return values.astype(np.int64)
    return values


def _encode_numbers(
    labels: NDArray, classnames: Sequence[str] | None
) -> tuple[NDArray, tuple[str, ...]]:
    if classnames is None:
        present, labels = np.unique(labels, return_inverse=True)
        return labels.reshape(-1).astype(np.int64), tuple(str(value) for value in present)
    expect(
        labels.min(initial=0) >= 0 and labels.max(initial=0) < len(classnames),
        "labels",
        f"expected numbers in 0..{len(classnames) - 1} for {len(classnames)} class names, got "
        f"{labels.min(initial=0)}..{labels.max(initial=0)}",
        "Rows of -1 usually have no label: drop them." if labels.min(initial=0) == -1 else "",
    )
    return labels, tuple(str(name) for name in classnames)


def _encode_names(
    labels: NDArray, classnames: Sequence[str] | None
) -> tuple[NDArray, tuple[str, ...]]:
    names = sorted(set(labels.tolist())) if classnames is None else [str(n) for n in classnames]
    number = {name: i for i, name in enumerate(names)}
    unknown = sorted(set(labels.tolist()) - number.keys())
    if unknown:
        raise FewshotError("labels", f"label {unknown[0]!r} is not among the class names")
    return np.array([number[name] for name in labels.tolist()], dtype=np.int64), tuple(names)
