"""Which tasks are judged, what rules learn beforehand, and which rules have all they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import expect
from fewshot.features.bank import FeatureBank
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
    """Classes that rules learn on; never those they are judged on.

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
    """The novel classes; all where there is no split."""
    return bank.classes(None if bank.parts is None else "novel")


def tasks_of(
    bank: FeatureBank, wanted: OneClassSettings, seed: int, taxonomy: Mapping[str, Any] | None
) -> OneClassTasks:
    """The tasks that are judged, drawn from labels and names alone.

    Raises
    ------
    FewshotError
        Fewer than two classes, no negatives, or a taxonomy that does not fit.
    """
    classes = judged_classes(bank)
    apart = None
    if wanted.negatives == "distance" and len(classes) > 1:
        steps = distances(ancestors_of([bank.identifiers[c] for c in classes], taxonomy))
        apart = np.zeros((len(bank.classnames),) * 2, dtype=bool)
        apart[np.ix_(classes, classes)] = steps == wanted.distance
        there = ", ".join(map(str, np.unique(steps[steps > 0])))
        expect(
            bool(apart.any()),
            "one_class.distance",
            f"expected a distance that two classes have, {there}, got {wanted.distance}",
        )
    return draw_tasks(bank.labels, classes, wanted.tasks, wanted.prevalences, seed, apart=apart)


def learned_from(base: Base | None, wanted: OneClassSettings, seed: int) -> dict[str, Learned]:
    """What is known for rules of every source, and of none."""
    if base is None:
        return {NO_SOURCE: wanted.told}
    drawn = draw_tasks(base.bank.labels, base.classes, wanted.tasks, (PREVALENCE,), seed, stream=1)
    similar = [make() for make in batches(base.bank, drawn, base.names)]
    return learned_on(similar, wanted.told)


def about_base(base: Base | None, wanted: OneClassSettings) -> dict[str, Any]:
    """The same for the record."""
    if base is None:
        return {"reason": NO_BASE}
    return {
        "dataset": base.bank.info.get("dataset", "features"),
        "classes": len(base.classes),
        "episodes": wanted.tasks,
        "given": sorted(wanted.told.record),
    }


def plan_of(
    rules: Sequence[Rule], names: NameVectors, learned: Mapping[str, Learned]
) -> tuple[Plan, list[dict[str, Any]]]:
    """Rules by source of confusers, and which of them lack what.

    Raises
    ------
    FewshotError
        No rule has all it needs.
    """
    adaptive = [rule for rule in rules if CONFUSERS in rule.needs]
    alone = [rule for rule in rules if rule not in adaptive]
    wishes = {NO_SOURCE: alone} | dict.fromkeys(names.confusers, adaptive)
    if not names.confusers:
        wishes[NO_SOURCE] = list(rules)
    plan: Plan = {}
    out: list[dict[str, Any]] = []
    for source, own in wishes.items():
        know = learned.get(source, learned[NO_SOURCE])
        there, generic = source != NO_SOURCE, names.generic is not None
        lacking = lacking_of(own, know, confusers=there, generic=generic)
        left = [rule for rule in own if rule.name not in lacking]
        plan |= {source: (left, know)} if left else {}
        for name, reason in lacking.items():
            where = f"{name} with {source}" if there else name
            out.append({"head": where, "shots": None, "reason": reason})
    told = "; ".join(f"{one['head']}: {one['reason']}" for one in out)
    expect(bool(plan), "one_class.rules", f"no rule has all it needs ({told})")
    return plan, out
