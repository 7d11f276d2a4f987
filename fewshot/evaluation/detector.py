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
from fewshot.backbones.settings import backbone_settings
from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.walk import printable
from fewshot.evaluation.build import warn_identifiers, warn_left_out
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

# Number of random names whose similarity to an image has to be less than that of the word.
RANDOM_NAMES = 50
TEMPLATES = "photo"


class Detector:
    """A dual encoder of images and names, and decisions about images by the name of a class.

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
            self.network.load_dual(self.device)  # raises with the reason and alternatives
        # Names come in several calls; the networks are loaded for the first of them only.
        self.network.load_dual = cache(self.network.load_dual)  # type: ignore[method-assign]
        self._vectors: dict[str, Tensor] = {}

    def encode(self, names: Sequence[str]) -> Tensor:
        """Return text vectors (n, D) of names, of unit length."""
        new = [name for name in dict.fromkeys(names) if name not in self._vectors]
        if new:
            encoded = class_text_features(
                self.network, new, TEMPLATES, cache=self.cache / "text", device=self.device
            )
            self._vectors |= zip(new, encoded.vectors.float(), strict=True)
        return torch.stack([self._vectors[name] for name in names])

    def images(self, places: Sequence[str]) -> tuple[ImageDataset, list[dict[str, str]]]:
        """Return the images at these paths in order, and the paths without images.

        Raises
        ------
        FewshotError
            None of the paths has an image.
        """
        readable, skipped, first = [], [], None
        for place in places:
            try:
                load_files([place], "IMAGES")
                readable.append(place)
            except FewshotError as error:
                first = first or error
                skipped.append({"path": printable(place), "reason": error.problem})
        if first is not None and not readable:
            raise first
        return load_files(readable, "IMAGES"), skipped

    def features(self, dataset: ImageDataset) -> FeatureBank:
        """Return features of unit length; unreadable images are left out and listed.

        The features are cached, so that they are extracted once for any number of words.

        Raises
        ------
        FewshotError
            No image can be read.
        """
        extraction = Extraction(self.device, on_error="skip")
        bank = open_or_extract(dataset, self.network, self._places.banks, extraction)
        return replace(bank, normalize="l2")

    def decide(
        self, bank: FeatureBank, word: str, lists: ConfuserLists, rule: Rule, learned: Learned
    ) -> Decisions:
        """Return the decisions of the rule for every image."""
        images = bank.take(torch.arange(len(bank))).float()
        target, generic = self.encode([word])[0], self.encode([GENERIC])[0]
        random = None
        if RANDOM in rule.needs:
            random_lists = confusers_for(
                [word], "random", {"k": RANDOM_NAMES}, self.cache, self.encode
            )
            random = self.encode(random_lists.names[0])
        names = lists.names[0]
        confusers = self.encode(names) if names else target.new_zeros(0, len(target))
        return decide(images, target, confusers, rule, learned, generic, random)

    def learn(
        self,
        root: str,
        word: str,
        source: str,
        confuser_settings: Mapping[str, Any],
        initial: Learned,
    ) -> tuple[Learned, list[str]]:
        """Fit the parameters of rules on a folder of other classes; return the class names too.

        A class named by the word itself, in any spelling, is left out.

        Parameters
        ----------
        root : str
            Folder with a sub-folder of images per class.
        word : str
        source : str
            Of confusers.
        confuser_settings : mapping
            ``k`` and ``file``.
        initial : Learned
            Parameters that are set by hand.

        Raises
        ------
        FewshotError
            No such folder, or fewer than two other classes in it.
        """
        name = Path(root).expanduser().resolve().name
        settings = {"kind": "folder", "name": name, "root": root, "split": "none"}
        dataset = load_dataset(settings | {"on_error": "skip"}, self._places)
        assert isinstance(dataset, ImageDataset)
        warn_identifiers(dataset)
        warn_left_out(dataset)
        other = np.array([not alike(classname, word) for classname in dataset.classnames])
        bank = self.features(dataset)
        bank = bank.take_rows(np.flatnonzero(other[bank.labels]))
        present = np.unique(bank.labels)
        problem = f"expected images of two other classes or more in {root}, got {len(present)}"
        expect(len(present) > 1, "--threshold-from", problem)
        names = tuple(dataset.classnames[c] for c in present)
        bank = replace(
            bank, labels=np.searchsorted(present, bank.labels), classnames=names, ids=None
        )
        lists = confusers_for(
            names, source, confuser_settings, self.cache, self.encode, missing="none"
        )
        vectors = self.encode(names)
        texts = {
            confuser: self.encode([confuser])[0] for group in lists.names for confuser in group
        }
        confusers = {}
        if texts:
            confusers = {source: confusers_from(lists, texts, vectors.shape[1])}
        return learned_from(bank, NameVectors(vectors, None, confusers), initial), list(names)
