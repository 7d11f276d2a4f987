"""Networks by their names: those that can be used, and features of images under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Encode, Folders
from fewshot.backbones.settings import backbone_settings
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import unreadable_of
from fewshot.evaluation.notices import Notices
from fewshot.exceptions import FewshotError, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.pipeline import Encoded, encode_batches
from fewshot.features.extraction.precision import at_precision
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import open_or_extract
from fewshot.hardware import device_named
from fewshot.paths import places_of_environment

SETTING = ", or set backbone.weights=FILE"  # end of a remedy
T = TypeVar("T")


class Usable:
    """The backbones that can be used; the others are left out, unless there is none."""

    def __init__(self, names: Iterable[str], notices: Notices) -> None:
        self.names, self.notices = list(dict.fromkeys(names)), notices
        self._failed: dict[str, FewshotError] = {}

    def of(
        self, names: Iterable[str], make: Callable[[str], T], *, last: bool = True
    ) -> dict[str, T]:
        """What is made of each backbone, without those for which that fails.

        Parameters
        ----------
        names : iterable of str
        make : callable
        last : bool
            Whether nothing is made of them afterwards: warnings of those that are left out come
            then, as there is an error in their place if none is left.

        Raises
        ------
        FewshotError
            It fails for all of them, or for another reason than the backbone.
        """
        made: dict[str, T] = {}
        for name in names:
            try:
                made[name] = make(name)
            except FewshotError as error:
                # There are no settings of a run here; what else the remedy says is enough.
                error.remedy = error.remedy.replace(SETTING, "")
                if len(self.names) == 1 or not error.argument.startswith("backbone"):
                    raise
                self._failed[name] = error
        if not made:
            name, first = next(iter(self._failed.items()))
            problem = f"none of {', '.join(self.names)} can be used; {name}: {first.problem}"
            raise FewshotError("backbone", problem, first.remedy)
        for name, reason in self._failed.items() if last else ():
            # The name of the backbone stands for the argument.
            text = str(reason).removeprefix(f"{reason.argument}: ")
            self.notices.warn(f"left out: {name}: {text}")
        return made


@dataclass(frozen=True, eq=False)
class Network:
    """A backbone, and how it turns images into features.

    Attributes
    ----------
    name : str
        As it was asked for.
    settings : mapping
        Of the group ``backbone``.
    backbone : Backbone
    extraction : Extraction
    banks : Path
        Folder of the feature banks.
    """

    name: str
    settings: Mapping[str, Any]
    backbone: Backbone
    extraction: Extraction
    banks: Path

    def __call__(self, dataset: ImageDataset) -> FeatureBank:
        """Features of images at unit length, from the cache or extracted and kept there."""
        bank = open_or_extract(dataset, self.backbone, self.banks, self.extraction)
        return replace(bank, normalize="l2")

    @cached_property
    def encode(self) -> Encode:
        """The network, loaded when the first image needs it."""
        encode = self.backbone.load(self.extraction.device)
        return at_precision(encode, self.extraction.precision, self.extraction.device)

    def stream(self, dataset: ImageDataset) -> Iterator[Encoded]:
        """Features of images as the network gives them, batch by batch; nothing is kept of them.

        Threads decode while the network works. Images that cannot be read are among the failures of
        their batch. No file is hashed and no signature computed. On a CPU a batch gives the same
        bits on any number of cores; features of an image in batches of other sizes differ by
        rounding.
        """
        how, count = self.extraction, len(dataset)
        size = batch_size(count, how.batch, how.cores)
        batches = (range(start, min(start + size, count)) for start in range(0, count, size))
        yield from encode_batches(
            batches, dataset, self.backbone.transform, self.encode, how.device, how.cores,
            signed=False,
        )  # fmt: skip

    def features(self, dataset: ImageDataset) -> Tensor:
        """Features (M, D) of all images as the network gives them; nothing is kept in the cache.

        Raises
        ------
        FewshotError
            An image cannot be read: names it.
        """
        parts = []
        for batch in self.stream(dataset):
            if batch.failures:
                raise unreadable_of(batch.failures)
            parts.append(batch.features)
        return torch.cat(parts)

    def __getstate__(self) -> dict[str, Any]:
        """Pickles and copies are without the loaded network, and load it again when needed."""
        return {key: value for key, value in vars(self).items() if key != "encode"}

    def at(self, precision: str) -> Network:
        """The same at a precision."""
        return replace(self, extraction=replace(self.extraction, precision=precision))


def batch_size(images: int, most: int, threads: int) -> int:
    """Images per batch, so that threads that take a batch each all have work until the end.

    Examples
    --------
    >>> batch_size(20, 16, 2), batch_size(40, 16, 2), batch_size(100_000, 16, 2)
    (10, 10, 16)
    """
    batches = -(-images // most)
    rounds = -(-batches // threads)
    return max(1, -(-images // (rounds * threads)))


def network_named(
    name: str,
    *,
    device: str | torch.device = "auto",
    weights: str | Path | None = None,
    size: int | None = None,
    on_error: str = "raise",
) -> Network:
    """The network of a name of ``fewshot list backbones`` and the like; nothing is loaded yet.

    Parameters
    ----------
    name : str
    device : str or torch.device
    weights : str or Path, optional
        Folder where weights are looked for first.
    size : int, optional
        Input of the network in pixels.
    on_error : {"raise", "skip"}
        What to do about unreadable images.

    Raises
    ------
    FewshotError
        An unknown name or device.
    """
    if size is not None:
        expect_positive_int("size", size)
    places = places_of_environment(weights=weights)
    settings = backbone_settings(name) | ({} if size is None else {"size": size})
    backbone = load_backbone(settings, Folders(places.weights, places.digests))
    extraction = Extraction(device_named(str(device)), on_error=on_error)
    return Network(name, settings, backbone, extraction, places.banks)
