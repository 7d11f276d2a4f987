"""Decide whether images belong to a class, from text vectors of the class and its confusers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.features.bank import FeatureBank
from fewshot.tasks.one_class.background import Background
from fewshot.tasks.one_class.confusers.lists import ConfuserLists
from fewshot.tasks.one_class.learning import PREVALENCE, learned_on
from fewshot.tasks.one_class.rules import (
    CONFUSERS,
    FIXED,
    LEVEL,
    POSTERIOR,
    RULES,
    TAU,
    Learned,
    Rule,
    Similarities,
    fallback_name,
    thresholds,
)
from fewshot.tasks.one_class.sampling import draw_tasks
from fewshot.tasks.one_class.scores import NO_SOURCE, NameVectors, batches, evidence_of
from fewshot.tasks.one_class.thresholds import log_mean_exp, posterior_logit
from fewshot.tasks.one_class.two_groups import share_level

# Number of tasks on base classes; more of them change only the third decimal of a threshold.
TASKS = 200


class Decisions(NamedTuple):
    """Decisions of a rule for n images, each (n,).

    Attributes
    ----------
    yes : Tensor, bool
    score : Tensor
        Similarity less threshold; the log-odds with the rules ``posterior`` and ``two_groups``.
    similarity, threshold : Tensor
        Cosines; where the score is the log-odds the threshold is similarity less log-odds.
    posterior : Tensor or None
        Probability of "yes": among these images with the rule ``two_groups``, else at a prevalence
        of one half; None without parameters learned on other classes, or without confusers.
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
    background: Background | None = None,
    share: float | None = None,
) -> Decisions:
    """Decide for n images, each by itself unless the rule judges them jointly.

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
    background : Background, optional
        A vocabulary as seen by this one class, for rules that need it.
    share : float in (0, 1), optional
        Of images of the class: so many of those with the highest scores are a "yes", at least one
        and fewer with ties.
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
        None if background is None else evidence_of(features, target, background, 0),
        features,
        share=share,
    )
    level = thresholds(rule, similarities, learned)
    score = similarities.target - level
    chances = score.sigmoid() if rule.jointly else _posterior(similarities, learned)
    if share is not None and not score.isnan().any():
        shift = share_level(score, share)
        score, level = score - shift, level + shift
    return Decisions(score > 0, score, similarities.target, level, chances)


def chosen_rule(name: str | None, learned: Learned, confusers: bool) -> Rule:
    """The rule of a name, or the best one in benchmarks for what is known (docs/one-class.md).

    Parameters
    ----------
    name : str, optional
    learned : Learned
    confusers : bool
        Whether the class has any.

    Raises
    ------
    FewshotError
        An unknown rule, or one that needs a parameter that is not known.
    """
    if name is None:
        if learned.posterior is not None and confusers:
            return RULES["posterior"]
        return RULES["two_groups" if learned.fixed is None else "anp_and_ft"]
    if name not in RULES:
        raise UnknownNameError("rule", str(name), RULES)
    rule = RULES[name]
    values = {FIXED: learned.fixed, LEVEL: learned.level, TAU: learned.tau,
              POSTERIOR: learned.posterior}  # fmt: skip
    for need, value in values.items():
        if need in rule.needs and value is None and confusers | (need == FIXED):
            what, remedy = (
                ("a fixed threshold", "Give fixed or threshold_from.")
                if need == FIXED
                else ("labelled images of other classes", "Give threshold_from.")
            )
            raise FewshotError("rule", f"the rule {name!r} needs {what}", remedy)
    return rule


@dataclass(frozen=True)
class Verdict:
    """Decisions on n images, highest score first, with the rule, thresholds and confusers.

    Attributes
    ----------
    word : str
        The name of the class.
    backbone : str
    rule : Rule
    learned : Learned
    lists : ConfuserLists
        Confusers of the word.
    paths : tuple of n str
    decisions : Decisions
    skipped : list of dict
        ``path`` and ``reason`` of images without a decision.
    share : float, optional
        Of images of the class, if it was given.
    total, accepted : int
        Images that were judged, and those of them with a "yes"; :meth:`top` shows fewer.
    """

    word: str
    backbone: str
    rule: Rule
    learned: Learned
    lists: ConfuserLists
    paths: tuple[str, ...]
    decisions: Decisions
    skipped: list[dict[str, str]]
    share: float | None = None
    total: int = 0
    accepted: int = 0

    @classmethod
    def of(cls, decisions: Decisions, paths: tuple[str, ...], **more: Any) -> Verdict:
        """The decisions in the order of falling scores, equal ones as they came."""
        order = decisions.score.argsort(descending=True, stable=True)
        ranked = tuple(paths[n] for n in order.tolist())
        return cls(
            decisions=_taken(decisions, order),
            paths=ranked,
            total=len(paths),
            accepted=int(decisions.yes.sum()),
            **more,
        )

    def top(self, count: int | None) -> Verdict:
        """The first `count` images, all for None."""
        if count is None:
            return self
        first = torch.arange(min(count, len(self.paths)))
        return replace(self, paths=self.paths[:count], decisions=_taken(self.decisions, first))

    @property
    def stand_in(self) -> str | None:
        """The fallback threshold if the rule needs confusers and has none; else None."""
        if self.lists.names[0] or CONFUSERS not in self.rule.needs:
            return None
        return fallback_name(self.learned, generic=True)

    def rows(self) -> list[dict[str, Any]]:
        """A row per image: file, yes, score, similarity, threshold, posterior."""
        columns = [values.tolist() for values in self.decisions[:4]]
        posterior = self.decisions.posterior
        chances = [None] * len(self.paths) if posterior is None else posterior.tolist()
        names = ("file", *Decisions._fields)
        rows = zip(self.paths, *columns, chances, strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]


def _taken(decisions: Decisions, places: Tensor) -> Decisions:
    return Decisions(*(None if part is None else part[places] for part in decisions))  # type: ignore[arg-type]


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
