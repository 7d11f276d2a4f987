"""Feature banks on disk: found by what made them, extracted when they are missing."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from fewshot.backbones.base import Backbone
from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.storage import plain_name, writing

FORMAT = 1


def bank_causes(dataset: ImageDataset, backbone: Backbone, dtype: str) -> dict[str, Any]:
    """Everything that changes the content of a bank."""
    return {
        "format": FORMAT,
        "dataset": dataset.fingerprint(),
        "backbone": backbone.fingerprint(),
        "dtype": dtype,
    }


def bank_key(causes: dict[str, Any]) -> str:
    """SHA-256 of the causes."""
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()


def open_or_extract(
    dataset: ImageDataset,
    backbone: Backbone,
    cache: Path,
    *,
    device: torch.device,
    dtype: str = "float32",
    batch_size: int = 64,
    on_error: str = "raise",
    threads: int | None = None,
) -> FeatureBank:
    """The features of `dataset` under `backbone`, memory-mapped.

    A bank that exists is opened: no network is loaded and no image decoded. Otherwise one
    process extracts it, and others that want the same bank meanwhile wait for it.

    Parameters
    ----------
    dataset : ImageDataset
    backbone : Backbone
    cache : Path
        Folder of banks.
    device : torch.device
    dtype : {"float16", "float32"}
    batch_size : int
    on_error : {"raise", "skip"}
        What to do about an unreadable image; skipped ones are listed in ``info["skipped"]``.
    threads : int, optional
    """
    from fewshot.features.extract import extract_to

    causes = bank_causes(dataset, backbone, dtype)
    key = bank_key(causes)
    folder = cache / f"{plain_name(dataset.name, 60)}-{plain_name(backbone.name, 60)}-{key[:16]}"
    if not (folder / "bank.json").is_file():
        with writing("paths.cache", cache):
            cache.mkdir(parents=True, exist_ok=True)
            with _exclusive(folder.with_name(f"{folder.name}.lock")):
                if not (folder / "bank.json").is_file():
                    extract_to(
                        folder, dataset, backbone, {"key": key, "causes": causes}, device=device,
                        dtype=dtype, batch_size=batch_size, on_error=on_error, threads=threads,
                    )  # fmt: skip
    bank = open_bank(folder)
    skipped = bank.info["skipped"]
    if skipped and on_error == "raise":
        first = skipped[0]
        raise unreadable(first["path"], first["reason"], len(skipped))
    info = bank.info | {"dataset": dataset.name, "backbone": backbone.name}
    return replace(bank, classnames=dataset.classnames, parts=dataset.parts, info=info)


def open_bank(folder: Path) -> FeatureBank:
    """Open a stored bank; its features are mapped, not read."""
    try:
        note = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
        # Copy-on-write: torch wants writable memory, and nothing that is written reaches the file.
        features = np.load(folder / "features.npy", mmap_mode="c", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        names, paths = tuple(note.pop("classnames")), tuple(note.pop("paths"))
        note["skipped"]  # a missing key is damage
        if not len(features) == len(labels) == len(paths):
            raise ValueError(f"{len(features)} features, {len(labels)} labels, {len(paths)} paths")
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise FewshotError(
            "paths.cache",
            f"the feature bank {folder} cannot be read: {error}",
            "Delete that folder; it is extracted again.",
        ) from None
    return FeatureBank(features, labels, names, paths, info=note)


def unreadable(path: str, reason: str, count: int = 1) -> FewshotError:
    """The message for an image that cannot be read."""
    more = f" (and {count - 1} more)" if count > 1 else ""
    return FewshotError(
        "dataset",
        f"cannot read image {path!r}{more}: {reason}",
        "Replace or remove it, or set dataset.on_error=skip.",
    )


class _exclusive:  # noqa: N801  used as a function
    """Hold the lock of a bank, saying so when another process has it."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path)

    def __enter__(self) -> None:
        try:
            self.lock.acquire(timeout=0.2)
        except Timeout:
            print("Another process extracts these features; waiting for it.", file=sys.stderr)
            self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
