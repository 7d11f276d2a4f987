"""A transductive head that learns from a fixed set of unlabelled images, not from its queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect
from fewshot.heads.base import Head, Query, Support, check_squares
from fewshot.heads.tags import HeadTags


class SemiSupervised(Head):
    """A head with "queries" in its `uses`, which gets the same unlabelled images with every query.

    Every query is classified by itself given the shots and these images, so that this head is
    inductive.

    Parameters
    ----------
    head : Head
        Unfitted, and transductive.
    unlabelled : Tensor of shape (U, D)
        Features of the unlabelled images, the same for all episodes.

    Attributes
    ----------
    head_ : Head
        Fitted.
    """

    def __init__(self, head: Head, unlabelled: Tensor) -> None:
        self.head = head
        self.unlabelled = unlabelled

    @property
    def uses(self) -> frozenset[str]:
        """What the head uses beside the queries."""
        return self.head.uses - {"queries"}

    @property
    def least_shots(self) -> int:
        """Those of the head."""
        return self.head.least_shots

    @property
    def tags(self) -> HeadTags:
        """Those of the head, but that the unlabelled images neither move nor grow with others."""
        return HeadTags(self.head.tags.tolerance, self.head.tags.any_order_of_shots)

    @property
    def references(self) -> Sequence[str] | None:
        """Those of the head."""
        return self.head.references

    def fit(self, support: Support) -> Self:
        """Fit the head on the shots.

        Raises
        ------
        FewshotError
            Unlabelled images of another shape, or that cannot be squared.
        """
        shape, dim = tuple(self.unlabelled.shape), support.features.shape[-1]
        expect(
            len(shape) == 2 and shape[1] == dim,
            "unlabelled",
            f"expected features (U, {dim}), as the shots have, got {shape}",
        )
        check_squares("unlabelled", self.unlabelled)
        self.head_ = self.head.clone().fit(support)
        return self

    def scores(self, query: Query) -> Tensor:
        """Scores (E, T, N) of the queries, each by itself."""
        E, T = query.mask.shape
        images = self.unlabelled.to(query.features).expand(E, -1, -1)
        there = query.mask.new_ones(E, images.shape[1])
        apart = torch.cat([torch.zeros_like(query.mask), there], 1)
        features = torch.cat([query.features, images], 1)
        scores = self.head_.scores(Query(features, torch.cat([query.mask, there], 1), apart))
        return scores[:, :T]


def learning_from(head: Head, unlabelled: Tensor | None) -> Head:
    """`SemiSupervised` for a head that can learn from unlabelled images, if there are any."""
    if unlabelled is None or not len(unlabelled) or "queries" not in head.uses:
        return head
    return SemiSupervised(head, unlabelled)
