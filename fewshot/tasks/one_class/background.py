"""A vocabulary as seen by a class: names of its kinds, and names of other things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from fewshot.tasks.one_class.confusers.cleaning import drop_reason
from fewshot.tasks.one_class.confusers.hypernyms import imagenet_kinds
from fewshot.tasks.one_class.confusers.relations import kinship
from fewshot.tasks.one_class.confusers.spelling import alike, forms, is_kind_by_words, spelled
from fewshot.tasks.one_class.confusers.wordnet import find_wordnet, open_wordnet
from fewshot.tasks.one_class.two_groups import nearness_weights
from fewshot.text.prompts import readable


@dataclass(frozen=True, eq=False)
class Background:
    """A vocabulary and how much each of its names counts against each class.

    Attributes
    ----------
    vectors : Tensor of shape (V, D)
        Unit length.
    weights : Tensor of shape (C, V)
        Of names against a class: not negative; 0 for those of the class, its kinds and hypernyms.
    kinds : Tensor of shape (C, V), bool
        Whether a name is one of the class or of its kinds, which speaks for the class.
    """

    vectors: Tensor
    weights: Tensor
    kinds: Tensor


def background_of(
    words: Sequence[str],
    targets: Tensor,
    names: Sequence[str],
    vectors: Tensor,
    wordnet: str | None = None,
) -> Background | None:
    """The vocabulary as seen by C classes; None where a class has no other name in it.

    Parameters
    ----------
    words : sequence of C str
    targets : Tensor of shape (C, D)
    names : sequence of V str
    vectors : Tensor of shape (V, D)
    wordnet : str, optional
        Folder of WordNet, else where :func:`find_wordnet` looks; without one kinds are known by
        their head nouns alone.
    """
    folder = find_wordnet(wordnet)
    related = partial(kinship, open_wordnet(folder.resolve())) if folder else None
    readables = [readable(name) for name in names]
    kinds = torch.tensor([_kinds(word, readables) for word in words], dtype=torch.bool)
    dropped = torch.tensor(
        [[drop_reason(word, name, (), related) is not None for name in readables]
         for word in words],
        dtype=torch.bool,
    )  # fmt: skip
    weights = nearness_weights(targets, vectors, ~(dropped | kinds))
    return Background(vectors, weights, kinds) if bool((weights.sum(-1) > 0).all()) else None


def _kinds(word: str, names: Sequence[str]) -> list[bool]:
    """Whether names are of a word or of its kinds: by ImageNet's hypernyms, else by head nouns."""
    imagenet = _imagenet_places()
    known = imagenet_kinds(word)
    own_forms = forms(word)

    def is_kind(name: str) -> bool:
        if alike(word, name):
            return True
        place = imagenet.get(name)
        if known is not None and place is not None:
            return place in known
        return any(is_kind_by_words(spelled(name), form) for form in own_forms)

    return [is_kind(name) for name in names]


@lru_cache(maxsize=1)
def _imagenet_places() -> dict[str, int]:
    """Index of the class of each of ImageNet's names that stands for one class alone."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    names = [readable(name) for name in IMAGENET_CLASSNAMES]
    return {name: place for place, name in enumerate(names) if names.count(name) == 1}
