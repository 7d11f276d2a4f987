"""Unfinished banks: chunks of rows, written atomically by one process or several."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path

# Images that are lost if a process is killed. A chunk is a file until the bank is complete, and a
# folder should not hold more than a few thousand files.
IMAGES_PER_CHUNK = 64
MOST_CHUNKS = 4096


@dataclass(frozen=True)
class Plan:
    """Settings of the extraction of a bank, fixed by the first process and used by all.

    Attributes
    ----------
    images : int
    batch : int
        Images per forward pass, which affects the last bits of features.
    size : int
        Images per chunk, a multiple of `batch`.
    precision : str
        Precision of the network: "float32", "bfloat16" or "float16".
    check : dict
        Result of the comparison with float32; empty without a comparison.
    """

    images: int
    batch: int
    size: int
    precision: str
    check: dict[str, Any]

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return math.ceil(self.images / self.size)

    def rows(self, chunk: int) -> range:
        """Row numbers of the images of a chunk."""
        return range(chunk * self.size, min((chunk + 1) * self.size, self.images))


@dataclass(frozen=True)
class Chunk:
    """Features (m, D) of the images of one chunk, without those that could not be read.

    Attributes
    ----------
    features : ndarray of shape (m, D)
    failures : list of dict
        ``row``, ``path`` and ``reason`` of every unreadable image.
    seconds : float
        Time of its computation; NaN if it was not recorded.
    signatures : ndarray of shape (m, 66), or None
        Signatures of the images for finding duplicates; None if they were not recorded.
    """

    features: NDArray
    failures: list[dict[str, Any]]
    seconds: float = math.nan
    signatures: NDArray | None = None


class Chunks:
    """The folder ``<bank>.partial``: a plan, finished chunks, and locks of those in work.

    A lock is released when its process ends, also by a crash, so that no chunk is lost and none
    is computed twice at a time, also by processes of several machines on one disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self) -> Plan | None:
        """The stored plan, or None before the extraction has begun."""
        try:
            return Plan(**json.loads((self.folder / "plan.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(error) from None

    def begin(self, plan: Plan) -> Plan:
        """Store `plan` unless a plan exists; return the plan that is valid."""
        with self._lock("plan.lock"):
            existing = self.plan()
            if existing is not None:
                return existing
            with atomic_path(self.folder / "plan.json") as partial:
                partial.write_text(json.dumps(asdict(plan)), encoding="utf-8")
        return plan

    def done(self) -> set[int]:
        """Numbers of the chunks that are on disk."""
        return {int(path.stem.partition("_")[2]) for path in self.folder.glob("chunk_*.npz")}

    def write(self, number: int, chunk: Chunk) -> None:
        """Store a chunk atomically."""
        failures = np.frombuffer(json.dumps(chunk.failures).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {
            "features": chunk.features, "failures": failures, "seconds": chunk.seconds,
        }  # fmt: skip
        if chunk.signatures is not None:
            arrays["signatures"] = chunk.signatures
        with atomic_path(self._file(number)) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def read(self, number: int) -> Chunk:
        """Read a stored chunk."""
        try:
            with np.load(self._file(number), allow_pickle=False) as stored:
                failures = json.loads(stored["failures"].tobytes())
                seconds = float(stored["seconds"]) if "seconds" in stored else math.nan
                marks = stored.get("signatures")
                return Chunk(stored["features"], failures, seconds, marks)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise self._damaged(error) from None

    @contextmanager
    def claim(self, number: int) -> Iterator[bool]:
        """Lock a chunk; yields False if another process holds it or has finished it."""
        lock = self._lock(f"chunk_{number:06d}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield not self._file(number).exists()
        finally:
            lock.release()

    def remove(self) -> None:
        """Delete the folder."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def _file(self, number: int) -> Path:
        return self.folder / f"chunk_{number:06d}.npz"

    def _lock(self, name: str) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Threads of one process claim chunks for each other.
        return FileLock(self.folder / name, thread_local=False)

    def _damaged(self, error: Exception) -> FewshotError:
        return FewshotError(
            "paths.cache",
            f"the unfinished feature bank {self.folder} cannot be read: {error}",
            "Delete that folder; extraction begins anew.",
        )
