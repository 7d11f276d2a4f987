"""Text vectors of class names, of confusers and of the generic name, for a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.backbones.base import Backbone
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.paths import places_of
from fewshot.tasks.one_class.background import Background, background_of
from fewshot.tasks.one_class.confusers.lists import ConfuserLists, confuser_settings
from fewshot.tasks.one_class.confusers.vocabulary import vocabulary_names
from fewshot.tasks.one_class.rules import GENERIC, RULES, VOCABULARY
from fewshot.tasks.one_class.scores import Confusers, NameVectors, confusers_from
from fewshot.tasks.one_class.settings import OneClassSettings
from fewshot.text.prompts import readable

Encode = Callable[[Sequence[str]], Tensor]
NO_ENCODER = (
    "these features come without a text encoder: expected vocabulary or random (with the names of "
    "base classes for a vocabulary) or oracle"
)


def encoder_of(
    settings: Mapping[str, Any], dataset: str, backbone: Backbone, device: torch.device
) -> Encode:
    """A function from names to unit vectors (n, D), with the templates of the class names.

    Vectors of names that were encoded before are read from the cache.
    """
    from fewshot.text.class_texts import ClassTexts
    from fewshot.text.features import text_features
    from fewshot.text.prompts import prompts
    from fewshot.text.template_sets import template_set

    templates = template_set(settings["text"]["templates"], dataset).templates
    cache = places_of(settings["paths"]).cache / "text"

    def encode(names: Sequence[str]) -> Tensor:
        prompt_texts = tuple(tuple(prompts(name, templates)) for name in names)
        texts = ClassTexts(
            tuple(names), prompt_texts, ((),) * len(prompt_texts), {"source": "templates"}
        )
        return text_features(backbone, texts, cache=cache, device=device).vectors

    return encode


def without_text(bank: FeatureBank) -> FewshotError:
    """Error for features without text vectors."""
    return FewshotError(
        "task=one_class",
        f"it needs text vectors of the classes, and the features of "
        f"{bank.info.get('dataset', 'the data set')} come without",
        "Take a dual encoder (backbone=clip_vitb32, backbone=conse_lite0), or give features with "
        "an array `text` (C, D).",
    )


def name_vectors(
    settings: Mapping[str, Any],
    task_settings: OneClassSettings,
    bank: FeatureBank,
    classes: NDArray,
    encode: Encode | None,
) -> tuple[NameVectors, dict[str, str]]:
    """Text vectors of classes and confusers, and the reasons of unavailable sources.

    Raises
    ------
    FewshotError
        No text vectors of classes, or the only source is unavailable.
    """
    if bank.text is None:
        raise without_text(bank)
    text = torch.from_numpy(bank.text).float()
    class_vectors = _vectors_by_name(bank.classnames, text)
    confusers: dict[str, Confusers] = {}
    absent: dict[str, FewshotError] = {}
    for source in dict.fromkeys(task_settings.sources):
        try:
            lists = _lists(settings, task_settings, bank, classes, source, encode, class_vectors)
            confusers[source] = confusers_from(
                lists, _vectors(lists, class_vectors, encode), bank.dim
            )
        except FewshotError as error:
            absent[source] = error
    if absent and not confusers and (len(absent) == 1 or encode is not None):
        raise next(iter(absent.values()))
    generic = None if encode is None else encode((GENERIC,))[0]
    background = None
    if any(VOCABULARY in RULES[rule].needs for rule in task_settings.rules):
        background = _background(task_settings, bank, text, encode)
    return NameVectors(text, generic, confusers, background), {
        source: str(why) for source, why in absent.items()
    }


def _lists(
    settings: Mapping[str, Any],
    task_settings: OneClassSettings,
    bank: FeatureBank,
    classes: NDArray,
    source: str,
    encode: Encode | None,
    class_vectors: Mapping[str, Tensor],
) -> ConfuserLists:
    """Confusers of `classes`; other classes of the bank get empty lists."""
    from fewshot.tasks.one_class.confusers import confusers_of

    evaluated = [bank.classnames[c] for c in classes]
    confuser_settings = dict(task_settings.confusers)
    if encode is None and source != "oracle":
        names_at_hand = tuple(bank.classnames[c] for c in bank.classes("base"))
        fine = source in ("vocabulary", "random") and len(names_at_hand) > 1
        expect(fine, "one_class.sources", NO_ENCODER)
        confuser_settings["vocabulary"], encode = (
            names_at_hand,
            partial(_stacked_vectors, class_vectors),
        )
    lists = confusers_of(
        confuser_settings,
        str(bank.info.get("dataset", "features")),
        evaluated,
        source,
        places_of(settings["paths"]).cache,
        settings["llm"],
        encode=encode,
        ids=[bank.identifiers[c] for c in classes],
    )
    names: list[tuple[str, ...]] = [()] * len(bank.classnames)
    dropped: list[tuple[Any, ...]] = [()] * len(bank.classnames)
    for place, c in enumerate(classes):
        names[c], dropped[c] = lists.names[place], lists.dropped[place]
    return ConfuserLists(bank.classnames, tuple(names), tuple(dropped), lists.record)


def _background(
    task_settings: OneClassSettings, bank: FeatureBank, text: Tensor, encode: Encode | None
) -> Background | None:
    """The vocabulary of the settings, or the names of base classes for features of a file."""
    settings = confuser_settings(task_settings.confusers)
    if encode is not None:
        names = vocabulary_names(settings.vocabulary)
        vectors = encode(names)
    else:
        base = bank.classes("base")
        names, vectors = tuple(bank.classnames[c] for c in base), text[base]
    if len(names) < 2:
        return None
    return background_of(bank.classnames, text, names, vectors.float(), settings.wordnet)


def _vectors_by_name(classnames: Sequence[str], text: Tensor) -> dict[str, Tensor]:
    """The vector of every class by its name, and by the readable form of the name."""
    pairs = list(zip(classnames, text, strict=True))
    return {readable(name): vector for name, vector in reversed(pairs)} | dict(pairs)


def _stacked_vectors(class_vectors: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.stack([class_vectors[name] for name in names])


def _vectors(
    lists: ConfuserLists, class_vectors: Mapping[str, Tensor], encode: Encode | None
) -> Mapping[str, Tensor]:
    """A vector for every name; names of classes take the vector of the class."""
    if lists.record.get("source") == "oracle" or encode is None:
        return class_vectors  # all names are those of classes
    names = sorted({name for class_names in lists.names for name in class_names})
    return dict(zip(names, encode(names), strict=True)) if names else {}


def say_left_out(what: Mapping[str, str]) -> None:
    """Print a line on stderr for each unavailable source."""
    for name, why in what.items():
        print(f"fewshot: left out: confusers of source {name}: {why}", file=sys.stderr)
