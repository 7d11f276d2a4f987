"""Decision rules by name, their requirements, and the fallback of classes without confusers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fewshot.exceptions import UnknownNameError, expect
from fewshot.tasks.one_class.thresholds import (
    GAMMA,
    average_negative,
    blend,
    both,
    closest_negative,
    log_mean_exp,
    posterior_logit,
)
from fewshot.tasks.one_class.two_groups import two_group_scores

# The generic name; its vector is computed with the templates of the class names.
GENERIC = "object"
CONFUSERS, FIXED, LEVEL, TAU = "confusers", "fixed", "level", "tau"
POSTERIOR, ANYTHING, RANDOM, VOCABULARY = "posterior", "generic", "random", "vocabulary"


@dataclass(frozen=True)
class Similarities:
    """Cosines of n images with the name of a class and with its confusers.

    Attributes
    ----------
    target : Tensor of shape (..., n)
    confusers : Tensor of shape (..., n, K)
    mask : Tensor of shape (..., K), bool
        False in the padding.
    generic : Tensor of shape (..., n), optional
        With the name `GENERIC`.
    random : Tensor of shape (..., n), optional
        With the closest of some random names.
    evidence : Tensor of shape (..., n), optional
        Log-odds of the name of the class against a vocabulary; see
        :func:`fewshot.tasks.one_class.two_groups.log_odds`.
    features : Tensor of shape (..., n, D), optional
        Of the images, unit length.
    counted : Tensor of shape (..., n), bool, optional
        The images that are there; all by default. Only rules that judge an image among others
        depend on it.
    share : float in (0, 1), optional
        Of images of the class, if it is known.
    """

    target: Tensor
    confusers: Tensor
    mask: Tensor
    generic: Tensor | None = None
    random: Tensor | None = None
    evidence: Tensor | None = None
    features: Tensor | None = None
    counted: Tensor | None = None
    share: float | None = None


@dataclass(frozen=True)
class Learned:
    """Parameters of rules, learned on base classes or set by the user, never on evaluated classes.

    Attributes
    ----------
    fixed : float, optional
        The fixed threshold, a cosine.
    level : float, optional
        Constant added to gamma times ANP.
    tau : float, optional
        Of `log_mean_exp`.
    posterior : (float, float, float), optional
        Of `posterior_logit`.
    gamma : float
        Weight of ANP in its blend with the fixed threshold.
    record : dict
        Where they come from; JSON types only.
    """

    fixed: float | None = None
    level: float | None = None
    tau: float | None = None
    posterior: tuple[float, float, float] | None = None
    gamma: float = GAMMA
    record: dict[str, Any] = field(default_factory=dict)


Threshold = Callable[[Similarities, Learned], Tensor]


@dataclass(frozen=True)
class Rule:
    """A decision rule: name, requirements (keys of `NEEDS`), threshold (..., n) and summary.

    With ``jointly`` a decision depends on the other images as well.
    """

    name: str
    needs: frozenset[str]
    threshold: Threshold
    summary: str
    jointly: bool = False


NEEDS = {
    CONFUSERS: "confusers",
    FIXED: "a fixed threshold (from base classes, one_class.learn_from or one_class.fixed)",
    LEVEL: "base classes to learn from (a split, or one_class.learn_from)",
    TAU: "tau (from base classes, one_class.learn_from or one_class.tau)",
    POSTERIOR: "base classes to learn from (a split, or one_class.learn_from)",
    ANYTHING: "a text encoder",
    RANDOM: "random names beside the confusers, as fewshot oneclass takes them",
    VOCABULARY: "a vocabulary of names (a text encoder, or names of base classes)",
}


def _required(value: Any) -> Any:
    assert value is not None, "lacking_of comes first"
    return value


def _average(similarities: Similarities) -> Tensor:
    return average_negative(similarities.confusers, similarities.mask)


def _level(similarities: Similarities, learned: Learned) -> Tensor:
    return log_mean_exp(similarities.confusers, similarities.mask, _required(learned.tau))


def _fixed(similarities: Similarities, learned: Learned) -> Tensor:
    return torch.full_like(similarities.target, _required(learned.fixed))


def _by_posterior(similarities: Similarities, learned: Learned) -> Tensor:
    """Threshold of the similarity at which the log-odds are 0."""
    logit = posterior_logit(
        similarities.target, _level(similarities, learned), _required(learned.posterior)
    )
    return similarities.target - logit


def _by_two_groups(similarities: Similarities, _: Learned) -> Tensor:
    """Threshold of the similarity at which the log-odds of the upper group are 0."""
    evidence = _required(similarities.evidence)
    counted = similarities.counted
    mask = torch.ones_like(evidence, dtype=torch.bool) if counted is None else counted
    scores = two_group_scores(evidence, _required(similarities.features), mask, similarities.share)
    return similarities.target - scores.to(similarities.target.dtype)


RULES = {
    rule.name: rule
    for rule in (
        Rule("fixed", frozenset({FIXED}), _fixed, "FT: one threshold for all classes"),
        Rule(
            "max",
            frozenset({CONFUSERS}),
            lambda similarities, _: closest_negative(similarities.confusers, similarities.mask),
            "the closest confuser",
        ),
        Rule("anp", frozenset({CONFUSERS}), lambda similarities, _: _average(similarities),
             "ANP: the average of the confusers"),
        Rule(
            "anp_ft",
            frozenset({CONFUSERS, FIXED}),
            lambda similarities, learned: blend(
                _average(similarities), _required(learned.fixed), learned.gamma
            ),
            "ANP+FT: half way between both",
        ),
        Rule(
            "anp_and_ft",
            frozenset({CONFUSERS, FIXED}),
            lambda similarities, learned: both(_average(similarities), _required(learned.fixed)),
            "the higher one of ANP and FT",
        ),
        Rule(
            "anp_ft_fitted",
            frozenset({CONFUSERS, LEVEL}),
            lambda similarities, learned: (
                learned.gamma * _average(similarities) + _required(learned.level)
            ),
            "ANP+FT with the constant that is best for the sum on base classes",
        ),
        Rule(
            "anp_and_random",
            frozenset({CONFUSERS, RANDOM}),
            lambda similarities, _: torch.maximum(
                _average(similarities), _required(similarities.random)
            ),
            "the higher one of ANP and the closest of random names",
        ),
        Rule("lme", frozenset({CONFUSERS, TAU}), _level, "log-mean-exp, between max and ANP"),
        Rule("generic", frozenset({ANYTHING}),
             lambda similarities, _: _required(similarities.generic),
             f'the word "{GENERIC}" in place of confusers'),
        Rule("posterior", frozenset({CONFUSERS, TAU, POSTERIOR}), _by_posterior,
             "log-odds of similarity and confusers, fitted on base classes"),
        Rule("two_groups", frozenset({VOCABULARY}), _by_two_groups,
             "two groups of images by their log-odds against a vocabulary", jointly=True),
    )
}  # fmt: skip


def rules_named(names: Sequence[str]) -> list[Rule]:
    """Rules by name, each once.

    Raises
    ------
    FewshotError
        An unknown name, or none.
    """
    expect(isinstance(names, Sequence) and len(names) > 0, "one_class.rules",
           f"expected a list of at least one rule, got {names!r}")  # fmt: skip
    for name in names:
        if name not in RULES:
            raise UnknownNameError("one_class.rules", str(name), RULES)
    return [RULES[name] for name in dict.fromkeys(names)]


def lacking_of(
    rules: Sequence[Rule],
    learned: Learned,
    *,
    confusers: bool,
    generic: bool,
    random: bool = False,
    vocabulary: bool = False,
) -> dict[str, str]:
    """Missing requirements in words, by name of the rule; complete rules are left out.

    Parameters
    ----------
    rules : sequence of Rule
    learned : Learned
    confusers, generic, random, vocabulary : bool
        Whether there are confusers, a vector of the generic name, random names, and a vocabulary.
    """
    available = {
        CONFUSERS: confusers,
        ANYTHING: generic,
        RANDOM: random,
        VOCABULARY: vocabulary,
        FIXED: learned.fixed is not None,
        LEVEL: learned.level is not None,
        TAU: learned.tau is not None,
        POSTERIOR: learned.posterior is not None,
    }
    words = {
        rule.name: " and ".join(
            NEEDS[need] for need in NEEDS if need in rule.needs and not available[need]
        )
        for rule in rules
    }
    return {name: f"it needs {what}" for name, what in words.items() if what}


def thresholds(rule: Rule, similarities: Similarities, learned: Learned) -> Tensor:
    """Thresholds lambda (..., n): "yes" where ``similarities.target`` is larger.

    A class without confusers takes the fixed threshold if it is known, else the generic name, else
    NaN: no decision.
    """
    threshold = rule.threshold(similarities, learned)
    if CONFUSERS not in rule.needs:
        return threshold
    instead = fallback(similarities, learned)
    return torch.where(similarities.mask.any(-1)[..., None], threshold, instead)


def fallback(similarities: Similarities, learned: Learned) -> Tensor:
    """Threshold lambda (..., n) of classes without confusers."""
    if learned.fixed is not None:
        return torch.full_like(similarities.target, learned.fixed)
    return (
        torch.full_like(similarities.target, torch.nan)
        if similarities.generic is None
        else similarities.generic
    )


def fallback_name(learned: Learned, *, generic: bool) -> str:
    """Name of the fallback rule, for records."""
    if learned.fixed is not None:
        return "fixed threshold"
    return f'the word "{GENERIC}"' if generic else "no decision"
