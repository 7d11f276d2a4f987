"""Where the rows of one cell begin and end in a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fewshot.results.schema import CELL_COLUMNS, ONE_CLASS_KEYS


def segments(table: pa.Table) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """The identity of a cell, first row and one past the last, of rows that follow each other.

    Parameters
    ----------
    table : pa.Table
        With the columns that name a cell; texts as dictionaries or not.

    Yields
    ------
    tuple
        A cell whose rows are scattered comes several times.
    """
    if not len(table):
        return
    names = [*CELL_COLUMNS, *(name for name in ONE_CLASS_KEYS if name in table.column_names)]
    missing = len(CELL_COLUMNS) + len(ONE_CLASS_KEYS) - len(names)
    change = np.zeros(len(table), dtype=bool)
    change[0] = True
    for name in names:
        if not _constant(table.column(name)):
            codes = _codes(table.column(name))
            change[1:] |= codes[1:] != codes[:-1]
    starts = np.flatnonzero(change)
    first = table.select(names).take(pa.array(starts))
    keys = zip(*(first.column(name).to_pylist() for name in names), strict=True)
    stops = np.append(starts[1:], len(table))
    for key, start, stop in zip(keys, starts.tolist(), stops.tolist(), strict=True):
        yield (*key, *[""] * missing), start, stop


def _constant(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary says at once that all values are one."""
    return (
        pa.types.is_dictionary(column.type)
        and column.num_chunks == 1
        and column.null_count == 0
        and len(column.chunk(0).dictionary) == 1
    )


def _codes(column: pa.ChunkedArray) -> NDArray:
    """Integers that are equal where the values are."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.dictionary_encode(column)
    if pa.types.is_dictionary(column.type):
        whole = column.unify_dictionaries().combine_chunks()
        chunks = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
        column = pa.chunked_array([pc.fill_null(one.indices, -1) for one in chunks])
    codes: NDArray = column.to_numpy()
    return codes
