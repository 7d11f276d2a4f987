"""One-class measures as means with intervals, paired differences, and what was not used."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.oneclass.bootstrap import class_intervals
from fewshot.oneclass.drawing import OneClassTasks
from fewshot.oneclass.metrics import Measures
from fewshot.oneclass.rules import Learned, fallback_name
from fewshot.oneclass.scores import NO_SOURCE, NameVectors
from fewshot.results.schema import ONE_CLASS_MEASURES

Key = tuple[str, str]  # rule and source
COMPARED = "macro_f1"


def measured(
    found: Mapping[Key, Measures], tasks: OneClassTasks, seed: int, draws: int
) -> dict[Key, list[dict[str, Any]]]:
    """Per rule and source an entry per prevalence: the measures with intervals over classes."""
    columns = [
        getattr(values, name)[:, p].numpy()
        for values in found.values()
        for p in range(len(tasks.prevalences))
        for name in ONE_CLASS_MEASURES
    ]
    intervals = iter(class_intervals(np.stack(columns, 1), tasks.targets, seed, draws))
    done = {}
    for key, values in found.items():
        done[key] = [
            {
                "prevalence": share,
                "tasks": int(values.macro_f1[:, p].isfinite().sum()),
                **{name: next(intervals) for name in ONE_CLASS_MEASURES},
            }
            for p, share in enumerate(tasks.prevalences)
        ]
    return done


def comparisons(
    found: Mapping[Key, Measures], tasks: OneClassTasks, seed: int, draws: int
) -> dict[Key, list[dict[str, Any]]]:
    """Paired differences of macro F1 on the same tasks, by the first of a pair.

    Rules are compared within a source, and sources within a rule.
    """
    pairs = list(_pairs(found))
    shares = len(tasks.prevalences)
    done: dict[Key, list[dict[str, Any]]] = {key: [] for key in found}
    if not pairs:
        return done
    columns = [_difference(found, first, second) for first, second in pairs]
    intervals = class_intervals(np.concatenate(columns, 1), tasks.targets, seed, draws)
    for i, (first, second) in enumerate(pairs):
        own = intervals[i * shares : (i + 1) * shares]
        entries = [
            {"prevalence": share, COMPARED: one}
            for share, one in zip(tasks.prevalences, own, strict=True)
        ]
        other = {"second": second[0], "second_source": second[1]}
        done[first].append({"first": first[0], "first_source": first[1], **other,
                            "prevalences": entries})  # fmt: skip
    return done


def _pairs(found: Mapping[Key, Measures]) -> Iterator[tuple[Key, Key]]:
    for first, second in itertools.combinations(found, 2):
        (rule, source), (other, another) = first, second
        if source == another or NO_SOURCE in (source, another) or rule == other:
            yield first, second


def _difference(found: Mapping[Key, Measures], first: Key, second: Key) -> NDArray:
    one, other = (getattr(found[key], COMPARED) for key in (first, second))
    gap: NDArray = (one - other).numpy()
    return gap


def confusers_used(
    names: NameVectors, source: str, tasks: OneClassTasks, know: Learned
) -> dict[str, Any]:
    """Where confusers come from, how many there are, what was dropped and what fell back."""
    lists = names.confusers[source].lists
    own = [int(c) for c in np.unique(tasks.targets)]
    used = [len(lists.names[c]) for c in own]
    instead = fallback_name(know, generic=names.generic is not None)
    return {
        "record": lists.record,
        "mean": float(np.mean(used)),
        "names": {lists.classnames[c]: list(lists.names[c]) for c in own}
        if source != "oracle" else {},
        "dropped": {
            lists.classnames[c]: [list(one) for one in lists.dropped[c]]
            for c in own
            if lists.dropped[c]
        },
        "fallbacks": {lists.classnames[c]: instead for c in own if not lists.names[c]},
    }  # fmt: skip
