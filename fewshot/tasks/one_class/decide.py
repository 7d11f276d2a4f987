"""Is this image a t? Decisions on images, given text vectors of t and of its confusers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fewshot.features.bank import FeatureBank
from fewshot.tasks.one_class.learning import PREVALENCE, learned_on
from fewshot.tasks.one_class.rules import (
    Learned,
    Rule,
    Similarities,
    thresholds,
)
from fewshot.tasks.one_class.sampling import draw_tasks
from fewshot.tasks.one_class.scores import NO_SOURCE, NameVectors, batches
from fewshot.tasks.one_class.thresholds import log_mean_exp, posterior_logit

# Tasks on base classes; more change the third decimal of a threshold.
TASKS = 200


class Decisions(NamedTuple):
    """What a rule says of n images, each (n,).

    Attributes
    ----------
    yes : Tensor, bool
    score : Tensor
        Similarity less threshold; the log-odds with the rule ``posterior``.
    similarity, threshold : Tensor
        Cosines; with the rule ``posterior`` the threshold is similarity less log-odds.
    posterior : Tensor or None
        Probability of "yes" where as many images are of the class as are not; None where nothing
        was learned on other classes, or there are no confusers.
    """

    yes: Tensor
    score: Tensor
    similarity: Tensor
    threshold: Tensor
    posterior: Tensor | None


def decide(
    features: Tensor,
    target: Tensor,
    confusers: Tensor,
    rule: Rule,
    learned: Learned | None = None,
    generic: Tensor | None = None,
    random: Tensor | None = None,
) -> Decisions:
    """Decide for every image by itself.

    Parameters
    ----------
    features : Tensor of shape (n, D)
        Unit length, as all vectors here.
    target : Tensor of shape (D,)
        Of the class name.
    confusers : Tensor of shape (K, D)
        K may be 0: then the fixed threshold counts, or else the generic name.
    rule : Rule
        What it needs has to be there; see :func:`fewshot.tasks.one_class.rules.lacking_of`.
    learned : Learned, optional
    generic : Tensor of shape (D,), optional
        Of the generic name.
    random : Tensor of shape (R, D), optional
        Of random names.
    """
    learned = learned or Learned()
    mask = torch.ones(max(len(confusers), 1), dtype=torch.bool)
    if not len(confusers):  # reductions want one column, be it padding
        confusers, mask = torch.zeros_like(target)[None], ~mask
    similarities = Similarities(
        features @ target,
        features @ confusers.T,
        mask,
        None if generic is None else features @ generic,
        None if random is None else (features @ random.T).amax(-1),
    )
    level = thresholds(rule, similarities, learned)
    score = similarities.target - level
    return Decisions(
        score > 0, score, similarities.target, level, _posterior(similarities, learned)
    )


def learned_from(bank: FeatureBank, names: NameVectors, preset: Learned, seed: int = 0) -> Learned:
    """What rules learn on other classes: a fixed threshold, and with confusers the posterior.

    Parameters
    ----------
    bank : FeatureBank
        Of C classes, unit length; none is the class that is asked about.
    names : NameVectors
        Of these classes, with confusers of at most one source.
    preset : Learned
        Numbers given by hand, which stay as they are.
    seed : int
        Of the tasks.

    Raises
    ------
    FewshotError
        Fewer than two classes.
    """
    tasks = draw_tasks(bank.labels, np.arange(len(bank.classnames)), TASKS, (PREVALENCE,), seed)
    learned = learned_on([make() for make in batches(bank, tasks, names)], preset)
    return learned[next(iter(names.confusers), NO_SOURCE)]


def _posterior(similarities: Similarities, learned: Learned) -> Tensor | None:
    if learned.posterior is None or learned.tau is None or not similarities.mask.any():
        return None
    level = log_mean_exp(similarities.confusers, similarities.mask, learned.tau)
    return posterior_logit(similarities.target, level, learned.posterior).sigmoid()
