"""Images and masks of any kind before they are checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.images import UPRIGHT


@dataclass(frozen=True)
class MaskRows:
    """Images and masks before anything is checked.

    Attributes
    ----------
    name : str
    paths, masks : tuple of M str
        Files, relative to the folder, as messages name them.
    classnames : tuple of C str, or None
        None: as many as the masks have, called by their numbers.
    read, read_mask : callable
        Row to RGB image, and to class numbers (H, W); raise ``UnreadableImageError``.
    size : callable
        Row to width and height of the image as `read` returns it.
    orientation : callable
        Row to the EXIF orientation of the image, which `read` has applied.
    digests, mask_digests : callable
        Hashes of the content of every image and every mask (M,).
    support : ndarray of int64
    queries : ndarray of int64, or None
    stems : tuple of M str, or None
        Names that ``dataset.group`` is matched with; by default the paths.
    groups : tuple of M str, or None
        Where the data set defines them.
    rules : str
        What decides about the meaning of the pixels, for the fingerprint.
    white_ignored : bool
        Whether pixels of value 255 are of no class, as they are numbers.
    facts : dict
    """

    name: str
    paths: tuple[str, ...]
    masks: tuple[str, ...]
    classnames: tuple[str, ...] | None
    read: Callable[[int], Image.Image]
    read_mask: Callable[[int], NDArray[np.int16]]
    size: Callable[[int], tuple[int, int]]
    digests: Callable[[], Sequence[str]]
    mask_digests: Callable[[], Sequence[str]]
    support: NDArray[np.int64]
    queries: NDArray[np.int64] | None
    stems: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    rules: str = ""
    white_ignored: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    orientation: Callable[[int], int] = lambda row: UPRIGHT

    def take_rows(self, rows: NDArray[np.int64]) -> MaskRows:
        """Those of some rows, in increasing order; the others leave the parts, too."""
        place = {int(row): i for i, row in enumerate(rows)}

        def kept(part: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.array([place[row] for row in part.tolist() if row in place], np.int64)

        def taken(values: Sequence[str] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[row] for row in rows)

        return replace(
            self,
            paths=taken(self.paths) or (),
            masks=taken(self.masks) or (),
            read=lambda row: self.read(int(rows[row])),
            read_mask=lambda row: self.read_mask(int(rows[row])),
            size=lambda row: self.size(int(rows[row])),
            orientation=lambda row: self.orientation(int(rows[row])),
            digests=lambda: taken(self.digests()) or (),
            mask_digests=lambda: taken(self.mask_digests()) or (),
            support=kept(self.support),
            queries=None if self.queries is None else kept(self.queries),
            stems=taken(self.stems),
            groups=taken(self.groups),
        )

    def with_parts(
        self, support: Sequence[int], queries: Sequence[int] | NDArray[np.int64] | None
    ) -> MaskRows:
        """The same rows with other parts."""
        judged = None if queries is None else np.asarray(queries, np.int64)
        return replace(self, support=np.asarray(support, np.int64), queries=judged)
