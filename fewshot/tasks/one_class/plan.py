"""Plan of a one-class evaluation: tasks, learned parameters, and the rules per source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import expect
from fewshot.features.bank import FeatureBank
from fewshot.results.schema import LeftOut
from fewshot.tasks.one_class.learning import PREVALENCE, learned_on
from fewshot.tasks.one_class.rules import (
    CONFUSERS,
    Learned,
    Rule,
    lacking_of,
)
from fewshot.tasks.one_class.sampling import OneClassTasks, draw_tasks
from fewshot.tasks.one_class.scores import NO_SOURCE, NameVectors, batches
from fewshot.tasks.one_class.settings import OneClassSettings
from fewshot.tasks.one_class.taxonomy import ancestors_of, distances

Plan = dict[str, tuple[list[Rule], Learned]]
NO_BASE = "no base classes to learn from"


@dataclass(frozen=True, eq=False)
class Base:
    """Classes that rules learn on, distinct from the evaluated classes.

    Attributes
    ----------
    bank : FeatureBank
    names : NameVectors
        Of the classes of `bank`, with confusers from the same sources.
    classes : ndarray of int
        At least two.
    """

    bank: FeatureBank
    names: NameVectors
    classes: NDArray


def judged_classes(bank: FeatureBank) -> NDArray:
    """The novel classes, or all classes without a split."""
    return bank.classes(None if bank.parts is None else "novel")


def tasks_of(
    bank: FeatureBank,
    task_settings: OneClassSettings,
    seed: int,
    taxonomy: Mapping[str, Any] | None,
) -> OneClassTasks:
    """Draw the evaluated tasks from labels and names alone.

    Raises
    ------
    FewshotError
        Fewer than two classes, no negatives, or a taxonomy that does not fit.
    """
    classes = judged_classes(bank)
    apart = None
    if task_settings.negatives == "distance" and len(classes) > 1:
        steps = distances(ancestors_of([bank.identifiers[c] for c in classes], taxonomy))
        apart = np.zeros((len(bank.classnames),) * 2, dtype=bool)
        apart[np.ix_(classes, classes)] = steps == task_settings.distance
        available = ", ".join(map(str, np.unique(steps[steps > 0])))
        expect(
            bool(apart.any()),
            "one_class.distance",
            f"expected a distance that two classes have, {available}, got {task_settings.distance}",
        )
    return draw_tasks(
        bank.labels, classes, task_settings.tasks, task_settings.prevalences, seed, apart=apart
    )


def learned_from(
    base: Base | None, task_settings: OneClassSettings, seed: int
) -> dict[str, Learned]:
    """Learned parameters for the rules of each source, and for rules without confusers."""
    if base is None:
        return {NO_SOURCE: task_settings.preset}
    drawn = draw_tasks(
        base.bank.labels, base.classes, task_settings.tasks, (PREVALENCE,), seed, stream=1
    )
    similarities = [make() for make in batches(base.bank, drawn, base.names)]
    return learned_on(similarities, task_settings.preset)


def base_record(base: Base | None, task_settings: OneClassSettings) -> dict[str, Any]:
    """Record of the base classes, for the summary."""
    if base is None:
        return {"reason": NO_BASE}
    return {
        "dataset": base.bank.info.get("dataset", "features"),
        "classes": len(base.classes),
        "episodes": task_settings.tasks,
        "given": sorted(task_settings.preset.record),
    }


def plan_of(
    rules: Sequence[Rule], names: NameVectors, learned: Mapping[str, Learned]
) -> tuple[Plan, list[LeftOut]]:
    """Rules by source of confusers, and the rules with missing requirements.

    Raises
    ------
    FewshotError
        No rule has all it needs.
    """
    adaptive = [rule for rule in rules if CONFUSERS in rule.needs]
    alone = [rule for rule in rules if rule not in adaptive]
    rules_by_source = {NO_SOURCE: alone} | dict.fromkeys(names.confusers, adaptive)
    if not names.confusers:
        rules_by_source[NO_SOURCE] = list(rules)
    plan: Plan = {}
    lacking_rules: list[LeftOut] = []
    for source, candidates in rules_by_source.items():
        values = learned.get(source, learned[NO_SOURCE])
        has_confusers, generic = source != NO_SOURCE, names.generic is not None
        lacking = lacking_of(
            candidates,
            values,
            confusers=has_confusers,
            generic=generic,
            vocabulary=names.background is not None,
        )
        complete = [rule for rule in candidates if rule.name not in lacking]
        plan |= {source: (complete, values)} if complete else {}
        for name, reason in lacking.items():
            where = f"{name} with {source}" if has_confusers else name
            lacking_rules.append({"head": where, "shots": None, "reason": reason})
    reasons = "; ".join(f"{entry['head']}: {entry['reason']}" for entry in lacking_rules)
    expect(bool(plan), "one_class.rules", f"no rule has all it needs ({reasons})")
    return plan, lacking_rules
