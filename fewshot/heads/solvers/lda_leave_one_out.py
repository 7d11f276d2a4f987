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
    one Gram matrix of [A; B] gives all scores of a fold.

    Returns None where this does not apply: fewer than four shots of a class (the rest would
    fall under the special rules for two), unequal shots, as many shots as dimensions, or shots
    without variance.
    """
    E, N, K, D = support.features.shape
    if K < 4 or N * K >= D or not support.complete:
        return None
    block = max(1, BLOCK_BYTES // (N * K * D * 8))
    pieces = []
    for start in range(0, E, block):
        scores = _block(support.features[start : start + block])
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
