"""Errors of linear heads: weights and biases are multiplied with rows as they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.episode_set import ClassIndex, EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head, LinearForm, check_scores
from fewshot.heads.solvers.products import narrow_products
from fewshot.tasks.engine.batches import (
    QUERY_BYTES,
    chunks,
    load_support,
    map_chunks,
)
from fewshot.tasks.engine.confusion import ConfusionCounts

# Bytes of weights held at a time; the classes are read once for each group of episodes.
WEIGHT_BYTES = 256 << 20
# Bytes of the scores of one class in several episodes; they should fit into a CPU cache.
SCORE_BYTES = 8 << 20
# Bytes of queries read at a time: they are multiplied while a cache holds them. Less would fit into
# the second level, and make threads wait for each other at Python more often.
BLOCK_BYTES = 2 << 20


def linear_answers(
    bank: FeatureBank, rows: NDArray, head: Head, form: LinearForm, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Answers of a fitted linear head to queries that are read a few episodes at a time.

    Parameters
    ----------
    bank : FeatureBank
    rows : ndarray of shape (E, T), int64
        Row numbers of queries, -1 in the padding.
    head : Head
        For its name in messages.
    form : LinearForm
        Its weights (E, N, D) and biases (E, N).
    device : torch.device

    Returns
    -------
    answers : Tensor of shape (E, T), int64
        The way with the largest score.
    mask : Tensor of shape (E, T), bool
        False in the padding.

    Raises
    ------
    FewshotError
        A largest score is NaN or infinite.
    """
    weights = form.weights.mT
    scores = weights.new_empty((*rows.shape, weights.shape[2]))
    index = torch.from_numpy(np.ascontiguousarray(rows))
    mask = (index >= 0).to(device)
    if not bool(mask.all()):
        index = index.clamp_min(0)
    for first, last in chunks(len(rows), rows.shape[1] * bank.dim * 4, BLOCK_BYTES):
        most = BLOCK_BYTES if last - first == 1 else sys.maxsize
        for begin, end in chunks(rows.shape[1], bank.dim * 4, most):
            features = bank.take(index[first:last, begin:end].reshape(-1)).to(device)
            features = features.view(last - first, -1, bank.dim)
            narrow_products(features, weights[first:last], scores[first:last, begin:end])
    best, answers = scores.add_(form.biases[:, None]).max(-1)
    check_scores(head, best, mask)
    return answers, mask


def linear_errors_on_all(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    *,
    device: torch.device,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
    confused: ConfusionCounts | None = None,
) -> tuple[NDArray, NDArray]:
    """Misclassified queries (E, N) and queries (E, N) when all images of the classes are queries.

    All but the shots and the unlabelled images, unless the queries are these.

    The images of a class are queries in every episode that has the class. Instead of gathering
    them episode by episode, a class is multiplied with the weights of all those episodes at
    once, and the images that are no queries are taken out of the count afterwards.
    """
    index = ClassIndex.of(episodes.labels)
    set_aside = episodes.set_aside
    mistakes = np.zeros(episodes.classes.shape, dtype=np.int64)
    bytes_each = episodes.ways * bank.dim * 4
    for start, stop in chunks(len(episodes), bytes_each, WEIGHT_BYTES):
        weights, biases = _fit(bank, episodes, head, start, stop, device, threads)
        jobs = _jobs(episodes.classes[start:stop], index)

        def work(
            first: int,
            last: int,
            jobs: list[tuple[int, NDArray, NDArray]] = jobs,
            weights: Tensor = weights,
            biases: Tensor = biases,
            start: int = start,
        ) -> list[tuple[NDArray, NDArray, NDArray]]:
            done = []
            for c, episode, way in jobs[first:last]:
                rows = index.rows[index.start[c] : index.start[c] + index.size[c]]
                others = set_aside[start + episode, way]
                features = bank.take(torch.from_numpy(rows)).to(device)
                scores = _scores(features, weights[episode], biases[episode])
                best, answers = scores.max(-1)
                check_scores(head, best)
                wrong = _wrong(answers, rows, others, way)
                if confused is not None:
                    place = np.flatnonzero(wrong)
                    chosen = answers.cpu().numpy().reshape(-1)[place]
                    classes = episodes.classes[start + episode]
                    confused.add_class(c, classes[place % len(episode), chosen])
                done.append((start + episode, way, wrong.sum(0)))
            return done

        ranges = [(i, i + 1) for i in range(len(jobs))]
        for done in map_chunks(work, ranges, device, threads):
            for episode, way, count in done:
                mistakes[episode, way] = count
        if progress:
            progress(stop - start)
    return mistakes, episodes.query_counts


def _fit(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: Head,
    start: int,
    stop: int,
    device: torch.device,
    threads: int | None,
) -> tuple[Tensor, Tensor]:
    """Weights (E, N, D) and biases (E, N) of episodes start..stop."""

    def work(first: int, last: int) -> tuple[Tensor, Tensor]:
        support = load_support(bank, episodes, start + first, start + last, device, head.uses)
        form = head.clone().fit(support).linear()
        assert form is not None, f"{type(head).__name__} says that it is linear"
        return form.weights, form.biases

    bytes_each = episodes.ways * max(episodes.shots, 1) * bank.dim * 4
    ranges = chunks(stop - start, bytes_each, QUERY_BYTES)
    pieces = list(map_chunks(work, ranges, device, threads))
    return torch.cat([weights for weights, _ in pieces]), torch.cat([bias for _, bias in pieces])


def _jobs(classes: NDArray, index: ClassIndex) -> list[tuple[int, NDArray, NDArray]]:
    """Jobs (class, episodes, ways): the episodes of every class, in pieces of limited memory."""
    jobs = []
    ways = classes.shape[1]
    order = np.argsort(classes, axis=None, kind="stable")
    present, begin = np.unique(classes.reshape(-1)[order], return_index=True)
    for c, places in zip(present, np.split(order, begin[1:]), strict=True):
        episode, way = np.divmod(places, ways)
        for first, last in chunks(len(episode), int(index.size[c]) * ways * 4, SCORE_BYTES):
            jobs.append((int(c), episode[first:last], way[first:last]))
    return jobs


def _scores(features: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Scores (n, m, N) of features (n, D) under weights (m, N, D) and biases (m, N)."""
    m, N, _ = weights.shape
    scores = torch.addmm(biases.reshape(-1), features, weights.flatten(0, 1).T)
    return scores.reshape(len(features), m, N)


def _wrong(answers: Tensor, rows: NDArray, others: NDArray, way: NDArray) -> NDArray:
    """Which images (n, m) of one class are misclassified queries in m episodes.

    answers (n, m), rows (n,) ascending, others (m, X) that are no queries, -1 pads; way (m,).
    """
    wrong: NDArray = (answers != torch.from_numpy(way).to(answers)).cpu().numpy()
    episode, place = np.nonzero(others >= 0)
    wrong[np.searchsorted(rows, others[episode, place]), episode] = False
    return wrong
