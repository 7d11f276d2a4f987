"""The annotated images of draws as heads take them, and their masks as a draw knows the classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from threading import Lock
from typing import TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.bilinear import soft_labels
from fewshot.tasks.segmentation.draws import EVERY_CLASS, DrawSet
from fewshot.tasks.segmentation.heads.base import MomentHead, SupportImage, image_moments
from fewshot.tasks.segmentation.masks.base import IGNORED, MaskDataset
from fewshot.tasks.segmentation.moments import Moments

Value = TypeVar("Value")
REMEMBERED = 2**28  # bytes of each kind that are kept


class Recent:
    """What was made last, by key, up to a number of bytes; several threads may ask.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self.limit, self._held, self._lock = limit, 0, Lock()
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of a key, made where it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]  # type: ignore[return-value]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value, size(value)
                self._held += self._values[key][1]
            while self._held > self.limit and self._values:
                self._held -= self._values.popitem(last=False)[1][1]
        return value


def as_draw_knows(mask: NDArray, labels: NDArray) -> NDArray[np.int16]:
    """A mask (H, W) of the data set's classes in the numbers (C,) that a draw has for them."""
    return np.append(labels, IGNORED).astype(np.int16)[mask]


def annotated_pixels(dataset: MaskDataset, drawn: DrawSet) -> NDArray[np.int64]:
    """Annotated pixels (E, S, N) of every class in every image of every draw."""
    presence = dataset.presence()
    pixels = np.zeros((*drawn.support.shape, drawn.ways), dtype=np.int64)
    for e, s in np.argwhere(drawn.support >= 0):
        counts, target = presence[drawn.support[e, s]], drawn.annotated[e, s]
        labels = drawn.labels[e]
        keep = labels >= 0
        if target != EVERY_CLASS:
            others_are_background = (labels == 0) & drawn.has_background
            keep &= (np.arange(len(labels)) == target) | others_are_background
        np.add.at(pixels[e, s], labels[keep], counts[keep])
    return pixels


class AnnotatedImages:
    """Tokens, masks and moments of the annotated images of draws.

    Parameters
    ----------
    dataset : MaskDataset
    bank : DenseBank
    device : torch.device
    """

    def __init__(self, dataset: MaskDataset, bank: DenseBank, device: torch.device) -> None:
        self.dataset, self.bank, self.device = dataset, bank, device
        self._masks, self._moments = Recent(), Recent()

    def mask(self, drawn: DrawSet, draw: int, place: int) -> NDArray[np.int16]:
        """What is annotated of an image of a draw: (H, W), `IGNORED` where nothing is."""
        row, target = int(drawn.support[draw, place]), int(drawn.annotated[draw, place])
        mask = self._masks.get(row, lambda: self.dataset.read_mask(row), lambda m: int(m.nbytes))
        known = as_draw_knows(mask, drawn.labels[draw])
        if target == EVERY_CLASS:
            return known
        kept = mask == target
        if drawn.has_background:
            kept |= known == 0
        return np.where(kept, known, np.int16(IGNORED))

    def image(self, drawn: DrawSet, draw: int, place: int) -> SupportImage:
        """An annotated image of a draw."""
        tokens = self.bank.tokens(int(drawn.support[draw, place]))
        mask = torch.from_numpy(self.mask(drawn, draw, place))
        labels = soft_labels(mask, drawn.ways, tokens.placement)
        return SupportImage(tokens.features.to(self.device), labels.to(self.device), tokens.grid)

    def moments(self, drawn: DrawSet, draw: int, place: int, head: MomentHead) -> Moments:
        """Moments of an annotated image of a draw, as a head takes them."""
        key = (
            int(drawn.support[draw, place]),
            int(drawn.annotated[draw, place]),
            drawn.labels[draw].tobytes(),
            drawn.has_background,
            head.unit_length,
            head.needs_second,
        )
        return self._moments.get(
            key,
            lambda: image_moments(
                self.image(drawn, draw, place), head.unit_length, head.needs_second
            ),
            lambda moments: sum(t.numel() * t.element_size() for t in moments),
        )


class DrawnImages(Sequence[SupportImage]):
    """The annotated images of a draw, read as they are asked for."""

    def __init__(self, source: AnnotatedImages, drawn: DrawSet, draw: int) -> None:
        self.source, self.drawn, self.draw = source, drawn, draw

    def __len__(self) -> int:
        return len(self.drawn.support_of(self.draw))

    @overload
    def __getitem__(self, place: int) -> SupportImage: ...
    @overload
    def __getitem__(self, place: slice) -> list[SupportImage]: ...
    def __getitem__(self, place: int | slice) -> SupportImage | list[SupportImage]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self.source.image(self.drawn, self.draw, place)

    def __iter__(self) -> Iterator[SupportImage]:
        return (self[place] for place in range(len(self)))

    def descriptors(self) -> Tensor:
        """Mean token (S, D) of every image."""
        means = [self.source.bank.tokens(row).features.mean(0)
                 for row in self.drawn.support_of(self.draw).tolist()]  # fmt: skip
        return torch.stack(means)
