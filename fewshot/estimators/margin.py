"""Error from the distribution of the margins between a class and its rivals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fewshot.estimators.base import ONE_SHOT, ErrorEstimator, Prediction
from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.tags import EstimatorTags
from fewshot.estimators.winning import winning_probability
from fewshot.exceptions import expect_positive_int
from fewshot.heads.base import Head, LinearForm, Support, linear_scores

NEEDS_TWO = "held-out margins need two shots of every class"


class Margin(ErrorEstimator):
    r"""P(another class scores higher), with Gaussian classes and a fixed head.

    For a test point x of class c, the margin over a rival j, ``t_cj = score_c(x) - score_j(x)``,
    is linear in x. Given the support, ``err_c = P(min_j t_cj < 0)`` for a Gaussian of N - 1
    dimensions, exactly the normal cdf for two ways. What has to be estimated:

    - Its mean. The margin of the class mean m_c is too large on average by ``r_c tr(S) / K_c``,
      as the shots that make m_c also make the weights (r_c is 1 for nearest class mean): that
      much is subtracted.
    - Its covariance ``(w_c - w_j)' S (w_c - w_i)``. Deviations from the class means, projected
      on the weights and pooled over classes with sum(K_c - 1) degrees of freedom, are unbiased.

    Where the weights depend on the shots in another way (LDA estimates a covariance from them),
    both come from held-out scores instead: the k-th shots of all classes are scored by the head
    refitted without them.

    With one shot of every class, S is the pooled within-class covariance of the base classes,
    if there are any. Only heads that are class means there have such an answer.

    Parameters
    ----------
    points : int >= 1
        Quadrature points of the Gaussian probability for three ways and more; eight times as many
        beyond 32 ways, where another method is used
        (:func:`~fewshot.estimators.winning.winning_probability`).
    """

    references = ()
    tags = EstimatorTags(scale_invariant=True, at_one_shot=True, without_base=True)

    name = "margin"

    def __init__(self, points: int = 128) -> None:
        self.points = points

    def predict(self, support: Support, head: Head) -> Prediction:
        """Mean over the classes of P(min_j t_cj < 0): (E,)."""
        expect_positive_int(f"estimator.{self.name}.points", self.points)
        form = head.linear()
        many = (support.counts > 1).any(-1)
        if form is not None and form.response is not None:
            return self._closed_form(support, form, many)
        return self._held_out(support, head, form)

    def _closed_form(self, support: Support, form: LinearForm, many: Tensor) -> Prediction:
        form, base = form.balanced(), self.base_.covariance
        if not bool(many.any()) and base is None:
            return Prediction.undefined(support, ONE_SHOT)
        trace, scatter = projected_scatter(support, form.weights)
        if base is not None and not bool(many.all()):
            base = base.to(support.features)
            trace = torch.where(many, trace, base.trace())
            projected = form.weights @ base @ form.weights.mT
            scatter = torch.where(many[:, None, None], scatter, projected)
            many = torch.ones_like(many)
        mean = margin_means(support, form, trace)
        error = self._error(mean, scatter).to(support.features.dtype)
        return Prediction.of(error, many, ONE_SHOT)

    def _held_out(self, support: Support, head: Head, form: LinearForm | None) -> Prediction:
        """Held-out margins if every class has two shots; base classes if each has one."""
        error = torch.full_like(support.counts[:, 0], torch.nan)
        every, single = (support.counts > 1).all(-1), (support.counts == 1).all(-1)
        if bool(every.any()):
            mean, covariance = held_out_margins(stratified_scores(head, support), support)
            error = torch.where(every, self._error(mean, covariance).to(error), error)
        is_means = form is not None and head.means_at_one_shot
        has_covariance = self.base_.covariance is not None
        if form is not None and is_means and has_covariance and bool(single.any()):
            # LDA is nearest class mean there, so that the base covariance gives an answer.
            nearest_mean = form._replace(response=torch.ones_like(form.biases))
            one_shot_error = self._closed_form(
                support, nearest_mean, torch.zeros_like(single)
            ).error
            error = torch.where(single, one_shot_error, error)
        base_would_do = is_means and not has_covariance
        reason = ONE_SHOT if base_would_do and bool(single.all()) else NEEDS_TWO
        return Prediction.of(error, error.isfinite(), reason)

    def _error(self, mean: Tensor, scatter: Tensor) -> Tensor:
        """Mean over classes (E,) for margins (E, N, N) and score covariance (E, N, N)."""
        right = winning_probability(mean, scatter, self.points, self._freedom())
        return 1 - right.mean(-1)

    def _freedom(self) -> float:
        """Degrees of freedom of the margins; infinite for normal ones."""
        return math.inf


def projected_scatter(support: Support, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Unbiased pooled trace (E,) and covariance (E, N, N) of the scores ``weights . x``."""
    deviations = support.deviations()
    freedom = (support.counts - 1).sum(-1).clamp_min(1)
    trace = deviations.square().sum((1, 2, 3)) / freedom
    projections = deviations.flatten(1, 2) @ weights.mT
    scatter = projections.mT @ projections / freedom[:, None, None]
    return trace, scatter


def margin_means(support: Support, form: LinearForm, trace: Tensor) -> Tensor:
    """Expected margins (E, N, N) of class c (second axis) over class j (third)."""
    scores = linear_scores(support.means(), form.weights, form.biases)
    assert form.response is not None
    return margins_of(scores) - (form.response * trace[:, None] / support.counts)[..., None]


def margins_of(scores: Tensor) -> Tensor:
    """Score of each class minus the scores of the others: (E, N, N), zero on the diagonal."""
    return scores.diagonal(dim1=-2, dim2=-1)[..., None] - scores


def held_out_margins(scores: Tensor, support: Support) -> tuple[Tensor, Tensor]:
    """Mean margins (E, N, N) and score covariance (E, N, N) of held-out scores (E, N, K, N)."""
    mask = support.mask[..., None]
    scores = torch.where(mask, scores, 0.0)
    mean = scores.sum(2) / support.counts[..., None]
    deviations = (scores - mean[:, :, None]) * mask
    freedom = (support.counts - 1).sum(-1).clamp_min(1)
    flat = deviations.flatten(1, 2)
    covariance = flat.mT @ flat / freedom[:, None, None]
    return margins_of(mean), covariance
