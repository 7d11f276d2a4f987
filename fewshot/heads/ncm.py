"""Nearest class mean."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.heads.base import (
    LinearForm,
    LinearHead,
    Query,
    Support,
)
from fewshot.heads.solvers.transforms import (
    Center,
    centre_of,
    check_center,
    check_metric,
    cosine_weights,
    ncm_weights,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.verifier import (
    Verifier,
    check_own_origin,
    cosine,
    negative_squared_distance,
)


class NCM(LinearHead, Verifier):
    r"""Nearest class mean.

    Mensink et al., "Distance-Based Image Classification", PAMI 2013; the classifier of
    Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017, on frozen
    features. The prototype of a class is the mean m_c of its shots and a query x goes to the
    nearest one. As ``|x|^2`` is common to all classes, ``argmin |x - m_c|^2`` is the
    largest ``m_c . x - |m_c|^2 / 2``.

    By cosine the largest ``(m_c - o) . (x - o) / |m_c - o|`` wins, with o the origin that
    `center` chooses: the cosine times ``|x - o|``, which is common to all classes of a query and
    keeps the scores linear. A power transform or unit length before Euclidean distances does
    not: see :class:`fewshot.heads.transformed_ncm.TransformedNCM`.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}
        Distance to the class means.
    center : {"none", "base", "support"}
        Origin of the cosine: zero, the mean of the base classes, the mean of the class means.
        Changes nothing for Euclidean distances.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
        Euclidean: class means less their average over the classes, which changes no decision
        and keeps the numbers small. Cosine: directions of the class means.
    biases_ : Tensor of shape (E, N)
    means_ : Tensor of shape (E, N, D)
        Class means.
    centre_ : Tensor of shape (1 or E, 1, D), or None
        Origin of the cosine.
    """

    means_alone = True

    def __init__(
        self, metric: Literal["euclidean", "cosine"] = "euclidean", center: Center = "none"
    ) -> None:
        self.metric = metric
        self.center = center

    @property
    def uses(self) -> frozenset[str]:
        """Base classes if their mean is the origin."""
        base = self.metric == "cosine" and self.center == "base"
        return frozenset({"base"} if base else ())

    @property
    def tags(self) -> HeadTags:
        """Angles change with the origin, distances do not."""
        return HeadTags(shift_invariant=self.metric == "euclidean", scale_invariant=True)

    def fit(self, support: Support) -> Self:
        """Average the shots of every class."""
        check_metric(self.metric, "head.ncm")
        check_center(self.center, "head.ncm")
        self.means_, self.centre_ = support.means(), None
        if self.metric == "euclidean":
            self.weights_, self.biases_ = ncm_weights(self.means_)
        else:
            self.centre_ = centre_of(support, self.center, "head.ncm")
            self.weights_, self.biases_ = cosine_weights(self.means_, self.centre_)
        return self

    def verify(self, query: Query) -> Tensor:
        """Minus the squared distance to the class mean, or the cosine with it: (E, T, N)."""
        if self.metric == "euclidean":
            return negative_squared_distance(query.features, self.means_)
        check_own_origin(self.center, "head.ncm")
        origin = 0.0 if self.centre_ is None else self.centre_
        return cosine(query.features - origin, self.means_ - origin)

    def linear(self) -> LinearForm:
        """Weights that follow the class mean one to one, or its direction only (cosine)."""
        response = torch.ones_like(self.biases_) if self.metric == "euclidean" else None
        return LinearForm(self.weights_, self.biases_, response)

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of every shot under the means that leave it out.

        The other classes keep their means; the own one becomes ``(K m_c - x) / (K - 1)``, whose
        score follows from ``|x|^2``, ``m_c . x`` and ``|m_c|^2``. Undefined (NaN) where a class
        has one shot. None for cosines, which are refitted.
        """
        if self.metric != "euclidean":
            return None
        means, counts = support.means(), support.counts
        centre = means.mean(1, keepdim=True)
        shots, means = support.features - centre[:, :, None], means - centre
        dots = torch.einsum("enkd,emd->enkm", shots, means)
        scores = dots - means.square().sum(-1)[:, None, None] / 2
        k = counts[..., None]
        own_dot = torch.diagonal(dots, dim1=1, dim2=3).permute(0, 2, 1)  # (E, N, K): m_c . x
        length = shots.square().sum(-1)  # |x|^2
        mean_length = means.square().sum(-1)[..., None]
        left_dot = (k * own_dot - length) / (k - 1)
        left_length = (k.square() * mean_length - 2 * k * own_dot + length) / (k - 1).square()
        own = torch.where(k > 1, left_dot - left_length / 2, torch.nan)
        ways = torch.arange(means.shape[1], device=means.device)
        scores[:, ways, :, ways] = own.permute(1, 0, 2)
        return scores
