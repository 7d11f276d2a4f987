"""Run a backbone over all images and write a bank, resuming where an earlier try ended."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from fewshot.backbones.base import Backbone
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.exceptions import FewshotError
from fewshot.features.store import unreadable
from fewshot.storage import atomic_path

AHEAD = 3  # batches that are decoded while the network works on one


@dataclass
class Progress:
    """How far an extraction got; on disk after every batch.

    Attributes
    ----------
    seen : int
        Images done, the skipped ones among them.
    skipped : list of dict
        ``row``, ``path`` and ``reason`` of every unreadable image.
    dim : int
        Feature dimensions.
    """

    seen: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    dim: int = 0

    @property
    def rows(self) -> int:
        """Rows in the file of features."""
        return self.seen - len(self.skipped)


def extract_to(
    folder: Path,
    dataset: ImageDataset,
    backbone: Backbone,
    note: dict[str, Any],
    *,
    device: torch.device,
    dtype: str,
    batch_size: int,
    on_error: str,
    threads: int | None,
) -> None:
    """Write the bank `folder`. The caller holds its lock.

    Rows are appended to ``<folder>.partial``, which becomes `folder` when it is complete; a
    later try goes on from the last batch that an interrupted one finished.
    """
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(exist_ok=True)
    raw, state = partial / "features.raw", partial / "progress.json"
    progress = _resume(raw, state, np.dtype(dtype).itemsize)
    if progress.seen < len(dataset):
        encode = backbone.load(device)
        with raw.open("ab") as file:
            _append(
                file, state, progress, dataset, backbone,
                encode, dtype, batch_size, on_error, threads,
            )  # fmt: skip
    if progress.rows == 0:
        raise unreadable(progress.skipped[0]["path"], "no image can be read", len(dataset))
    _finish(partial, raw, progress, dataset, dtype, note)
    shutil.rmtree(folder, ignore_errors=True)  # without bank.json it was not a bank
    partial.replace(folder)


def _append(
    file: Any,
    state: Path,
    progress: Progress,
    dataset: ImageDataset,
    backbone: Backbone,
    encode: Callable[[Tensor], Tensor],
    dtype: str,
    batch_size: int,
    on_error: str,
    threads: int | None,
) -> None:
    limit = float(np.finfo(dtype).max)
    bar = tqdm(
        total=len(dataset), initial=progress.seen, unit="img", disable=None,
        desc=f"{backbone.name} features of {dataset.name}",
    )  # fmt: skip
    with bar:
        for start, stop, pixels, failures in _batches(
            dataset, backbone, progress.seen, batch_size, threads
        ):
            if failures and on_error == "raise":
                raise unreadable(failures[0]["path"], failures[0]["reason"])
            if len(pixels):
                rows = encode(backbone.transform.normalise(pixels)).float().cpu().numpy()
                _check(rows, limit, dtype, dataset.paths[start], backbone.name)
                progress.dim = rows.shape[1]
                file.write(np.ascontiguousarray(rows, dtype=dtype).tobytes())
                file.flush()
            progress.seen = stop
            progress.skipped += failures
            with atomic_path(state) as text:
                text.write_text(json.dumps(vars(progress)), encoding="utf-8")
            bar.update(stop - start)


def _check(rows: NDArray, limit: float, dtype: str, first: str, name: str) -> None:
    if not np.isfinite(rows).all() or np.abs(rows).max() > limit:
        raise FewshotError(
            "backbone",
            f"{name} gives features that are not finite as {dtype} in the batch that begins with "
            f"{first!r}",
            "Set features.dtype=float32, or check the weights.",
        )


Batch = tuple[int, int, Tensor, list[dict[str, Any]]]


def _batches(
    dataset: ImageDataset, backbone: Backbone, first: int, batch_size: int, threads: int | None
) -> Iterator[Batch]:
    """Decoded batches in order, some of them ahead of time, from `threads` threads."""

    def decode(row: int) -> Tensor | dict[str, Any]:
        try:
            return backbone.transform.pixels(dataset.read(row))
        except UnreadableImageError as error:
            return {"row": row, "path": dataset.paths[row], "reason": str(error)}

    starts = iter(range(first, len(dataset), batch_size))
    waiting: list[tuple[int, int, list[Future]]] = []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        try:
            while True:
                for start in starts:
                    stop = min(start + batch_size, len(dataset))
                    waiting.append(
                        (start, stop, [pool.submit(decode, row) for row in range(start, stop)])
                    )
                    if len(waiting) > AHEAD:
                        break
                if not waiting:
                    return
                start, stop, futures = waiting.pop(0)
                done = [future.result() for future in futures]
                pixels = [item for item in done if isinstance(item, Tensor)]
                failures = [item for item in done if isinstance(item, dict)]
                yield start, stop, torch.stack(pixels) if pixels else torch.empty(0), failures
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _resume(raw: Path, state: Path, itemsize: int) -> Progress:
    """What an earlier try finished; bytes of an unfinished batch are cut off."""
    try:
        progress = Progress(**json.loads(state.read_text(encoding="utf-8")))
        size = progress.rows * progress.dim * itemsize
        if raw.stat().st_size < size or bool(progress.rows) != bool(size):
            raise ValueError("rows are missing")
    except (OSError, ValueError, TypeError):
        raw.unlink(missing_ok=True)
        return Progress()
    with raw.open("r+b") as file:
        file.truncate(size)
    return progress


def _finish(
    partial: Path,
    raw: Path,
    progress: Progress,
    dataset: ImageDataset,
    dtype: str,
    note: dict[str, Any],
) -> None:
    """Turn raw rows into ``features.npy`` and add labels and the note."""
    kept = np.ones(len(dataset), dtype=bool)
    kept[[item["row"] for item in progress.skipped]] = False
    mapped = np.memmap(raw, dtype=dtype, mode="r", shape=(progress.rows, progress.dim))
    _copy_npy(partial / "features.npy", mapped)
    del mapped
    np.save(partial / "labels.npy", dataset.labels[kept], allow_pickle=False)
    import timm

    note = note | {
        "classnames": list(dataset.classnames),
        "paths": [path for path, keep in zip(dataset.paths, kept, strict=True) if keep],
        "skipped": [{"path": s["path"], "reason": s["reason"]} for s in progress.skipped],
        "feature": note["causes"]["backbone"]["feature"],
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
        "platform": platform.platform(),
    }
    raw.unlink()
    (partial / "progress.json").unlink()
    # Last, because a folder with this file is a bank.
    (partial / "bank.json").write_text(json.dumps(note), encoding="utf-8")


def _copy_npy(path: Path, rows: NDArray) -> None:
    """Write rows as .npy by ordinary writes: a full disk then is an error, not a crash."""
    header = {
        "descr": np.lib.format.dtype_to_descr(rows.dtype),
        "fortran_order": False,
        "shape": rows.shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), 65536):
            file.write(np.ascontiguousarray(rows[start : start + 65536]).tobytes())
