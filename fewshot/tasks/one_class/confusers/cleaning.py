"""Cleaning of confusers: drop names of the class, its kinds and hypernyms, and near duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.exceptions import expect, expect_number
from fewshot.tasks.one_class.confusers.lists import ConfuserLists, Dropped
from fewshot.tasks.one_class.confusers.spelling import (
    alike,
    forms,
    is_kind_by_words,
    same,
    spelled,
)
from fewshot.text.prompts import readable

# Additional names, so that equal cosines at the end of the list are ordered.
TIES = 16


def drop_near(
    lists: ConfuserLists,
    class_vectors: Tensor,
    vectors: Mapping[str, Tensor],
    limit: float | None = 0.95,
) -> ConfuserLists:
    """Drop names whose text vectors are nearly equal to that of their class.

    Names of other classes of the data set (source ``oracle``) are real negatives and are kept.

    Parameters
    ----------
    lists : ConfuserLists
        Of C classes.
    class_vectors : Tensor of shape (C, D)
    vectors : mapping of str to Tensor of shape (D,)
        One per name.
    limit : float, optional
        Cosine from which on a name is dropped, in (0, 1]; None drops nothing.

    Raises
    ------
    FewshotError
        Another number of vectors than of classes, a name without one, or a limit out of range.
    """
    if limit is None or lists.record.get("source") == "oracle":
        return lists
    expect_number("one_class.confusers.cosine", limit, 0, 1, above=True)
    rows, classes = len(class_vectors), len(lists.classnames)
    expect(rows == classes, "class_vectors", f"expected {classes} rows, got {rows}")
    kept, dropped = [], []
    for class_vector, names, earlier in zip(class_vectors, lists.names, lists.dropped, strict=True):
        cosines = _cosines(class_vector, names, vectors)
        pairs_with_cosine = list(zip(names, cosines, strict=True))
        kept.append(tuple(name for name, cosine in pairs_with_cosine if cosine < limit))
        near = (
            Dropped(name, f"text cosine {cosine:.2f} with the class")
            for name, cosine in pairs_with_cosine
            if cosine >= limit
        )
        dropped.append((*earlier, *near))
    pairs = zip(lists.classnames, kept, strict=True)
    without = [name for name, used in pairs if not used]
    record = lists.record | {"cosine": limit, "without_confusers": without}
    return replace(lists, names=tuple(kept), dropped=tuple(dropped), record=record)


def nearest_names(
    class_vectors: Tensor, vocabulary_vectors: Tensor, names: Sequence[str], k: int
) -> list[list[str]]:
    """The `k` names whose vectors have the largest cosines with each class, the largest first.

    Parameters
    ----------
    class_vectors : Tensor of shape (C, D)
    vocabulary_vectors : Tensor of shape (V, D)
    names : sequence of V str
    k : int
        All V names where there are fewer.

    Examples
    --------
    >>> import torch
    >>> from fewshot.tasks import nearest_names
    >>> nearest_names(torch.tensor([[1.0, 0.0]]), torch.eye(2), ["lobster", "tin"], 1)
    [['lobster']]
    """
    import faiss

    classes, vocabulary = (_unit(rows).numpy() for rows in (class_vectors, vocabulary_vectors))
    most = min(k + TIES, len(names))
    # Of C classes and V names only `most` per class are kept, never a C x V matrix.
    cosines, places = faiss.knn(classes, vocabulary, most, metric=faiss.METRIC_INNER_PRODUCT)
    # Equal cosines stay in the order of the vocabulary, on every machine.
    order = np.lexsort((places, -cosines), axis=-1)[:, :k]
    return [[names[n] for n in row] for row in np.take_along_axis(places, order, axis=-1).tolist()]


def _cosines(
    class_vector: Tensor, names: Sequence[str], vectors: Mapping[str, Tensor]
) -> list[float]:
    if not names:
        return []
    for name in names:
        expect(name in vectors, "vectors", f"there is none for the name {name!r}")
    stacked = _unit(torch.stack([vectors[name] for name in names]))
    cosines: list[float] = (stacked @ _unit(class_vector)).tolist()
    return cosines


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors.float(), dim=-1)


# From target and name to the relation in WordNet: a reason to drop the name, "" for no relation in
# any sense, None if undecided.
Kinship = Callable[[str, str], str | None]


def clean(
    target: str, names: Iterable[str], kinship: Kinship | None = None, most: int | None = None
) -> tuple[list[str], list[Dropped]]:
    """Drop names of the class itself, of its kinds (hyponyms) and of its hypernyms.

    In this order: names that are the class's own but for case, number, hyphens, accents, spaces
    and articles; names that came before; synonyms, hypernyms and hyponyms by WordNet; names that
    contain the class's as their head noun, or are the head noun of it. A head noun does not count
    where WordNet knows both names and relates them in no sense: a sea horse is no horse.

    Parameters
    ----------
    target : str
        Class name; alternatives after commas and slashes count too.
    names : iterable of str
        The most confusing first; read no further than needed.
    kinship : callable, optional
        Relations by WordNet; without it spelling alone decides.
    most : int, optional
        Stop at so many that are kept.

    Returns
    -------
    kept : list of str
    dropped : list of Dropped

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.cleaning import clean
    >>> kept, dropped = clean("crab", ["Crabs", "lobster", "hermit crab", "the lobster"])
    >>> kept, [entry.name for entry in dropped]
    (['lobster'], ['Crabs', 'hermit crab', 'the lobster'])
    """
    kept: list[str] = []
    dropped: list[Dropped] = []
    for name in map(readable, names):
        if most is not None and len(kept) >= most:
            break
        why = drop_reason(target, name, kept, kinship)
        if why is None:
            kept.append(name)
        else:
            dropped.append(Dropped(name, why))
    return kept, dropped


def shortened(lists: ConfuserLists, most: int) -> ConfuserLists:
    """The first `most` names of every class."""
    return replace(lists, names=tuple(class_names[:most] for class_names in lists.names))


def drop_reason(target: str, name: str, kept: Sequence[str], kinship: Kinship | None) -> str | None:
    """Reason to drop a name beside those that are kept (see `clean`); None for none."""
    class_forms, other = forms(target), spelled(name)
    if not other:
        return "no word in it"
    if alike(target, name):
        return "the class's own name in another form"
    again = next((earlier for earlier in kept if same(spelled(earlier), other)), None)
    if again is not None:
        return f"the same as {again!r}"
    related = kinship(target, name) if kinship else None
    return (related or None) if related is not None else _head_noun_reason(class_forms, other)


def _head_noun_reason(class_forms: tuple[str, ...], other: str) -> str | None:
    if any(is_kind_by_words(other, form) for form in class_forms):
        return "a kind of the class by its head noun"
    if any(is_kind_by_words(form, other) for form in class_forms):
        return "the head noun of the class's name"
    return None
