"""Atomic writing of files and folders, and digests of their content."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot.exceptions import FewshotError
from fewshot.hardware import available_cores
from fewshot.progress import counted_work


def plain_name(name: str, longest: int = 120) -> str:
    """Return `name` with the characters that a file system may refuse replaced by ``_``."""
    return re.sub(r"[^\w.,=-]+", "_", name)[:longest]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which is renamed to `path` on success.

    For a file or a folder. On any error the partial one is removed, and with it folders that were
    made for it, and `path` is left unchanged.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    with new_folder(path.parent):
        try:
            yield partial
            partial.replace(path)
        finally:
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Create a folder with its parents; on any error remove those that were created and are empty.

    Raises
    ------
    OSError
        It cannot be created.
    """
    missing = missing_folders(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def missing_folders(path: Path) -> list[Path]:
    """Return those of a folder and its parents that do not exist, the deepest first."""
    path = path.absolute()
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, of which each is in the next one, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:  # never created
            continue
        except OSError:  # not empty
            return


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Create an empty folder for this process only: `path`, or `path` with a number appended.

    A folder that is still empty at the end, as after an error, is removed.
    """
    for number in itertools.count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    try:
        yield folder
    finally:
        with suppress(OSError):  # not empty
            folder.rmdir()


@contextmanager
def writing(setting: str, path: Path) -> Iterator[None]:
    """Raise FewshotError for operating system errors: a full disk, a missing permission, ..."""
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file is larger than a limit (ulimit -f) or the file system allows",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.EEXIST: "a file of that name is in the way",
        errno.EISDIR: "a folder of that name is in the way",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ENOLCK: "the file system has no file locks",
        errno.EOPNOTSUPP: "the file system has no file locks",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in reasons:
            raise
        raise FewshotError(
            setting,
            f"cannot write to {path}: {reasons[error.errno]}",
            f"Free some space or point {setting} to another folder.",
        ) from error


# Seconds after which a partial folder of a killed process counts as abandoned.
ABANDONED = 3600


def forget_abandoned(partial: Path) -> None:
    """Remove a partial folder whose writing process was killed."""
    with suppress(OSError):
        if _abandoned(partial):
            shutil.rmtree(partial, ignore_errors=True)


def _abandoned(partial: Path) -> bool:
    """Whether a partial folder is old and its writing process is gone.

    Clocks jump, and differ among machines: a time in the future counts as one in the past.
    """
    age = abs(time.time() - partial.stat().st_mtime)
    return age > ABANDONED and not _alive(partial.name.split(".")[-3])


def _alive(process: str) -> bool:
    """Whether a process of that id exists; only on POSIX, as ``os.kill`` ends it elsewhere."""
    if os.name != "posix" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


UNREADABLE = "unreadable"  # in place of a digest; reading the content raises later


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, or ``UNREADABLE``."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def file_digests(paths: Sequence[Path], cache: Path | None = None) -> list[str]:
    """Return the SHA-256 of every file.

    With a `cache` file, a digest is stored together with the file's size and its times of
    modification and of change, and is computed again when any of them differs. The cache only
    saves time: it may be absent, damaged or unwritable.
    """
    remembered = _load(cache)
    stamps = [_stamp(path) for path in paths]
    digests = [
        remembered.get(str(path), {}).get(stamp) for path, stamp in zip(paths, stamps, strict=True)
    ]
    missing = [i for i, digest in enumerate(digests) if digest is None]
    if missing:
        with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
            fresh = pool.map(file_digest, [paths[i] for i in missing])
            for i, digest in zip(
                counted_work(missing, "reading files", "files"), fresh, strict=True
            ):
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
