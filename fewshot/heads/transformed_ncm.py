"""Nearest class mean of transformed features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from torch import Tensor

from fewshot.exceptions import expect_bool
from fewshot.heads.base import (
    Head,
    Query,
    Support,
    linear_scores,
)
from fewshot.heads.ncm import NCM
from fewshot.heads.solvers.products import products
from fewshot.heads.solvers.transforms import (
    Center,
    centre_of,
    check_center,
    check_metric,
    check_power,
    cosine_weights,
    length_of,
    ncm_weights,
    power_transform,
    unit_length,
)
from fewshot.heads.verifier import (
    Verifier,
    check_own_origin,
    cosine,
    negative_squared_distance,
)


class TransformedNCM(Head, Verifier):
    """Nearest class mean after a power transform, centring and unit length, in this order.

    The transform is applied to shots and queries, and the mean of the transformed shots is the
    prototype. Not a linear head: unit length depends on the query.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}
        Distance between transformed features.
    center : {"none", "base", "support"}
        Subtract nothing, the mean of the base classes or the mean of the class means.
    power : float in (0, 1], or None
        Exponent of :func:`fewshot.heads.solvers.transforms.power_transform` (Hu et al. 2021 take
        0.5); None leaves features as they are.
    l2 : bool
        Unit length after centring (Wang et al. 2019).

    Attributes
    ----------
    weights_, biases_ : Tensor of shape (E, N, D) and (E, N)
        For transformed queries.
    means_ : Tensor of shape (E, N, D)
        Of transformed shots.
    """

    _setting = "head.ncm"

    def __init__(
        self,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        center: Center = "none",
        power: float | None = None,
        l2: bool = True,
    ) -> None:
        self.metric = metric
        self.center = center
        self.power = power
        self.l2 = l2

    @property
    def uses(self) -> frozenset[str]:
        """Base classes if their mean is subtracted."""
        return frozenset({"base"} if self.center == "base" else ())

    @property
    def references(self) -> Sequence[str] | None:
        """Those of nearest class mean, and of the transforms that are in use."""
        return (
            *NCM.references,
            *(("hu2021leveraging",) if self.power is not None else ()),
            *(("wang2019simpleshot",) if self.l2 else ()),
        )

    def fit(self, support: Support) -> Self:
        """Average the transformed shots of every class."""
        check_metric(self.metric, self._setting)
        check_center(self.center, self._setting)
        check_power(self.power, self.center, self._setting)
        expect_bool(f"{self._setting}.l2", self.l2)
        powered = Support.of(self._powered(support.features), support.mask, support.context)
        centre = centre_of(powered, self.center, self._setting)
        self.centre_ = centre
        shots = powered.features if centre is None else powered.features - centre[:, None]
        self.means_ = Support.of(unit_length(shots) if self.l2 else shots, support.mask).means()
        weights = ncm_weights if self.metric == "euclidean" else cosine_weights
        self.weights_, self.biases_ = weights(self.means_)
        return self

    def scores(self, query: Query) -> Tensor:
        """Minus half the squared distance, or the cosine times the query's length: (E, T, N)."""
        points = self._centred(query)
        if not self.l2:
            return linear_scores(points, self.weights_, self.biases_)
        return products(points, self.weights_.mT) / length_of(points) + self.biases_[:, None]

    def verify(self, query: Query) -> Tensor:
        """Minus the squared distance to the class mean, or the cosine with it: (E, T, N)."""
        check_own_origin(self.center, self._setting)
        points = self._centred(query)
        if self.metric == "cosine":
            return cosine(points, self.means_)
        return negative_squared_distance(unit_length(points) if self.l2 else points, self.means_)

    def _centred(self, query: Query) -> Tensor:
        points = self._powered(query.features)
        return points if self.centre_ is None else points - self.centre_

    def _powered(self, features: Tensor) -> Tensor:
        return features if self.power is None else power_transform(features, self.power)


def nearest_class_mean(
    metric: Literal["euclidean", "cosine"] = "euclidean",
    center: Center = "none",
    power: float | None = None,
    l2: bool = False,
) -> NCM | TransformedNCM:
    """Return `NCM` if features stay as they are, so that scores are linear, else `TransformedNCM`.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}
        Distance to the class means.
    center : {"none", "base", "support"}
        What is subtracted first: nothing, the mean of the base classes or the mean of the class
        means. Changes nothing for Euclidean distances without l2.
    power : float in (0, 1], or None
        Exponent of a power transform to unit length (0.5 in Hu et al. 2021); None: no transform.
    l2 : bool
        Unit length after centring (Wang et al. 2019).
    """
    expect_bool("head.ncm.l2", l2)
    if power is None and not l2:
        return NCM(metric, center)
    return TransformedNCM(metric, center, power, l2)
