"""Per-class covariates of the error, computed from the support, on transferable scales."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.empirical_bayes import posterior_margins
from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.margin import held_out_margins, margin_means, projected_scatter
from fewshot.estimators.moments import ClassPrior
from fewshot.estimators.winning import Scatter
from fewshot.heads.base import Head, LinearForm, Support
from fewshot.heads.ncm import NCM

# Weight of the base covariance against the shots', in degrees of freedom.
BASE_FREEDOM = 20.0
LOWEST, HIGHEST = -6.0, 4.0
# Refits for held-out shots: as many as the calibrators of other data sets had. With more shots a
# twentieth of them more or less makes little difference to a head.
MOST_FITS = 20
SCATTER_VALUES = 1 << 20  # of covariances of the scores at a time


class Evidence:
    """Per-class covariates of a batch of episodes, each (E, N), computed on first use.

    All are dimensionless: they do not change with the scale of the features and little with their
    dimension, so that coefficients fitted on one data set are valid on another.

    Parameters
    ----------
    support : Support
    head : Head
        Fitted on `support`.
    base : BaseClasses
    """

    def __init__(self, support: Support, head: Head, base: BaseClasses) -> None:
        self.support, self.head, self.base = support, head, base

    def stack(self, names: tuple[str, ...]) -> Tensor:
        """Return the covariates with these names: (E, N, P), float64."""
        return torch.stack([getattr(self, name).double() for name in names], -1)

    @cached_property
    def form(self) -> LinearForm | None:
        """The head as weights and biases, if it is linear."""
        form = self.head.linear()
        return None if form is None else form.balanced()

    @cached_property
    def ways(self) -> Tensor:
        """Log of the number of classes."""
        return torch.full_like(self.support.counts, math.log(self.support.counts.shape[1]))

    @cached_property
    def risk(self) -> Tensor:
        """Probit of the error from Gaussian margins of the shots, as in ``margin``."""
        margins, scatter = self.margins
        form = self.form
        if form is not None and form.response is not None:
            return risk(margins, scatter)
        # A class with one shot has no held-out score: it gets the average margins.
        defined = (self.support.counts > 1)[..., None]
        average = (margins * defined).sum(1, keepdim=True) / defined.sum(1, keepdim=True)
        return risk(torch.where(defined, margins, average), scatter)

    @cached_property
    def margins(self) -> tuple[Tensor, Tensor]:
        """Expected margins (E, N, N) over the rivals, and the covariance (E, N, N) of the scores.

        From the shots alone: in closed form where the head has one, else from held-out scores, with
        zeros for a class with one shot.
        """
        form = self.form
        if form is not None and form.response is not None:
            trace, scatter = self._shots
            return margin_means(self.support, form, trace), scatter
        scores = stratified_scores(self.head, self.support, MOST_FITS)
        return held_out_margins(scores.nan_to_num(), self.support)

    @cached_property
    def risk_blended(self) -> Tensor:
        """`risk` with the covariance of shots and base classes, weighted by their freedom."""
        form, (trace, scatter) = self.form, self._shots
        assert form is not None
        freedom = (self.support.counts - 1).sum(-1)
        share = (freedom / (freedom + BASE_FREEDOM))[:, None, None]
        base_trace, base_scatter = self._base
        trace = torch.lerp(base_trace.expand_as(trace), trace, share[:, 0, 0])
        return risk(
            margin_means(self.support, form, trace), torch.lerp(base_scatter, scatter, share)
        )

    @cached_property
    def risk_base(self) -> Tensor:
        """`risk` with the covariance of the base classes alone."""
        trace, scatter = self._base
        form = self.head.linear()
        assert form is not None
        if form.response is None:  # with one shot a linear head has only the class means
            form = form._replace(response=torch.ones_like(form.biases))
        form = form.balanced()
        trace = trace.expand(len(form.biases))
        return risk(margin_means(self.support, form, trace), scatter)

    @cached_property
    def risk_means(self) -> Tensor:
        """`risk` of nearest class mean on the same shots.

        It needs no held-out shots, without which other heads are fitted on fewer than they have.
        """
        return Evidence(self.support, NCM().fit(self.support), NO_BASE).risk

    @cached_property
    def risk_task(self) -> Tensor:
        """Mean over the classes of `risk` of closed forms, else of `risk_means`."""
        form = self.form
        closed = form is not None and form.response is not None
        return _of_task(self.risk if closed else self.risk_means)

    @cached_property
    def overlap_task(self) -> Tensor:
        """Mean over the classes of `overlap`."""
        return _of_task(self.overlap)

    @cached_property
    def risk_posterior(self) -> Tensor:
        """`risk` with the posterior of the classes, given shots and base classes."""
        assert self.form is not None
        return risk(*posterior_margins(self._prior, self.support, self.form, nu=8.0))

    @cached_property
    def overlap(self) -> Tensor:
        """Log of the largest (S_c + S_j) / M_cj, the terms of the Davies-Bouldin index."""
        support = self.support
        means = support.means()
        lengths = support.deviations(means).norm(dim=-1).sum(-1)
        several = support.counts > 1
        size = lengths / support.counts
        # A class with one shot has no spread: it gets the average of the others.
        average = (size * several).sum(1, keepdim=True) / several.sum(1, keepdim=True).clamp_min(1)
        size = torch.where(several, size, average)
        apart = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
        eye = torch.eye(means.shape[1], dtype=torch.bool, device=means.device)
        ratio = (size[:, :, None] + size[:, None]) / apart.masked_fill(eye, torch.inf)
        # No spread and no distance (0 / 0): the same image in two classes cannot be told apart.
        return ratio.nan_to_num(nan=1e3).amax(-1).clamp(1e-3, 1e3).log()

    @cached_property
    def _shots(self) -> tuple[Tensor, Tensor]:
        assert self.form is not None
        return projected_scatter(self.support, self.form.weights)

    @cached_property
    def _base(self) -> tuple[Tensor, Tensor]:
        assert self.form is not None and self.base.moments is not None
        weights = self.form.weights
        covariance = self.base.moments.covariance_like(weights)
        return covariance.trace(), weights @ covariance @ weights.mT

    @cached_property
    def _prior(self) -> ClassPrior:
        assert self.base.moments is not None
        prior: ClassPrior = self.base.moments.prior_like(self.support.features)
        return prior


def _of_task(values: Tensor) -> Tensor:
    """Means over the classes, the same for all of them: (E, N)."""
    return values.mean(-1, keepdim=True).expand_as(values)


def risk(margins: Tensor, scatter: Scatter) -> Tensor:
    """Probit of the probability of error, assuming independent margins: (E, N).

    Parameters
    ----------
    margins : Tensor of shape (E, N, N)
        Expected margin of class c over class j; the diagonal is ignored.
    scatter : Tensor of shape (E, N, N), or callable
        Covariance of the scores, for x of any class; or a function from a slice of n classes to
        those for x of these classes, (E, n, N, N).

    Notes
    -----
    ``Phi^-1(1 - prod_j Phi(margin_cj / deviation_cj))``, clipped to [-6, 4]. For two ways that is
    the margin over its standard deviation, negated. The exact orthant probability would cost a
    hundred times as much and regression on it is no better.
    """
    z = standardised(margins, scatter)
    N = margins.shape[-1]
    eye = torch.eye(N, dtype=torch.bool, device=margins.device)
    logs = torch.special.log_ndtr(z.clamp(-40, 40)).masked_fill(eye, 0.0)
    wrong = -torch.expm1(logs.sum(-1))
    return torch.special.ndtri(wrong.clamp(1e-12, 1 - 1e-12)).clamp(LOWEST, HIGHEST)


def standardised(margins: Tensor, scatter: Scatter) -> Tensor:
    """Margins over their standard deviations: (E, N, N), float64; arguments as of :func:`risk`."""
    E, N = margins.shape[:2]
    if isinstance(scatter, Tensor):
        variance = _margin_variances(scatter[:, None].expand(-1, N, -1, -1), slice(0, N))
    else:
        size = max(1, SCATTER_VALUES // (E * N * N))
        slices = [slice(c, min(c + size, N)) for c in range(0, N, size)]
        variance = torch.cat([_margin_variances(scatter(part), part) for part in slices], 1)
    margins = margins.double()
    deviation = variance.clamp_min(0).sqrt()
    # No spread at all decides by the sign; equal means are undecided.
    steep = torch.sign(margins) * 40.0
    return torch.where(deviation > 0, margins / deviation.clamp_min(1e-300), steep)


def _margin_variances(scatter: Tensor, classes: slice) -> Tensor:
    """Variances (E, n, N) of the margins of some classes, from covariances (E, n, N, N)."""
    ways = torch.arange(scatter.shape[-1], device=scatter.device)[classes]
    places = torch.arange(len(ways), device=scatter.device)
    with_class = scatter[:, places, ways].double()  # (E, c, j): S_cj
    diagonal = scatter.diagonal(dim1=-2, dim2=-1).double()  # S_jj for x of c
    itself = with_class[:, places, ways]
    return itself[..., None] + diagonal - 2 * with_class
