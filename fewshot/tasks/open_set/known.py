"""How much a query looks like one of the classes of its episode, from the scores of a head."""

from __future__ import annotations

import torch
from torch import Tensor

PROBABILITY, ENTROPY, SCORE = "probability", "entropy", "score"
SCORES = (PROBABILITY, ENTROPY, SCORE)


def known_score(scores: Tensor, kind: str) -> Tensor:
    """Larger where a query is more likely of one of the classes: (E, T), float64.

    Parameters
    ----------
    scores : Tensor of shape (E, T, N)
        Of a head, N >= 2; softmax over the classes makes probabilities of them.
    kind : {"probability", "entropy", "score"}
        "probability": the largest softmax probability p (Hendrycks and Gimpel, ICLR 2017; the score
        of PEELER, CVPR 2020), as its log odds ``log(p / (1 - p))``, which order queries alike and
        do not round to 1. "entropy": minus the entropy of the probabilities. "score": the largest
        score (Vaze et al., ICLR 2022: the maximum logit).
    """
    scores = scores.double()
    if kind == SCORE:
        return scores.amax(-1)
    if kind == ENTROPY:
        logs = scores.log_softmax(-1)
        return (logs.exp() * logs).sum(-1)
    best, place = scores.max(-1, keepdim=True)
    others = scores.scatter(-1, place, -torch.inf)
    return (best - others.logsumexp(-1, keepdim=True)).squeeze(-1)
