"""Similarities of features and names and the measures of rules, in batches of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fewshot.features.bank import FeatureBank
from fewshot.features.ranges import unit_length
from fewshot.tasks.engine.batches import map_chunks
from fewshot.tasks.one_class.background import Background
from fewshot.tasks.one_class.confusers.lists import ConfuserLists
from fewshot.tasks.one_class.metrics import Measures, measures
from fewshot.tasks.one_class.rules import (
    Learned,
    Rule,
    Similarities,
    thresholds,
)
from fewshot.tasks.one_class.sampling import OneClassTasks
from fewshot.tasks.one_class.two_groups import log_odds

# Memory of a batch: similarities and sorting them for eight rules; a few MB fit in a CPU cache.
BATCH_BYTES = 4 << 20
ORDER_BYTES = 8 * 64
NO_SOURCE = "none"  # source of rules without confusers


@dataclass(frozen=True, eq=False)
class Confusers:
    """Vectors of the confusers of C classes from one source.

    Attributes
    ----------
    vectors : Tensor of shape (U, D)
        Of every name once, unit length.
    places : tuple of C Tensors (K_c,), int64
        Rows of `vectors` that are confusers of a class.
    lists : ConfuserLists
        Their names, and what was dropped.
    """

    vectors: Tensor
    places: tuple[Tensor, ...]
    lists: ConfuserLists


@dataclass(frozen=True, eq=False)
class NameVectors:
    """Text vectors in the space of the features, unit length.

    Attributes
    ----------
    classes : Tensor of shape (C, D)
    generic : Tensor of shape (D,), optional
        Of the generic name.
    confusers : dict of str to Confusers
        By source.
    background : Background, optional
        A vocabulary for rules that hold a name against all others.
    """

    classes: Tensor
    generic: Tensor | None = None
    confusers: Mapping[str, Confusers] = field(default_factory=dict)
    background: Background | None = None


def confusers_from(lists: ConfuserLists, vectors: Mapping[str, Tensor], dim: int) -> Confusers:
    """Confusers from lists of names and the vector (D,) of every name."""
    names = sorted({name for class_names in lists.names for name in class_names})
    place = {name: i for i, name in enumerate(names)}
    joined = torch.stack([vectors[name] for name in names]) if names else torch.zeros(0, dim)
    places = tuple(
        torch.tensor([place[n] for n in class_names], dtype=torch.int64)
        for class_names in lists.names
    )
    return Confusers(joined.float(), places, lists)


class Batch(NamedTuple):
    """Similarities of B tasks, padded to the longest; columns as the rows of the tasks.

    Attributes
    ----------
    tasks : ndarray of shape (B,)
        Their numbers.
    positive : Tensor of shape (B, n), bool
    counts : Tensor of shape (B, P, 2), int64
    given : dict of str to Similarities
        By source, and `NO_SOURCE` without confusers.
    """

    tasks: np.ndarray
    positive: Tensor
    counts: Tensor
    similarities: dict[str, Similarities]


def batches(
    bank: FeatureBank, tasks: OneClassTasks, names: NameVectors
) -> list[Callable[[], Batch]]:
    """Functions that compute the similarities of a batch of tasks each; together of all tasks.

    Tasks are sorted by length to reduce padding.
    """
    return [partial(_batch, bank, tasks, names, group) for group in _groups(tasks, names)]


def _groups(tasks: OneClassTasks, names: NameVectors) -> Iterator[np.ndarray]:
    """Task numbers in groups that fit into `BATCH_BYTES`, at least one task each."""
    length = np.array([len(rows) for rows in tasks.rows])
    columns = np.zeros(len(tasks))
    for confusers in names.confusers.values():
        columns += np.array([len(places) for places in confusers.places])[tasks.targets]
    if names.background is not None:
        columns += names.background.vectors.shape[1]  # features; similarities are reduced at once
    group: list[int] = []
    widest = 0.0
    for task in np.argsort(length, kind="stable"):
        widest = max(widest, 4 * columns[task] + ORDER_BYTES)
        if group and (len(group) + 1) * length[task] * widest > BATCH_BYTES:
            yield np.array(group)
            group, widest = [], 4 * columns[task] + ORDER_BYTES
        group.append(int(task))
    yield np.array(group)


def _batch(bank: FeatureBank, tasks: OneClassTasks, names: NameVectors, group: np.ndarray) -> Batch:
    n = max(len(tasks.rows[task]) for task in group)
    target = torch.zeros(len(group), n)
    generic = None if names.generic is None else torch.zeros(len(group), n)
    padded = {source: _padding(confusers, tasks.targets[group], n)
              for source, confusers in names.confusers.items()}  # fmt: skip
    background = names.background
    evidence = None if background is None else torch.zeros(len(group), n)
    features = None if background is None else torch.zeros(len(group), n, names.classes.shape[1])
    for b, task in enumerate(group):
        c, rows = int(tasks.targets[task]), torch.from_numpy(tasks.rows[task])
        x = unit_length(bank.take(rows)).float()
        target[b, : len(x)] = x @ names.classes[c]
        if generic is not None and names.generic is not None:
            generic[b, : len(x)] = x @ names.generic
        for source, (values, _) in padded.items():
            confusers = names.confusers[source]
            vectors = confusers.vectors[confusers.places[c]]
            values[b, : len(x), : len(vectors)] = x @ vectors.T
        if background is not None and evidence is not None and features is not None:
            features[b, : len(x)] = x
            evidence[b, : len(x)] = evidence_of(x, names.classes[c], background, c)
    no_confusers = torch.zeros(len(group), n, 0), torch.zeros(len(group), 0, dtype=torch.bool)
    similarities = {source: Similarities(target, *pair, generic)
             for source, pair in ({NO_SOURCE: no_confusers} | padded).items()}  # fmt: skip
    similarities[NO_SOURCE] = replace(similarities[NO_SOURCE], evidence=evidence, features=features)
    positives = torch.from_numpy(tasks.positives[group])
    positive = torch.arange(n) < positives[:, None]
    return Batch(group, positive, torch.from_numpy(tasks.counts[group]), similarities)


def evidence_of(x: Tensor, target: Tensor, background: Background, c: int) -> Tensor:
    """Log-odds (n,) of class c, with the vector `target` (D,), for features x (n, D)."""
    mask = torch.ones(len(x), dtype=torch.bool)
    names = x @ background.vectors.T
    return log_odds(x @ target, names, background.weights[c], background.kinds[c], mask)


def _padding(confusers: Confusers, targets: np.ndarray, n: int) -> tuple[Tensor, Tensor]:
    """Zeros for the similarities (B, n, K) with confusers of `targets`, and the mask (B, K)."""
    size = torch.tensor([len(confusers.places[c]) for c in targets])
    widest = max(1, int(size.max()))  # reductions need a column, if only one that is masked
    return torch.zeros(len(targets), n, widest), torch.arange(widest) < size[:, None]


def judged(
    similar: Sequence[Callable[[], Batch]],
    plan: Mapping[str, tuple[Sequence[Rule], Learned]],
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[tuple[str, str], Measures]:
    """Measures (T, P) of every rule with every source.

    Parameters
    ----------
    similar : sequence of callables
        Of `batches`.
    plan : mapping of str to (rules, Learned)
        By source; rules without confusers under `NO_SOURCE`.
    threads : int, optional
        Batches at a time, one core each; all cores by default. Measures do not depend on it.
    progress : callable, optional
        Called with the number of tasks that were just finished.

    Returns
    -------
    dict of (rule, source) to Measures
        float64, tasks in their order.
    """
    keys = [(rule.name, source) for source, (rules, _) in plan.items() for rule in rules]

    def work(start: int, _: int) -> tuple[np.ndarray, list[Measures]]:
        batch = similar[start]()
        by_source = [
            _judge(batch, batch.similarities[source], *rules_and_learned)
            for source, rules_and_learned in plan.items()
        ]
        return batch.tasks, [values for group in by_source for values in group]

    numbers: list[np.ndarray] = []
    pieces: list[list[Measures]] = []
    ranges = [(i, i + 1) for i in range(len(similar))]
    for tasks, values in map_chunks(work, ranges, torch.device("cpu"), threads):
        numbers.append(tasks)
        pieces.append(values)
        if progress:
            progress(len(tasks))
    order = torch.from_numpy(np.concatenate(numbers).argsort())
    return {
        key: Measures(*(torch.cat(parts)[order] for parts in zip(*whole, strict=True)))
        for key, whole in zip(keys, zip(*pieces, strict=True), strict=True)
    }


def _judge(
    batch: Batch, similarities: Similarities, rules: Sequence[Rule], learned: Learned
) -> list[Measures]:
    """Measures (B, P) of each rule."""
    alone = [rule for rule in rules if not rule.jointly]
    judged_alone: list[Measures] = []
    if alone:
        margins = torch.stack(
            [similarities.target - thresholds(rule, similarities, learned) for rule in alone]
        )
        by_rule = measures(margins, batch.positive, batch.counts)
        judged_alone = [Measures(*parts) for parts in zip(*by_rule, strict=True)]
    by_name = dict(zip((rule.name for rule in alone), judged_alone, strict=True))
    for rule in rules:
        if rule.jointly:
            by_name[rule.name] = _judge_jointly(batch, similarities, rule, learned)
    return [by_name[rule.name] for rule in rules]


def _judge_jointly(
    batch: Batch, similarities: Similarities, rule: Rule, learned: Learned
) -> Measures:
    """Measures (B, P) of a rule whose decisions depend on which images there are."""
    parts = []
    for p in range(batch.counts.shape[1]):
        counts = batch.counts[:, p : p + 1]
        present = replace(similarities, counted=counted(batch.positive, counts[:, 0]))
        margins = similarities.target - thresholds(rule, present, learned)
        parts.append(measures(margins, batch.positive, counts))
    return Measures(*(torch.cat(values, -1) for values in zip(*parts, strict=True)))


def counted(positive: Tensor, counts: Tensor) -> Tensor:
    """Mask (B, n) of the first images of either kind, `counts` (B, 2) positives and negatives."""
    rank = torch.where(positive, positive.cumsum(-1), (~positive).cumsum(-1))
    return rank <= torch.where(positive, counts[:, :1], counts[:, 1:])
