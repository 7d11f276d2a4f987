"""What this machine has, and which of it this process may use."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from fewshot.exceptions import FewshotError, expect_positive_int, shown

if TYPE_CHECKING:
    import torch
    from threadpoolctl import ThreadpoolController

__all__ = [
    "available_cores",
    "check_threads",
    "computes_in_bfloat16",
    "device_named",
    "episodes_device",
    "freed_memory_kept",
    "single_threaded",
    "torch_threads",
]


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: object) -> None:
    """Raise unless `threads` is a number of threads that this machine can start."""
    most = max(256, 4 * available_cores())
    expect_positive_int("threads", threads, maximum=most)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's intra-operation threads and put them back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread for operations of torch and of NumPy's BLAS, as chunks of work have one each."""
    with torch_threads(1), _blas_libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _blas_libraries() -> ThreadpoolController:
    """The libraries that are loaded; looking for them takes 20 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library keep the memory of tensors that are freed, for the next ones.

    Otherwise every large tensor is new memory of the system's, which has to be cleared page by
    page: a third of the time of an extraction on a CPU. It does most where no thread has been
    started yet, which then share one heap. On glibc; elsewhere nothing happens.
    """
    global _keepers  # noqa: PLW0603  the C library's settings are the process's, too
    libc = _glibc()
    if libc is None:
        yield
        return
    _keepers += 1
    for parameter, value, _ in MALLOC:
        libc.mallopt(parameter, value)
    try:
        yield
    finally:
        _keepers -= 1
        if not _keepers:
            for parameter, _, usual in MALLOC:
                libc.mallopt(parameter, usual)
            libc.malloc_trim(0)


_keepers = 0  # how many wish it now

# Numbers from glibc's malloc.h, what they are to be, what they usually are.
MALLOC = (
    (-1, 2**31 - 1, 128 << 10),  # M_TRIM_THRESHOLD: give nothing back from the top of the heap
    (-2, 64 << 20, 128 << 10),  # M_TOP_PAD: ask for much at a time
    (-3, 2**31 - 1, 128 << 10),  # M_MMAP_THRESHOLD: no mapping of its own for a large tensor
    (-8, 1, 0),  # M_ARENA_MAX: one heap for all threads, or each keeps memory of its own
)


def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "gnu_get_libc_version") else None
    except (OSError, TypeError):  # Windows
        return None


def device_named(name: str) -> torch.device:
    """The device of that name; "auto" is an accelerator if there is one."""
    import torch

    if not isinstance(name, str) or not name:
        problem = f"expected the name of a device, got {shown(name)}"
        raise FewshotError("device", problem, "Set device=auto.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).item()  # "meta" has no numbers
        return torch.device(name)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise FewshotError(
            "device", f"cannot use {shown(name)}: {reason}", "Set device=auto."
        ) from None


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, rather than imitating it."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # public in no release so far
    return any(getattr(torch.cpu, name, bool)() for name in names)


def episodes_device(device: torch.device) -> torch.device:
    """Where heads are fitted when features are computed on `device`.

    The CPU for Apple's GPUs: heads and estimators compute in float64, which these do not have.
    """
    import torch

    return torch.device("cpu") if device.type == "mps" else device
