"""Advice to the operating system on reads of memory-mapped files."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from torch import Tensor

# Rows that are nearly all of a range are fetched as a range.
DENSE = 2
FEWEST_ROWS = 64


def expect_scattered_rows(array: np.memmap[Any, Any]) -> None:
    """Disable read-ahead for a memory-mapped array.

    It would read a whole bank for the few rows of an episode: fourteen times as much as is needed
    for a thousand rows of a million.
    """
    if hasattr(mmap, "MADV_RANDOM"):  # not on Windows
        array._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]


def prefetch(array: Any, rows: Tensor) -> None:
    """Start reading a range of a mapped file if `rows` are most of it, as those of a class are."""
    mapped = getattr(array, "base", None)
    if not isinstance(mapped, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    if len(rows) < FEWEST_ROWS:
        return
    first, last = int(rows.min()), int(rows.max())
    if last - first < DENSE * len(rows):
        row = array.strides[0]
        begin = (array.offset + first * row) // mmap.PAGESIZE * mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, begin, array.offset + (last + 1) * row - begin)
