"""Ridge regression with the penalty chosen by leave-one-class-out errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.exceptions import expect, expect_positive_int

# Relative to the mean square of the singular values of the inputs.
PENALTIES = tuple(10.0 ** (power / 2) for power in range(-6, 9))
FOLDS = 5


class RidgeFit(NamedTuple):
    """A fitted ridge regression.

    Attributes
    ----------
    weights : Tensor of shape (P, D)
    inputs_mean : Tensor of shape (P,)
    targets_mean : Tensor of shape (D,)
    penalty : float
        Relative to the mean square of the singular values of the inputs.
    held_out : Tensor of shape (C, D)
        Prediction of every class by the fit without it.
    """

    weights: Tensor
    inputs_mean: Tensor
    targets_mean: Tensor
    penalty: float
    held_out: Tensor

    def predict(self, inputs: Tensor) -> Tensor:
        """Targets (M, D) of inputs (M, P)."""
        return self.targets_mean + (inputs - self.inputs_mean) @ self.weights


def ridge(
    inputs: Tensor,
    targets: Tensor,
    penalties: Sequence[float] = PENALTIES,
    weights: Tensor | None = None,
    rank: int | None = None,
) -> RidgeFit:
    r"""Ridge regression of targets on inputs, both centred.

    The penalty is the one with the lowest squared error when every class is predicted without
    itself. With the singular value decomposition U diag(s) V' of the centred inputs, all penalties
    and all left-out fits follow from one decomposition (Hastie, Tibshirani and Friedman, "The
    Elements of Statistical Learning", 2nd ed., eq. 7.64): the residual of class c is divided by
    1 - h_c with h_c = 1 / C + sum_i u_ci^2 s_i^2 / (s_i^2 + penalty), the mean included. Fewer
    classes than dimensions are no difficulty.

    Parameters
    ----------
    inputs : Tensor of shape (C, P), C >= 3
    targets : Tensor of shape (C, D)
    penalties : sequence of float > 0
        Candidates, relative to the mean square of the singular values.
    weights : Tensor of shape (D,), optional
        Weight of each dimension in the choice of the penalty; alike by default.
    rank : int, optional
        Reduced-rank regression (Izenman, "Reduced-rank regression for the multivariate linear
        model", JMVA 1975, identity weighting): predictions are projected on the `rank` main
        directions of the fitted values; left-out predictions on those of a fit without a fifth
        of the classes, theirs included.

    Raises
    ------
    FewshotError
        Fewer than three classes, or a rank below one.
    """
    if rank is not None:
        expect_positive_int("text.rank", rank)
    expect(len(inputs) > 2, "text.predictor", f"expected 3 base classes or more, got {len(inputs)}")
    mean, centre = inputs.mean(0), targets.mean(0)
    U, s, Vh = torch.linalg.svd(inputs - mean, full_matrices=False)
    projected = U.T @ (targets - centre)
    typical = s.square().mean().clamp_min(torch.finfo(s.dtype).tiny)
    best: tuple[float, float, Tensor] | None = None
    for penalty in penalties:
        held_out = _held_out(U, s, projected, targets, penalty * typical)
        squared = (targets - held_out).square()
        loss = float((squared if weights is None else squared * weights).mean())
        if best is None or loss < best[0]:
            best = loss, penalty, held_out
    assert best is not None
    _, penalty, held_out = best
    coefficients = (Vh.T * (s / (s.square() + penalty * typical))) @ projected
    if rank is not None:
        main = _main_directions((inputs - mean) @ coefficients, rank)
        coefficients = coefficients @ main @ main.T
        held_out = _held_out_low_rank(inputs, targets, penalty * typical, rank, held_out)
    return RidgeFit(coefficients, mean, centre, penalty, held_out)


def _held_out(U: Tensor, s: Tensor, projected: Tensor, targets: Tensor, penalty: Tensor) -> Tensor:
    """Predictions (C, D) without the class itself."""
    shrunk = s.square() / (s.square() + penalty)
    residuals = targets - targets.mean(0) - (U * shrunk) @ projected
    leverage = (U.square() * shrunk).sum(1) + 1 / len(targets)
    return targets - residuals / (1 - leverage).clamp_min(1e-6)[:, None]


def _held_out_low_rank(
    inputs: Tensor, targets: Tensor, penalty: Tensor, rank: int, held_out: Tensor
) -> Tensor:
    """Left-out predictions (C, D) on main directions fitted without their classes."""
    fold = torch.arange(len(inputs), device=inputs.device) % FOLDS
    predictions = held_out.clone()
    for number in range(min(FOLDS, len(inputs))):
        rest = fold != number
        mean, centre = inputs[rest].mean(0), targets[rest].mean(0)
        U, s, _ = torch.linalg.svd(inputs[rest] - mean, full_matrices=False)
        shrunk = s.square() / (s.square() + penalty)
        main = _main_directions((U * shrunk) @ (U.T @ (targets[rest] - centre)), rank)
        predictions[~rest] = centre + (held_out[~rest] - centre) @ main @ main.T
    return predictions


def _main_directions(fitted: Tensor, rank: int) -> Tensor:
    """Orthonormal directions (D, R) in which fitted values (C, D) vary most."""
    _, _, Vh = torch.linalg.svd(fitted, full_matrices=False)
    return Vh[: min(rank, len(Vh))].T
