"""Gather features of row numbers in chunks of episodes, in parallel on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.episodes.draws import uniform_of
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.hardware import available_cores, single_threaded, torch_threads
from fewshot.heads.base import NOTHING_MORE, Query, Support
from fewshot.tasks.engine.context import context_of
from fewshot.tasks.engine.labelled import labelled_episodes

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
    rows = episodes.support[start:stop]
    if not uses and rows.shape[2] > 1 and rows.min(initial=0) >= 0:
        return RowSupport(bank, rows, device)
    features, mask = gather(bank, rows, device)
    context = context_of(bank, episodes.classes[start:stop], uses, features)
    if "base_episodes" in uses:
        labelled = labelled_episodes(bank, episodes, uses, device)
        context = replace(context, base_episodes=labelled)
    return Support(features, mask, context)


class RowSupport(Support):
    """Complete supports whose shots are read when they are asked for.

    Class means are summed while rows are read, so that a head which needs nothing else, nearest
    class mean, costs no copy of the shots.
    """

    _bank: FeatureBank
    _index: Tensor
    _device: torch.device

    def __init__(self, bank: FeatureBank, rows: NDArray, device: torch.device) -> None:
        index = torch.from_numpy(np.ascontiguousarray(rows))
        mask = torch.ones(rows.shape, dtype=torch.bool, device=device)
        values = {"mask": mask, "context": NOTHING_MORE, "complete": True}
        for name, value in (values | {"_bank": bank, "_index": index, "_device": device}).items():
            object.__setattr__(self, name, value)  # the class is frozen

    @cached_property
    def features(self) -> Tensor:
        """Shots (E, N, K, D)."""
        taken = self._bank.take(self._index.view(-1)).to(self._device)
        return taken.view(*self._index.shape, -1)

    def means(self) -> Tensor:
        """Class means (E, N, D)."""
        if "features" in self.__dict__:
            return super().means()
        E, N, K = self._index.shape
        return self._bank.means_of(self._index.view(E * N, K)).to(self._device).view(E, N, -1)


def load_queries(
    bank: FeatureBank,
    episodes: EpisodeSet,
    start: int,
    stop: int,
    device: torch.device,
    uses: frozenset[str] = frozenset(),
) -> tuple[Query, Callable[[Tensor], Tensor]]:
    """Queries of episodes start..stop, (E, T, D), and a function that undoes their order.

    A head that looks at other rows than the query ("queries" in its `uses`) gets the queries and
    the unlabelled images beside them together. Of unlabelled images apart from the queries it
    learns, and from them alone (`Query.learn_from`); where the queries are unlabelled images
    themselves, or there are no others, from all. The function maps what a head says of the rows,
    (E, T, ...), to the queries in their grouping by class, (E, N * Q, ...).
    """
    rows = episodes.query_rows(start, stop).reshape(stop - start, -1)
    queries, apart = rows.shape[1], False
    if "queries" in uses and episodes.unlabelled is not None:
        rows = np.concatenate([rows, episodes.unlabelled[start:stop]], axis=1)
        apart = episodes.learns_apart
    numbers, learned = episodes.numbers_of(start, stop), queries if apart else 0
    query, by_place = load_rows(bank, rows, episodes.seed or 0, numbers, device, uses, learned)
    return query, lambda values: by_place(values)[:, :queries]


def load_rows(
    bank: FeatureBank,
    rows: NDArray,
    seed: int,
    numbers: int | NDArray,
    device: torch.device,
    uses: frozenset[str] = frozenset(),
    learned: int = 0,
) -> tuple[Query, Callable[[Tensor], Tensor]]:
    """Queries with row numbers (E, P), -1 in the padding, and what undoes their order.

    A head that looks at all queries together gets them in a random order, as they are grouped by
    class; `seed` and the `numbers` of the episodes decide it, see `random_order`. It may learn from
    the places from `learned` on. The function maps what the head says of them, (E, T, ...), back to
    the places of the rows, (E, P, ...). Where most of these are padding, as with queries of few
    classes, T is smaller.
    """
    together, total = "queries" in uses, rows.shape[1]
    width = most_queries(rows)
    if not together and width == total:
        return Query(*gather(bank, rows, device)), lambda values: values
    order = np.broadcast_to(np.arange(total), rows.shape)
    if together:
        order = random_order(rows.shape, seed, numbers)
    if width < total:
        last = np.take_along_axis(rows, order, 1) < 0
        order = np.take_along_axis(order, np.argsort(last, axis=1, kind="stable")[:, :width], 1)
    place = torch.from_numpy(np.ascontiguousarray(order)).to(device)

    def by_place(values: Tensor) -> Tensor:
        index = place.view(*place.shape, *[1] * (values.ndim - 2)).expand_as(values)
        grouped = values.new_zeros((len(values), total, *values.shape[2:]))
        return grouped.scatter_(1, index, values)

    features, mask = gather(bank, np.take_along_axis(rows, order, 1), device)
    return Query(features, mask, place >= learned if learned else None), by_place


def support_images(episodes: EpisodeSet, uses: frozenset[str]) -> int:
    """Largest number of rows of an episode that a head gets beside its queries.

    All shots, and the text vectors of classes that have fewer.
    """
    return episodes.ways * max(episodes.shots, int("text" in uses))


def query_images(episodes: EpisodeSet, uses: frozenset[str]) -> int:
    """Largest number of rows of an episode that a head gets as its queries.

    All queries, and for heads with "queries" in their `uses` the unlabelled images beside them.
    """
    apart = episodes.unlabelled if "queries" in uses else None
    if episodes.query is None:
        return episodes.ways * episodes.largest_query + (0 if apart is None else apart.shape[1])
    rows = episodes.query.reshape(len(episodes), -1)
    return most_queries(rows if apart is None else np.concatenate([rows, apart], axis=1))


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
        with single_threaded() if device.type == "cpu" else torch_threads(threads):
            for start, stop in ranges:
                yield from _within_memory(work, start, stop)
        return
    with (
        single_threaded(),
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


def random_order(shape: tuple[int, int], seed: int, start: int | NDArray) -> NDArray:
    """A permutation of T queries for each of E episodes: (E, T).

    Queries are grouped by class in an episode, which a method could exploit unintentionally. The
    order of an episode depends only on the seed and the number of the episode.

    Parameters
    ----------
    shape : (E, T)
    seed : int
        Of the episodes.
    start : int, or ndarray of shape (E,)
        Number of the first episode, which the others follow; or the numbers of all.
    """
    episodes, queries = shape
    numbers = np.arange(start, start + episodes) if isinstance(start, int) else start
    return np.argsort(uniform_of(seed, (ORDER,), numbers, queries), axis=1)
