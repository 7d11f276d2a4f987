"""Search for image files below a folder, with links, hidden files and unusual names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.datasets.image_kinds import EXTENSIONS, KINDS, extension_of
from fewshot.exceptions import FewshotError

if TYPE_CHECKING:
    from fewshot.datasets.unread import OtherFiles

# Folders that systems, disks, cameras and programs leave behind, in lower case, with copies and
# thumbnails of images in them. Only names that no person gives to a class; those with a dot in
# front (.thumbnails, .Trash-1000, .AppleDouble) are hidden in any case.
SYSTEM_FOLDERS = frozenset({
    "@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin",  # Synology
    "@recycle", "@recently-snapshot", "@__thumb",  # QNAP
    "~snapshot", "_gsdata_",  # NetApp, GoodSync
    "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder",  # Apple
    "resource.frk", "backups.backupdb", "ipod photo cache",
    "recycler", "system volume information", "config.msi", "msocache",  # Windows
    "lost+found", "lost.dir",  # Linux, Android
    "thmbnl", "avf_info", "canonmsc",  # cameras
    "__pycache__", "node_modules", "site-packages", "venv",  # programs
})  # fmt: skip
# Of Windows; FOUND.000 is what chkdsk rescued, _vti_cnf FrontPage's.
SYSTEM_PATTERN = re.compile(
    r"\$(recycle\.bin|extend|winreagent|sysreset|windows\.~\w+)|found\.\d{3}|_vti_\w+"
)


def image_files(
    folder: Path, argument: str = "dataset.root", others: OtherFiles | None = None
) -> list[Path]:
    """Image files at any depth, sorted; other files are counted in `others`.

    Links are followed, but no folder is entered twice, nor one that holds `folder`: the images of
    other classes are not images of this one. Hidden files and folders, those that systems leave
    behind, pipes and devices are passed over; a link that leads nowhere stays, to be reported when
    it is read.

    Raises
    ------
    FewshotError
        A folder cannot be listed.
    """
    readable = _Readable()
    files = []
    for path in _files_below(folder, argument):
        if readable(path.name):
            files.append(path)
        elif others is not None:
            others.add(path)
    return sorted(files)


def has_images(folder: Path, argument: str = "dataset.root") -> bool:
    """Whether there is an image file at any depth, also one of a kind that cannot be read here."""
    return any(is_photograph(path.name) for path in _files_below(folder, argument))


def direct_images(folder: Path, argument: str = "dataset.root") -> list[Path]:
    """Image files right in a folder, sorted, also those that cannot be read here."""
    entries = _entries(folder, argument)
    return sorted(
        folder / entry.name
        for entry in entries
        if not _is_folder(entry) and is_photograph(entry.name) and _is_file(entry)
    )


def sub_folders(folder: Path, argument: str = "dataset.root") -> list[Path]:
    """Folders right in a folder, and links to such, in order of their names."""
    return sorted(folder / entry.name for entry in _entries(folder, argument) if _is_folder(entry))


def is_photograph(name: str) -> bool:
    """Whether a file's extension is one of photographs, read here or not."""
    kind = KINDS.get(extension_of(name))
    return kind is not None and kind.photographs


class _Readable:
    """Whether files of these names are read here; asks once about every extension."""

    def __init__(self) -> None:
        self._known = dict.fromkeys(EXTENSIONS, True)

    def __call__(self, name: str) -> bool:
        extension = extension_of(name)
        if extension not in self._known:
            self._known[extension] = extension in KINDS and KINDS[extension].readable()
        return self._known[extension]


def _files_below(folder: Path, argument: str) -> Iterator[Path]:
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
            elif _is_file(entry):
                yield current / entry.name
        waiting += sorted(subs, reverse=True)  # so that the first of them is the next one


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


def instead_of_file(path: Path | str) -> str:
    """What a message says of a path that should have been a file."""
    try:
        folder = Path(path).expanduser().is_dir()
    except (OSError, RuntimeError):
        folder = False
    return f"{'a folder' if folder else 'nothing there'}: {str(path)!r}"


def _entries(folder: Path, argument: str) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder, without hidden ones and those that systems leave behind."""
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)  # closed even if the caller stops early
    except OSError as error:
        where = printable(str(error.filename or folder))
        raise FewshotError(argument, f"cannot list {where!r}: {error.strerror}") from None
    for entry in listed:
        if not entry.name.startswith(".") and not (
            _is_left_behind(entry.name) and _is_folder(entry)
        ):
            yield entry


def _is_left_behind(name: str) -> bool:
    plain = name.casefold()
    return plain in SYSTEM_FOLDERS or SYSTEM_PATTERN.fullmatch(plain) is not None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a regular file, or a link to one or to nowhere."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:  # a link to itself
        return True
