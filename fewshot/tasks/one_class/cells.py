"""Zero-shot one-class classification: whether an image belongs to a class, from its name alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from fewshot.features.bank import FeatureBank
from fewshot.hardware import torch_threads
from fewshot.results.result import Result, check_rows
from fewshot.results.schema import CellSummary, LeftOut
from fewshot.tasks import task_named
from fewshot.tasks.base import columns_of
from fewshot.tasks.engine.rows import bank_columns
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.one_class.metrics import Measures
from fewshot.tasks.one_class.plan import (
    Base,
    Plan,
    base_record,
    learned_from,
    plan_of,
    tasks_of,
)
from fewshot.tasks.one_class.rules import (
    RULES,
    Learned,
    Rule,
    rules_named,
)
from fewshot.tasks.one_class.sampling import OneClassTasks
from fewshot.tasks.one_class.schema import DECISIONS, KEYS, MEASURES, NAME, OneClassColumns
from fewshot.tasks.one_class.scores import NO_SOURCE, NameVectors, batches, judged
from fewshot.tasks.one_class.settings import OneClassSettings
from fewshot.tasks.one_class.summary import (
    Key,
    comparisons,
    confusers_used,
    measures_with_intervals,
    one_class_keys,
)

Recall = Callable[[Sequence[str]], Mapping[str, Result] | None]


@dataclass(frozen=True, eq=False)
class OneClassResult:
    """Results of a one-class evaluation.

    Attributes
    ----------
    cells : list of Result
        One per rule and source of confusers; the table ``one_class`` has a row per task and
        prevalence.
    tasks : OneClassTasks
    learned : dict of str to Learned
        Learned parameters of rules, by source.
    left_out : list of LeftOut
        Rules with missing requirements: ``head``, ``shots`` (None) and ``reason``.
    """

    cells: list[Result]
    tasks: OneClassTasks
    learned: dict[str, Learned]
    left_out: list[LeftOut]


def evaluate_one_class(
    bank: FeatureBank,
    names: NameVectors,
    task_settings: OneClassSettings,
    settings: Settings,
    seed: int = 0,
    *,
    base: Base | None = None,
    taxonomy: Mapping[str, Any] | None = None,
    recall: Recall = lambda _: None,
) -> OneClassResult:
    """Evaluate every rule with every source of confusers on the same one-class tasks.

    Parameters
    ----------
    bank : FeatureBank
    names : NameVectors
        Of all classes of `bank`, in the space of its features.
    task_settings : OneClassSettings
        Its ``sources`` and ``confusers`` are ignored: those of `names` are used.
    settings : Settings
        Only threads and progress are used.
    seed : int
    base : Base, optional
        Classes to learn the fixed threshold, tau and the posterior on.
    taxonomy : mapping, optional
        Ancestors by class name, for negatives at a distance.
    recall : callable, optional
        From the keys of all cells to the cells of earlier runs by key, or to None to compute all
        cells: each is compared with the others, so they are recalled together.

    Returns
    -------
    OneClassResult

    Raises
    ------
    FewshotError
        Fewer than two classes, no negatives, or no rule with all its requirements.
    """
    begun = time.perf_counter()
    tasks = tasks_of(bank, task_settings, seed, taxonomy)
    with torch_threads(1):
        learned = learned_from(base, task_settings, seed)
    plan, left_out = plan_of(rules_named(task_settings.rules), names, learned)
    keys = one_class_keys(
        bank, names, task_settings, tasks, plan, seed, base_record(base, task_settings)
    )
    earlier = recall(list(keys.values()))
    if earlier is not None:
        return OneClassResult([earlier[key] for key in keys.values()], tasks, learned, left_out)
    measures = judged(batches(bank, tasks, names), plan, settings.threads, settings.progress)
    seconds = time.perf_counter() - begun
    common = {
        "queries": "all",
        "episodes": len(tasks),
        "targets": len(np.unique(tasks.targets)),
        "dropped_targets": [bank.classnames[c] for c in tasks.dropped],
        "base": base_record(base, task_settings),
        "hashes": {"features": bank.hash(), "episodes": tasks.hash()},
        "duration_s": seconds,
        "episodes_per_second": len(tasks) / seconds,
    }
    summaries = _summaries(measures, plan, names, tasks, seed, task_settings.draws)
    cells = []
    for key, values in measures.items():
        cell = _cell_columns(bank, key, task_settings.against, seed)
        rows = _rows(cell, bank, tasks, values)
        identity = {"key": keys[key], "reused_from": None}
        summary = cast("CellSummary", {**cell, **common, **summaries[key], **identity})
        cells.append(Result({DECISIONS.name: rows}, summary))
        check_rows(task_named(NAME), cells[-1])
    return OneClassResult(cells, tasks, learned, left_out)


def _summaries(
    measures: Mapping[Key, Measures],
    plan: Plan,
    names: NameVectors,
    tasks: OneClassTasks,
    seed: int,
    draws: int,
) -> dict[Key, dict[str, Any]]:
    """Summary entries of each cell; only the first rule of a source lists the confusers."""
    means = measures_with_intervals(measures, tasks, seed, draws)
    pairs = comparisons(measures, tasks, seed, draws)
    first = {source: rule for rule, source in reversed(list(measures)) if source != NO_SOURCE}
    return {
        (rule, source): {
            "head_parameters": _rule_parameters(RULES[rule], plan[source][1]),
            "head_uses": ["text"],
            "prevalences": means[rule, source],
            "comparisons": pairs[rule, source],
            "confusers": confusers_used(names, source, tasks, plan[source][1])
            if first.get(source) == rule
            else None,
        }
        for rule, source in measures
    }


def _cell_columns(bank: FeatureBank, key: Key, against: str, seed: int) -> OneClassColumns:
    return {
        "task": NAME,
        **bank_columns(bank),
        "head": key[0],
        "variant": "",  # rules learn their parameters
        "ways": 2,
        "shots": 0,
        "seed": seed,
        "source": key[1],
        "against": against,
    }


def _rule_parameters(rule: Rule, learned: Learned) -> dict[str, Any]:
    """Parameters of a rule, set by the user or learned."""
    values = {"fixed": learned.fixed, "level": learned.level, "tau": learned.tau}
    parameters: dict[str, Any] = {need: values[need] for need in values if need in rule.needs}
    if "posterior" in rule.needs and learned.posterior is not None:
        parameters["posterior"] = list(learned.posterior)
    return parameters | (
        {"gamma": learned.gamma} if rule.name in ("anp_ft", "anp_ft_fitted") else {}
    )


def _rows(
    cell: OneClassColumns, bank: FeatureBank, tasks: OneClassTasks, values: Measures
) -> pd.DataFrame:
    """Data frame with a row per task and prevalence."""
    T, P = len(tasks), len(tasks.prevalences)
    names = np.array(bank.classnames, dtype=object)
    rows = pd.DataFrame({"episode": np.repeat(np.arange(T), P)}).assign(**cell)
    rows["target"] = np.repeat(names[tasks.targets], P)
    rows["prevalence"] = np.tile(tasks.prevalences, T)
    rows["positives"], rows["negatives"] = tasks.counts.reshape(-1, 2).T
    for name in MEASURES:
        rows[name] = getattr(values, name).reshape(-1).numpy()
    return rows[list(columns_of(DECISIONS, KEYS))]
