"""Margins under a prior of classes, estimated from base classes of the same backbone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.margin import Margin, margins_of
from fewshot.estimators.moments import ClassPrior
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.winning import winning_probability
from fewshot.exceptions import FewshotError, expect_number, expect_positive_int
from fewshot.heads.base import Head, LinearForm, Support, linear_scores

# Advantage of one fitted variance: by chance, a chi-square quantile divided by the number of
# values, and for a class that is a third wider or narrower than the average.
CHANCE, SLACK = 10.0, 0.05
# Weight of the prior at which the scatter of the shots is negligible.
PRIOR_ONLY = 1e9


class EmpiricalBayes(ErrorEstimator):
    """P(some rival scores higher) for classes drawn from the prior of the base classes.

    With W the within-class and B the between-class covariance of base classes
    (:class:`~fewshot.estimators.moments.ClassPrior`), K shots of mean m make class c

        mu ~ N(mu_0 + A (m - mu_0), B - A B)    with    A = B (B + W / K)^-1,
        Sigma = (nu W + scatter) / (nu + K - 1),

    and its error is the probability that x ~ N(posterior mean, Sigma + B - A B) scores higher
    for another class under the head *as it is*. Given the shots, the head is fixed: any head that
    is linear in x will do, and no correction for shots that make their own weights is needed.

    One shot is enough. If the base classes differ in kind from those of the episode, the prior is
    misleading; so the shots are tested (:func:`agrees`), and
    :class:`~fewshot.estimators.margin.Margin` is used for episodes that disagree with the prior,
    which the rows record.

    Parameters
    ----------
    nu : float >= 0
        Weight of the base covariance W in a class's covariance, in shots. Heads whose weights
        depend on the scatter of the shots (LDA) are evaluated with W alone.
    points : int >= 1
        Quadrature points of the Gaussian probability for three ways and more.
    """

    references = ("chen2010shrinkage",)
    tags = EstimatorTags(at_one_shot=True, without_base=True)

    def __init__(self, nu: float = 8.0, points: int = 128) -> None:
        self.nu = nu
        self.points = points

    def predict(self, support: Support, head: Head) -> Prediction:
        """Mean over the classes of P(min_j t_cj < 0): (E,)."""
        self._check()
        form = head.linear()
        if form is None:
            return self._fall_back(support, head, "this head is not linear in its queries")
        base = self.base_
        if base.moments is None:
            return self._fall_back(support, head, f"no prior ({base.reason})")
        if base.moments.means.shape[1] != support.features.shape[-1]:
            raise FewshotError(
                "estimator.empirical_bayes",
                f"expected base classes of {support.features.shape[-1]} dimensions, got "
                f"{base.moments.means.shape[1]}",
                "The prior must come from the same backbone and features.",
            )
        prior = base.moments.prior_like(support.features)
        error = self._posterior_error(prior, support, form.balanced())
        fits = agrees(prior, support)
        if bool(fits.all()):
            return Prediction(error)
        fallback = self._fall_back(support, head, "the shots disagree with the base classes")
        mixed = torch.where(fits, error, fallback.error)
        return Prediction.of(
            mixed,
            mixed.isfinite(),
            f"the shots disagree with the base classes, and {fallback.reason}",
            fallback=~fits & mixed.isfinite(),
            fallback_reason=fallback.fallback_reason,
        )

    def _posterior_error(self, prior: ClassPrior, support: Support, form: LinearForm) -> Tensor:
        # The weights of LDA depend on the scatter of these shots, along which they vary too little.
        nu = self.nu if form.response is not None else PRIOR_ONLY
        margins, scatter = posterior_margins(prior, support, form, nu)
        right = winning_probability(margins, scatter, self.points)
        return (1 - right.mean(-1)).to(support.features.dtype)

    def _fall_back(self, support: Support, head: Head, why: str) -> Prediction:
        """Return the prediction of ``margin``, marked as a fallback."""
        other = Margin(self.points).fit(self.base_).predict(support, head)
        return Prediction(
            other.error,
            other.reason,
            fallback=other.error.isfinite(),
            fallback_reason=f"margin answered: {why}",
        )

    def _check(self) -> None:
        expect_positive_int("estimator.empirical_bayes.points", self.points)
        expect_number("estimator.empirical_bayes.nu", self.nu, 0)


def posterior_margins(
    prior: ClassPrior, support: Support, form: LinearForm, nu: float
) -> tuple[Tensor, Callable[[slice], Tensor]]:
    """Margins (E, N, N) of x over the rivals, and covariances of the scores.

    The latter as a function from a slice of n classes to the covariances (E, n, N, N) for x of
    these classes: all of them take memory with the cube of the ways. Scores are those of `form`,
    the head as weights and biases.
    """
    weights = form.weights @ prior.basis
    counts = support.counts
    means = (support.means() - prior.mean) @ prior.basis
    gain = prior.between / (prior.between + prior.within / counts[..., None])
    posterior = gain * means + prior.mean @ prior.basis
    margins = margins_of(linear_scores(posterior, weights, form.biases))
    within = (weights * prior.within) @ weights.mT
    projected = support.deviations() @ form.weights.mT[:, None]  # (E, N, K, N)
    remaining = prior.between * (1 - gain)  # what K shots leave unknown of the mean

    def scatter_of(classes: slice) -> Tensor:
        shots = projected[:, classes]
        scatter = nu * within[:, None] + shots.mT @ shots
        scatter = scatter / (nu + counts[:, classes] - 1).clamp_min(1e-12)[..., None, None]
        mean_covariance = (weights[:, None] * remaining[:, classes, None]) @ weights[:, None].mT
        return scatter + mean_covariance

    return margins, scatter_of


def agrees(prior: ClassPrior, support: Support) -> Tensor:
    """Whether the shots are likelier under the prior than under an isotropic model: (E,), bool.

    Compares the likelihood of deviations from the class means under N(0, W), or, with one shot of
    every class, of deviations of the shots from their mean under N(0, B + W), with that under
    N(0, s^2 I) with s^2 fitted to these shots. Features of another backbone fit worse: W has its
    variance in other directions. The advantage of the fitted s^2 is allowed for: if W is a
    multiple of the identity the prior could not win otherwise.
    """
    several = (support.counts > 1).any(-1)
    within = support.deviations().flatten(1, 2)
    means = support.means()
    between = means - means.mean(1, keepdim=True)
    N = means.shape[1]
    fits = _likelier(within @ prior.basis, prior.within, (support.counts - 1).sum(-1))
    freedom = torch.full_like(support.counts[:, 0], N - 1)
    between_fits = _likelier(between @ prior.basis, prior.between + prior.within, freedom)
    return torch.where(several, fits, between_fits)


def _likelier(rows: Tensor, variance: Tensor, freedom: Tensor) -> Tensor:
    energy = rows.square().sum(1)  # (E, D)
    tiny = torch.finfo(rows.dtype).tiny
    isotropic = energy.mean(-1) / freedom.clamp_min(1)
    cost = (energy / variance.clamp_min(tiny)).mean(-1) / freedom.clamp_min(1)
    cost = cost + variance.clamp_min(tiny).log().mean()
    advantage = SLACK + CHANCE / (rows.shape[-1] * freedom.clamp_min(1))
    return cost < 1 + isotropic.clamp_min(tiny).log() + advantage
