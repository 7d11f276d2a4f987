"""The statistical model of Bendou et al.: unbiased distances, scaling, sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.base import ONE_SHOT, ErrorEstimator, Prediction
from fewshot.estimators.decision_space import DecisionSpace
from fewshot.estimators.distances import DISTANCES, unbiased_distances
from fewshot.estimators.orthant import normal_points
from fewshot.estimators.scaling import pairwise_distances, scale_metrically
from fewshot.estimators.tags import EstimatorTags
from fewshot.exceptions import expect_choice, expect_repeats
from fewshot.heads.base import Head, Support

COVARIANCES = ("free", "shared", "identity", "full")
VARIANCES = ("features", "decisions")
COINCIDE = 1e-20  # squared distances below this share of the largest are rounding


class Gaussian(ErrorEstimator):
    """Error of nearest class mean between Gaussians placed at unbiased distances.

    Bendou, Gripon, Pasdeloup, Mauch, Uhlich, Cardinaux, Boukli Hacene, Alonso Garcia, "A
    Statistical Model for Predicting Generalization in Few-Shot Classification" (EUSIPCO 2023).

    1. The decisions take place in the N - 1 dimensions that the class means span.
    2. ``s_c^2`` is the mean over the D dimensions of the variance of the shots of class c.
    3. Distances between means of few shots are too large. With
       ``snr = d_ij / sqrt(s_i^2 + s_j^2)``, ``D_ij = d_ij g_K(snr)`` is unbiased along the
       estimated direction.
    4. Metric multidimensional scaling places N points at those distances, started from the
       projected means.
    5. Samples of N(point_c, S_c) are classified by the nearest point.

    The model does not depend on the head: it predicts the error of nearest class mean.

    Parameters
    ----------
    covariance : {"free", "shared", "identity", "full"}
        Covariance S_c of the Gaussians that are sampled (step 5): a variance per class, one for all
        classes (pooled with sum(K_c - 1) degrees of freedom), or 1, times the identity; or the
        pooled covariance of the shots in the N - 1 dimensions of the decisions. Steps 2 and 3 are
        the same for all.
    distances : {"closed_form", "tabulated"}
        Correction g_K(snr) of the distances between class means (step 3): ``max(0, 1 - D / (K
        snr^2))``, that is ``D_ij = d_ij - (tr S_i / K_i + tr S_j / K_j) / d_ij``, or the authors'
        simulated table. The table is the larger one, by 0.5 / D to 0.8 / D: by 0.001 at 640
        dimensions, and by 0.02 at 24. See :func:`~fewshot.estimators.distances.simulated_table`.
    variance : {"features", "decisions"}
        Where ``covariance=free`` and ``shared`` measure the variance: over all D dimensions, or
        over the N - 1 of the decisions, as the authors' program does. The same on isotropic
        classes. On real features the first is smaller by far: class means differ in the directions
        in which classes vary as well.
    samples : int >= 1
        Samples per class (step 5): the same quasi-random normal points for every class and episode,
        so that differences between episodes are not noise.
    iterations : int >= 0
        Iterations of the scaling (SMACOF, step 4). With 0 the corrected distances are not used.

    Raises
    ------
    FewshotError
        A value that is not among these.

    Notes
    -----
    A class with one shot takes the pooled variance of the others; with one shot of every class
    it comes from the base classes, and without any the answer is NaN. (The authors' code sets the
    variance to 1 there, which on unit-norm features predicts 1 - 1/N, and divides the pooled
    scatter by NK - 1.)
    """

    references = ("bendou2023statistical",)
    tags = EstimatorTags(scale_invariant=True, at_one_shot=True, without_base=True)

    def __init__(
        self,
        covariance: str = "free",
        distances: str = "closed_form",
        variance: str = "decisions",
        samples: int = 512,
        iterations: int = 50,
    ) -> None:
        self.covariance = covariance
        self.distances = distances
        self.variance = variance
        self.samples = samples
        self.iterations = iterations
        expect_choice("estimator.gaussian.covariance", covariance, COVARIANCES)
        expect_choice("estimator.gaussian.distances", distances, DISTANCES)
        expect_choice("estimator.gaussian.variance", variance, VARIANCES)
        expect_repeats("estimator.gaussian.samples", samples)
        expect_repeats("estimator.gaussian.iterations", iterations, minimum=0)

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return predicted errors (E,)."""
        defined = (support.counts > 1).any(-1)
        base = None
        if not bool(defined.all()):
            base = self.base_.covariance
            if base is not None:
                defined = torch.ones_like(defined)
            elif not bool(defined.any()):
                return Prediction.undefined(support, ONE_SHOT)
        means = support.means()
        space = DecisionSpace.of(means)
        deviations = support.deviations(means)
        squares = torch.linalg.vector_norm(deviations, dim=(2, 3)).double().square()
        mean_square = squares / means.shape[-1]
        fallback = 0.0 if base is None else base.diagonal().mean().to(squares)
        variance = class_variances(mean_square, support.counts, fallback)
        points = corrected_points(space, variance, support, self.distances, self.iterations)
        spread = self._spread(space, variance, deviations, support, base)
        error = nearest_point_error(points, points, spread, self.samples)
        return Prediction.of(error.to(means.dtype), defined, ONE_SHOT)

    def _spread(
        self,
        space: DecisionSpace,
        variance: Tensor,
        deviations: Tensor,
        support: Support,
        base: Tensor | None,
    ) -> Tensor:
        """S_c of step 5: variances (E, N), or one covariance for all classes (E, P, P).

        `base` (D, D) is None where no episode needs it.
        """
        counts = support.counts
        if self.covariance == "identity":
            return torch.ones_like(variance)
        if self.covariance == "full" or self.variance == "decisions":
            projected = space.project(deviations)
            within = projected.new_zeros(()) if base is None else space.restrict(base)
            if self.covariance == "full":
                flat = projected.flatten(1, 2)
                return pooled(flat.mT @ flat, counts, within)
            mean_square = projected.square().sum((2, 3)) / space.rank[:, None]
            if within.ndim:
                within = within.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
                within = within / space.rank[:, None]
            variance = class_variances(mean_square, counts, within)
        if self.covariance == "shared":
            squares = (variance * (counts - 1)).sum(-1, keepdim=True)
            variance = pooled(squares, counts, variance[:, :1]).expand_as(variance)
        return variance


