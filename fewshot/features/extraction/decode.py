"""Image files to batches of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.transform import Transform
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.features.extraction.signatures import signatures


@dataclass(frozen=True)
class Pixels:
    """Images of one batch as a network's transform cuts them.

    Attributes
    ----------
    images : Tensor of shape (B, 3, S, S), uint8, channels last
        Those that could be read.
    failures : list of dict
        ``row``, ``path`` and ``reason`` of the others, and ``remedy`` where what is at fault is
        not the image.
    signatures : Tensor of shape (B, 66), float16
        Of the images, to find copies by; (0, 66) where they were not asked for.
    """

    images: Tensor
    failures: list[dict[str, Any]]
    signatures: Tensor

    def pinned(self) -> Pixels:
        """The same in memory that an accelerator copies from without waiting."""
        return Pixels(self.images.pin_memory(), self.failures, self.signatures)


def decode(
    dataset: ImageDataset, transform: Transform, rows: Sequence[int], *, signed: bool = True
) -> Pixels:
    """Read and transform some images. Pillow lets go of the interpreter while it works.

    Parameters
    ----------
    dataset : ImageDataset
    transform : Transform
    rows : sequence of int
    signed : bool
        Whether signatures are computed.
    """
    # Written channels last, as they come from Pillow and as convolutions want them.
    buffer = torch.empty((len(rows), transform.size, transform.size, 3), dtype=torch.uint8)
    images = buffer.permute(0, 3, 1, 2)
    good, failures = 0, []
    for row in rows:
        try:
            images[good] = transform.pixels(dataset.read(row))
            good += 1
        except UnreadableImageError as error:
            failure = {"row": row, "path": dataset.paths[row], "reason": str(error)}
            failures.append(failure | ({"remedy": error.remedy} if error.remedy else {}))
    return Pixels(images[:good], failures, signatures(images[: good if signed else 0]))
