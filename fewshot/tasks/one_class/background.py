"""Names that are not of a class: a vocabulary without the class, its kinds and its hypernyms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from fewshot.tasks.one_class.confusers.cleaning import drop_reason
from fewshot.tasks.one_class.confusers.relations import kinship
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
        Not negative; 0 for names of the class, its kinds and its hypernyms.
    """

    vectors: Tensor
    weights: Tensor


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
    kept = torch.tensor(
        [[drop_reason(word, name, (), related) is None for name in readables] for word in words],
        dtype=torch.bool,
    )
    weights = nearness_weights(targets, vectors, kept)
    return Background(vectors, weights) if bool((weights.sum(-1) > 0).all()) else None
