"""Chunks to a finished bank."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset
from fewshot.features.chunks import Chunk, Chunks, Plan
from fewshot.features.files import FEATURES, LABELS, NOTE, PATHS
from fewshot.features.messages import unreadable
from fewshot.features.paths import write_paths
from fewshot.features.ranges import magnitudes, row_sizes
from fewshot.storage import atomic_path


def assemble(
    folder: Path, chunks: Chunks, plan: Plan, dataset: ImageDataset, note: dict[str, Any]
) -> None:
    """Write the bank `folder` from its chunks, whole or not at all. The caller holds its lock."""
    failures, shape, dtype, seconds, sizes = _survey(chunks, plan)
    if not shape[0]:
        raise unreadable(failures[0]["path"], "no image can be read", len(dataset))
    kept = np.ones(len(dataset), dtype=bool)
    kept[[failure["row"] for failure in failures]] = False
    for left in folder.parent.glob(f".{folder.name}.*.partial"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with atomic_path(folder) as partial:
        partial.mkdir()
        blocks = (chunk.features for chunk in _read(chunks, plan) if len(chunk.features))
        digest = write_npy(partial / FEATURES, blocks, shape, dtype)
        np.save(partial / LABELS, dataset.labels[kept], allow_pickle=False)
        write_paths(partial / PATHS, [dataset.paths[row] for row in np.flatnonzero(kept)])
        whole = note | {
            "images": shape[0],
            "dim": shape[1],
            "dataset": dataset.name,
            "classnames": list(dataset.classnames),
            "parts": dataset.parts and list(dataset.parts),
            "skipped": failures,
            "feature": note["causes"]["backbone"]["feature"],
            "precision": plan.precision,
            "precision_check": plan.check,
            "magnitudes": magnitudes(sizes),
            "batch": plan.batch,
            # Of all processes together; null where one did not note it.
            "seconds": None if math.isnan(seconds) else round(seconds, 3),
            "sha256": {
                "features": digest,
                "labels": hashlib.sha256((partial / LABELS).read_bytes()).hexdigest(),
            },
            "versions": versions(),
            "platform": platform.platform(),
        }
        # Last, because a folder with this file is a bank.
        (partial / NOTE).write_text(json.dumps(whole), encoding="utf-8")
        if not (folder / NOTE).is_file():  # else a machine that no lock keeps out was faster
            shutil.rmtree(folder, ignore_errors=True)


def _read(chunks: Chunks, plan: Plan) -> Iterator[Chunk]:
    return (chunks.read(number) for number in range(plan.chunks))


def _survey(
    chunks: Chunks, plan: Plan
) -> tuple[list[dict[str, Any]], tuple[int, int], np.dtype[Any], float, NDArray]:
    """Failures, shape (M, D) and dtype of all features, seconds they took, sizes (M,) of rows."""
    sizes = [np.empty(0)]
    failures: list[dict[str, Any]] = []
    rows, dim, dtype, seconds = 0, 0, np.dtype("float32"), 0.0
    for chunk in _read(chunks, plan):
        failures += chunk.failures
        seconds += chunk.seconds
        if len(chunk.features):
            rows, dim = rows + len(chunk.features), chunk.features.shape[1]
            dtype = chunk.features.dtype
            sizes.append(row_sizes(chunk.features))
    return failures, (rows, dim), dtype, seconds, np.concatenate(sizes)


def write_npy(
    path: Path, blocks: Iterator[NDArray], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> str:
    """Write blocks of rows as one .npy and return its SHA-256.

    By ordinary writes: on a full disk they fail, where a memory map would crash.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=dtype).data)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Releases of the libraries that decide features."""
    from importlib.metadata import version

    names = {"torch": "torch", "timm": "timm", "open_clip": "open_clip_torch", "pillow": "pillow"}
    return {own: version(package) for own, package in names.items()} | {"torch": torch.__version__}
