"""Content hashes of files, worked out again only for files that were touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

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
