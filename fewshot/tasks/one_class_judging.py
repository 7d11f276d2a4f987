"""Measures of every rule with every source of confusers, over batches of one-class tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from fewshot.oneclass.metrics import Measures, measures
from fewshot.oneclass.rules import Learned, Rule, Similarities, thresholds
from fewshot.oneclass.scores import Batch
from fewshot.tasks.batches import map_chunks


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
        own = [_judge(batch, batch.given[source], *wanted) for source, wanted in plan.items()]
        return batch.tasks, [one for some in own for one in some]

    numbers: list[np.ndarray] = []
    pieces: list[list[Measures]] = []
    ranges = [(i, i + 1) for i in range(len(similar))]
    for some, found in map_chunks(work, ranges, torch.device("cpu"), threads):
        numbers.append(some)
        pieces.append(found)
        if progress:
            progress(len(some))
    order = torch.from_numpy(np.concatenate(numbers).argsort())
    return {
        key: Measures(*(torch.cat(parts)[order] for parts in zip(*whole, strict=True)))
        for key, whole in zip(keys, zip(*pieces, strict=True), strict=True)
    }


def _judge(
    batch: Batch, given: Similarities, rules: Sequence[Rule], learned: Learned
) -> list[Measures]:
    """Measures (B, P) of each rule."""
    if not rules:
        return []
    margins = torch.stack([given.target - thresholds(rule, given, learned) for rule in rules])
    found = measures(margins, batch.positive, batch.counts)
    return [Measures(*one) for one in zip(*found, strict=True)]
