"""Weights of shots, names and regression, fitted on few-shot tasks of base classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from fewshot.text.gaussians.mixing import Pool, share_of_text

# Prior, which matters below ten base classes: residual variances as they are, a Gaussian likelihood
# tempered for features of CLIP and ConSE (docs/text-gaussians.md), names as the encoder scales
# them, regression like the shots.
START = Pool(doubt=1.0, temper=0.03, names=1.0, regression=1.0)
# Standard deviation of logarithms around that, as sure as one base class.
SPREAD = 2.0
STEPS = 60


class TaskScores(NamedTuple):
    """Scores (T, N) of the queries of a base-class task by every source of evidence alone.

    Attributes
    ----------
    shots : int
        K.
    truth : Tensor of shape (T,)
    names, regression : Tensor of shape (T, N)
        Cosines of image and class name; Gaussians around predicted means.
    gaussians : Tensor of shape (T, N), or None
        Gaussians around means of shots; None for K = 0.
    """

    shots: int
    truth: Tensor
    names: Tensor
    regression: Tensor
    gaussians: Tensor | None


def fit_pool(
    tasks: Sequence[TaskScores], ratio: float, scale: float, without: frozenset[str] = frozenset()
) -> Pool:
    """The pool with the lowest cross-entropy over the tasks, each counting alike.

    The logarithms of its numbers are drawn towards those of ``START`` by a penalty that weighs as
    much as one class, so that a handful of base classes cannot lead far astray. BFGS on four
    numbers, deterministic.

    Parameters
    ----------
    tasks : sequence of TaskScores
    ratio : float
        Residual variance of predicted means in units of the variance within classes.
    scale : float
        The encoder's logit scale.
    without : frozenset of {"names", "regression"}
        Sources of evidence to leave out.
    """
    default = torch.tensor([START.doubt, START.temper, scale * START.names, START.regression])
    default = default.double().log()
    used = torch.tensor([True, True, "names" not in without, "regression" not in without])
    ways = max(task.names.shape[1] for task in tasks)

    def loss(at: NDArray) -> tuple[float, NDArray]:
        moves = torch.from_numpy(at).requires_grad_()
        with torch.enable_grad():
            numbers = (default + moves).exp() * used
            losses = [
                torch.nn.functional.cross_entropy(pooled_scores(task, numbers, ratio), task.truth)
                for task in tasks
            ]
            total = torch.stack(losses).mean() + (moves / SPREAD).square().sum() / 2 / ways
        (slope,) = torch.autograd.grad(total, moves)
        return total.item(), slope.numpy()

    # SciPy's, as the first optimiser of torch takes seconds to import its compiler. Not L-BFGS-B:
    # it wakes a thread of BLAS per core for four numbers, milliseconds each on a busy machine.
    optimum = minimize(loss, np.zeros(4), jac=True, method="BFGS", options={"maxiter": STEPS})
    return Pool(*((default + torch.from_numpy(optimum.x)).exp() * used).tolist())


def pooled_scores(task: TaskScores, numbers: Tensor, ratio: float) -> Tensor:
    """Scores (T, N) under doubt, temper, names and regression (4,)."""
    doubt, temper, names, regression = numbers.unbind()
    ones = torch.ones_like(doubt)
    share = share_of_text(ones, doubt * ratio, task.shots * ones)
    scores = share * (names * task.names + temper * regression * task.regression)
    if task.gaussians is not None:
        scores = scores + temper * (1 - share) * task.gaussians
    return scores
