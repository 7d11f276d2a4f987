"""Content hashes of files, worked out again only for files that were touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from numpy.typing import NDArray

from fewshot.hardware import available_cores
from fewshot.storage import atomic_path

UNREADABLE = "unreadable"  # in place of a digest; whoever needs the content will complain


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, or ``UNREADABLE``."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def images_digest(
    names: Sequence[str],
    files: Sequence[Path],
    index: Path | None = None,
    labels: NDArray | None = None,
) -> str:
    """Hash of the names and contents of images, in that order, and of their labels if given.

    Parameters
    ----------
    names : sequence of M str
    files : sequence of M Path
    index : Path, optional
        File where content hashes are remembered.
    labels : ndarray of shape (M,), int, optional
        Where the names do not tell the classes.
    """
    digest = hashlib.sha256()
    for row, (name, content) in enumerate(zip(names, file_digests(files, index), strict=True)):
        label = "" if labels is None else f"\0{labels[row]}"
        digest.update(f"{name}\0{content}{label}\n".encode())
    return digest.hexdigest()


def index_of(folder: Path, cache: Path | None, use: str = "") -> Path | None:
    """Where the content hashes of a folder's files are remembered, for one way of using it."""
    if cache is None:
        return None
    known = hashlib.sha256(os.fsencode(folder.resolve()) + use.encode()).hexdigest()[:16]
    return cache / f"{known}.json"


def file_digests(paths: Sequence[Path], cache: Path | None = None) -> list[str]:
    """SHA-256 of every file.

    With a `cache` file, a digest is remembered together with the file's size and its times of
    modification and of change, and is worked out again when any of them differs. The cache only
    saves time: it may be absent, damaged or unwritable.
    """
    known = _load(cache)
    stamps = [_stamp(path) for path in paths]
    digests = [
        known.get(str(path), {}).get(stamp) for path, stamp in zip(paths, stamps, strict=True)
    ]
    missing = [i for i, digest in enumerate(digests) if digest is None]
    if missing:
        with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
            fresh = pool.map(file_digest, [paths[i] for i in missing])
            for i, digest in zip(missing, fresh, strict=True):
                digests[i] = digest
        if cache is not None:
            rows = zip(paths, stamps, digests, strict=True)
            table = {str(path): {s: d} for path, s, d in rows if d != UNREADABLE}
            with suppress(OSError), atomic_path(cache) as partial:
                partial.write_text(json.dumps(table), encoding="utf-8", errors="surrogatepass")
    return [digest for digest in digests if digest is not None]


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:  # a dangling link
        return UNREADABLE
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"


def _load(cache: Path | None) -> dict[str, dict[str, str]]:
    if cache is None:
        return {}
    try:
        table = json.loads(cache.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError):
        return {}
    fine = isinstance(table, dict) and all(isinstance(entry, dict) for entry in table.values())
    return table if fine else {}
