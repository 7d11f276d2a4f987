"""A setting chosen on the shots themselves, never on queries."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fewshot.heads.base import Support


def loss_of(scores: Tensor, known: Tensor) -> Tensor:
    """How badly held-out scores do: number of mistakes, and among equals the cross-entropy.

    Parameters
    ----------
    scores : Tensor of shape (E, N, K, N)
    known : Tensor of shape (E, N, K), bool
        Which shots were held out; the others count nothing.

    Returns
    -------
    Tensor of shape (E,)
        The integer part counts mistakes. A few shots leave most settings level in mistakes, so
        that the fraction, x / (1 + x) of the mean cross-entropy x, decides. A tie with the best
        wrong class is a mistake.
    """
    own = torch.diagonal(scores, dim1=1, dim2=3).mT  # (E, N, K)
    ways = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)[:, None]
    rival = scores.masked_fill(ways, -torch.inf).amax(-1)
    mistakes = ((rival >= own) & known).sum((1, 2))
    entropy = ((torch.logsumexp(scores, -1) - own) * known).sum((1, 2)) / known.sum((1, 2)).clamp(1)
    return mistakes + entropy / (1 + entropy)


def folds(support: Support, most: int) -> Iterator[tuple[Support, Tensor]]:
    """Stratified folds of the shots: at most `most`, and no more than a class has shots.

    The j-th shot of a class belongs to fold j modulo their number. A class with one shot always
    keeps it, and every other class keeps one at least.

    Yields
    ------
    rest : Support
        The shots that are not in the fold.
    held : Tensor of shape (E, N, K), bool
        Those that are.
    """
    rank = support.mask.cumsum(-1) - 1
    spare = support.mask & (support.counts > 1)[..., None]
    number = max(2, min(most, int(support.counts.max())))
    for fold in range(number):
        held = spare & (rank % number == fold)
        if bool(held.any()):
            yield Support.of(support.features, support.mask & ~held, support.context), held
