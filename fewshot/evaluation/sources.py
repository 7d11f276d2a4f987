"""Where the features of an evaluation come from: arrays at hand, or the settings of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from fewshot.backbones.base import Backbone
from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.build import (
    described_backbone,
    extraction_settings,
    features_of,
    load_images,
    named_backbone,
    other_dataset,
)
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.two_sets import with_queries_of
from fewshot.paths import places_of
from fewshot.tasks.engine.judged_part import labels_only

NOTHING = "Nothing to do: features are given."

Check = Callable[[FeatureBank], object]


class Source(ABC):
    """Where the features of an evaluation come from.

    Attributes
    ----------
    settings : mapping
        The whole configuration; its defaults where features are given.
    """

    settings: Mapping[str, Any]
    device: torch.device

    @abstractmethod
    def bank(self, uses: frozenset[str], check: Check = lambda _: None) -> FeatureBank:
        """The features, with text vectors of the classes if "text" is in `uses`.

        Parameters
        ----------
        uses : frozenset of str
        check : callable
            Called before anything is extracted, with the labels alone: features of shape (M, 0).
        """

    @abstractmethod
    def backbone(self) -> Backbone | None:
        """The network of images that `bank` loaded last; None for features that were given."""

    def has_text(self) -> bool:
        """Whether the network of the images has a text encoder; nothing is loaded for that."""
        return False

    def estimate(self) -> str:
        """How long the extraction of the features would take, from a few batches."""
        return NOTHING

    def labels(self) -> FeatureBank:
        """The labels alone: features of shape (M, 0). Nothing is extracted for that."""
        bank = self.bank(frozenset())
        return replace(bank, features=bank.features[:, :0], normalize="none")

    def other(self, name: str, setting: str) -> Source:
        """Another data set under the same backbone: a name, a folder, or a file of features.

        Its faults are reported as those of `setting`, which it was named by.
        """
        settings = dict(self.settings)
        with named_by(setting):
            dataset = other_dataset(settings, name)
        return ConfiguredSource(settings | {"dataset": dataset}, self.device, setting=setting)


@contextmanager
def named_by(setting: str | None) -> Iterator[None]:
    """Report faults of the section ``dataset`` as those of the setting that has its place."""
    try:
        yield
    except FewshotError as error:
        if setting is None or error.argument.split(".")[0] != "dataset":
            raise
        raise FewshotError(setting, error.problem, error.remedy) from None


class GivenFeatures(Source):
    """Features at hand."""

    device = torch.device("cpu")

    def __init__(self, bank: FeatureBank) -> None:
        self._bank = bank

    @cached_property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The defaults of the configuration."""
        from fewshot.config.compose import settings_from

        return settings_from([])

    def bank(self, uses: frozenset[str], check: Check = lambda _: None) -> FeatureBank:
        """The features as they are."""
        return self._bank

    def backbone(self) -> None:
        """None: features alone encode no further images or names."""


class ConfiguredSource(Source):
    """Features of the data set and the backbone of a configuration, extracted where missing.

    Parameters
    ----------
    settings : dict
    device : torch.device
    images : ImageDataset, optional
        In place of those that the section ``dataset`` describes.
    setting : str, optional
        By which the data set was named, in place of that section.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        device: torch.device,
        images: ImageDataset | None = None,
        setting: str | None = None,
    ) -> None:
        self.settings, self.device, self._given = settings, device, images
        self._setting = setting
        self._images: ImageDataset | None = None

    def bank(self, uses: frozenset[str], check: Check = lambda _: None) -> FeatureBank:
        """The features, from the cache or extracted."""

        def note(dataset: ImageDataset) -> None:
            self._images = dataset
            check(labels_only(dataset))

        with named_by(self._setting):
            return features_of(dict(self.settings), self.device, uses, note, self._given)

    def has_text(self) -> bool:
        """Whether the network of the images has a text encoder."""
        if self.settings["dataset"]["kind"] == "features":
            return False
        return named_backbone(dict(self.settings)).has_text

    def estimate(self) -> str:
        """How long the extraction of the features would take, from a few batches."""
        from fewshot.features.extraction.estimate import estimate

        settings = dict(self.settings)
        images = self._given or load_images(settings)
        if isinstance(images, FeatureBank):
            return NOTHING
        banks = places_of(settings["paths"]).banks
        how = extraction_settings(settings, self.device)
        return str(estimate(images, described_backbone(settings, images), banks, how))

    def labels(self) -> FeatureBank:
        """The labels of the images, or of a file of features."""
        with named_by(self._setting):
            images = self._given or load_images(dict(self.settings))
        return super().labels() if isinstance(images, FeatureBank) else labels_only(images)

    def backbone(self) -> Backbone | None:
        """The network of the images; None for a file of features."""
        if self._images is None:
            return None
        return described_backbone(dict(self.settings), self._images)


class TwoSets(Source):
    """Shots from one source, queries from another, of classes with the same names.

    Parameters
    ----------
    shots, queries : Source
    missing : {"raise", "drop"}
        What to do about classes without queries.
    part : {"novel", "validation", "base"}, optional
        The classes that episodes are drawn from.
    """

    def __init__(
        self, shots: Source, queries: Source, missing: str = "raise", part: str | None = None
    ) -> None:
        self.shots, self.queries, self.missing, self.part = shots, queries, missing, part
        self.device = shots.device

    @property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Those of the shots."""
        return self.shots.settings

    def bank(self, uses: frozenset[str], check: Check = lambda _: None) -> FeatureBank:
        """Both in one bank; see `fewshot.features.two_sets.with_queries_of`."""

        def check_both(labels: FeatureBank) -> None:
            check(with_queries_of(labels, self.queries.labels(), self.missing, self.part))

        first = self.shots.bank(uses, check_both)
        second = self.queries.bank(frozenset())
        return with_copies(with_queries_of(first, second, self.missing, self.part))

    def labels(self) -> FeatureBank:
        """The labels of both in one bank."""
        labels = self.shots.labels(), self.queries.labels()
        return with_queries_of(*labels, self.missing, self.part)

    def backbone(self) -> Backbone | None:
        """The network of both."""
        return self.shots.backbone()

    def has_text(self) -> bool:
        """Whether it has a text encoder."""
        return self.shots.has_text()

    def estimate(self) -> str:
        """How long the extraction of the shots' set would take."""
        return self.shots.estimate()

    def other(self, name: str, setting: str) -> Source:
        """A third data set under the same backbone."""
        return self.shots.other(name, setting)
