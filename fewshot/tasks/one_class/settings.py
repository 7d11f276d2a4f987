"""Settings of one-class tasks: sampling, rules and sources of confusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fewshot.exceptions import (
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)
from fewshot.statistics.class_bootstrap import DRAWS
from fewshot.tasks.one_class.confusers import sources as confuser_sources
from fewshot.tasks.one_class.confusers.lists import confuser_settings
from fewshot.tasks.one_class.rules import (
    Learned,
    rules_named,
)
from fewshot.tasks.one_class.sampling import check_prevalences
from fewshot.tasks.one_class.thresholds import GAMMA

NEGATIVES = ("uniform", "distance")
SOURCES = ("llm", "wordnet", "vocabulary", "random", "oracle")

# All but rules with random names beside the confusers, as random is a source here, and rules that
# judge images together, as the others judge each by itself.
BENCHMARKED = (
    "fixed", "max", "anp", "anp_ft", "anp_ft_fitted", "anp_and_ft", "lme", "generic", "posterior",
)  # fmt: skip


@dataclass(frozen=True)
class OneClassSettings:
    """The settings ``one_class``.

    Attributes
    ----------
    tasks : int >= 1
        Tasks to draw. Each has a target class; every class is one before any is again.
    prevalences : sequence of float in (0, 1)
        Shares of positives: how many images of other classes go with those of the target.
    negatives : {"uniform", "distance"}
        "uniform": images of all other classes; "distance": of those at `distance` in the taxonomy
        of the data set.
    distance : int >= 1
        Levels up to the lowest common ancestor, with ``negatives=distance``; 1 for classes of one
        group.
    rules : sequence of str
        How the score of an image becomes yes or no: "fixed", "max", "anp", "anp_ft",
        "anp_ft_fitted", "anp_and_ft", "lme", "generic", "posterior", and "two_groups", which
        judges the images of a task together.
    sources : sequence of str
        Where confusers, names of what could be taken for t, come from: "llm", "wordnet",
        "vocabulary", "random", "oracle". Those not at hand are left out.
    fixed : float in [-1, 1], optional
        The fixed threshold of the cosine; None: learned on base classes.
    tau : float > 0, optional
        The temperature of the rule lme; None: learned on base classes.
    gamma : float in [0, 1]
        Weight of the confusers in the rules anp_ft and anp_ft_fitted.
    learn_from : str, optional
        Another data set to learn from: a name of ``fewshot list datasets``, or a file of features
        with text; None: the base classes of the data set at hand.
    draws : int >= 1
        Draws of classes for the intervals (bootstrap).
    confusers : dict
        Settings of `fewshot.tasks.one_class.confusers.confusers_of`.

    Raises
    ------
    FewshotError
        A setting out of range or an unknown name.
    """

    tasks: int = 100
    prevalences: Sequence[float] = (0.5, 0.2, 0.1, 0.05)
    negatives: str = "uniform"
    distance: int = 1
    rules: Sequence[str] = BENCHMARKED
    sources: Sequence[str] = SOURCES
    fixed: float | None = None
    tau: float | None = None
    gamma: float = GAMMA
    learn_from: str | None = None
    draws: int = DRAWS
    confusers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect_positive_int("one_class.tasks", self.tasks)
        check_prevalences(self.prevalences)
        expect_choice("one_class.negatives", self.negatives, NEGATIVES)
        expect_positive_int("one_class.distance", self.distance)
        rules_named(self.rules)
        listed = isinstance(self.sources, Sequence) and not isinstance(self.sources, str)
        problem = f"expected a list of sources, got {self.sources!r}"
        expect(listed, "one_class.sources", problem)
        for source in self.sources:
            confuser_sources[source]  # an unknown one gets a suggestion
        if self.fixed is not None:
            expect_number("one_class.fixed", self.fixed, -1, 1)
        if self.tau is not None:
            expect_number("one_class.tau", self.tau, 1e-4, 1e4)
        expect_number("one_class.gamma", self.gamma, 0, 1)
        expect_positive_int("one_class.draws", self.draws)
        confuser_settings(self.confusers)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> OneClassSettings:
        """The settings of a configuration."""
        return cls(**settings)

    @property
    def preset(self) -> Learned:
        """Parameters of rules that are set by the user."""
        values = {"fixed": self.fixed, "tau": self.tau}
        record = {key: "given" for key, value in values.items() if value is not None}
        return Learned(fixed=self.fixed, tau=self.tau, gamma=self.gamma, record=record)

    @property
    def against(self) -> str:
        """Name of the negatives: "uniform" or, for instance, "distance 2"."""
        distance = f"distance {self.distance}"
        return distance if self.negatives == "distance" else self.negatives
