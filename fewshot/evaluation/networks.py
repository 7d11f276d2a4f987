"""Networks by their names: those that can be used, and features of images under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fewshot.backbones import load as load_named
from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.notices import Notices
from fewshot.exceptions import FewshotError, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import open_or_extract
from fewshot.hardware import device_named
from fewshot.paths import places_of_environment

SETTING = ", or set backbone.weights=FILE"  # end of a remedy
T = TypeVar("T")
Extract = Callable[[ImageDataset], FeatureBank]


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


def extractor(
    name: str, device: str, weights: str | Path | None, size: int | None, on_error: str
) -> Extract:
    """A function from images to their features, at unit length."""
    if size is not None:
        expect_positive_int("size", size)
    network = load_named(name, weights=weights, size=size)
    extraction = Extraction(device_named(device), on_error=on_error)
    banks = places_of_environment(weights=None if weights is None else str(weights)).banks

    def extract(dataset: ImageDataset) -> FeatureBank:
        return replace(open_or_extract(dataset, network, banks, extraction), normalize="l2")

    return extract
