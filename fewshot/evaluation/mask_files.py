"""Masks of images in files: what they are called, where they may lie, and how they are written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.exceptions import expect
from fewshot.files import atomic_path, regular_file, writing
from fewshot.tasks.segmentation.pictures import indexed, overlay

MOST_COLOURS = 256  # of a PNG file with a palette


def mask_names(paths: Sequence[str]) -> list[Path]:
    """Files of the masks of images, relative to their folder: the same sub-folders and names.

    Images of a folder whose names differ by their extensions alone keep these.

    Examples
    --------
    >>> [str(name) for name in mask_names(["new/a/1.jpg", "new/b/1.jpg", "new/b/1.bmp"])]
    ['a/1.png', 'b/1.jpg.png', 'b/1.bmp.png']
    """
    places = [Path(path).absolute() for path in paths]
    common = os.path.commonpath([place.parent for place in places])
    files = [place.relative_to(common) for place in places]
    short = [file.with_suffix(".png") for file in files]
    count = Counter(short)
    return [
        name if count[name] == 1 else file.with_name(f"{file.name}.png")
        for file, name in zip(files, short, strict=True)
    ]


def checked_target(
    folder: str | Path, names: Sequence[Path], images: Iterable[str], sources: Iterable[Path]
) -> Path:
    """The folder of masks; raises before any work.

    Parameters
    ----------
    folder : str or Path
    names : sequence of Path
        Of the masks in it.
    images : iterable of str
        Files that are never written over.
    sources : iterable of Path
        Folders that images and annotated masks are taken from: nothing is written there.

    Raises
    ------
    FewshotError
        A mask would be an image the next time, or replace one.
    """
    expect(str(folder) != "", "out", "expected a folder, got an empty name")
    target = Path(folder).expanduser()
    real = {os.path.realpath(file) for file in images}
    for name in names:
        expect(
            os.path.realpath(target / name) not in real,
            "out",
            f"{target / name} is one of the images",
            "Give another folder.",
        )
    place = Path(os.path.realpath(target))
    for source in sources:
        expect(
            not place.is_relative_to(os.path.realpath(source)),
            "out",
            f"expected a folder beside the images and the annotated masks, got {target}",
            "Masks in there would be taken for images, or for annotated masks.",
        )
    expect(not target.is_file(), "out", f"expected a folder, got the file {target}")
    return target


def expect_same_classes(file: Path, classnames: Sequence[str]) -> None:
    """Raise if a folder has masks of other classes, whose names would be written over.

    Parameters
    ----------
    file : Path
        ``classes.txt`` of the folder, which may be absent.
    classnames : sequence of C str

    Raises
    ------
    FewshotError
        It names other classes, or cannot be read.
    """
    if not file.exists():
        return
    with writing("out", file):
        names = regular_file("out", file).read_text(encoding="utf-8", errors="replace").splitlines()
    expect(
        names == list(classnames),
        "out",
        f"{file} names other classes than those of the masks to be written",
        "Give another folder, or remove what is in this one.",
    )


def write_mask(file: Path, mask: NDArray[np.int16], classes: int) -> None:
    """Write class numbers (H, W): PNG with a palette, or of 16 bits for more than 256 classes."""
    if classes <= MOST_COLOURS:
        image = indexed(mask.astype(np.uint8))
    else:
        image = Image.fromarray(mask.astype(np.uint16))
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as partial:
        image.save(partial, format="PNG")


def write_overlay(
    file: Path, image: Image.Image, mask: NDArray[np.int16], background: int | None
) -> None:
    """Write an image with its mask over it, as JPEG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file.with_suffix(".jpg")) as partial:
        overlay(image, mask, background=background).save(partial, format="JPEG", quality=90)
