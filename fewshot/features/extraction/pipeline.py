"""Concurrent decoding and encoding of images, on CPUs and accelerators."""

from __future__ import annotations

import sys
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
from fewshot.exceptions import FewshotError
from fewshot.features.extraction.decode import Pixels, decode
from fewshot.hardware import torch_threads

BATCHES_AHEAD = 3  # decoded and waiting while an accelerator works

Rows = Sequence[int]
Failures = list[dict[str, Any]]
Work = TypeVar("Work")
Done = TypeVar("Done")


class Encoded(NamedTuple):
    """Features (b, D) and signatures (b, 66) of a batch, on the CPU, and unreadable images."""

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
    *,
    signed: bool = True,
) -> Iterator[Encoded]:
    """Features (b, D), float32, failures and signatures of every batch, in order.

    `batches` is advanced only when a thread is free for the next batch. Without `signed` there are
    no signatures.
    """
    runner = _on_cpu if device.type == "cpu" else _on_accelerator
    yield from runner(batches, dataset, transform, encode, device, threads, signed)


def _on_cpu(
    batches: Iterable[Rows],
    dataset: ImageDataset,
    transform: Transform,
    encode: Encode,
    device: torch.device,
    threads: int,
    signed: bool = True,
) -> Iterator[Encoded]:
    """Every thread decodes a batch and runs the network on it, with one core.

    Cores never wait for each other, as they would inside every layer if they shared a batch and
    one of them had an image to decode; and a batch gives the same bits on any number of cores.
    """

    def work(rows: Rows) -> Encoded:
        pixels = decode(dataset, transform, rows, signed=signed)
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
    signed: bool = True,
) -> Iterator[Encoded]:
    """Threads decode, each a batch, ahead of the accelerator.

    The features of a batch are waited for after the next one has been handed over, so that the
    accelerator has work while the host writes.
    """
    cuda = device.type == "cuda"
    encode = within_memory(encode)

    def work(rows: Rows) -> Pixels:
        pixels = decode(dataset, transform, rows, signed=signed)
        return pixels.pinned() if cuda else pixels

    waiting: tuple[Fetch, Pixels] | None = None
    for pixels in ordered(work, batches, threads, ahead=BATCHES_AHEAD):
        rows = Fetch(_features(pixels, transform, encode, device))
        if waiting is not None:
            yield _encoded(*waiting)
        waiting = rows, pixels
    if waiting is not None:
        yield _encoded(*waiting)


def _encoded(rows: Fetch, pixels: Pixels) -> Encoded:
    return Encoded(rows.wait(), pixels.failures, pixels.signatures)


class Fetch:
    """The copy of features (B, D) to the host, begun as soon as they are computed.

    On CUDA it is queued right behind its own batch: a plain ``.cpu()`` after the next batch was
    handed over would be queued, and wait, behind that one.
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows, self._copied = rows, None
        if rows.device.type == "cuda":
            self._rows = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            self._rows.copy_(rows, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def wait(self) -> Tensor:
        """The features on the CPU."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._rows.cpu()


def within_memory(encode: Encode) -> Encode:
    """`encode` that takes a batch in smaller parts where the device's memory does not hold it.

    The size that fitted is kept for the batches that follow.

    Raises
    ------
    FewshotError
        From the function returned: not even a single image fits.
    """
    most: list[int] = []

    def encode_parts(images: Tensor) -> Tensor:
        while True:
            size = min([len(images), *most])
            try:
                return torch.cat([encode(part) for part in images.split(size)])
            except torch.cuda.OutOfMemoryError as error:
                if size == 1:
                    raise _does_not_fit(images, error) from None
            # Outside the handler, whose traceback would keep the tensors of the failed attempt.
            _free(images.device)
            most[:] = [max(1, size // 2)]
            print(
                f"The device's memory does not hold {size} images at a time; trying {most[0]}.",
                file=sys.stderr,
            )

    return encode_parts


def _does_not_fit(images: Tensor, error: Exception) -> FewshotError:
    pixels = " x ".join(map(str, images.shape[-2:]))
    return FewshotError(
        "device",
        f"the memory of {images.device} does not hold the network and one image of {pixels} "
        f"pixels: {str(error).splitlines()[0]}",
        "Free it of other programs, or set device=cpu or a smaller backbone.",
    )


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


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
