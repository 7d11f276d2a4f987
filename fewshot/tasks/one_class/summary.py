"""Summaries of one-class cells: means with intervals, paired differences, confusers and keys."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fewshot.features.bank import FeatureBank
from fewshot.results.schema import Interval
from fewshot.statistics.class_bootstrap import class_intervals
from fewshot.statistics.paired import differences
from fewshot.tasks.engine.keys import CELL_VERSION, array_digest, feature_causes
from fewshot.tasks.one_class.background import Background
from fewshot.tasks.one_class.confusers.vocabulary import IMAGENET
from fewshot.tasks.one_class.metrics import Measures
from fewshot.tasks.one_class.plan import Plan
from fewshot.tasks.one_class.rules import Learned, fallback_name
from fewshot.tasks.one_class.sampling import OneClassTasks
from fewshot.tasks.one_class.schema import (
    MEASURES,
    NAME,
    ConfusersUsed,
    RuleComparison,
    ShareDifference,
    ShareSummary,
)
from fewshot.tasks.one_class.scores import NO_SOURCE, Confusers, NameVectors
from fewshot.tasks.one_class.settings import OneClassSettings

Key = tuple[str, str]  # rule and source
COMPARED = "macro_f1"


def measures_with_intervals(
    measures: Mapping[Key, Measures], tasks: OneClassTasks, seed: int, draws: int
) -> dict[Key, list[ShareSummary]]:
    """Measures with intervals over classes, by rule and source, an entry per prevalence."""
    columns = [
        getattr(values, name)[:, p].numpy()
        for values in measures.values()
        for p in range(len(tasks.prevalences))
        for name in MEASURES
    ]
    intervals = iter(class_intervals(np.stack(columns, 1), tasks.targets, seed, draws))
    done: dict[Key, list[ShareSummary]] = {}
    for key, values in measures.items():
        shares = [
            {
                "prevalence": share,
                "tasks": int(values.macro_f1[:, p].isfinite().sum()),
                **{name: next(intervals) for name in MEASURES},
            }
            for p, share in enumerate(tasks.prevalences)
        ]
        done[key] = cast("list[ShareSummary]", shares)
    return done


def comparisons(
    measures: Mapping[Key, Measures], tasks: OneClassTasks, seed: int, draws: int
) -> dict[Key, list[RuleComparison]]:
    """Paired differences of macro F1 on the same tasks, by the first cell of a pair.

    Rules are compared within a source, and sources within a rule.
    """
    pairs = list(_pairs(measures))
    shares = len(tasks.prevalences)
    done: dict[Key, list[RuleComparison]] = {key: [] for key in measures}
    if not pairs:
        return done
    columns = [_difference(measures, first, second) for first, second in pairs]
    intervals = class_intervals(np.concatenate(columns, 1), tasks.targets, seed, draws)
    for i, (first, second) in enumerate(pairs):
        pair_intervals = intervals[i * shares : (i + 1) * shares]
        entries: list[ShareDifference] = [
            {"prevalence": share, "macro_f1": cast("Interval", interval)}
            for share, interval in zip(tasks.prevalences, pair_intervals, strict=True)
        ]
        done[first].append(
            {
                "first": first[0],
                "first_source": first[1],
                "second": second[0],
                "second_source": second[1],
                "prevalences": entries,
            }
        )
    return done


def _pairs(measures: Mapping[Key, Measures]) -> Iterator[tuple[Key, Key]]:
    for first, second in itertools.combinations(measures, 2):
        (rule, source), (other, another) = first, second
        if source == another or NO_SOURCE in (source, another) or rule == other:
            yield first, second


def _difference(measures: Mapping[Key, Measures], first: Key, second: Key) -> NDArray:
    first_values, second_values = (getattr(measures[key], COMPARED) for key in (first, second))
    return differences(first_values.numpy(), second_values.numpy())


def confusers_used(
    names: NameVectors, source: str, tasks: OneClassTasks, learned: Learned
) -> ConfusersUsed:
    """Summary of a source: record, number and names of confusers, dropped names, fallbacks."""
    lists = names.confusers[source].lists
    targets = [int(c) for c in np.unique(tasks.targets)]
    used = [len(lists.names[c]) for c in targets]
    instead = fallback_name(learned, generic=names.generic is not None)
    return {
        "record": lists.record,
        "mean": float(np.mean(used)),
        "names": {lists.classnames[c]: list(lists.names[c]) for c in targets}
        if source != "oracle" else {},
        "dropped": {
            lists.classnames[c]: [list(name_and_reason) for name_and_reason in lists.dropped[c]]
            for c in targets
            if lists.dropped[c]
        },
        "fallbacks": {lists.classnames[c]: instead for c in targets if not lists.names[c]},
    }  # fmt: skip


def one_class_keys(
    bank: FeatureBank,
    names: NameVectors,
    task_settings: OneClassSettings,
    tasks: OneClassTasks,
    plan: Plan,
    seed: int,
    base: dict[str, Any],
) -> dict[Key, str]:
    """SHA-256 over everything that a row depends on, for every rule and source of `plan`.

    All cells share the causes of all cells, since each is compared with the others. Learned
    parameters enter by their values and by `base`, the record of the base classes.
    """
    generic = None if names.generic is None else array_digest(names.generic)
    causes = {
        "version": CELL_VERSION,
        "task": NAME,
        "seed": seed,
        "features": feature_causes(bank),
        "tasks": [tasks.hash(), task_settings.against, task_settings.draws],
        "base": base,
        "names": [array_digest(names.classes), generic, *_background_causes(names.background)],
        "confusers": {
            source: _confuser_causes(source_confusers)
            for source, source_confusers in names.confusers.items()
        },
        "plan": {
            source: [[rule.name for rule in rules], asdict(learned)]
            for source, (rules, learned) in plan.items()
        },
    }
    whole = json.dumps(causes, sort_keys=True, default=str)
    pairs = [(rule.name, source) for source, (rules, _) in plan.items() for rule in rules]
    return {(rule, source): _digest(f"{rule} {source} {whole}") for rule, source in pairs}


def _background_causes(background: Background | None) -> list[Any]:
    """Hashes of vectors and weights; none without a background, which keeps earlier keys."""
    if background is None:
        return []
    tensors = (background.vectors, background.weights, background.kinds)
    return [array_digest(tensor) for tensor in tensors]


def _confuser_causes(confusers: Confusers) -> list[Any]:
    """Hashes of vectors, names and record of the confusers of a source.

    What a file says counts, by its digest or version in the record, and not where it lies.
    """
    places = [array_digest(rows) for rows in confusers.places]
    lists = confusers.lists
    record = {name: value for name, value in lists.record.items() if name not in ("file", "folder")}
    if record.get("vocabulary") != IMAGENET and "vocabulary_sha256" in record:
        del record["vocabulary"]
    return [array_digest(confusers.vectors), places, lists.names, lists.dropped, record]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
