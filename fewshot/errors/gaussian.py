"""The statistical model of Bendou et al.: unbiased distances, scaling, sampling."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fewshot.errors.base import NO_BASE, ONE_SHOT, ErrorEstimator, Prediction
from fewshot.exceptions import expect_choice
from fewshot.heads.base import Head, Support


class Gaussian(ErrorEstimator):
    """Error of nearest class mean between isotropic Gaussians placed at unbiased distances.

    Bendou, Gripon, Pasdeloup, Mauch, Uhlich, Cardinaux, Boukli Hacene, Alonso Garcia, "A
    Statistical Model for Predicting Generalization in Few-Shot Classification" (EUSIPCO 2023).

    1. The decisions take place in the N - 1 dimensions that the class means span.
    2. ``s_c^2`` is the mean over dimensions of the variance of the shots of class c.
    3. Distances between means of few shots are too large; ``D_ij = d_ij g`` with
       ``g = max(0, 1 - D / (K snr^2))`` and ``snr = d_ij / sqrt(s_i^2 + s_j^2)``, that is
       ``d_ij - (tr S_i / K_i + tr S_j / K_j) / d_ij``, is unbiased along the estimated direction.
    4. Metric multidimensional scaling places N points at those distances, started from the
       projected means.
    5. Samples of N(point_c, s_c^2 I) are classified by the nearest point.

    The model knows nothing of the head: what it predicts is the error of nearest class mean.

    Parameters
    ----------
    covariance : {"free", "shared", "identity"}
        A variance per class, one for all classes (pooled with sum(K_c - 1) degrees of freedom),
        or 1.
    samples : int
        Samples per class in step 5: the same quasi-random normal points for every class and
        episode, so that differences between episodes are not noise.
    iterations : int
        Iterations of the scaling (SMACOF).

    Notes
    -----
    With one shot the variance comes from the base classes; without any, the answer is NaN. (The
    authors' code sets the variance to 1 there, which on unit-norm features predicts 1 - 1/N.)
    """

    def __init__(self, covariance: str = "free", samples: int = 512, iterations: int = 50) -> None:
        self.covariance = covariance
        self.samples = samples
        self.iterations = iterations

    def predict(self, support: Support, head: Head) -> Prediction:
        """Predicted errors (E,)."""
        variance, defined = self._variance(support)
        if not bool(defined.any()):
            return Prediction.undefined(support, ONE_SHOT)
        D = support.features.shape[-1]
        points = project_means(support.means().double())
        trace = D * variance.double() / support.counts
        distances = unbiased_distances(points, trace)
        placed = scale_metrically(points, distances, self.iterations)
        error = nearest_point_error(placed, variance.double().sqrt(), self.samples)
        return Prediction.of(error.to(support.features.dtype), defined, ONE_SHOT)

    def _variance(self, support: Support) -> tuple[Tensor, Tensor]:
        """Per-dimension variances (E, N), and the episodes (E,) where they are known."""
        expect_choice(
            "estimator.gaussian.covariance", self.covariance, ("free", "shared", "identity")
        )
        counts = support.counts
        if self.covariance == "identity":
            return torch.ones_like(counts), torch.ones_like(counts[:, 0], dtype=torch.bool)
        squares = support.deviations().square().mean(-1).sum(-1)
        freedom = counts - 1
        pooled = squares.sum(-1, keepdim=True) / freedom.sum(-1, keepdim=True)
        base = getattr(self, "base_", NO_BASE).covariance
        if base is not None:
            pooled = torch.where(freedom.sum(-1, keepdim=True) > 0, pooled, base.diagonal().mean())
        variance = pooled.expand_as(counts)
        if self.covariance == "free":  # a class with one shot takes the pooled variance
            variance = torch.where(freedom > 0, squares / freedom.clamp_min(1), variance)
        return variance, variance.isfinite().all(-1)


def project_means(means: Tensor) -> Tensor:
    """Means (E, N, D) in an orthonormal basis of their differences: (E, N, min(N - 1, D))."""
    centred = means - means.mean(1, keepdim=True)
    gram = centred @ centred.mT
    values, vectors = torch.linalg.eigh(gram)
    kept = min(means.shape[1] - 1, means.shape[2])
    return (vectors * values.clamp_min(0).sqrt()[:, None])[..., -kept:]


def unbiased_distances(points: Tensor, trace: Tensor) -> Tensor:
    """Distances (E, N, N) of points (E, N, P) less what few shots add to them.

    `trace` (E, N) is tr(S_c) / K_c. Step 3: ``max(0, d - (trace_i + trace_j) / d)``.
    """
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    excess = (trace[:, :, None] + trace[:, None]) / distance
    unbiased = (distance - excess).clamp_min(0)
    off = ~torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
    return torch.where(off & (distance > 0), unbiased, 0.0)


def scale_metrically(points: Tensor, distances: Tensor, iterations: int) -> Tensor:
    """Move points (E, N, P) until their distances are `distances` (E, N, N), by least squares.

    Stress majorisation (SMACOF; de Leeuw 1977): every iteration is a Guttman transform,
    ``X <- B(X) X / N``, and never increases the stress.
    """
    N = points.shape[1]
    for _ in range(iterations):
        current = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        ratio = torch.where(current > 0, -distances / current, 0.0)
        ratio = ratio - torch.diag_embed(ratio.sum(-1))
        points = ratio @ points / N
    return points


def nearest_point_error(points: Tensor, deviation: Tensor, samples: int) -> Tensor:
    """Mean over classes (E,) of P(x ~ N(point_c, deviation_c^2 I) is nearer to another point).

    Points (E, N, P), deviations (E, N). Coinciding points share their samples evenly.
    """
    noise = _normal_points(points.shape[-1], samples).to(points)
    # |x - p_j|^2 - |x - p_c|^2 for x = p_c + s_c z, halved
    between = points[:, :, None] - points[:, None]  # (E, c, j, P): p_c - p_j
    slope = torch.einsum("ecjp,sp->ecsj", between, noise) * deviation[..., None, None]
    margin = slope + between.square().sum(-1)[:, :, None] / 2
    nearest = (margin >= 0).all(-1)
    tied = (margin == 0).sum(-1).clamp_min(1)  # counts the class itself
    return 1 - (nearest / tied).mean((1, 2))


@lru_cache(maxsize=64)
def _normal_points(dimensions: int, samples: int) -> Tensor:
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=0)
    uniform = engine.draw(samples, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    return torch.special.ndtri(uniform)
