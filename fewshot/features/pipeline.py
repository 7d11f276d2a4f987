"""Decoding and the network at the same time, whatever the machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from fewshot.backbones.base import Encode
from fewshot.backbones.transform import Transform
from fewshot.datasets.base import ImageDataset
from fewshot.features.decode import Pixels, decode
from fewshot.hardware import torch_threads

BATCHES_AHEAD = 3  # decoded and waiting while an accelerator works

Rows = Sequence[int]
Failures = list[dict[str, Any]]
Work = TypeVar("Work")
Done = TypeVar("Done")


class Encoded(NamedTuple):
    """Of a batch: features (b, D) and signatures (b, 66) on the CPU, and what could not be read."""

    features: Tensor
    failures: Failures
    signatures: Tensor


def encode_batches(
    batches: Iterable[Rows],
    dataset: ImageDataset,
    transform: Transform,
    encode: Encode,
    device: torch.device,
    threads: int,
) -> Iterator[Encoded]:
    """Features (b, D), float32, failures and signatures of every batch, in order.

    `batches` is asked for its next batch only when a thread will be free for it.
    """
    runner = _on_cpu if device.type == "cpu" else _on_accelerator
    yield from runner(batches, dataset, transform, encode, device, threads)


def _on_cpu(
    batches: Iterable[Rows],
    dataset: ImageDataset,
    transform: Transform,
    encode: Encode,
    device: torch.device,
    threads: int,
) -> Iterator[Encoded]:
    """Every thread decodes a batch and runs the network on it, with one core.

    Cores never wait for each other, as they would inside every layer if they shared a batch and
    one of them had an image to decode; and a batch gives the same bits on any number of cores.
    """

    def work(rows: Rows) -> Encoded:
        pixels = decode(dataset, transform, rows)
        features = _features(pixels, transform, encode, device)
        return Encoded(features, pixels.failures, pixels.signatures)

    with torch_threads(1):
        yield from ordered(work, batches, threads, ahead=1)


def _on_accelerator(
    batches: Iterable[Rows],
    dataset: ImageDataset,
    transform: Transform,
    encode: Encode,
    device: torch.device,
    threads: int,
) -> Iterator[Encoded]:
    """Threads decode, each a batch, ahead of the accelerator.

    The features of a batch are fetched after the next one has been handed over, so that the
    accelerator has work while the host writes.
    """
    cuda = device.type == "cuda"

    def work(rows: Rows) -> Pixels:
        pixels = decode(dataset, transform, rows)
        return pixels.pinned() if cuda else pixels

    waiting: Encoded | None = None
    for pixels in ordered(work, batches, threads, ahead=BATCHES_AHEAD):
        rows = _features(pixels, transform, encode, device)
        if waiting is not None:
            yield waiting._replace(features=waiting.features.cpu())
        waiting = Encoded(rows, pixels.failures, pixels.signatures)
    if waiting is not None:
        yield waiting._replace(features=waiting.features.cpu())


def _features(pixels: Pixels, transform: Transform, encode: Encode, device: torch.device) -> Tensor:
    """Features of decoded images on the device; bytes travel, and become numbers there."""
    if not len(pixels.images):
        return torch.empty((0, 0), device=device)
    images = transform.normalise(pixels.images.to(device, non_blocking=True))
    return encode(images).float()


def ordered(
    work: Callable[[Work], Done], items: Iterable[Work], threads: int, ahead: int
) -> Iterator[Done]:
    """Results of `work` in the order of `items`, from `threads` threads.

    No more than ``threads + ahead`` items are taken before the first result is handed out.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    waiting: deque[Future[Done]] = deque()
    try:
        waiting.extend(pool.submit(work, item) for item in islice(remaining, threads + ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
