"""Extraction of the features of a data set, resuming from finished chunks."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.backbones.base import Backbone, Encode
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import unreadable_of
from fewshot.exceptions import FewshotError
from fewshot.features.extraction.chunks import (
    IMAGES_PER_CHUNK,
    MOST_CHUNKS,
    Chunk,
    Chunks,
    Plan,
)
from fewshot.features.extraction.pipeline import Encoded, encode_batches
from fewshot.features.extraction.precision import at_precision
from fewshot.features.extraction.precision_choice import Choice
from fewshot.features.paths import NOTE
from fewshot.hardware import freed_memory_kept
from fewshot.progress import bar, stage, start_from

SECONDS_BETWEEN_POLLS = 0.3  # of the chunks that other processes work on


class Extractor:
    """One process's part in extracting a bank.

    Any number of processes may do the same at the same time, on one machine or on several that
    share the disk: each takes chunks that no other process has taken.

    Parameters
    ----------
    folder : Path
        Where the bank is going to be; chunks are kept in ``<folder>.partial``.
    dataset : ImageDataset
    backbone : Backbone
    choice : Choice
        How to extract, with the precision that was chosen.
    rehearsal : bool
        Leave nothing on disk: for an estimate of the time.
    """

    def __init__(
        self,
        folder: Path,
        dataset: ImageDataset,
        backbone: Backbone,
        choice: Choice,
        rehearsal: bool = False,
    ) -> None:
        how = choice.how
        self.folder, self.dataset, self.backbone, self.how = folder, dataset, backbone, how
        self.choice = choice
        self.chunks = Chunks(folder.with_name(folder.name + ".partial"))
        self.rehearsal = rehearsal
        self.chunk_numbers = range(how.part()[0], self.plan.chunks, how.part()[1])

    @cached_property
    def plan(self) -> Plan:
        """The plan of the extraction: the stored one, or a new one that is then stored."""
        existing = self.chunks.plan()
        if existing is not None:
            return existing
        new = self._new_plan()
        return new if self.rehearsal else self.chunks.begin(new)

    @cached_property
    def encode(self) -> Encode:
        """The network, loaded when the first chunk needs it."""
        how = self.how
        with stage(f"loading {self.backbone.name}"):
            loaded = self.choice.encode or self.backbone.load(how.device)
        encode = at_precision(loaded, self.plan.precision, how.device)
        return compiled(encode, self.plan.batch) if how.compile else encode

    def missing(self) -> list[int]:
        """Chunks of this shard that are not on disk; [] once the bank exists."""
        if self._finished():
            return []
        done = self.chunks.done()
        return [number for number in self.chunk_numbers if number not in done]

    def run(self) -> None:
        """Extract until no chunk of this shard is missing, waiting for those of other processes."""
        missing = self.missing()
        if not missing:
            return
        total = self._images(self.chunk_numbers)
        what = f"{self.backbone.name} features of {self.dataset.name}"
        with bar(total, what, "image", smoothing=0.1) as work, freed_memory_kept():
            while missing := self.missing():
                start_from(work, total - self._images(missing))
                if not self._extract(missing, work):
                    work.set_postfix_str("waiting for another process")
                    time.sleep(SECONDS_BETWEEN_POLLS)

    def _finished(self) -> bool:
        """Whether another process has assembled the bank and removed the chunks."""
        return (self.folder / NOTE).is_file()

    def _images(self, numbers: Any) -> int:
        return sum(len(self.plan.rows(number)) for number in numbers)

    def _extract(self, missing: list[int], work: Any) -> int:
        """Compute the chunks that no other process holds; return their number."""
        claims: deque[tuple[int, ExitStack]] = deque()
        finished = 0
        try:
            results = encode_batches(
                self._claimed(missing, claims), self.dataset, self.backbone.transform,
                self.encode, self.how.device, self.how.cores,
            )  # fmt: skip
            parts: list[Encoded] = []
            images, since = 0, time.perf_counter()
            for batch in results:
                number, claim = claims[0]
                self._check(batch.features, batch.failures, number)
                parts.append(batch)
                images += len(batch.features) + len(batch.failures)
                if images == len(self.plan.rows(number)):
                    seconds = time.perf_counter() - since
                    self.chunks.write(number, _chunk(parts, self.how.dtype, seconds))
                    since += seconds
                    claims.popleft()
                    claim.close()
                    finished, images, parts = finished + 1, 0, []
                work.update(len(batch.features) + len(batch.failures))
        finally:
            for _, claim in claims:
                claim.close()
        return finished

    def _claimed(self, missing: list[int], claims: deque[tuple[int, ExitStack]]) -> Iterator[range]:
        """Yield batches of the chunks that could be locked; the locks are appended to `claims`."""
        for number in missing:
            claim = ExitStack()
            if self._finished() or not claim.enter_context(self.chunks.claim(number)):
                claim.close()
                continue
            claims.append((number, claim))
            rows = self.plan.rows(number)
            for start in range(rows.start, rows.stop, self.plan.batch):
                yield range(start, min(start + self.plan.batch, rows.stop))

    def _check(self, rows: Tensor, failures: list[dict[str, Any]], number: int) -> None:
        """Raise for unreadable images, unless to be skipped, and for features beyond the dtype."""
        if failures and self.how.on_error == "raise":
            raise unreadable_of(failures[:1])
        limit = torch.finfo(getattr(torch, self.how.dtype)).max
        if rows.numel() and not bool((rows.abs() <= limit).all()):  # NaN is not
            first = self.dataset.paths[self.plan.rows(number).start]
            raise FewshotError(
                "backbone",
                f"{self.backbone.name} gives features that are not finite as {self.how.dtype} "
                f"in the {len(self.plan.rows(number))} images from {first!r} on",
                "Set features.dtype=float32 and features.precision=float32, or check the weights.",
            )

    def _new_plan(self) -> Plan:
        """A plan from the settings: sizes of batches and chunks, and the precision."""
        how, images = self.how, len(self.dataset)
        least = max(IMAGES_PER_CHUNK, images / MOST_CHUNKS)
        size = how.batch * math.ceil(least / how.batch)
        return Plan(images, how.batch, size, how.precision, self.choice.check)


def compiled(encode: Encode, batch: int) -> Encode:
    """`encode` through ``torch.compile``; short batches are padded, not compiled anew."""
    fast: Encode = torch.compile(encode, dynamic=False)

    def padded(images: Tensor) -> Tensor:
        lacking = batch - len(images)
        if lacking == 0:
            return fast(images)
        filler = images[-1:].expand(lacking, -1, -1, -1)
        return fast(torch.cat([images, filler]))[: len(images)]

    return padded


def _chunk(parts: list[Encoded], dtype: str, seconds: float) -> Chunk:
    features: list[NDArray] = [
        part.features.numpy().astype(dtype) for part in parts if len(part.features)
    ]
    failures = [failure for part in parts for failure in part.failures]
    rows = np.concatenate(features) if features else np.empty((0, 0), dtype)
    return Chunk(rows, failures, seconds, torch.cat([part.signatures for part in parts]).numpy())