def pooled(scatter: Tensor, counts: Tensor, fallback: Tensor | float) -> Tensor:
    """Scatter (E, ...) of all classes over sum(K_c - 1); `fallback` where that is zero.

    `counts` (E, N) are the K_c.
    """
    freedom = (counts - 1).sum(-1).view(-1, *[1] * (scatter.ndim - 1))
    return torch.where(freedom > 0, scatter / freedom.clamp_min(1), fallback)


def class_variances(squares: Tensor, counts: Tensor, fallback: Tensor | float) -> Tensor:
    """Variances (E, N) from sums of squares (E, N) of K_c (E, N) shots.

    A class with one shot takes the pooled variance, and `fallback`, () or (E, 1), where every
    class has one.
    """
    shared = pooled(squares.sum(-1, keepdim=True), counts, fallback)
    return torch.where(counts > 1, squares / (counts - 1).clamp_min(1), shared)


def corrected_points(
    space: DecisionSpace, variance: Tensor, support: Support, distances: str, iterations: int
) -> Tensor:
    """Steps 3 and 4: points (E, N, P) at corrected distances, for variances (E, N)."""
    dimensions = support.features.shape[-1]
    trace = dimensions * variance / support.counts
    corrected = unbiased_distances(space.points, trace, dimensions, distances)
    return scale_metrically(space.points, corrected, iterations)


def nearest_point_error(
    points: Tensor, centres: Tensor, covariance: Tensor, samples: int
) -> Tensor:
    """Mean over classes (E,) of P(x ~ N(centre_c, S_c) is nearest to the point of another class).

    Coinciding points share their samples evenly.

    Parameters
    ----------
    points, centres : Tensors of shape (E, N, P), float64
        Points of the classifier, and means of the classes.
    covariance : Tensor of shape (E, N) or (E, P, P)
        A variance per class, or one covariance for all classes.
    samples : int
        Per class.
    """
    noise = normal_points(points.shape[-1], samples).to(points).mT
    # |x - p_j|^2 - |x - p_c|^2 for x = centre_c + e, halved: (p_c - p_j) . e + its mean
    if covariance.ndim == 2:
        projected, scale = points @ noise, covariance.sqrt()[..., None, None]
    else:
        projected, scale = points @ (symmetric_root(covariance) @ noise), None
    squared = pairwise_distances(points).square()
    same = squared <= COINCIDE * squared.amax((1, 2), keepdim=True)  # with itself, too
    right = torch.zeros_like(points[:, 0, 0])
    for c in range(points.shape[1]):  # all at once would be E N^2 samples in memory
        between = points[:, c, None] - points  # (E, j, P)
        middle = (points[:, c, None] + points) / 2
        mean = (between * (centres[:, c, None] - middle)).sum(-1)
        margins = projected[:, c, None] - projected
        if scale is not None:
            margins.mul_(scale[:, c])
        margins.add_(mean.masked_fill(same[:, c], torch.inf)[..., None])
        nearest = (margins.amin(1) >= 0).double().mean(-1)
        right = right + nearest / same[:, c].sum(-1)
    return 1 - right / points.shape[1]


def symmetric_root(covariance: Tensor) -> Tensor:
    """The symmetric square root of positive semi-definite matrices (E, P, P)."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()[:, None]) @ vectors.mT
