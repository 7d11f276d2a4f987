"""A segmentation model to take away: images in, class numbers of their pixels out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.exceptions import FewshotError, expect
from fewshot.models.header import Header
from fewshot.models.inputs import image_dataset
from fewshot.models.segmentation.note import DenseNote, noted
from fewshot.models.segmentation.segments import NewImages, Segments
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, threads_of
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.fitted import Annotated, segment_image
from fewshot.tasks.segmentation.fitting import DrawFit
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.units import counted


@dataclass(frozen=True, eq=False, repr=False)
class Segmenter:
    """A dense head fitted on annotated images, with the network whose features it reads.

    What `fewshot.fit` returns with ``task="segmentation"``, and `fewshot.load` of its file.

    Attributes
    ----------
    head : DenseHead
        Fitted.
    header_ : Header
        What `save` writes of it: classes, network, versions.
    dense : DenseNote
        How images are taken in.
    features : DenseFeatures
        Of the network, which is loaded for the first image.
    predict : callable
        Makes `predicted`, when that is asked for.
    annotated, fits : Annotated and DrawFit, or None
        What it was fitted on; of a loaded one none.
    sources : tuple of Path
        Folders of annotated images and masks: nothing is written there.
    """

    head: DenseHead
    header_: Header
    dense: DenseNote
    features: DenseFeatures
    predict: Callable[[], SegmentationPrediction | None]
    annotated: Annotated | None = None
    fits: DrawFit | None = None
    sources: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        """In few words: nothing is loaded or predicted for it."""
        network = self.header_.backbone
        return (
            f"<Segmenter into {len(self.classnames)} classes by {self.name_of_head} on "
            f"{network.name if network else 'features'}, fitted on "
            f"{counted(self.dense.annotated, 'annotated image')} of {self.header_.name}>"
        )

    @property
    def classnames(self) -> tuple[str, ...]:
        """Names (C,) of the numbers in the masks."""
        return self.header_.classes

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The same as an array."""
        return np.array(self.classnames)

    @property
    def name_of_head(self) -> str:
        """The head as it was asked for; "auto" of one that was chosen."""
        return self.dense.requested

    @property
    def card(self) -> str:
        """The model card, in Markdown, as `save` writes it."""
        from fewshot.models.segmentation.card import mask_card

        return mask_card(self.header_, noted(self.dense, self.predicted))

    @cached_property
    def predicted(self) -> SegmentationPrediction | None:
        """How well images like the annotated ones are segmented: each was, without having it.

        ``.miou`` with the interval ``.lower`` to ``.upper``, ``.iou`` of every class,
        ``.pixel_error`` and ``.reservations``; NaN for a single annotated image. None where it was
        left out.
        """
        return self.predict()

    def segment(self, image: Any) -> NDArray[np.int16]:
        """Class numbers (H, W) of an image.

        Parameters
        ----------
        image : path, PIL image, or uint8 array (H, W, 3)

        Raises
        ------
        FewshotError
            An image that cannot be read, or weights that cannot be had.
        """
        many = isinstance(image, list | tuple) or getattr(image, "ndim", 2) > 3
        expect(not many, "image", "expected a single image, got several", "See `segment_all`.")
        dataset = image_dataset([image], "image")
        try:
            return self.mask(dataset.read(0))
        except UnreadableImageError as error:
            reason = {"path": dataset.paths[0], "reason": str(error)}
            raise FewshotError("image", unreadable_of([reason]).problem) from None

    def segment_all(
        self,
        images: str | Path | Iterable[str | Path],
        out: str | Path | None = None,
        *,
        overlay: bool = False,
        on_error: str = "raise",
        threads: int | None = None,
    ) -> Segments:
        """Segment image files, and folders of them at any depth.

        Parameters
        ----------
        images : str, Path, or several of them
        out, overlay, on_error, threads
            See `fewshot.segment`.

        Raises
        ------
        FewshotError
            No images there, a folder that masks must not be written to.
        """
        new = NewImages.of(images, on_error)
        new.check_target(out, self.classnames, self.sources)
        return self.segments(new, out, overlay=overlay, threads=threads)

    def segments(
        self, new: NewImages, out: str | Path | None, *, overlay: bool, threads: int | None
    ) -> Segments:
        """Images that were listed and checked, as `segment_all` returns them."""
        device = self.features.device
        sources = (*new.folders, *self.sources)
        result = Segments(new.images, self, new.on_error, threads or threads_of(device), sources)
        if out is not None:
            result.save(out, overlay)
        return result

    def save(self, path: str | Path, with_weights: bool = False) -> None:
        """Write it as one file: see docs/segmentation.md.

        Parameters
        ----------
        path : path
            By custom ``NAME.fewshot``.
        with_weights : bool
            Whether the weights of the network are packed; else they are referred to by their hash.

        Raises
        ------
        FewshotError
            A head that cannot be saved, or a file that cannot be written.
        """
        from fewshot.models.segmentation.saving import save_segmenter

        save_segmenter(self, path, with_weights)

    def mask(self, image: Image.Image) -> NDArray[np.int16]:
        """Class numbers (H, W) of an RGB PIL image."""
        return segment_image(self.head, self.features, image)
