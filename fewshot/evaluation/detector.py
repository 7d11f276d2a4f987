"""Detection of a class in images by its name: ``fewshot.detect`` and ``fewshot oneclass``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.backbones.settings import backbone_settings
from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.walk import printable
from fewshot.evaluation.build import warn_identifiers, warn_left_out
from fewshot.exceptions import (
    FewshotError,
    UnknownNameError,
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import open_or_extract
from fewshot.hardware import device_named
from fewshot.paths import places_of_environment
from fewshot.tasks.one_class.background import Background, background_of
from fewshot.tasks.one_class.confusers.spelling import alike, in_both_numbers
from fewshot.tasks.one_class.confusers.vocabulary import vocabulary_names
from fewshot.tasks.one_class.confusers.wordnet import find_wordnet, open_wordnet
from fewshot.tasks.one_class.decide import Verdict, chosen_rule, decide, learned_from
from fewshot.tasks.one_class.lookup import SOURCES, confusers_for, with_own
from fewshot.tasks.one_class.rules import GENERIC, RANDOM, RULES, VOCABULARY, Learned
from fewshot.tasks.one_class.scores import NameVectors, confusers_from
from fewshot.text.descriptions import fault
from fewshot.text.features import class_text_features
from fewshot.text.prompts import readable

# Number of random names whose similarity to an image has to be less than that of the word.
RANDOM_NAMES = 50
TEMPLATES = "photo"
LONGEST = 100
DEFAULT_BACKBONE = "conse_lite0"


@dataclass(frozen=True)
class Question:
    """What is asked of images: whether they show what a word names, and how that is decided.

    Attributes
    ----------
    word : str
    negatives : sequence of str
        Names of things that are among the images and are not meant, before those of `source`.
    source : str
        Of confusers: "auto", "llm", "wordnet", "vocabulary", "random" or "none".
    file : str, optional
        What ``fewshot text confusers`` wrote, {class: [names]}, or a list of names.
    k : int >= 1
        Confusers of the source, at most.
    rule : str, optional
        See docs/one-class.md; by default the best one for what is known.
    fixed : float in [-1, 1], optional
        A fixed threshold, a cosine.
    share : float in (0, 1), optional
        Of images that show the class.
    threshold_from : str, optional
        A folder of labelled images of other classes, a sub-folder each, to learn from.

    Raises
    ------
    FewshotError
        A value that is not allowed.
    """

    word: str
    negatives: Sequence[str] = ()
    source: str = "auto"
    file: str | None = None
    k: int = 10
    rule: str | None = None
    fixed: float | None = None
    share: float | None = None
    threshold_from: str | None = None

    def __post_init__(self) -> None:
        _check_name("word", self.word)
        listed = isinstance(self.negatives, Sequence) and not isinstance(self.negatives, str)
        expect(listed, "negatives", f"expected a list of names, got {self.negatives!r}")
        for name in self.negatives:
            _check_name("negatives", name)
        expect_choice("source", self.source, SOURCES)
        fits = not self.file or self.source in ("auto", "llm")
        problem = f"expected llm with lists of a language model, got {self.source!r}"
        expect(fits, "source", problem)
        expect_positive_int("k", self.k)
        if self.rule is not None and self.rule not in RULES:
            raise UnknownNameError("rule", str(self.rule), RULES)
        if self.fixed is not None:
            expect_number("fixed", self.fixed, -1, 1)
        if self.share is not None:
            expect_number("share", self.share, 0, 1, above=True)
            expect(
                self.share < 1,
                "share",
                f"expected a number above 0 and below 1, got {self.share!r}",
            )

    @property
    def confuser_settings(self) -> dict[str, Any]:
        """The settings ``k`` and ``file`` of the sources."""
        return {"k": self.k, "file": str(Path(self.file).expanduser()) if self.file else None}


def _check_name(argument: str, name: object) -> None:
    reason = fault(name)
    if reason is None and isinstance(name, str) and len(name) > LONGEST:
        reason = f"it is longer than {LONGEST} characters"
    usable = reason is None and isinstance(name, str) and bool(readable(name))
    expect(usable, argument, f"expected a name, but {reason or 'it is empty'}")


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
        self,
        backbone: str = DEFAULT_BACKBONE,
        device: str | torch.device = "auto",
        weights: str | None = None,
        size: int | None = None,
    ) -> None:
        self.backbone = backbone
        self._places = places_of_environment(weights=weights)
        self.cache = self._places.cache
        settings = backbone_settings(backbone) | ({"size": size} if size else {})
        self.network = load_backbone(settings, Folders(self._places.weights, self._places.digests))
        self.device = device if isinstance(device, torch.device) else device_named(device)
        self.network.check_text()
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

    def target(self, word: str) -> Tensor:
        """Return the text vector (D,) of a word: the average of its singular and plural."""
        folder = find_wordnet()
        irregular = open_wordnet(folder.resolve()).irregular if folder else None
        return normalize(self.encode(in_both_numbers(word, irregular)).mean(0), dim=0)

    def images(self, places: Sequence[str]) -> tuple[ImageDataset, list[dict[str, str]]]:
        """Return the images at these paths in order, and the paths without images.

        Raises
        ------
        FewshotError
            None of the paths has an image.
        """
        expect(len(places) > 0, "images", "expected images or folders, got none")
        readable, skipped, first = [], [], None
        for place in places:
            try:
                load_files([place], "images")
                readable.append(place)
            except FewshotError as error:
                first = first or error
                skipped.append({"path": printable(place), "reason": error.problem})
        if first is not None and not readable:
            raise first
        dataset = load_files(readable, "images")
        warn_left_out(dataset)
        return dataset, skipped

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

    def detect(self, question: Question, places: Sequence[str] | FeatureBank) -> Verdict:
        """Return the decisions on the images at `places`, or on their features.

        Raises
        ------
        FewshotError
            No image, features of another backbone, no confusers where a list was named, or a rule
            that lacks something.
        """
        bank, dataset = self._given_bank(places), None
        skipped: list[dict[str, str]] = []
        if bank is None:
            dataset, skipped = self.images(places)  # type: ignore[arg-type]
        lists = confusers_for(
            [question.word], question.source, question.confuser_settings, self.cache, self.encode
        )
        lists = with_own(lists, question.negatives)
        learned = self.learned(question)
        rule = chosen_rule(question.rule, learned, bool(lists.names[0]))
        if dataset is not None:
            bank = self.features(dataset)
            skipped += [
                {key: image[key] for key in ("path", "reason")} for image in bank.info["skipped"]
            ]
        assert bank is not None
        images = bank.take(torch.arange(len(bank))).float()
        random = None
        if RANDOM in rule.needs:
            some = confusers_for(
                [question.word], "random", {"k": RANDOM_NAMES}, self.cache, self.encode
            )
            random = self.encode(some.names[0])
        target, names = self.target(question.word), lists.names[0]
        background = self.background(question, target, names) if VOCABULARY in rule.needs else None
        decisions = decide(
            images,
            target,
            self.encode(names) if names else target.new_zeros(0, len(target)),
            rule,
            learned,
            self.encode([GENERIC])[0],
            random,
            background,
            question.share,
        )
        paths = bank.paths or [f"row {n}" for n in range(len(bank))]
        return Verdict.of(
            decisions, tuple(paths), word=question.word, backbone=self.backbone,
            rule=rule, learned=learned, lists=lists, skipped=skipped, share=question.share,
        )  # fmt: skip

    def _given_bank(self, images: Sequence[str] | FeatureBank) -> FeatureBank | None:
        """Features of unit length, if these are features; they have to be of this backbone."""
        if not isinstance(images, FeatureBank):
            return None
        backbone = images.info.get("backbone")
        problem = f"expected features of {self.network.name}, got those of {backbone}"
        expect(backbone == self.network.name, "images", problem)
        return replace(images, normalize="l2")

    def background(
        self, question: Question, target: Tensor, confusers: Sequence[str]
    ) -> Background:
        """Return the vocabulary with the confusers in it.

        The user's negatives, which are known to be among the images, weigh as much as all other
        names together.

        Raises
        ------
        FewshotError
            The word leaves nothing of the vocabulary.
        """
        own = [readable(name) for name in question.negatives]
        negatives = [name for name in confusers if name in own]
        names = list(dict.fromkeys([*vocabulary_names(), *confusers]))
        names = [name for name in names if name not in negatives]
        vectors = self.encode(names)
        background = background_of([question.word], target[None], names, vectors)
        if background is None:
            raise FewshotError(
                "word", f"{question.word!r} means everything that images are held against"
            )
        if not negatives:
            return background
        weights = background.weights / background.weights.sum()
        equal = weights.new_full((1, len(negatives)), 1 / len(negatives))
        return Background(
            torch.cat([vectors, self.encode(negatives)]),
            torch.cat([weights, equal], 1),
            torch.cat([background.kinds, torch.zeros_like(equal, dtype=torch.bool)], 1),
        )

    def learned(self, question: Question) -> Learned:
        """Return the parameters of rules: set by hand, and fitted on a folder of other classes.

        A class named by the word itself, in any spelling, is left out.

        Raises
        ------
        FewshotError
            No such folder, or fewer than two other classes in it.
        """
        record = {} if question.fixed is None else {"fixed": "given"}
        initial = Learned(question.fixed, record=record)
        if not question.threshold_from:
            return initial
        learned, classes = self._learned_on(question, question.threshold_from, initial)
        return replace(learned, record={"classes": classes} | learned.record)

    def _learned_on(
        self, question: Question, root: str, initial: Learned
    ) -> tuple[Learned, list[str]]:
        bank = self._other_classes(root, question.word)
        names, source = bank.classnames, question.source
        lists = confusers_for(
            names, source, question.confuser_settings, self.cache, self.encode, missing="none"
        )
        vectors = self.encode(names)
        listed = list(dict.fromkeys(name for group in lists.names for name in group))
        confusers = {}
        if listed:
            texts: Mapping[str, Tensor] = dict(zip(listed, self.encode(listed), strict=True))
            confusers = {source: confusers_from(lists, texts, vectors.shape[1])}
        return learned_from(bank, NameVectors(vectors, None, confusers), initial), list(names)

    def _other_classes(self, root: str, word: str) -> FeatureBank:
        """Features of the classes in a folder that are not the word's."""
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
        expect(len(present) > 1, "threshold_from", problem)
        names = tuple(dataset.classnames[c] for c in present)
        labels = np.searchsorted(present, bank.labels)
        return replace(bank, labels=labels, classnames=names, ids=None)


