"""How much memory this process may still take, and errors for what does not fit into it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fewshot.exceptions import FewshotError
from fewshot.units import size

ARGUMENT = "memory"
REMEDY = (
    "Lower episodes.count, episodes.queries, features.batch_size or threads, or free memory of "
    "other programs."
)
# Words of libraries that have no class of error of their own for it, in lower case.
WORDS = (
    "can't allocate memory",  # torch on a CPU
    "cannot allocate memory",
    "not enough memory",
    "out of memory",  # torch on accelerators
    "std::bad_alloc",
    "failed to allocate",
    "unable to allocate",
    "cublas_status_alloc_failed",
    "can't start new thread",
    "array is too big",  # NumPy and torch, for sizes beyond the address space
    "maximum allowed dimension exceeded",
    "storage size calculation overflowed",
    "integer multiplication overflow",
)


def available_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say.

    The smallest of what is available on the machine, in its control group and below the limits of
    the process (``ulimit -v``, ``ulimit -d``).
    """
    return min((*_of_machine(), *_of_control_groups(), *_below_limits()), default=None)


def expect_fits(argument: str, count: int, bytes_each: int, what: str) -> None:
    """Raise unless `count` times `bytes_each` bytes are available, before they are taken.

    Parameters
    ----------
    argument : str
        The setting that says how many.
    count, bytes_each : int
    what : str
        What is counted, in the plural.

    Raises
    ------
    FewshotError
        With the number that fits.
    """
    available = available_memory()
    if available is None or count * bytes_each <= available:
        return
    most = available // bytes_each
    raise FewshotError(
        argument,
        f"{count} {what} need {size(count * bytes_each)} of memory, and "
        f"{size(available)} are available",
        f"Lower {argument}, to {most} at most." if most else f"Lower {argument}.",
    )


def memory_error(error: BaseException, remedy: str = REMEDY) -> FewshotError | None:
    """The error for memory that ran out; None if `error` is another one.

    Parameters
    ----------
    error : BaseException
        Of any library.
    remedy : str
        What to lower.
    """
    if not is_out_of_memory(error):
        return None
    return FewshotError(ARGUMENT, f"there is not enough ({_reason(error)})", remedy)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that memory ran out."""
    if isinstance(error, FewshotError):
        return False
    if isinstance(error, MemoryError):  # those of NumPy and PyArrow, too
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError | ValueError):  # torch.OutOfMemoryError is the former
        return False
    text = str(error).lower()
    return any(words in text for words in WORDS)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else "none is left"
    text = text.split("err == 0. ")[-1].split("] ")[-1]  # where in torch's source
    return text.rstrip(".")[:200]


def _of_machine() -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) << 10


def _of_control_groups() -> Iterator[int]:
    """What each control group of this process leaves, of version 1 or 2; file caches are free."""
    with suppress(OSError, UnicodeError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds:
                yield from _left(Path("/sys/fs/cgroup"), path, "memory.max", "memory.current")
            elif "memory" in kinds.split(","):
                limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
                yield from _left(Path("/sys/fs/cgroup/memory"), path, limit, usage)


def _left(root: Path, path: str, limit: str, usage: str) -> Iterator[int]:
    """Limits without usage of a group and of those above it; in a container, `root` is its own."""
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):  # no such file, or the word "max"
            most = int((folder / limit).read_text(encoding="ascii"))
            used = int((folder / usage).read_text(encoding="ascii"))
            yield max(0, most - used + _cached(folder / "memory.stat"))
        if folder == root:
            return


def _cached(statistics: Path) -> int:
    with suppress(OSError, ValueError):
        for line in statistics.read_text(encoding="ascii").splitlines():
            name, _, number = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(number)
    return 0


def _below_limits() -> Iterator[int]:
    """What is left below the limits of the process."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        for limit, page in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
            most = resource.getrlimit(limit)[0]
            if most != resource.RLIM_INFINITY:
                yield max(0, most - int(pages[page]) * resource.getpagesize())
