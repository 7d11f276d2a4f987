"""Decide whether images belong to a class, from text vectors of the class and its confusers."""

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

# Number of tasks on base classes; more of them change only the third decimal of a threshold.
TASKS = 200


class Decisions(NamedTuple):
    """Decisions of a rule for n images, each (n,).

    Attributes
    ----------
    yes : Tensor, bool
    score : Tensor
        Similarity less threshold; the log-odds with the rule ``posterior``.
    similarity, threshold : Tensor
        Cosines; with the rule ``posterior`` the threshold is similarity less log-odds.
    posterior : Tensor or None
        Probability of "yes" at a prevalence of one half; None without parameters learned on other
        classes, or without confusers.
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
    """Decide for each image independently.

    Parameters
    ----------
    features : Tensor of shape (n, D)
        Unit length, as for all vectors here.
    target : Tensor of shape (D,)
        Of the class name.
    confusers : Tensor of shape (K, D)
        K may be 0: then the fixed threshold is used, or else the generic name.
    rule : Rule
        Its requirements must be met; see :func:`fewshot.tasks.one_class.rules.lacking_of`.
    learned : Learned, optional
    generic : Tensor of shape (D,), optional
        Of the generic name.
    random : Tensor of shape (R, D), optional
        Of random names.
    """
    learned = learned or Learned()
    mask = torch.ones(max(len(confusers), 1), dtype=torch.bool)
    if not len(confusers):  # reductions need at least one column, here of padding
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
    """Learn parameters of rules on other classes: the fixed threshold and the posterior.

    Parameters
    ----------
    bank : FeatureBank
        Of C classes, unit length, without the class to be decided.
    names : NameVectors
        Of these classes, with confusers of at most one source.
    preset : Learned
        Parameters set by the user; they are kept.
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