def detect(
    word: str,
    images: Any,
    *,
    backbone: str = DEFAULT_BACKBONE,
    negatives: Sequence[str] | None = None,
    share: float | None = None,
    rule: str | None = None,
    top: int | None = None,
    source: str = "auto",
    device: str | torch.device = "auto",
) -> pd.DataFrame:
    """Find the images that show what a word names. No example is needed.

    Parameters
    ----------
    word : str
        In singular or plural, as "sea horse".
    images : path, sequence of paths, or FeatureBank
        Images, or folders of them at any depth; or their features under `backbone`.
    backbone : str
        A dual encoder of ``fewshot list backbones``.
    negatives : sequence of str, optional
        Names of things that are among the images and are not meant.
    share : float in (0, 1), optional
        Share of the images that show the class, if it is known: so many have the decision "yes".
    rule : str, optional
        How a score becomes a decision, a name of docs/one-class.md; ``two_groups`` by default.
    top : int >= 1, optional
        Return the images with the highest scores alone; all images are judged nevertheless.
    source : {"auto", "llm", "wordnet", "vocabulary", "random", "none"}
        Where names of what could be taken for the class come from.
    device : str or torch.device

    Returns
    -------
    DataFrame
        A row per image, highest score first: ``file`` (its path, with its folders), ``score`` (the
        log-odds with the default rule, above 0 for a "yes"), ``decision`` ("yes" or "no") and
        ``similarity`` (cosine of image and word). Images that cannot be read are left out;
        ``.attrs["skipped"]`` lists them with the reasons.

    Raises
    ------
    FewshotError
        A value that is not allowed, a backbone without a text encoder, or no image.
    """
    question = Question(word, tuple(negatives or ()), source, rule=rule, share=share)
    if isinstance(negatives, str):
        raise FewshotError("negatives", f"expected a list of names, got {negatives!r}")
    if top is not None:
        expect_positive_int("top", top)
    given = images if isinstance(images, FeatureBank) else _paths(images)
    verdict = Detector(backbone, device).detect(question, given).top(top)
    rows = verdict.rows()
    table = pd.DataFrame(
        {
            "file": [row["file"] for row in rows],
            "score": [row["score"] for row in rows],
            "decision": ["yes" if row["yes"] else "no" for row in rows],
            "similarity": [row["similarity"] for row in rows],
        }
    )
    table.attrs["skipped"] = verdict.skipped
    return table


def _paths(images: Any) -> list[str]:
    """Paths as text."""
    places = [images] if isinstance(images, str | Path) else images
    fine = isinstance(places, Sequence) and all(isinstance(place, str | Path) for place in places)
    problem = f"expected a path or a list of paths, got {type(images).__name__}"
    expect(fine, "images", problem)
    return [str(place) for place in places]
