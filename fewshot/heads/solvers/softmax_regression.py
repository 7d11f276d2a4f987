"""The minimum of many penalised multinomial logistic regressions at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

HISTORY = 10  # pairs of steps and changes of the gradient that are remembered
SUFFICIENT = 1e-4  # share of the decrease promised by the slope that a step must bring
MOST_HALVINGS = 40


class Problem(NamedTuple):
    """Regressions in coordinates where the first Newton step is the negative gradient.

    Attributes
    ----------
    design : Tensor of shape (E, n, p)
        Scaled features, the last column the intercept's; zero in the padding.
    penalty : Tensor of shape (E, p, 1)
        What half the square of a coefficient costs.
    truth : Tensor of shape (E, n, N)
        1, or the weight of the row, for its class, else 0; or weights of all classes. All 0 in the
        padding.
    """

    design: Tensor
    penalty: Tensor
    truth: Tensor

    def loss(self, logits: Tensor) -> Tensor:
        """Sum of the cross-entropies of all rows: (E,)."""
        weight = self.truth.sum(-1)
        of_truth = (self.truth * logits).sum(-1)
        return (torch.logsumexp(logits, -1) * weight - of_truth).sum(-1)

    def gradient(self, logits: Tensor, coefficients: Tensor) -> Tensor:
        """Of the loss and the penalty: (E, p, N)."""
        excess = torch.softmax(logits, -1) * self.truth.sum(-1, keepdim=True) - self.truth
        return self.design.mT @ excess + self.penalty * coefficients


def softmax_regression(
    coordinates: Tensor, spread: Tensor, truth: Tensor, C: Tensor, tolerance: float, limit: int
) -> tuple[Tensor, Tensor]:
    """Weights and biases that minimise ``sum of cross-entropies + |weights|^2 / (2 C)``.

    Parameters
    ----------
    coordinates : Tensor of shape (E, n, r)
        Rows with mean zero over the true rows and ``coordinates' coordinates = diag(spread)``.
    spread : Tensor of shape (E, r)
    truth : Tensor of shape (E, n, N)
        As in `Problem`.
    C : Tensor of shape (E,)
    tolerance : float
        An episode is done when no entry of its scaled gradient is larger.
    limit : int
        Most iterations.

    Returns
    -------
    weights : Tensor of shape (E, N, r)
    biases : Tensor of shape (E, N), mean zero
    """
    # At equal probabilities the Hessian is (spread / N + 1 / C) and n / N for the intercept, for
    # all classes alike: dividing by its roots makes it the identity.
    N = truth.shape[-1]
    rows = truth.sum(-1)  # 1 or the weight, and 0 in the padding
    present = (rows > 0).to(rows)
    scale = (spread / N + 1 / C[:, None]).rsqrt()
    share = (N / rows.sum(-1)).sqrt()[:, None]
    design = torch.cat([coordinates * scale[:, None], (present * share)[..., None]], -1)
    penalty = torch.cat([scale.square() / C[:, None], torch.zeros_like(share)], -1)[..., None]
    found = minimise(Problem(design, penalty, truth), tolerance, limit)
    found = found * torch.cat([scale, share], -1)[..., None]
    return found[:, :-1].mT, found[:, -1] - found[:, -1].mean(-1, keepdim=True)


def minimise(problem: Problem, tolerance: float, limit: int) -> Tensor:
    """Coefficients (E, p, N) by L-BFGS from zero; an episode that is done leaves the batch."""
    E, _, p = problem.design.shape
    result = problem.design.new_zeros(E, p, problem.truth.shape[-1])
    at, active = result.clone(), torch.arange(E, device=result.device)
    logits = torch.zeros_like(problem.truth)
    gradient = problem.gradient(logits, at)
    steps = changes = gradient.new_zeros(E, 0, p * result.shape[-1])
    moved = torch.ones_like(active, dtype=torch.bool)
    for _ in range(limit):
        going = moved & (gradient.abs().amax((1, 2)) > tolerance)
        if not bool(going.all()):
            result[active] = at
            if not bool(going.any()):
                return result
            active, at, logits = active[going], at[going], logits[going]
            gradient, steps, changes = gradient[going], steps[going], changes[going]
            problem = Problem(*(one[going] for one in problem))
        direction = -inverse_hessian_product(gradient.flatten(1), steps, changes).view_as(at)
        along = problem.design @ direction
        length = line_search(problem, at, logits, gradient, direction, along)[:, None, None]
        step = length * direction
        at, logits = at + step, logits + length * along
        before, gradient = gradient, problem.gradient(logits, at)
        step, change = step.flatten(1), (gradient - before).flatten(1)
        # Rounding alone makes a convex function look flat: no better point can be told apart.
        moved = (step * change).sum(-1) > 0
        steps = torch.cat([steps[:, -HISTORY + 1 :], step[:, None]], 1)
        changes = torch.cat([changes[:, -HISTORY + 1 :], change[:, None]], 1)
    result[active] = at
    return result


def inverse_hessian_product(gradient: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    """L-BFGS's inverse Hessian times gradients (E, q), from pairs (E, m, q), oldest first.

    The compact form of Byrd, Nocedal and Schnabel, "Representations of Quasi-Newton Matrices",
    1994: a few matrix products in place of a loop over the pairs.
    """
    if steps.shape[1] == 0:
        return gradient
    products = steps @ changes.mT  # s_i' y_j
    upper = products.triu()
    curvature = products.diagonal(dim1=1, dim2=2)
    squares = changes @ changes.mT
    gamma = (curvature[:, -1] / squares[:, -1, -1])[:, None, None]
    vector = gradient[..., None]
    right = torch.linalg.solve_triangular(upper, steps @ vector, upper=True)
    left = curvature[..., None] * right + gamma * (squares @ right - changes @ vector)
    left = torch.linalg.solve_triangular(upper.mT, left, upper=False)
    return (gamma * (vector - changes.mT @ right) + steps.mT @ left)[..., 0]


def line_search(
    problem: Problem, at: Tensor, logits: Tensor, gradient: Tensor, direction: Tensor, along: Tensor
) -> Tensor:
    """The first of 1, 1/2, 1/4, ... that lowers the objective enough: (E,), 0 if none does."""
    slope = (gradient * direction).sum((1, 2))
    pull = (problem.penalty * at * direction).sum((1, 2))
    bend = (problem.penalty * direction.square()).sum((1, 2)) / 2
    start = problem.loss(logits)
    rounding = 4 * torch.finfo(start.dtype).eps * start.abs()
    length = torch.ones_like(slope)
    for _ in range(MOST_HALVINGS):
        now = problem.loss(logits + length[:, None, None] * along)
        gain = now - start + length * pull + length.square() * bend
        short = gain > SUFFICIENT * length * slope + rounding
        if not bool(short.any()):
            return length
        length = torch.where(short, length / 2, length)
    return length.masked_fill(short, 0.0)
