"""Images segmented by a fitted head: masks in memory, in files, and shares of the classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.evaluation.mask_files import (
    checked_target,
    expect_same_classes,
    mask_names,
    write_mask,
    write_overlay,
)
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.extraction.pipeline import ordered
from fewshot.files import atomic_path, writing
from fewshot.hardware import torch_threads
from fewshot.progress import stage
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.fitted import Annotated
from fewshot.units import counted

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.models.segmentation.segmenter import Segmenter

OVERLAYS = "_overlays"  # behind the name of the folder of masks
CLASSES = "classes.txt"


@dataclass(frozen=True, eq=False, repr=False)
class Segments:
    """Images that are segmented when they are asked for; masks are never kept in memory.

    Attributes
    ----------
    images : ImageDataset
    fitted : Segmenter
        What segments them.
    on_error : {"raise", "skip"}
    threads : int
    sources : tuple of Path
        Folders that images and annotated masks are taken from: nothing is written there.
    skipped : list of dict
        ``path`` and ``reason`` of images that could not be read, after a pass over them.
    """

    images: ImageDataset
    fitted: Segmenter
    on_error: str = "raise"
    threads: int = 1
    sources: tuple[Path, ...] = ()
    skipped: list[dict[str, str]] = field(default_factory=list)
    _shares: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """In few words: nothing is segmented for it."""
        fitted = self.fitted
        return (
            f"<Segments of {counted(len(self.images), 'image')} into "
            f"{len(fitted.classnames)} classes by {fitted.name_of_head}, fitted on "
            f"{counted(fitted.dense.annotated, 'annotated image')} of {fitted.header_.name}>"
        )

    @property
    def classnames(self) -> tuple[str, ...]:
        """Names of the numbers in the masks."""
        return self.fitted.classnames

    @property
    def annotated(self) -> Annotated | None:
        """What the head was fitted on; None of one that was loaded from a file."""
        return self.fitted.annotated

    @property
    def level(self) -> float:
        """Nominal coverage of the interval of the predicted mIoU."""
        return self.fitted.dense.level

    @property
    def predicted(self) -> SegmentationPrediction | None:
        """How well images like the annotated ones are segmented, see `Segmenter.predicted`."""
        return self.fitted.predicted

    def mask(self, row: int) -> NDArray[np.int16]:
        """Class numbers (H, W) of an image."""
        return self.fitted.mask(self.images.read(row))

    @property
    def table(self) -> pd.DataFrame:
        """A row per image: ``file``, and the share of its pixels of every class, in [0, 1]."""
        import pandas as pd

        if not self._shares:
            for _ in self._pass():
                pass
        rows = [[file, *shares] for file, shares in self._shares.items()]
        return pd.DataFrame(rows, columns=["file", *self.classnames])

    def save(self, folder: str | Path, overlay: bool = False) -> Path:
        """Write a mask per image: PNG files of class numbers with a palette, and ``classes.txt``.

        Masks are named as the images, in the same sub-folders. Of more than 256 classes they have
        16 bits and no palette.

        Parameters
        ----------
        folder : str or Path
        overlay : bool
            Whether the images with their masks over them are written, too, as JPEG files into a
            second folder: ``masks_overlays`` beside ``masks``.

        Raises
        ------
        FewshotError
            A file that would be written over an image, or into the folder of the annotated ones.
        """
        names = mask_names(self.images.paths)
        target = checked_target(folder, names, self.images.paths, self.sources)
        expect_same_classes(target / CLASSES, self.classnames)
        with writing("out", target):
            for row, image, mask in self._pass():
                write_mask(target / names[row], mask, len(self.classnames))
                if overlay:
                    file = self.overlays(target) / names[row]
                    write_overlay(file, image, mask, self.fitted.dense.background)
            lines = "".join(f"{name}\n" for name in self.classnames)
            with atomic_path(target / CLASSES) as partial:
                partial.write_text(lines, encoding="utf-8")
        return target

    @staticmethod
    def overlays(folder: Path) -> Path:
        """Where `save` writes overlays: beside the folder of masks."""
        return folder.with_name(folder.name + OVERLAYS)

    def _pass(self) -> Iterator[tuple[int, Image.Image, NDArray[np.int16]]]:
        """All images with their masks, in order; remembers shares and skipped images."""
        self._shares.clear()
        self.skipped.clear()
        ways = len(self.classnames)
        with torch_threads(1), stage("segmentation", len(self.images), "images") as work:
            for row, result in ordered(self._segmented, range(len(self.images)), self.threads, 1):
                work.update()
                if isinstance(result, UnreadableImageError):
                    reason = " ".join(str(result).split())
                    self.skipped.append({"path": self.images.paths[row], "reason": reason})
                    continue
                image, mask = result
                pixels = np.bincount(mask.ravel(), minlength=ways)
                self._shares[self.images.paths[row]] = pixels / pixels.sum()
                yield row, image, mask
        if not self._shares:
            first = self.skipped[0]
            raise FewshotError(
                "images",
                f"none of {len(self.images)} can be read, the first is {first['path']!r}: "
                f"{first['reason']}",
                "Copy the images again.",
            )

    def _segmented(self, row: int) -> tuple[int, Any]:
        try:
            image = self.images.read(row)
        except UnreadableImageError as error:
            if self.on_error == "raise":
                path, reason = self.images.paths[row], str(error)
                refusal = unreadable_of([{"path": path, "reason": reason}])
                raise FewshotError("images", refusal.problem, refusal.remedy) from None
            return row, error
        return row, (image, self.fitted.mask(image))


@dataclass(frozen=True, eq=False)
class NewImages:
    """Images to segment, as a user named them.

    Attributes
    ----------
    images : ImageDataset
    folders : tuple of Path
        Those among the places: nothing is written there.
    on_error : {"raise", "skip"}
    """

    images: ImageDataset
    folders: tuple[Path, ...]
    on_error: str

    @classmethod
    def of(cls, images: str | Path | Iterable[str | Path], on_error: str) -> NewImages:
        """List the images of files and folders."""
        expect_choice("on_error", on_error, ("raise", "skip"))
        places = [images] if isinstance(images, str | Path) else list(images)
        expect(bool(places), "images", "expected at least one image or folder, got none")
        listed = load_files([str(place) for place in places], "images")
        paths = (Path(place).expanduser() for place in places)
        return cls(listed, tuple(path for path in paths if path.is_dir()), on_error)

    def check_target(
        self,
        out: str | Path | None,
        classnames: tuple[str, ...] | None,
        sources: tuple[Path, ...] = (),
    ) -> None:
        """Raise if masks must not be written to `out`, before any work."""
        if out is None:
            return
        names = mask_names(self.images.paths)
        target = checked_target(out, names, self.images.paths, (*self.folders, *sources))
        if classnames is not None:
            expect_same_classes(target / CLASSES, classnames)
