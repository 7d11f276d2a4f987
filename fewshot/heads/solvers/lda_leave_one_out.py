"""Leave-one-out scores of LDA without refitting what a left-out shot does not change."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.heads.solvers.covariance import ledoit_wolf, spread_of

# Episodes per block: the working set of one fold should stay in a core's cache.
BLOCK_BYTES = 4 << 20


def lda_leave_one_out(support: Support) -> Tensor | None:
    """Scores (E, N, K, N) of every shot under the LDA fitted without it, uniform priors.

    A left-out shot changes mean, variances and shrinkage of its own class; those of the other
    classes are kept. With A the scaled deviations and B the class means and the shot, both
    whitened by the diagonal, ``b_i' S^-1 b_j = B_i.B_j - (A B_i)' (I + A A')^-1 (A B_j)``, so that
    one Gram matrix of [A; B] gives all scores of a fold. With as many shots as dimensions S itself
    is smaller: the other classes' part of it is kept, and that of the class is added for each fold.

    Returns None where this does not apply: fewer than four shots of a class (the rest would
    fall under the special rules for two), unequal shots, or shots without variance.
    """
    E, N, K, D = support.features.shape
    if K < 4 or not support.complete:
        return None
    dense = N * K >= D
    block = 1 if dense else max(1, BLOCK_BYTES // (N * K * D * 8))
    pieces = []
    for start in range(0, E, block):
        features = support.features[start : start + block]
        scores = _dense(features[0]) if dense else _block(features)
        if scores is None:
            return None
        pieces.append(scores)
    return torch.cat(pieces).to(support.features.dtype)


def _block(features: Tensor) -> Tensor | None:
    E, N, K, D = features.shape
    dtype, features = features.dtype, features.double()
    means = features.mean(2)
    features = features - means.mean(1)[:, None, None]  # small numbers lose fewer digits
    means = features.mean(2)
    deviations = features - means[:, :, None]
    diagonals, factors = _class_terms(deviations, means, N)
    scores = features.new_empty(E, N, K, N)
    rank = (N - 1) * K
    rows = features.new_empty(E, rank + K - 1 + N + 1, D, dtype=dtype)
    for n in range(N):
        others = [m for m in range(N) if m != n]
        diagonal = diagonals[:, others].sum(1)
        factor = factors[:, others].flatten(1, 2).to(dtype)
        for k in range(K):
            kept = [j for j in range(K) if j != k]
            left = deviations[:, n, k, None] / (K - 1)
            own_mean = means[:, n] - left[:, 0]
            own_deviations = deviations[:, n, kept] + left
            own_diagonal, own_factor = _class_terms(own_deviations[:, None], own_mean[:, None], N)
            whole = diagonal + own_diagonal[:, 0]
            if not bool((whole > 0).all()):
                return None
            whiten = whole.rsqrt().to(dtype)[:, None]
            torch.mul(factor, whiten, out=rows[:, :rank])
            right = [own_factor[:, 0], means[:, :n], own_mean[:, None], means[:, n + 1 :]]
            right.append(features[:, n, k, None])
            torch.mul(torch.cat(right, 1).to(dtype), whiten, out=rows[:, rank:])
            own = _scores(rows, N)
            if own is None:
                return None
            scores[:, n, k] = own
    return scores


def _dense(features: Tensor) -> Tensor | None:
    """Scores (1, N, K, N) of one episode (N, K, D), with covariances (D, D)."""
    N, K, D = features.shape
    features = features.double()
    features = features - features.mean((0, 1))
    means = features.mean(1)
    deviations = features - means[:, None]
    diagonals, factors = (terms[0] for terms in _class_terms(deviations[None], means[None], N))
    total = factors.flatten(0, 1).mT @ factors.flatten(0, 1)
    scores = features.new_empty(1, N, K, N)
    least = 10 * N * K * D * torch.finfo(features.dtype).eps
    for n in range(N):
        others = total - factors[n].mT @ factors[n]
        diagonal = diagonals[:n].sum(0) + diagonals[n + 1 :].sum(0)
        left = deviations[n] / (K - 1)  # (K, D), by fold
        own_means = means[n] - left
        own_deviations = _without_each(deviations[n]) + left[:, None]
        own = _class_terms(own_deviations[:, None], own_means[:, None], N)
        for k in range(K):
            whole = diagonal + own[0][k, 0]
            factor = own[1][k, 0]
            covariance = torch.addmm(others, factor.mT, factor)
            covariance.diagonal().add_(whole)
            # `covariance.solve` lifts smaller diagonals.
            if not bool((whole > least * covariance.diagonal()).all()):
                return None
            root, failed = torch.linalg.cholesky_ex(covariance)
            if bool(failed):
                return None
            right = torch.cat([means[:n], own_means[k, None], means[n + 1 :], features[n, k, None]])
            whitened = torch.linalg.solve_triangular(root, right.mT, upper=False)
            shot = whitened[:, N]
            scores[0, n, k] = shot @ whitened[:, :N] - whitened[:, :N].square().sum(0) / 2
    return scores


def _without_each(rows: Tensor) -> Tensor:
    """Rows (K, D) without the k-th, for every k: (K, K - 1, D)."""
    K = len(rows)
    kept = torch.arange(K - 1, device=rows.device).expand(K, -1)
    return rows[kept + (kept >= torch.arange(K, device=rows.device)[:, None])]


def _class_terms(deviations: Tensor, means: Tensor, ways: int) -> tuple[Tensor, Tensor]:
    """What classes add to the diagonal, (E, n, D), and to the factor, (E, n, K, D)."""
    K = deviations.shape[2]
    counts = torch.full_like(means[..., 0], K)
    deviations, variance = spread_of(deviations, means, counts)
    intensity, target = ledoit_wolf(deviations, means, variance, counts)
    scale = ((1 - intensity) / (ways * K)).clamp_min(0).sqrt()
    return (intensity / ways)[..., None] * target, deviations * scale[..., None, None]


def _scores(rows: Tensor, ways: int) -> Tensor | None:
    """Scores (E, N) from whitened rows: R of the factor, N means, the shot.

    The Gram matrix, nearly all of the work, is made in the precision of the rows. The rest is in
    float64; None if the rounding of the Gram matrix was too much for it.
    """
    gram = (rows @ rows.mT).double()
    rank = rows.shape[1] - ways - 1
    inner = gram[:, :rank, :rank].clone()
    inner.diagonal(dim1=-2, dim2=-1).add_(1.0)
    across = gram[:, :rank, rank:]
    factor, failed = torch.linalg.cholesky_ex(inner)
    if bool(failed.any()):
        return None
    solved = torch.cholesky_solve(across, factor)
    products = gram[:, rank:, rank:] - across.mT @ solved
    lengths = products[:, :ways, :ways].diagonal(dim1=-2, dim2=-1)
    return products[:, :ways, ways] - lengths / 2
