"""One's own images: a folder with one sub-folder per class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.fingerprint import file_digests
from fewshot.datasets.images import EXTENSIONS, read_image
from fewshot.exceptions import FewshotError


def load_folder(
    name: str, root: str | None, on_error: str = "raise", cache: Path | None = None
) -> ImageDataset:
    """List the images under ``root/<class>/``, at any depth, in order of their names.

    Files with another extension than JPEG, PNG, WebP, BMP and TIFF have, and hidden ones, are
    passed over. An empty class folder is an error, or passed over with ``on_error="skip"``.

    Parameters
    ----------
    name : str
    root : str
    on_error : {"raise", "skip"}
    cache : Path, optional
        Folder for remembered content hashes.
    """
    folder = _existing(root)
    files: list[Path] = []
    labels: list[int] = []
    classnames: list[str] = []
    for sub in sorted(_class_folders(folder), key=lambda path: path.name):
        own = sorted(_images(sub))
        if not own:
            if on_error == "skip":
                continue
            raise FewshotError(
                "dataset.root",
                f"class folder {str(sub)!r} has no image ({', '.join(sorted(EXTENSIONS))})",
                "Remove it or set dataset.on_error=skip.",
            )
        labels += [len(classnames)] * len(own)
        files += own
        classnames.append(_printable(sub.name))
    if not files:
        raise _nothing(folder)
    paths = tuple(_printable(file.relative_to(folder).as_posix()) for file in files)

    def read(row: int) -> Image.Image:
        return read_image(files[row])

    def fingerprint() -> str:
        known = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        index = None if cache is None else cache / f"{known}.json"
        digest = hashlib.sha256()
        for path, content in zip(paths, file_digests(files, index), strict=True):
            digest.update(f"{path}\0{content}\n".encode())
        return digest.hexdigest()

    return ImageDataset(
        name, np.array(labels, dtype=np.int64), tuple(classnames), paths, read, fingerprint
    )


def _existing(root: str | None) -> Path:
    if not root:
        raise FewshotError(
            "dataset.root",
            "expected a folder with one sub-folder per class, got nothing",
            "Say for instance: fewshot dataset=folder dataset.root=my_images.",
        )
    folder = Path(str(root)).expanduser()
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing there"
        raise FewshotError(
            "dataset.root",
            f"expected a folder with one sub-folder per class, got {what}: {str(folder)!r}",
            "Check the path; it is relative to the current folder.",
        )
    return folder


def _class_folders(folder: Path) -> list[Path]:
    try:
        return [sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith(".")]
    except OSError as error:
        _unlistable(error)
        raise


def _unlistable(error: OSError) -> None:
    raise FewshotError(
        "dataset.root", f"cannot list {str(error.filename)!r}: {error.strerror}"
    ) from None


def _printable(name: str) -> str:
    """A file name as text; bytes in it that are not UTF-8 are written as ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _images(folder: Path) -> Iterator[Path]:
    """Image files at any depth; links are followed, but no folder is entered twice.

    Nor is one that holds `folder`: the images of other classes are not images of this one.
    """
    top = Path(os.path.realpath(folder))
    seen = {str(parent) for parent in top.parents}
    for parent, folders, names in os.walk(folder, onerror=_unlistable, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(sub for sub in folders if not sub.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield Path(parent, name)


def _nothing(folder: Path) -> FewshotError:
    loose = any(path.suffix.lower() in EXTENSIONS for path in folder.iterdir())
    problem = "has images but no class folders" if loose else "has no class folders with images"
    return FewshotError(
        "dataset.root",
        f"{str(folder)!r} {problem}; expected {folder.name}/<class>/<image>",
        "Put the images of every class in a sub-folder named after it.",
    )
