"""Moments of base classes, and the Gaussian prior of classes estimated from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClassPrior:
    """Classes are ``N(mu, W)`` with ``mu ~ N(mean, B)``; W and B share their eigenvectors.

    Attributes
    ----------
    mean : Tensor of shape (D,)
    basis : Tensor of shape (D, D)
        Orthonormal eigenvectors of W in its columns.
    within : Tensor of shape (D,)
        Eigenvalues of W, largest first.
    between : Tensor of shape (D,)
        Variances of class means along the same directions.
    """

    mean: Tensor
    basis: Tensor
    within: Tensor
    between: Tensor

    @classmethod
    def of(cls, moments: Moments) -> ClassPrior:
        """Estimate the prior from the moments of base classes, in float64.

        W is the pooled covariance shrunk to a multiple of the identity. B from C class means in D
        dimensions has to be given structure: its variances along the eigenvectors of W, less the
        ``w / n`` that n images leave, are averaged over groups of directions whose size grows
        with the rank, and interpolated between them. (Shrinking B itself fails: with fewer
        classes than dimensions most of it would be the target.)
        """
        covariance = shrink(moments.covariance, float((moments.counts - 1).sum()))
        within, basis = torch.linalg.eigh(covariance)
        within, basis = within.flip(0), basis.flip(1)
        mean = moments.means.mean(0)
        projected = (moments.means - mean) @ basis
        spread = projected.square().sum(0) / max(1, len(projected) - 1)
        raw = spread - within * (1 / moments.counts).mean()
        return cls(mean, basis, within, smooth(raw, within))

    def to(self, like: Tensor) -> ClassPrior:
        """Return the prior on the device and in the dtype of `like`."""
        return ClassPrior(*(getattr(self, name).to(like) for name in self.__dataclass_fields__))


def shrink(covariance: Tensor, freedom: float) -> Tensor:
    """Oracle-approximating shrinkage of (D, D) to a multiple of the identity.

    Chen, Wiesel, Eldar and Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", 2010,
    eq. 23, with `freedom` for the number of samples.
    """
    D = len(covariance)
    trace, square = covariance.trace(), covariance.square().sum()
    above = (1 - 2 / D) * square + trace**2
    below = (freedom + 1 - 2 / D) * (square - trace**2 / D)
    intensity = 1.0 if below <= 0 else min(1.0, float(above / below))
    identity = torch.eye(D, dtype=covariance.dtype, device=covariance.device)
    return (1 - intensity) * covariance + intensity * trace / D * identity


def smooth(raw: Tensor, within: Tensor, growth: float = 1.6) -> Tensor:
    """Variances (D,) averaged over groups of ranks, log-linear in `within` between the groups.

    The first group has two directions, each next one `growth` times as many. A group whose average
    is not positive gets a thousandth of its within-class variance.
    """
    D = len(raw)
    edges, size = [0], 2.0
    while edges[-1] < D:
        edges.append(min(D, edges[-1] + int(size)))
        size *= growth
    tiny = torch.finfo(within.dtype).tiny
    places, values = [], []
    for start, stop in pairwise(edges):
        group = within[start:stop]
        places.append(group.clamp_min(tiny).log().mean())
        values.append(torch.maximum(raw[start:stop].mean(), 1e-3 * group.mean()).clamp_min(tiny))
    return interpolate(within.clamp_min(tiny).log(), torch.stack(places), torch.stack(values).log())


def interpolate(x: Tensor, places: Tensor, logs: Tensor) -> Tensor:
    """Exponential of the linear interpolation of `logs` at `places` (descending)."""
    if len(places) == 1:
        return logs.exp().expand_as(x)
    upper = torch.searchsorted(-places, -x).clamp(1, len(places) - 1)
    lower = upper - 1
    gap = (places[lower] - places[upper]).clamp_min(1e-12)
    share = ((places[lower] - x) / gap).clamp(0, 1)
    return (logs[lower] + share * (logs[upper] - logs[lower])).exp()


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of the features of base classes.

    Attributes
    ----------
    means : Tensor of shape (C, D), float64
        Class means; classes with one image are left out.
    counts : Tensor of shape (C,), float64
        Images per class.
    covariance : Tensor of shape (D, D), float64
        Unbiased pooled within-class covariance, sum(counts) - C degrees of freedom.
    """

    means: Tensor
    counts: Tensor
    covariance: Tensor

    @cached_property
    def _converted(self) -> dict[Any, Any]:
        return {}

    def covariance_like(self, features: Tensor) -> Tensor:
        """The covariance on the device and in the dtype of `features`, converted once."""
        key = ("covariance", features.device, features.dtype)
        if key not in self._converted:
            self._converted[key] = self.covariance.to(features)
        covariance: Tensor = self._converted[key]
        return covariance

    def prior_like(self, features: Tensor) -> Any:
        """The prior on the device and in the dtype of `features`, converted once."""
        key = ("prior", features.device, features.dtype)
        if key not in self._converted:
            self._converted[key] = self.prior.to(features)
        return self._converted[key]

    @cached_property
    def prior(self) -> Any:
        """:class:`~fewshot.estimators.moments.ClassPrior` of these moments, computed once."""
        return ClassPrior.of(self)
