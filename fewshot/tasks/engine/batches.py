"""Gather features of row numbers in chunks of episodes, in parallel on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.draws import uniform
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.hardware import available_cores, torch_threads
from fewshot.heads.base import Query, Support
from fewshot.tasks.engine.context import context_of

T = TypeVar("T")

# Chunks are sized by bytes only: if they depended on the number of threads, rounding would differ
# between machines. Smaller ones stay in cache but pay Python's overhead more
# often; these were the fastest on two cores.
QUERY_BYTES = 8 << 20
SUPPORT_BYTES = 2 << 20
DEVICE_BYTES = 512 << 20

ORDER = 9  # stream of uniform numbers for the order of queries


def gather(bank: FeatureBank, rows: NDArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Features (..., D) and mask (...) of row numbers (...); -1 pads, with zeros."""
    index = torch.from_numpy(np.ascontiguousarray(rows))
    # Fast path without padding: each operation is noticeable at 20,000 episodes per second.
    if rows.min(initial=0) >= 0:
        taken = bank.take(index.view(-1)).to(device)
        mask = torch.ones(rows.shape, dtype=torch.bool, device=device)
        return taken.view(*rows.shape, bank.dim), mask
    mask = (index >= 0).to(device)
    taken = bank.take(index.clamp_min(0).view(-1)).to(device).view(*rows.shape, -1)
    return taken.masked_fill_(~mask[..., None], 0.0), mask


def load_support(
    bank: FeatureBank,
    episodes: EpisodeSet,
    start: int,
    stop: int,
    device: torch.device,
    uses: frozenset[str] = frozenset(),
) -> Support:
    """Support of episodes start..stop, with the context declared in the `uses` of a head."""
    features, mask = gather(bank, episodes.support[start:stop], device)
    context = context_of(bank, episodes.classes[start:stop], uses, features)
    return Support(features, mask, context)


def load_queries(
    bank: FeatureBank,
    episodes: EpisodeSet,
    start: int,
    stop: int,
    device: torch.device,
    uses: frozenset[str] = frozenset(),
) -> tuple[Query, Callable[[Tensor], Tensor]]:
    """Queries of episodes start..stop, (E, T, D), and a function that undoes their order.

    The function maps what the head says of them, (E, T, ...), back to their classes, (E, N * Q,
    ...), as in `load_rows`.
    """
    rows = episodes.query_rows(start, stop).reshape(stop - start, -1)
    return load_rows(bank, rows, episodes.seed or 0, start, device, uses)


def load_rows(
    bank: FeatureBank,
    rows: NDArray,
    seed: int,
    start: int,
    device: torch.device,
    uses: frozenset[str] = frozenset(),
) -> tuple[Query, Callable[[Tensor], Tensor]]:
    """Queries with row numbers (E, T') of episodes from `start` on, and what undoes their order.

    A head that sees all queries together gets them in a random order, as they are grouped by class.
    The function maps what the head says of them, (E, T, ...), back to the places of the rows, (E,
    T', ...). Where most of these are padding, as with queries of few classes, T is smaller.
    """
    together, total = "queries" in uses, rows.shape[1]
    width = most_queries(rows)
    if not together and width == total:
        return Query(*gather(bank, rows, device)), lambda values: values
    order = np.broadcast_to(np.arange(total), rows.shape)
    if together:
        order = random_order(rows.shape, seed, start)
    if width < total:
        last = np.take_along_axis(rows, order, 1) < 0
        order = np.take_along_axis(order, np.argsort(last, axis=1, kind="stable")[:, :width], 1)
    place = torch.from_numpy(np.ascontiguousarray(order)).to(device)

    def by_class(values: Tensor) -> Tensor:
        index = place.view(*place.shape, *[1] * (values.ndim - 2)).expand_as(values)
        grouped = values.new_zeros((len(values), total, *values.shape[2:]))
        return grouped.scatter_(1, index, values)

    return Query(*gather(bank, np.take_along_axis(rows, order, 1), device)), by_class


def images_loaded(episodes: EpisodeSet) -> int:
    """Images of an episode that are loaded at most, shots and queries."""
    queries = episodes.ways * episodes.largest_query
    if episodes.query is not None:
        queries = most_queries(episodes.query.reshape(len(episodes), -1))
    return episodes.ways * episodes.shots + queries


def most_queries(rows: NDArray) -> int:
    """Queries of an episode at most, of rows (E, T); T unless less than half of it is filled."""
    most = int((rows >= 0).sum(-1).max(initial=0))
    return most if 2 * most < rows.shape[1] else rows.shape[1]


def chunks(total: int, bytes_each: int, limit: int) -> list[tuple[int, int]]:
    """Ranges of episodes whose features stay below `limit` bytes (one episode at least)."""
    size = max(1, limit // max(1, bytes_each))
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def map_chunks(
    work: Callable[[int, int], T],
    ranges: Sequence[tuple[int, int]],
    device: torch.device,
    threads: int | None = None,
) -> Iterator[T]:
    """Results of `work` over ranges, in order.

    On a CPU, `threads` threads work on a chunk each with one core: the tensors are too small
    to share among cores, and a chunk computed by one core gives the same bits on any machine
    of the kind. On an accelerator the chunks follow each other, and one that its memory does not
    hold is taken in halves.

    Raises
    ------
    FewshotError
        The memory of the accelerator does not hold a single episode.
    """
    threads = available_cores() if threads is None else threads
    if device.type != "cpu" or threads == 1 or len(ranges) == 1:
        with torch_threads(1 if device.type == "cpu" else threads):
            for start, stop in ranges:
                yield from _within_memory(work, start, stop)
        return
    with (
        torch_threads(1),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        yield from pool.map(lambda bounds: work(*bounds), ranges)


def _within_memory(work: Callable[[int, int], T], start: int, stop: int) -> Iterator[T]:
    try:
        result = work(start, stop)
    except torch.cuda.OutOfMemoryError as error:  # an accelerator's; a CPU has MemoryError
        reason = str(error).splitlines()[0]
    else:
        yield result
        return
    # Outside the handler, whose traceback would keep the tensors of the failed attempt.
    if stop - start == 1:
        raise FewshotError(
            "device",
            f"the accelerator's memory does not hold a single episode: {reason}",
            "Free it of other programs, set device=cpu, or lower episodes.queries.",
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = (start + stop) // 2
    yield from _within_memory(work, start, middle)
    yield from _within_memory(work, middle, stop)


def random_order(shape: tuple[int, int], seed: int, start: int) -> NDArray:
    """A permutation of T queries for each of E episodes: (E, T).

    Queries are grouped by class in an episode, which a method could exploit unintentionally. The
    order of an episode depends only on the seed and the number of the episode.

    Parameters
    ----------
    shape : (E, T)
    seed, start : int
        Seed of the episodes, and number of the first one.
    """
    episodes, queries = shape
    return np.argsort(uniform(seed, (ORDER,), start, start + episodes, queries), axis=1)
