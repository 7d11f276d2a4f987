"""An unfinished bank: chunks of rows that appear whole, from one process or from many."""

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

# What a kill can cost. A chunk is a file until the bank is complete, and a folder should not hold
# more than some thousands of them.
IMAGES_PER_CHUNK = 64
MOST_CHUNKS = 4096


@dataclass(frozen=True)
class Plan:
    """How a bank is being extracted; whoever begins decides, and all others follow.

    Attributes
    ----------
    images : int
    batch : int
        Images that go through the network together; a part of what decides the last bits.
    size : int
        Images per chunk, a multiple of `batch`.
    precision : str
        What the network computes in: "float32", "bfloat16" or "float16".
    check : dict
        What comparing that with float32 gave; empty where there was nothing to compare.
    """

    images: int
    batch: int
    size: int
    precision: str
    check: dict[str, Any]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return math.ceil(self.images / self.size)

    def rows(self, chunk: int) -> range:
        """Images of a chunk."""
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
        What it took the process that computed it; NaN where nobody noted it.
    signatures : ndarray of shape (m, 66), or None
        Of the images, to find copies by; None where nobody noted them.
    """

    features: NDArray
    failures: list[dict[str, Any]]
    seconds: float = math.nan
    signatures: NDArray | None = None


class Chunks:
    """The folder ``<bank>.partial``: a plan, finished chunks, and locks of those in work.

    A lock is let go when its process ends, however it ends, so that nobody's chunk is lost and
    none is computed twice at a time, also by processes of several machines on one disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self) -> Plan | None:
        """The plan, if somebody began."""
        try:
            return Plan(**json.loads((self.folder / "plan.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(error) from None

    def begin(self, plan: Plan) -> Plan:
        """Store a plan, unless another process was first: the plan that holds."""
        with self._lock("plan.lock"):
            known = self.plan()
            if known is not None:
                return known
            with atomic_path(self.folder / "plan.json") as partial:
                partial.write_text(json.dumps(asdict(plan)), encoding="utf-8")
        return plan

    def done(self) -> set[int]:
        """Numbers of the chunks that are on disk."""
        return {int(path.stem.partition("_")[2]) for path in self.folder.glob("chunk_*.npz")}

    def write(self, number: int, chunk: Chunk) -> None:
        """Store a chunk; it is there whole or not at all."""
        failures = np.frombuffer(json.dumps(chunk.failures).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {
            "features": chunk.features, "failures": failures, "seconds": chunk.seconds,
        }  # fmt: skip
        if chunk.signatures is not None:
            arrays["signatures"] = chunk.signatures
        with atomic_path(self._file(number)) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def read(self, number: int) -> Chunk:
        """A chunk that is on disk."""
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
        """Hold a chunk; False where another process holds it or has finished it."""
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
