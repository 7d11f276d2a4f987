"""Which labels to check, so that few of the others are wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.exceptions import expect

# Share of the budget that expected errors may take. Probabilities of a single task are too high or
# too low together: with less than the budget it is kept in most tasks and not on average only.
CAUTION = 0.7
ROUNDING = 1e-9


def to_review(probabilities: Tensor, budget: float) -> Tensor:
    """Which labels to look at, so that of the others at most a share is expected to be wrong.

    The surest labels are accepted as long as the mean of one minus their probability stays within
    `CAUTION` times the budget: no other choice accepts as many (selective classification, Geifman
    and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, with calibrated
    probabilities in the place of a labelled sample). Labels of equal probability are accepted
    together or not at all, so that the answer does not depend on the order of the images.

    Parameters
    ----------
    probabilities : Tensor of shape (M,)
        That the labels are right; 0 for images that are to be looked at in any case.
    budget : float in [0, 1]
        Share of wrong labels among those that are not looked at.

    Returns
    -------
    Tensor of shape (M,), bool

    Raises
    ------
    FewshotError
        A budget outside [0, 1].
    """
    expect(0 <= budget <= 1, "budget", f"expected a share in [0, 1], got {budget}")
    if budget == 1:
        return torch.zeros(len(probabilities), dtype=torch.bool)
    levels, group = probabilities.double().unique(return_inverse=True)
    sizes = torch.bincount(group, minlength=len(levels))
    # From the surest down: the mean over whole groups of equal probability only grows.
    wrong = ((1 - levels) * sizes).flip(0).cumsum(0)
    mean = (wrong / sizes.flip(0).cumsum(0).clamp_min(1)).flip(0)
    return (mean > CAUTION * budget + ROUNDING)[group]
