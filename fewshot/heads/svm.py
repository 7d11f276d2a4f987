"""Linear support vector machine, one class against the rest."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.solvers.span import span_of

MOST_ITERATIONS = 100
MOST_HALVINGS = 30
# Machines are trained so many at a time that a copy of their shots stays below this.
BLOCK_BYTES = 64 << 20


class SVM(LinearHead):
    r"""Linear support vector machine with squared hinge loss, one class against the rest.

    Class c minimises ``|v|^2 / 2 + C sum_i max(0, 1 - y_i v . [x_i, 1])^2`` over v = [w_c, b_c],
    with y_i = 1 for its own shots and -1 for the others: the objective of scikit-learn's
    ``LinearSVC(dual=False, loss="squared_hinge")``. As there, the intercept is penalised as the
    weight of a feature that is always 1, so that a shift of all features changes the answer.

    Newton's method on the primal (Chapelle, "Training a Support Vector Machine in the Primal",
    Neural Computation 2007): the Hessian depends only on which shots are inside the margin, so
    that it ends, exactly, a step after that set stops changing, usually within ten. It runs
    in the r = min(NK, D + 1) coordinates of the span of the shots, for all classes of all episodes
    at once; a step costs O(N (NK r^2 + r^3)) an episode.

    Parameters
    ----------
    C : float > 0
        Weight of the loss, fixed; 1 is scikit-learn's default.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    """

    references = ("cortes1995support",)

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, support: Support) -> Self:
        """Find the N hyperplanes of every episode."""
        expect_number("head.svm.C", self.C, 0, above=True)
        dtype = support.features.dtype
        E, N, K, _ = support.features.shape
        shots, mask = support.features.double().flatten(1, 2), support.mask.flatten(1)
        span = span_of(torch.cat([shots, mask[..., None].to(shots.dtype)], -1))
        own = torch.eye(N, dtype=shots.dtype, device=shots.device).repeat_interleave(K, 1)
        sides = ((2 * own - 1) * mask[:, None]).flatten(0, 1)
        machines = torch.arange(E * N, device=shots.device)
        block = max(1, BLOCK_BYTES // (span.coordinates[0].numel() * 8))
        weights = [
            squared_hinge(span.coordinates[some // N], sides[some], float(self.C))
            for some in machines.split(block)
        ]
        both = span.features_weights(torch.cat(weights).view(E, N, -1)).to(dtype)
        self.weights_, self.biases_ = both[..., :-1].contiguous(), both[..., -1].contiguous()
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on all shots together."""
        return LinearForm(self.weights_, self.biases_, None)


def squared_hinge(rows: Tensor, sides: Tensor, C: float) -> Tensor:
    """Weights (B, r) that minimise ``|w|^2 / 2 + C sum_i max(0, 1 - y_i w . x_i)^2``.

    Parameters
    ----------
    rows : Tensor of shape (B, n, r)
    sides : Tensor of shape (B, n)
        y_i: 1 or -1; 0 in the padding.
    C : float
    """
    B, _, r = rows.shape
    result = rows.new_zeros(B, r)
    active, at = torch.arange(B, device=rows.device), result
    identity = torch.eye(r, dtype=rows.dtype, device=rows.device)
    inside = sides != 0
    for _ in range(MOST_ITERATIONS):
        chosen = rows * inside[..., None]
        curvature = 2 * C * chosen.mT @ chosen
        # The identity would be lost in the rounding of large features, and the matrix singular.
        least = curvature.diagonal(dim1=-2, dim2=-1).sum(-1) * torch.finfo(rows.dtype).eps
        curvature = curvature + least.clamp_min(1.0)[:, None, None] * identity
        factor = torch.linalg.cholesky(curvature)
        target = torch.cholesky_solve(2 * C * chosen.mT @ sides[..., None], factor)[..., 0]
        length = _line_search(rows, sides, C, at, target)
        at = at + length[:, None] * (target - at)
        margin = 1 - sides * (rows @ at[..., None])[..., 0]
        now = (margin > 0) & (sides != 0)
        # The minimum of the quadratic piece that it lies in, or no better point to be found.
        done = ((now == inside).all(-1) & (length == 1)) | (length == 0)
        result[active] = at
        if bool(done.all()):
            break
        active, at, inside = active[~done], at[~done], now[~done]
        rows, sides = rows[~done], sides[~done]
    return result


def _line_search(rows: Tensor, sides: Tensor, C: float, at: Tensor, target: Tensor) -> Tensor:
    """The first of 1, 1/2, 1/4, ... that does not raise the objective: (B,), 0 if none."""
    direction = target - at
    scores, along = (rows @ torch.stack([at, direction], -1)).unbind(-1)
    start = _objective(at, scores, sides, C)
    length = torch.ones_like(start)
    for _ in range(MOST_HALVINGS):
        points, values = at + length[:, None] * direction, scores + length[:, None] * along
        worse = _objective(points, values, sides, C) > start * (1 + 1e-14)
        if not bool(worse.any()):
            return length
        length = torch.where(worse, length / 2, length)
    return length.masked_fill(worse, 0.0)


def _objective(weights: Tensor, scores: Tensor, sides: Tensor, C: float) -> Tensor:
    hinge = (1 - sides * scores).clamp_min(0) * (sides != 0)
    return weights.square().sum(-1) / 2 + C * hinge.square().sum(-1)
