"""Features and labels from arrays, tensors, frames and lists, in the shapes of other programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.datasets.labels import as_array, refuse_missing
from fewshot.exceptions import FewshotError, expect

SOFT = 1e-3  # how much the sum of a row of probabilities may differ from 1
# Whole numbers from here on are rounded, so that classes would be merged.
EXACT = {
    torch.bfloat16: 2**8, torch.float16: 2**11, torch.float8_e4m3fn: 2**4, torch.float8_e5m2: 2**3,
    np.dtype(np.float16): 2**11,
}  # fmt: skip


def feature_matrix(features: Any, rows: int | None = None) -> tuple[NDArray, list[str]]:
    """Features (M, D) as float16, float32 or float64, and notices about what was reshaped.

    Axes of length 1 are left out. Whole numbers, booleans and narrower floating point become
    float32, longer and objects float64.

    Parameters
    ----------
    features : array-like or tensor
        Or a sequence, or a column of a data frame, of M vectors.
    rows : int, optional
        M, the number of labels, where it is known.

    Raises
    ------
    FewshotError
        Another shape, with the line that mends it; masked or complex numbers, texts.
    """
    if isinstance(features, np.ma.MaskedArray):
        hidden = np.flatnonzero(np.ma.getmaskarray(features).reshape(len(features), -1).any(1))
        expect(
            not len(hidden),
            "features",
            f"{len(hidden)} rows have masked numbers, first row {hidden[0] if len(hidden) else 0}",
            "Leave such rows out.",
        )
    array = _plain_array("features", features)
    if array.dtype == object:
        array = _of_objects(array, getattr(features, "columns", None))
    if array.dtype.kind in "iub":
        array = array.astype(np.float32)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array, notices = _as_rows(array, rows)
    expect(
        array.shape[0] > 0 and array.shape[1] > 0, "features", f"got an empty array {array.shape}"
    )
    native = array.dtype.newbyteorder("=")
    expect(
        native in (np.float16, np.float32, np.float64),
        "features",
        f"expected float16, float32 or float64, got {array.dtype}",
        "Take their real part, features.real, or their size, numpy.abs(features)."
        if array.dtype.kind == "c"
        else "",
    )
    # torch takes neither negative strides nor foreign byte orders
    return np.ascontiguousarray(array, dtype=native), notices


def _plain_array(argument: str, values: Any) -> NDArray:
    """An array of anything that has numbers or names."""
    if isinstance(values, list | tuple) and any(isinstance(v, torch.Tensor) for v in values):
        values = [as_array(value) for value in values]
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise FewshotError(
            argument, "expected a dense array, got a sparse matrix", f"Give {argument}.toarray()."
        )
    try:
        return as_array(values)
    except (ValueError, TypeError, RuntimeError) as error:
        problem = f"expected an array or a tensor, got {type(values).__name__}: {error}"
        raise FewshotError(argument, problem.splitlines()[0]) from None


def _of_objects(array: NDArray, columns: Any) -> NDArray:
    """Numbers (M, D) from objects: a vector per row, or numbers that may be missing."""
    if array.ndim == 1 and array.size and hasattr(array[0], "__len__") and not _is_text(array[0]):
        rows = [as_array(row) for row in array]
        shapes = sorted({row.shape for row in rows}, key=str)
        expect(
            len(shapes) == 1,
            "features",
            f"expected rows of the same length, got shapes {shapes[0]} and {shapes[-1]}",
        )
        array = np.stack(rows)
    if array.dtype != object:
        return array
    for place, value in np.ndenumerate(array):
        if _is_text(value):
            column = f"column {columns[place[1]]!r}, " if columns is not None and place[1:] else ""
            raise FewshotError(
                "features",
                f"expected numbers, got the text {value!r:.60} in {column}row {place[0]}",
                "Leave columns of texts out.",
            )
    import pandas as pd

    try:
        return np.where(pd.isna(array), np.nan, array).astype(np.float64)
    except (TypeError, ValueError):
        kinds = sorted({type(value).__name__ for value in array.flat})
        raise FewshotError("features", f"expected numbers, got {', '.join(kinds[:4])}") from None


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes)


def _as_rows(array: NDArray, rows: int | None) -> tuple[NDArray, list[str]]:
    """The array as (M, D), without axes of length 1, and a notice if it was reshaped."""
    shape, problem = array.shape, f"expected shape (M, D), got {array.shape}"
    if array.ndim == 2:
        if rows is not None and shape[0] != rows == shape[1]:
            raise FewshotError(
                "features",
                f"expected {rows} rows, one per label, got shape {shape}",
                "It is transposed: give features.T.",
            )
        return array, []
    if array.ndim < 2:
        line = "One feature per row is features[:, None]." if array.ndim else ""
        raise FewshotError("features", problem, line)
    if array.ndim == 3 and shape[0] == 1 and rows in (shape[1], None) and shape[1] > 1:
        flat = array[0]
    elif sum(size > 1 for size in shape[1:]) <= 1:
        flat = array.reshape(shape[0], -1)
    else:
        raise FewshotError("features", problem, _pooling(shape))
    return flat, [f"features: of shape {shape}, taken as {flat.shape}"]


def _pooling(shape: tuple[int, ...]) -> str:
    """How to make a vector of what an image has, by the shape of all of them."""
    if len(shape) == 4:
        axes = (1, 2) if shape[1] == shape[2] != shape[3] else (2, 3)
        return f"Average over the places of a feature map: features.mean({axes})."
    if len(shape) == 3:
        return "Of tokens take their mean, features.mean(1), or the first, features[:, 0]."
    return "Flatten them: features.reshape(len(features), -1)."


def label_vector(labels: Any, rows: int, numbered: bool = False) -> tuple[Any, list[str]]:
    """Labels with one axis, and notices about what was reshaped.

    (M, 1) and (1, M) lose an axis, a column per class (one-hot) becomes the number of the column,
    and booleans become names, or numbers if these are positions in a list of names.

    Parameters
    ----------
    labels : array-like or tensor
    rows : int
        M.
    numbered : bool
        Whether there are class names.

    Raises
    ------
    FewshotError
        Another shape, or whole numbers that the dtype has rounded.
    """
    _expect_exact(labels)
    values = _plain_array("labels", labels)
    notices = []
    if values.ndim == 2 and 1 in values.shape and values.size == rows:
        notices = [f"labels: of shape {values.shape}, taken as ({rows},)"]
        if isinstance(labels, np.ma.MaskedArray):
            return labels.reshape(-1), notices
        labels = values = values.reshape(-1)
    elif values.ndim == 2 and len(values) == rows and values.shape[1] > 1:
        notices = [f"labels: one-hot {values.shape}, taken as numbers of columns"]
        labels = values = _columns(values)
    expect(
        values.shape == (rows,),
        "labels",
        f"expected {rows} labels, one per row of features, got shape {values.shape}",
    )
    if values.dtype == bool:
        notices.append("labels: booleans, taken as two classes")
        labels = values.astype(np.int64) if numbered else np.array(["False", "True"])[values * 1]
    return labels, notices


def _expect_exact(labels: Any) -> None:
    limit = EXACT.get(getattr(labels, "dtype", None))
    if limit is None:
        return
    largest = as_array(labels)
    top = float(np.nanmax(np.abs(largest.astype(np.float64)), initial=0))
    if np.isfinite(top) and top > limit:
        raise FewshotError(
            "labels",
            f"{str(labels.dtype).removeprefix('torch.')} has whole numbers up to {limit} only, got "
            f"{top:g}, so that classes may have been merged",
            "Save them as int64.",
        )


def _columns(values: NDArray) -> NDArray:
    """The column (M,) of the only 1 of every row (M, C)."""
    problem = f"expected a label per row, got shape {values.shape}"
    numbers = values.dtype.kind in "fiub"
    if numbers and not np.isnan(values.astype(np.float64)).any():
        real = values.astype(np.float64)
        total = real.sum(1)
        if ((real == 0) | (real == 1)).all():
            refuse_missing("labels", total == 0)
            several = np.flatnonzero(total > 1)
            if not len(several):
                return values.argmax(1)
            problem += f", whose row {several[0]} has {total[several[0]]:g} ones"
        elif (real >= 0).all() and (np.abs(total - 1) < SOFT).all():
            problem += " of probabilities"
        raise FewshotError("labels", problem, "The largest of a row is labels.argmax(1).")
    raise FewshotError("labels", problem, "Give one column of them.")
