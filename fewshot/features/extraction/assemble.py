"""Assembly of a bank from its chunks."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import unreadable_of
from fewshot.features.copies import copies_by_pixels
from fewshot.features.extraction.chunks import Chunk, Chunks, Plan
from fewshot.features.paths import (
    FEATURES,
    LABELS,
    NOTE,
    PATHS,
    write_paths,
)
from fewshot.features.ranges import magnitudes, row_sizes
from fewshot.files import atomic_path


def assemble(
    folder: Path, chunks: Chunks, plan: Plan, dataset: ImageDataset, note: dict[str, Any]
) -> None:
    """Write the bank `folder` from its chunks, whole or not at all. The caller holds its lock."""
    survey = _survey(chunks, plan)
    failures, shape = survey.failures, survey.shape
    if not shape[0]:
        raise unreadable_of(failures, "no image can be read: ")
    kept = np.ones(len(dataset), dtype=bool)
    kept[[failure["row"] for failure in failures]] = False
    for stale in folder.parent.glob(f".{folder.name}.*.partial"):  # by a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    with atomic_path(folder) as partial:
        partial.mkdir()
        blocks = (chunk.features for chunk in _read(chunks, plan) if len(chunk.features))
        digest = write_npy(partial / FEATURES, blocks, shape, survey.dtype)
        labels = dataset.labels[kept]
        paths = [dataset.paths[row] for row in np.flatnonzero(kept)]
        np.save(partial / LABELS, labels, allow_pickle=False)
        write_paths(partial / PATHS, paths)
        whole = note | {
            "images": shape[0],
            "dim": shape[1],
            "dataset": dataset.name,
            "classnames": list(dataset.classnames),
            "parts": dataset.parts and list(dataset.parts),
            "skipped": failures,
            "copies": None
            if survey.signatures is None
            else copies_by_pixels(survey.signatures, labels, paths),
            "feature": note["causes"]["backbone"]["feature"],
            "precision": plan.precision,
            "precision_check": plan.check,
            "magnitudes": magnitudes(survey.sizes),
            "batch": plan.batch,
            # Of all processes together; null where one did not note it.
            "seconds": None if math.isnan(survey.seconds) else round(survey.seconds, 3),
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


class _Survey(NamedTuple):
    """Metadata of all chunks.

    Failures, shape (M, D) and dtype of all features, the seconds they took, the sizes (M,) of
    rows, and the signatures of images where all chunks have some.
    """

    failures: list[dict[str, Any]]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    seconds: float
    sizes: NDArray
    signatures: NDArray | None


def _survey(chunks: Chunks, plan: Plan) -> _Survey:
    sizes = [np.empty(0)]
    failures: list[dict[str, Any]] = []
    rows, dim, dtype, seconds = 0, 0, np.dtype("float32"), 0.0
    signatures = []
    for chunk in _read(chunks, plan):
        failures += chunk.failures
        seconds += chunk.seconds
        signatures.append(chunk.signatures)
        if len(chunk.features):
            rows, dim = rows + len(chunk.features), chunk.features.shape[1]
            dtype = chunk.features.dtype
            sizes.append(row_sizes(chunk.features))
    complete = [marks for marks in signatures if marks is not None]
    together = np.concatenate(complete) if len(complete) == len(signatures) else None
    return _Survey(failures, (rows, dim), dtype, seconds, np.concatenate(sizes), together)


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
    """Versions of the libraries that affect features."""
    from importlib.metadata import version

    names = {"torch": "torch", "timm": "timm", "open_clip": "open_clip_torch", "pillow": "pillow"}
    return {library: version(package) for library, package in names.items()} | {
        "torch": torch.__version__
    }
