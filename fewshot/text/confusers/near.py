"""Names near a class by the cosine of their text vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.exceptions import expect, expect_number
from fewshot.text.confusers.lists import ConfuserLists, Dropped


def drop_near(
    lists: ConfuserLists,
    class_vectors: Tensor,
    vectors: Mapping[str, Tensor],
    limit: float | None = 0.95,
) -> ConfuserLists:
    """Drop names that the text encoder hardly tells from the class they belong to.

    Names of the data set's own classes (source ``oracle``) are real negatives however near, and
    stay.

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
    for own, names, out in zip(class_vectors, lists.names, lists.dropped, strict=True):
        cosines = _cosines(own, names, vectors)
        judged = list(zip(names, cosines, strict=True))
        kept.append(tuple(name for name, cosine in judged if cosine < limit))
        near = (
            Dropped(name, f"text cosine {cosine:.2f} with the class")
            for name, cosine in judged
            if cosine >= limit
        )
        dropped.append((*out, *near))
    pairs = zip(lists.classnames, kept, strict=True)
    without = [name for name, own in pairs if not own]
    record = lists.record | {"cosine": limit, "without_confusers": without}
    return replace(lists, names=tuple(kept), dropped=tuple(dropped), record=record)


def nearest(
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
    >>> from fewshot.text.confusers.near import nearest
    >>> nearest(torch.tensor([[1.0, 0.0]]), torch.eye(2), ["lobster", "tin"], 1)
    [['lobster']]
    """
    cosines = _unit(class_vectors) @ _unit(vocabulary_vectors).T
    # Equal cosines stay in the order of the vocabulary, on every machine.
    order = cosines.argsort(dim=-1, descending=True, stable=True)[:, :k]
    return [[names[n] for n in row] for row in order.tolist()]


def _cosines(own: Tensor, names: Sequence[str], vectors: Mapping[str, Tensor]) -> list[float]:
    if not names:
        return []
    for name in names:
        expect(name in vectors, "vectors", f"there is none for the name {name!r}")
    stacked = _unit(torch.stack([vectors[name] for name in names]))
    cosines: list[float] = (stacked @ _unit(own)).tolist()
    return cosines


def _unit(vectors: Tensor) -> Tensor:
    return normalize(vectors.float(), dim=-1)
