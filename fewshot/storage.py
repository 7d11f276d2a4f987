"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot.exceptions import FewshotError


def plain_name(name: str, longest: int = 120) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^\w.,=-]+", "_", name)[:longest]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what was written there is renamed to `path` on success.

    A file or a folder. On any error the partial one is removed and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Make an empty folder that no other process has: `path`, or one with a number after it.

    Whoever leaves it empty, as after an error, leaves no trace of it.
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
    """Turn a full disk, a missing permission, a disk without locks ... into the house form."""
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
