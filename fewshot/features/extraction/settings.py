"""Settings of feature extraction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import torch

from fewshot.exceptions import FewshotError, expect_bool, expect_choice, expect_positive_int
from fewshot.features.extraction.precision import PRECISIONS
from fewshot.hardware import available_cores, check_threads

DTYPES = ("float32", "float16")
# Large batches leave a CPU's cache; an accelerator wants them.
BATCH_ON_CPU, BATCH_ON_ACCELERATOR = 16, 128


@dataclass(frozen=True)
class FeatureSettings:
    """The section ``features`` of a configuration.

    Attributes
    ----------
    normalize : {"auto", "none", "l2"}
        Unit length ("l2") or features as they are ("none"). "auto": "l2" for images and for banks
        that were extracted from them; what a file of features says (its array ``normalize``), else
        "none".
    dtype : {"float32", "float16"}
        Of the features on disk.
    precision : {"auto", "float32", "bfloat16", "float16"}
        What the network computes in; see ``fewshot.features.extraction.precision``. "auto" is
        bfloat16 where the device computes in it and the features of sixteen of the images stay the
        same.
    batch_size : int >= 1, optional
        Images that go through the network together; None: 16 on a CPU, 128 on an accelerator.
    compile : bool
        Run the network through ``torch.compile``.
    """

    normalize: str = "auto"
    dtype: str = "float32"
    precision: str = "auto"
    batch_size: int | None = None
    compile: bool = False


@dataclass(frozen=True)
class Extraction:
    """Settings of an extraction.

    Attributes
    ----------
    device : torch.device
    dtype, precision, batch_size, compile
        As in :class:`FeatureSettings`.
    on_error : {"raise", "skip"}
        What to do about an unreadable image.
    threads : int, optional
        Cores to use; all that the process may use by default.
    shard : str, optional
        "I/N": only every N-th chunk, from the I-th on (0 <= I < N), for one of N machines.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: str = FeatureSettings.dtype
    precision: str = FeatureSettings.precision
    batch_size: int | None = FeatureSettings.batch_size
    compile: bool = FeatureSettings.compile
    on_error: str = "raise"
    threads: int | None = None
    shard: str | None = None

    def __post_init__(self) -> None:
        expect_choice("features.dtype", self.dtype, DTYPES)
        expect_choice("features.precision", self.precision, PRECISIONS)
        expect_choice("dataset.on_error", self.on_error, ("raise", "skip"))
        if self.batch_size is not None:
            expect_positive_int("features.batch_size", self.batch_size)
        if self.threads is not None:
            check_threads(self.threads)
        expect_bool("features.compile", self.compile)
        self.part()

    @property
    def batch(self) -> int:
        """Images per forward pass."""
        on_cpu = self.device.type == "cpu"
        return self.batch_size or (BATCH_ON_CPU if on_cpu else BATCH_ON_ACCELERATOR)

    @property
    def cores(self) -> int:
        """Threads that decode, and on a CPU run the network."""
        return self.threads or available_cores()

    def part(self) -> tuple[int, int]:
        """The shard as numbers (I, N); (0, 1) stands for all of it."""
        if self.shard is None:
            return 0, 1
        match = re.fullmatch(r"(\d+)/(\d+)", str(self.shard))
        if match is None or not int(match[1]) < int(match[2]):
            raise FewshotError(
                "--shard",
                f"expected I/N with 0 <= I < N, got {self.shard!r}",
                "The first of four machines takes 0/4, the last 3/4.",
            )
        return int(match[1]), int(match[2])
