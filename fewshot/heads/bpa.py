"""Any head on the balanced affinities between the images of an episode."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_number, expect_positive_int
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.inner import inner_head
from fewshot.heads.solvers.transforms import (
    QueryCenter,
    centred,
    check_query_center,
    unit_length,
    uses_of_center,
)
from fewshot.heads.solvers.unlabelled import padding_zeroed
from fewshot.heads.tags import HeadTags

SETTING = "head.bpa"
WORDLESS = frozenset({"queries", "query_prior"})


class BPA(Head):
    r"""Balanced-pairwise-affinities feature transform, then another head.

    Shalam and Korman, "The Balanced-Pairwise-Affinities Feature Transform", ICML 2024. An image
    becomes its row of the transport plan from all images of the episode, shots and queries
    together, to the same images, with costs ``1 - cos(x_i, x_j)``, an infinite one on the diagonal,
    and an entropy term: ``P = exp(u_i - c_ij / entropy + v_j)`` with rows and columns that sum to
    one (Sinkhorn's algorithm). P is divided by its largest number and its diagonal is set to 1. Two
    images of a class then agree both in how near they are to each other and in how they see all
    the others. The inner head gets rows in place of features, one dimension per image.

    A row that nothing is learned from (`Query.learn_from`) is no column: it is sent to the images
    that are learned from, by their v.

    It assumes that classes have similar numbers of images in an episode: a balanced plan takes
    affinities from images that have many neighbours. O(n^2 (D + iterations)) and n^2 numbers for n
    shots and queries, and what the inner head takes in n dimensions.

    Parameters
    ----------
    head : str or Head
        Of the features that it makes: a name of ``fewshot list heads`` for its defaults, or a head
        with settings. Heads that know texts or base classes have none of them in that space.
    entropy : float > 0
        Weight of the entropy against the cosines: 0.1 in the authors' program.
    iterations : int >= 1
        Of Sinkhorn's algorithm: 10 there, which ends near the plan and not at it.
    center : {"none", "base", "support", "all", "each"}
        Whose mean is subtracted before cosines are taken, see `centred`.
    """

    def __init__(
        self,
        head: str | Head = "ncm",
        entropy: float = 0.1,
        iterations: int = 10,
        center: QueryCenter = "none",
    ) -> None:
        self.head = head
        self.entropy = entropy
        self.iterations = iterations
        self.center = center

    @property
    def uses(self) -> frozenset[str]:
        """The queries together, and what the inner head assumes of their classes."""
        return self._inner().uses | {"queries"} | uses_of_center(self.center)

    @property
    def least_shots(self) -> int:
        """Those of the inner head."""
        return self._inner().least_shots

    @property
    def tags(self) -> HeadTags:
        """Those of the inner head, but dimensions move with the order of images."""
        inner = self._inner().tags
        return HeadTags(max(inner.tolerance, 1e-6), inner.any_order_of_shots)

    @property
    def references(self) -> tuple[str, ...]:
        """Those of the transform, and of the inner head."""
        inner = self._inner().references or ()
        return tuple(dict.fromkeys(["shalam2024balanced", "cuturi2013sinkhorn", *inner]))

    def fit(self, support: Support) -> Self:
        """Keep the shots: what they become depends on the queries."""
        self._inner()
        expect_number(f"{SETTING}.entropy", self.entropy, 0, above=True)
        expect_positive_int(f"{SETTING}.iterations", self.iterations)
        check_query_center(self.center, support, SETTING)
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Scores (E, T, N) of the inner head, fitted on the rows of the shots."""
        support, moved = centred(self.support_, query, self.center, SETTING)
        _, N, K, _ = support.features.shape
        images = torch.cat([support.features.flatten(1, 2), padding_zeroed(moved)], 1)
        known = torch.cat([support.mask.flatten(1), query.learning_mask], 1)
        rows = balanced_affinities(images, known, self.entropy, self.iterations)
        first = known.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
        rows = rows.gather(-1, first[:, None].expand_as(rows)).to(images.dtype)
        scores = images.new_empty(*query.mask.shape, N)
        dims = known.sum(-1)
        for dim in dims.unique().tolist():  # heads that estimate covariances know how many
            chosen = torch.nonzero(dims == dim)[:, 0]
            made, mask = rows[chosen, :, :dim], support.mask[chosen]
            shots = Support.of(made[:, : N * K].reshape(-1, N, K, dim), mask)
            learn_from = None if query.learn_from is None else query.learn_from[chosen]
            queries = Query(made[:, N * K :], query.mask[chosen], learn_from)
            scores[chosen] = self._inner().fit(shots).scores(queries)
        return scores

    def _inner(self) -> Head:
        """A new head of its kind.

        Raises
        ------
        FewshotError
            There is no such head, or it knows more than features.
        """
        head = inner_head(self.head, f"{SETTING}.head")
        beyond = sorted(head.uses - WORDLESS)
        if beyond:
            raise FewshotError(
                f"{SETTING}.head",
                f"expected a head that sees features alone, got {type(head).__name__}, which uses "
                f"{', '.join(beyond)}",
                "Texts and base classes have no place among affinities; take ncm or logistic.",
            )
        return head


def balanced_affinities(images: Tensor, known: Tensor, entropy: float, iterations: int) -> Tensor:
    """Rows (E, n, n), float64, of the transport plan, in [0, 1] where images are learned from.

    Parameters
    ----------
    images : Tensor of shape (E, n, D)
    known : Tensor of shape (E, n), bool
        Which are learned from: the columns. Other columns are zero, and other rows follow from the
        columns, so that such images know nothing of each other.
    entropy : float
    iterations : int
    """
    directions = unit_length(images.double())
    logits = (directions @ directions.mT - 1) / entropy
    logits = logits.masked_fill(~known[:, None], -torch.inf)
    torch.diagonal(logits, dim1=-2, dim2=-1).fill_(-torch.inf)
    columns = logits.new_zeros(known.shape)
    for _ in range(iterations):
        rows = -(logits + columns[:, None]).logsumexp(-1)
        plan = (logits + rows[..., None]).masked_fill(~known[..., None], -torch.inf)
        columns = -plan.logsumexp(1)
        columns = torch.where(known, columns, 0.0)
    plan = logits + columns[:, None]
    rows = torch.where(known, rows, -plan.logsumexp(-1))
    plan = (plan + rows[..., None]).exp()
    largest = (plan * known[..., None]).amax((1, 2), keepdim=True)
    plan = plan / largest.clamp_min(torch.finfo(plan.dtype).tiny)
    torch.diagonal(plan, dim1=-2, dim2=-1).copy_(known)
    return plan
