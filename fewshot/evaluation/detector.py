"""Encoder, images and features of ``fewshot oneclass``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.walk import printable
from fewshot.evaluation.build import backbone_settings, say_unnamed, tell_left_out
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import open_or_extract
from fewshot.hardware import device_named
from fewshot.paths import places_of_environment
from fewshot.tasks.one_class.confusers.lists import ConfuserLists
from fewshot.tasks.one_class.confusers.spelling import alike
from fewshot.tasks.one_class.decide import Decisions, decide, learned_from
from fewshot.tasks.one_class.lookup import confusers_for
from fewshot.tasks.one_class.rules import (
    GENERIC,
    RANDOM,
    Learned,
    Rule,
)
from fewshot.tasks.one_class.scores import NameVectors, confusers_from
from fewshot.text.features import class_text_features

# Random names that an image has to be less like than the word.
RANDOM_NAMES = 50
TEMPLATES = "photo"


class Nouns:
    """A dual encoder and what it makes of images and names.

    Parameters
    ----------
    backbone : str
        As for ``fewshot predict``.
    device : str
    weights : str, optional
    size : int, optional

    Raises
    ------
    FewshotError
        An unknown backbone, or one without a text encoder.
    """

    def __init__(
        self, backbone: str, device: str, weights: str | None = None, size: int | None = None
    ) -> None:
        self._places = places_of_environment(weights=weights)
        self.cache = self._places.cache
        settings = backbone_settings(backbone) | ({"size": size} if size else {})
        self.network = load_backbone(settings, Folders(self._places.weights, self._places.digests))
        self.device = device_named(device)
        if not self.network.has_text:
            self.network.load_dual(self.device)  # it says why, and what to take instead
        # Names come in several calls; the networks are loaded for the first of them only.
        self.network.load_dual = cache(self.network.load_dual)  # type: ignore[method-assign]
        self._known: dict[str, Tensor] = {}

    def encode(self, names: Sequence[str]) -> Tensor:
        """Text vectors (n, D) of names, unit length."""
        new = [name for name in dict.fromkeys(names) if name not in self._known]
        if new:
            found = class_text_features(
                self.network, new, TEMPLATES, cache=self.cache / "text", device=self.device
            )
            self._known |= zip(new, found.vectors.float(), strict=True)
        return torch.stack([self._known[name] for name in names])

    def images(self, places: Sequence[str]) -> tuple[ImageDataset, list[dict[str, str]]]:
        """Images at these places in the order given, and the places that have none.

        Raises
        ------
        FewshotError
            No image anywhere.
        """
        fine, skipped, first = [], [], None
        for place in places:
            try:
                load_files([place], "IMAGES")
                fine.append(place)
            except FewshotError as error:
                first = first or error
                skipped.append({"path": printable(place), "reason": error.problem})
        if first is not None and not fine:
            raise first
        return load_files(fine, "IMAGES"), skipped

    def features(self, dataset: ImageDataset) -> FeatureBank:
        """Features of unit length; unreadable images are left out and listed.

        They stay in the cache, so that another word for the same images takes no time.

        Raises
        ------
        FewshotError
            No image can be read.
        """
        how = Extraction(self.device, on_error="skip")
        bank = open_or_extract(dataset, self.network, self._places.banks, how)
        return replace(bank, normalize="l2")

    def decide(
        self, bank: FeatureBank, word: str, lists: ConfuserLists, rule: Rule, learned: Learned
    ) -> Decisions:
        """What the rule says of every image."""
        images = bank.take(torch.arange(len(bank))).float()
        target, generic = self.encode([word])[0], self.encode([GENERIC])[0]
        random = None
        if RANDOM in rule.needs:
            some = confusers_for([word], "random", {"k": RANDOM_NAMES}, self.cache, self.encode)
            random = self.encode(some.names[0])
        names = lists.names[0]
        confusers = self.encode(names) if names else target.new_zeros(0, len(target))
        return decide(images, target, confusers, rule, learned, generic, random)

    def learn(
        self, root: str, word: str, source: str, wanted: Mapping[str, Any], told: Learned
    ) -> tuple[Learned, list[str]]:
        """What rules learn from a folder of other classes, and the names of these.

        A class of the word's own name, in any form, is left out.

        Raises
        ------
        FewshotError
            No such folder, or fewer than two other classes in it.
        """
        name = Path(root).expanduser().resolve().name
        settings = {"kind": "folder", "name": name, "root": root, "split": "none"}
        dataset = load_dataset(settings | {"on_error": "skip"}, self._places)
        assert isinstance(dataset, ImageDataset)
        say_unnamed(dataset)
        tell_left_out(dataset)
        other = np.array([not alike(one, word) for one in dataset.classnames])
        bank = self.features(dataset)
        bank = bank.take_rows(np.flatnonzero(other[bank.labels]))
        there = np.unique(bank.labels)
        problem = f"expected images of two other classes or more in {root}, got {len(there)}"
        expect(len(there) > 1, "--threshold-from", problem)
        names = tuple(dataset.classnames[c] for c in there)
        bank = replace(bank, labels=np.searchsorted(there, bank.labels), classnames=names, ids=None)
        lists = confusers_for(names, source, wanted, self.cache, self.encode, missing="none")
        vectors = self.encode(names)
        texts = {one: self.encode([one])[0] for own in lists.names for one in own}
        given = {}
        if texts:
            given = {source: confusers_from(lists, texts, vectors.shape[1])}
        return learned_from(bank, NameVectors(vectors, None, given), told), list(names)
