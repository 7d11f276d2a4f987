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


def first_within_error(losses: Tensor, held: Tensor) -> Tensor:
    """Number (E,) of the first setting with about as few mistakes as the best has.

    The rule of one standard error (Breiman et al., "Classification and Regression Trees", 1984,
    section 3.4.3): a few held-out shots cannot tell settings apart that differ by less, so that the
    first of them, the most cautious, is taken. The standard error is that of the best, a share
    ``p = (m + 1) / (n + 2)`` of n held-out shots.

    Parameters
    ----------
    losses : Tensor of shape (S, E)
        Of `loss_of`, for settings from cautious to bold.
    held : Tensor of shape (E,), int
        n.
    """
    mistakes = losses.floor()
    best = mistakes.amin(0)
    share = (best + 1) / (held + 2)
    limit = best + (held * share * (1 - share)).sqrt()
    return (mistakes <= limit).int().argmax(0)
