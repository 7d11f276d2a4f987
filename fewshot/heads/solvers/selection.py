"""A setting chosen on the shots themselves or on base classes, never on queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes

T = TypeVar("T")


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
    own = _own(scores)
    mistakes = (mistakes_of(scores) & known).sum((1, 2))
    entropy = ((torch.logsumexp(scores, -1) - own) * known).sum((1, 2)) / known.sum((1, 2)).clamp(1)
    return mistakes + entropy / (1 + entropy)


def mistakes_of(scores: Tensor) -> Tensor:
    """Whether another class wins or ties, of scores (E, N, K, N) of shots: (E, N, K), bool."""
    ways = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)[:, None]
    return scores.masked_fill(ways, -torch.inf).amax(-1) >= _own(scores)


def _own(scores: Tensor) -> Tensor:
    """Scores (E, N, K) of shots for their own class."""
    return torch.diagonal(scores, dim1=1, dim2=3).mT


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


def held_out_scores(
    support: Support, scores: Callable[[Support, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Scores (E, N, K, N) of every shot by a fit without it, and which shots (E, N, K) have any.

    Parameters
    ----------
    support : Support
    scores : callable
        From the shots of a fit and all shots (E, N K, D) to scores (E, N K, N) of the latter.
    """
    known = support.mask & (support.counts > 1)[..., None]
    shots = support.features.flatten(1, 2)
    held_out = torch.zeros(*known.shape, known.shape[1], dtype=shots.dtype, device=shots.device)
    for rest, held in folds(support, support.mask.shape[-1]):
        of_rest = scores(rest, shots).unflatten(1, held.shape[1:])
        held_out = torch.where(held[..., None], of_rest, held_out)
    return held_out, known


def cautious(losses: Tensor, known: Tensor | None = None, added: int = 4) -> Tensor:
    """The first of A settings, from safe to bold, that is about as good as the best: (...).

    The one-standard-error rule of Breiman et al., "Classification and Regression Trees", 1984: the
    first whose mean loss is above the least by no more than one standard error of the difference,
    which is of the same shots or images and so mostly smaller than that of either. As a few shots
    that are right or wrong show less spread than there is, two more are taken to speak for either
    side: Agresti and Coull, "Approximate is Better than Exact for Interval Estimation of Binomial
    Proportions", 1998.

    Parameters
    ----------
    losses : Tensor of shape (A, ..., R)
        In [0, 1], of R shots, or classes of images, under every setting.
    known : Tensor of shape (..., R), bool, optional
        Those that count; all by default. Without any, the first setting is the choice.
    added : int
        How many are taken to be there beside them, half for either side; 0 for losses that are
        means of many.

    Returns
    -------
    Tensor of shape (...), int64
        Positions of settings.
    """
    known = torch.ones_like(losses[0], dtype=torch.bool) if known is None else known
    total = (losses * known).sum(-1)
    best = losses.gather(0, total.argmin(0)[None, ..., None].expand_as(losses[:1]))
    above = (losses - best) * known
    count = known.sum(-1).to(losses.dtype) + added
    excess = above.sum(-1) / count
    variance = ((above.square().sum(-1) + added) / count - excess.square()).clamp_min(0)
    close = excess <= (variance / (count if added else (count - 1).clamp_min(1))).sqrt()
    return close.to(torch.uint8).argmax(0)


def choose_on_base(
    episodes: LabelledEpisodes,
    settings: Sequence[T],
    scores: Callable[[LabelledBatch], Iterable[Tensor]],
) -> T:
    """The first of some settings, from safe to bold, that is about the best for base classes.

    Parameters
    ----------
    episodes : LabelledEpisodes
    settings : sequence
    scores : callable
        From a batch of episodes to scores (E, T, N) of its queries under each of the settings.

    Notes
    -----
    What is compared is the share of mistakes on the queries of each class, in all episodes with
    it, by `cautious`: what is chosen shall hold for other classes, and queries of a class, or its
    episodes, are no independent evidence of that.
    """
    wrong: list[Tensor] = []
    asked: list[Tensor] = []
    classes: list[Tensor] = []
    for batch in episodes:
        way = torch.nn.functional.one_hot(batch.labels, batch.support.features.shape[1])
        member = way * batch.query.mask[..., None]
        mistakes = (
            (member * (tried.argmax(-1) != batch.labels)[..., None]).sum(1).flatten()
            for tried in scores(batch)
        )
        wrong.append(torch.stack([*mistakes]).double())
        asked.append(member.sum(1).flatten().double())
        first = sum(map(len, classes))
        alone = torch.arange(first, first + len(asked[-1]), device=way.device)
        classes.append(alone if batch.classes is None else batch.classes.flatten())
    place = torch.cat(classes).unique(return_inverse=True)[1]
    number = int(place.max()) + 1
    count = asked[0].new_zeros(number).index_add_(0, place, torch.cat(asked))
    total = wrong[0].new_zeros(len(wrong[0]), number).index_add_(1, place, torch.cat(wrong, 1))
    return settings[int(cautious((total / count.clamp_min(1))[:, count > 0], added=0))]
