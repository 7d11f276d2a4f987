"""Numbers of pixels of every class in every image, counted once and cached."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewshot.files import atomic_path
from fewshot.hardware import available_cores
from fewshot.progress import counted_work
from fewshot.tasks.segmentation.masks.base import IGNORED


def counts_of(mask: NDArray[np.int16], classes: int) -> NDArray[np.int64]:
    """Pixels of every class in a mask, ignored ones last, (C + 1,)."""
    counts = np.bincount(mask.reshape(-1) - np.int16(IGNORED), minlength=classes + 1)
    return np.roll(counts, -1)


def counted(
    read_mask: Callable[[int], NDArray[np.int16]],
    images: int,
    classes: int,
    cache: Path | None = None,
) -> NDArray[np.int64]:
    """Pixels of every class in every mask, ignored ones last.

    Parameters
    ----------
    read_mask : callable
        Row to class numbers (H, W) below `classes`, or `IGNORED`.
    images, classes : int
        M and C.
    cache : Path, optional
        ``.npz`` file that the result is taken from or written to. It only saves time: it may be
        absent, damaged or unwritable.

    Returns
    -------
    ndarray of shape (M, C + 1), int64
    """
    remembered = _load(cache, (images, classes + 1))
    if remembered is not None:
        return remembered
    table = np.zeros((images, classes + 1), np.int64)
    with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
        rows = pool.map(lambda row: counts_of(read_mask(row), classes), range(images))
        try:
            for row in counted_work(range(images), "reading masks", "masks"):
                table[row] = next(rows)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if cache is not None:
        with suppress(OSError), atomic_path(cache) as partial, partial.open("wb") as file:
            np.savez_compressed(file, counts=table)
    return table


def _load(cache: Path | None, shape: tuple[int, int]) -> NDArray[np.int64] | None:
    if cache is None:
        return None
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            table = arrays["counts"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fine = table.shape == shape and table.dtype == np.int64
    return table if fine else None
