"""Search for image files below a folder, with links, hidden files and unusual names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fewshot.datasets.images import EXTENSIONS
from fewshot.exceptions import FewshotError

# Folders that systems, disks, cameras and editors leave behind, in lower case, with copies and
# thumbnails of images in them. Only names that no person gives to a class; those with a dot in
# front (.thumbnails, .Trash-1000, .AppleDouble) are hidden in any case.
SYSTEM_FOLDERS = frozenset({
    "@eadir", "#recycle", "#snapshot", "@tmp",  # Synology
    "@recycle", "@recently-snapshot",  # QNAP
    "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder",  # Apple
    "$recycle.bin", "recycler", "system volume information", "found.000",  # Windows
    "lost+found", "lost.dir",  # Linux, Android
    "thmbnl", "avf_info", "canonmsc",  # cameras
    "__pycache__",
})  # fmt: skip


def image_files(folder: Path, argument: str = "dataset.root") -> list[Path]:
    """Image files at any depth, sorted.

    Links are followed, but no folder is entered twice, nor one that holds `folder`: the images of
    other classes are not images of this one. Hidden files and folders, those of
    ``SYSTEM_FOLDERS``, pipes and devices are passed over; a link that leads nowhere stays, to be
    reported when it is read.

    Raises
    ------
    FewshotError
        A folder cannot be listed.
    """
    return sorted(_images_below(folder, argument))


def has_images(folder: Path, argument: str = "dataset.root") -> bool:
    """Whether there is an image file at any depth."""
    return next(_images_below(folder, argument), None) is not None


def _images_below(folder: Path, argument: str) -> Iterator[Path]:
    top = Path(os.path.realpath(folder))
    seen = {str(parent) for parent in top.parents}
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        subs = []
        for entry in _entries(current, argument):
            if _is_folder(entry):
                subs.append(current / entry.name)
            elif _is_image(entry):
                yield current / entry.name
        waiting += sorted(subs, reverse=True)  # so that the first of them is the next one


def direct_images(folder: Path, argument: str = "dataset.root") -> list[Path]:
    """Image files right in a folder, sorted."""
    entries = _entries(folder, argument)
    return sorted(
        folder / entry.name for entry in entries if not _is_folder(entry) and _is_image(entry)
    )


def sub_folders(folder: Path, argument: str = "dataset.root") -> list[Path]:
    """Folders right in a folder, and links to such, in order of their names."""
    return sorted(folder / entry.name for entry in _entries(folder, argument) if _is_folder(entry))


def printable(name: str) -> str:
    """A file name as text; bytes in it that are not UTF-8 are written as ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False for invalid names."""
    try:
        return path.is_dir()
    except OSError:  # too long a name, or a folder above that is closed
        return False


def is_file(path: Path) -> bool:
    """Whether `path` is a regular file; False for invalid names."""
    try:
        return path.is_file()
    except OSError:
        return False


def _entries(folder: Path, argument: str) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder, without hidden ones and ``SYSTEM_FOLDERS``."""
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)  # closed even if the caller stops early
    except OSError as error:
        where = printable(str(error.filename or folder))
        raise FewshotError(argument, f"cannot list {where!r}: {error.strerror}") from None
    for entry in listed:
        name = entry.name
        if not name.startswith(".") and not (
            name.casefold() in SYSTEM_FOLDERS and _is_folder(entry)
        ):
            yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    if Path(entry.name).suffix.lower() not in EXTENSIONS:
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:  # a link to itself
        return True
