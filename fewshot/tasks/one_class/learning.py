"""Fit the parameters of decision rules on one-class tasks of base classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.tasks.one_class.metrics import macro_f1
from fewshot.tasks.one_class.rules import Learned, Similarities
from fewshot.tasks.one_class.scores import NO_SOURCE, Batch, counted
from fewshot.tasks.one_class.thresholds import average_negative, log_mean_exp

# Base tasks are balanced, so that no evaluated prevalence is learned.
PREVALENCE = 0.5
TAUS = tuple(float(10**exponent) for exponent in np.linspace(-3, 1, 25))
STEPS, RIDGE, LONGEST = 100, 1e-4, 2.0


def learned_on(batches: Sequence[Batch], preset: Learned) -> dict[str, Learned]:
    """Learned parameters for each source of confusers, and for rules without confusers.

    Parameters
    ----------
    batches : sequence of Batch
        Tasks of base classes at one prevalence, `PREVALENCE`.
    preset : Learned
        Parameters set by the user; they are kept.
    """
    pairs = [(batch, batch.similarities[NO_SOURCE].target) for batch in batches]
    fixed = preset.fixed if preset.fixed is not None else best_threshold(*_flatten(pairs))
    common = replace(preset, fixed=fixed)
    learned = {NO_SOURCE: common}
    for source in batches[0].similarities.keys() - {NO_SOURCE}:
        usable = [
            restricted
            for batch in batches
            if (restricted := _with_confusers(batch, source)) is not None
        ]
        learned[source] = _with_source(usable, source, common) if usable else common
    return learned


def _with_source(batches: Sequence[Batch], source: str, common: Learned) -> Learned:
    tau = common.tau if common.tau is not None else best_tau(batches, source)
    posterior = fit_posterior(batches, source, tau)
    return replace(common, tau=tau, posterior=posterior, level=_level(batches, source, common))


def _level(batches: Sequence[Batch], source: str, common: Learned) -> float:
    """The constant with the highest macro F1 when added to gamma times ANP."""
    pairs = [(batch, batch.similarities[source]) for batch in batches]
    shifted = [
        (batch, cosines.target - common.gamma * average_negative(cosines.confusers, cosines.mask))
        for batch, cosines in pairs
    ]
    return best_threshold(*_flatten(shifted))


def _with_confusers(batch: Batch, source: str) -> Batch | None:
    """The tasks whose class has confusers from `source`; None without any."""
    cosines = batch.similarities[source]
    has_confusers = cosines.mask.any(-1)
    if not has_confusers.any():
        return None
    kept = Similarities(
        cosines.target[has_confusers], cosines.confusers[has_confusers], cosines.mask[has_confusers]
    )
    return Batch(
        batch.tasks[has_confusers.numpy()],
        batch.positive[has_confusers],
        batch.counts[has_confusers],
        {source: kept},
    )


def _counted(batch: Batch) -> Tensor:
    """Mask (B, n) of the images that count at the first prevalence."""
    return counted(batch.positive, batch.counts[:, 0])


def _flatten(pairs: Sequence[tuple[Batch, Tensor]]) -> tuple[NDArray, NDArray, NDArray]:
    """Values, labels and task numbers of all images that count, each (m,)."""
    kept = [(batch, value, _counted(batch)) for batch, value in pairs]
    values = np.concatenate([value[counted].double().numpy() for _, value, counted in kept])
    positive = np.concatenate([batch.positive[counted].numpy() for batch, _, counted in kept])
    task = [np.broadcast_to(b.tasks[:, None], counted.shape)[counted] for b, _, counted in kept]
    return values, positive, np.concatenate(task)


def best_threshold(scores: NDArray, positive: NDArray, task: NDArray) -> float:
    """The threshold with the highest mean macro F1 over all tasks, found exactly.

    Lowering a threshold past an image changes the F1 of its task alone: the changes of all tasks,
    in the order of the scores, add up to the mean at every threshold.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    positive : ndarray of shape (n,), bool
    task : ndarray of shape (n,), int
        Each with a positive and a negative.

    Returns
    -------
    float
        Half way between the two scores around it; the lowest such pair among equals.
    """
    order = np.lexsort((-scores, task))
    score, hit, task = scores[order], positive[order].astype(float), task[order]
    _, start, place = np.unique(task, return_index=True, return_inverse=True)
    hits, misses = (_cumulative_by_task(indicator, start, place) for indicator in (hit, 1 - hit))
    P, N = (np.add.reduceat(indicator, start)[place] for indicator in (hit, 1 - hit))
    after = macro_f1(*map(torch.from_numpy, (hits, misses, P, N))).numpy()
    none_accepted = N / (2 * N + P)  # accepting none: only negatives are classified correctly
    before = np.where(np.isin(np.arange(len(task)), start), none_accepted, np.roll(after, 1))
    down = np.argsort(-score, kind="stable")
    ranked, total = score[down], none_accepted[start].sum() + np.cumsum((after - before)[down])
    ends = np.append(ranked[1:] != ranked[:-1], True)
    at = np.flatnonzero(ends)
    best = int(at[len(at) - 1 - np.argmax(total[at][::-1].round(12))])
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] - 1e-6
    return float((ranked[best] + below) / 2)


def _cumulative_by_task(values: NDArray, start: NDArray, place: NDArray) -> NDArray:
    """Cumulative sums within each task."""
    total = np.cumsum(values)
    return total - (total[start] - values[start])[place]


def best_tau(batches: Sequence[Batch], source: str) -> float:
    """The tau of `TAUS` with which log-mean-exp has the highest mean macro F1."""
    return max(TAUS, key=lambda tau: _mean_f1(batches, source, tau))


def _mean_f1(batches: Sequence[Batch], source: str, tau: float) -> float:
    total, tasks = 0.0, 0
    for batch in batches:
        cosines, counted = batch.similarities[source], _counted(batch)
        yes = (cosines.target > log_mean_exp(cosines.confusers, cosines.mask, tau)) & counted
        hits, misses = (yes & batch.positive).sum(-1), (yes & ~batch.positive).sum(-1)
        P, N = batch.counts[:, 0].unbind(-1)
        total += float(macro_f1(hits.double(), misses, P, N).sum())
        tasks += len(batch.tasks)
    return total / tasks


def fit_posterior(batches: Sequence[Batch], source: str, tau: float) -> tuple[float, float, float]:
    """Logistic regression of "of the class" on similarity and log-mean-exp of the confusers.

    Tasks weigh alike, and so do the positives and the negatives of a task. Newton's method with
    a slight ridge on standardised covariates.

    Returns
    -------
    (float, float, float)
        Weights of either, and the constant.
    """
    pairs = [(batch, batch.similarities[source]) for batch in batches]
    target, positive, task = _flatten([(batch, cosines.target) for batch, cosines in pairs])
    levels = [
        (batch, log_mean_exp(cosines.confusers, cosines.mask, tau)) for batch, cosines in pairs
    ]
    columns = np.stack([target, _flatten(levels)[0]], 1)
    _, group = np.unique(2 * task + positive, return_inverse=True)
    weight = 1 / np.bincount(group)[group]
    centre, scale = columns.mean(0), columns.std(0) + 1e-12
    design = np.column_stack([(columns - centre) / scale, np.ones(len(columns))])
    beta = _logistic(design, positive.astype(float), weight / weight.sum())
    slopes = beta[:2] / scale
    return float(slopes[0]), float(slopes[1]), float(beta[2] - slopes @ centre)


def _logistic(design: NDArray, truth: NDArray, weight: NDArray) -> NDArray:
    """Coefficients of a weighted logistic regression."""
    beta = np.zeros(design.shape[1])
    ridge = RIDGE * np.diag([1.0, 1.0, 0.0])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-(design @ beta).clip(-30, 30)))
        slope = design.T @ (weight * (truth - chance)) - ridge @ beta
        bend = (design.T * (weight * chance * (1 - chance) + 1e-15)) @ design + ridge
        step = np.linalg.solve(bend, slope)
        step *= min(1.0, LONGEST / (np.linalg.norm(step) + 1e-300))  # far steps overshoot
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    return beta
