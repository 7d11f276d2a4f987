"""Segmentation of further images by a head that is fitted on all annotated images of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.backbones.settings import backbone_settings
from fewshot.config.compose import settings_from
from fewshot.config.nodes import options_of
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.evaluation.inputs import BACKBONE
from fewshot.evaluation.mask_files import (
    checked_target,
    expect_same_classes,
    mask_names,
    write_mask,
    write_overlay,
)
from fewshot.evaluation.named import create_objects, named_head
from fewshot.exceptions import FewshotError, expect, expect_choice, suggestion
from fewshot.features.extraction.pipeline import ordered
from fewshot.files import atomic_path, writing
from fewshot.hardware import device_named, torch_threads
from fewshot.importing import is_target
from fewshot.progress import stage
from fewshot.tasks import task_named
from fewshot.tasks.segmentation.dense.encoder import threads_of
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.estimators.leave_out import LeaveOneImageOut
from fewshot.tasks.segmentation.fitted import Annotated, FittedHeads, annotated
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.schema import NAME
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.source import MaskSource
from fewshot.units import counted

if TYPE_CHECKING:
    import pandas as pd

OVERLAYS = "_overlays"  # behind the name of the folder of masks
CLASSES = "classes.txt"
ESTIMATOR = "loo_image"


@dataclass(frozen=True, eq=False, repr=False)
class Segments:
    """Images that are segmented when they are asked for; masks are never kept in memory.

    Attributes
    ----------
    images : ImageDataset
    annotated : Annotated
        What the head was fitted on.
    head : str
        Its name.
    fitted : FittedHeads
    level : float
        Nominal coverage of the interval of the predicted mIoU.
    on_error : {"raise", "skip"}
    threads : int
    sources : tuple of Path
        Folders that images and annotated masks are taken from: nothing is written there.
    skipped : list of dict
        ``path`` and ``reason`` of images that could not be read, after a pass over them.
    """

    images: ImageDataset
    annotated: Annotated
    head: str
    fitted: FittedHeads
    level: float = SegmentationSettings.level
    on_error: str = "raise"
    threads: int = 1
    sources: tuple[Path, ...] = ()
    skipped: list[dict[str, str]] = field(default_factory=list)
    _shares: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """In few words: nothing is segmented for it."""
        annotated = self.annotated.dataset
        return (
            f"<Segments of {counted(len(self.images), 'image')} into "
            f"{len(annotated.classnames)} classes by {self.head}, fitted on "
            f"{counted(len(annotated.support), 'annotated image')} of {annotated.name}>"
        )

    @property
    def classnames(self) -> tuple[str, ...]:
        """Names of the numbers in the masks."""
        return self.annotated.dataset.classnames

    def mask(self, row: int) -> NDArray[np.int16]:
        """Class numbers (H, W) of an image."""
        return self.fitted.segment(self.images.read(row))

    @cached_property
    def predicted(self) -> SegmentationPrediction:
        """How well images like the annotated ones are segmented: each is, without having it.

        ``.miou`` with the interval ``.lower`` to ``.upper``, ``.iou`` of every class,
        ``.pixel_error`` and ``.reservations``; NaN for a single annotated image.
        """
        (predictions,) = self.fitted.predictions({ESTIMATOR: LeaveOneImageOut()}, self.level)
        return predictions[ESTIMATOR]

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
            target.mkdir(parents=True, exist_ok=True)
            for row, image, mask in self._pass():
                write_mask(target / names[row], mask, len(self.classnames))
                if overlay:
                    file = self.overlays(target) / names[row]
                    write_overlay(file, image, mask, self.annotated.dataset.background)
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
        return row, (image, self.fitted.segment(image))


def segment(
    images: Any,
    like: Any,
    head: str | DenseHead = "pixel_lda",
    *,
    out: str | Path | None = None,
    overlay: bool = False,
    backbone: str = BACKBONE,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    on_error: str = "raise",
    device: str = "auto",
    weights: str | Path | None = None,
    threads: int | None = None,
    seed: int = 0,
) -> Segments:
    """Segment images as the annotated ones of a folder are.

    A head is fitted on all annotated images: those of ``train.txt``, or all where there is none.

    Parameters
    ----------
    images : str, Path, or several of them
        Image files, and folders of them at any depth.
    like : str, Path or MaskDataset
        Annotated images: a folder with ``images/`` and ``masks/``, or a name of ``fewshot list
        datasets``.
    head : str or DenseHead
        A name of ``fewshot list heads --task segmentation``, or an object; "auto" chooses among
        several by leaving annotated images out.
    out : str or Path, optional
        Folder to which the masks are written at once, as `Segments.save` does later.
    overlay : bool
        Whether overlays are written, too.
    backbone : str
        A name of ``fewshot list backbones``.
    options : dict, optional
        The section ``segmentation`` of ``fewshot --cfg job``: {"size": "short:384"}.
    settings : sequence of str
        Further SETTING=VALUE, as "dataset.binary=true".
    on_error : {"raise", "skip"}
        What to do about images that cannot be read.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    threads : int, optional
        Cores to use; all by default.
    seed : int
        Of what is random in the head.

    Returns
    -------
    Segments
        ``.save(folder)`` writes the masks, ``.mask(row)`` is one of them, ``.table`` has the
        shares of the classes, ``.predicted`` the mIoU that is predicted.

    Raises
    ------
    FewshotError
        No images or masks there, masks that do not fit, an unknown head or backbone.

    Examples
    --------
    >>> import fewshot  # doctest: +SKIP
    >>> fewshot.segment("new_images", like="annotated", out="masks").table  # doctest: +SKIP
    """
    expect_choice("on_error", on_error, ("raise", "skip"))
    places = [images] if isinstance(images, str | Path) else list(images)
    expect(bool(places), "images", "expected at least one image or folder, got none")
    new = load_files([str(place) for place in places], "images")
    name, classifier = _head(head, settings)
    source, section = mask_source(
        like, backbone=backbone, options=options, settings=settings, device=device, weights=weights
    )
    sources = (*_folders(places), *_folders_of(source))
    if out is not None:  # fails before any work
        _expect_not_annotated(out, source)
        checked_target(out, mask_names(new.paths), new.paths, sources)
    cores = threads or threads_of(source.device)
    support = annotated(source, section, threads=cores)
    if out is not None:
        expect_same_classes(Path(out).expanduser() / CLASSES, support.dataset.classnames)
    fitted = support.fit([classifier], seed)
    segments = Segments(new, support, name, fitted, section.level, on_error, cores, sources)
    if out is not None:
        segments.save(out, overlay)
    return segments


def _head(head: str | DenseHead, settings: Sequence[str]) -> tuple[str, DenseHead]:
    """Name and object of a head; a name has the settings ``head.NAME``."""
    registry = task_named(NAME).registry("head")
    own = [word for word in settings if word.startswith("head.")]
    if not isinstance(head, str) or not own:
        expect(not own, "head", "expected the name of a head with settings of it")
        return named_head(head, registry)
    composed = settings_from([f"task={NAME}", f"head={head}", *own])["head"]
    ((name, made),) = create_objects(registry, composed).items()
    return name, made


def _folders(places: Sequence[Any]) -> list[Path]:
    folders = [Path(place).expanduser() for place in places]
    return [folder for folder in folders if folder.is_dir()]


def _expect_not_annotated(out: str | Path, source: MaskSource) -> None:
    """Raise if masks are to be written among the lists and class names of the annotated images."""
    root = source.settings["dataset"].get("root")
    if root is None:
        return
    same = os.path.realpath(Path(out).expanduser()) == os.path.realpath(Path(root).expanduser())
    expect(
        not same,
        "out",
        f"expected another folder than that of the annotated images, got {out}",
        f"Its {CLASSES} would be written over.",
    )


def _folders_of(source: MaskSource) -> set[Path]:
    """Folders of the annotated images and masks; none of a data set that is no folder."""
    root, dataset = source.settings["dataset"].get("root"), source.load()
    if root is None:
        return set()
    files = (*dataset.images.paths, *dataset.masks)
    return {(Path(str(root)).expanduser() / file).parent for file in files}


def mask_source(
    like: Any,
    *,
    argument: str = "like",
    backbone: str = BACKBONE,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    weights: str | Path | None = None,
) -> tuple[MaskSource, SegmentationSettings]:
    """Annotated images and their backbone, and the settings of segmentation; see `segment`."""
    words = [f"task={NAME}"]
    given: MaskDataset | None = None
    if isinstance(like, MaskDataset):
        given = like
    elif Path(str(like)).expanduser().is_dir():
        words += ["dataset=folder", f"dataset.root={like}"]
    elif isinstance(like, str) and (like in options_of("dataset") or is_target(like)):
        words.append(f"dataset={like}")
    else:
        raise FewshotError(
            argument,
            "expected a folder with images/ and masks/, a MaskDataset or a name of `fewshot list "
            f"datasets`, got {like!r}",
            suggestion(str(like), options_of("dataset")) if str(like).isidentifier() else "",
        )
    if weights is not None:
        words.append(f"paths.weights={weights}")
    own = [word for word in settings if not word.startswith("head.")]
    composed = settings_from([*words, *own])
    composed["backbone"] = backbone_settings(backbone)
    section = SegmentationSettings.of(composed[NAME] | dict(options or {}))
    return MaskSource(composed, device_named(device), given), section
