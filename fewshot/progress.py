"""Progress of long work: bars on terminals, elsewhere a line now and then; what is to be done.

>>> with stage("reading images", 3) as work:
...     work.update()
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fewshot.units import duration

T = TypeVar("T")

# Seconds between lines at most: with some delay, one every 30 seconds.
INTERVAL = 20.0
# Work that is expected to take longer than LONG seconds is announced after EARLY seconds.
EARLY, LONG = 5.0, 60.0
POLL = 1.0  # seconds


class Work:
    """Something that takes long: what it is, how much of it is done.

    Attributes
    ----------
    what : str
    total, n : int
        Of all, and done so far; a total of 0 means unknown.
    unit : str
        Of `n`, in the plural.
    begun : float
        Time of the start.
    """

    def __init__(
        self,
        what: str,
        total: int = 0,
        unit: str = "",
        count: Callable[[], int] | None = None,
        begun: float = 0.0,
    ) -> None:
        self.what, self.total, self.unit, self.begun = what, total, unit, begun
        self.n = self.earlier = 0
        self.count = count
        self.note = ""
        self.announced = False
        self.whole = False  # of which the others are parts

    def update(self, n: int = 1) -> None:
        """Add `n` to what is done."""
        self.n += n

    def start_from(self, n: int) -> None:
        """Say that `n` are done already, which took no time."""
        self.n = self.earlier = n

    def set_postfix_str(self, text: str) -> None:
        """Add a remark, as ``tqdm`` does."""
        self.note = text

    def left(self, now: float) -> float | None:
        """Seconds that the rest will take; None if that is unknown."""
        n = self.done
        if not self.total or n <= self.earlier:
            return None
        return max(0, self.total - n) * (now - self.begun) / (n - self.earlier)

    @property
    def done(self) -> int:
        """How much is done."""
        return self.n if self.count is None else self.count()

    def text(self, now: float) -> str:
        """What is done, how many of how many, and how long the rest will take."""
        n, parts = self.done, []
        if self.total:
            parts.append(f"{n:,} of {self.total:,} {self.unit}".rstrip())
        elif self.count is not None:
            parts.append(f"{n:,} {self.unit}".rstrip())
        left = self.left(now)
        if left is not None:
            parts.append(f"about {duration(left)} left" if left else "nearly done")
        else:
            parts.append(f"{duration(now - self.begun)} so far")
        if self.note:
            parts.append(self.note)
        return f"{self.what}: {', '.join(parts)}"


class Reporter:
    """Writes a line about the work in progress at least every `INTERVAL` seconds.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.
    write : callable
        Called with each line.
    quiet : callable
        Returns whether lines are wanted of long work alone, once each: on a terminal, with bars.

    Attributes
    ----------
    plan : str
        What the command is going to do, which the first line on long work begins with.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], object] | None = None,
        quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        self.clock, self.write, self.quiet = clock, write or _to_stderr, quiet
        self.plan = ""
        self.works: list[Work] = []
        self.last = clock()

    def begin(self, work: Work) -> None:
        """Add some work that begins."""
        work.begun = self.clock()
        if not self.works:
            self.last = work.begun
        self.works.append(work)

    def end(self, work: Work) -> None:
        """Remove some work that has ended."""
        if work in self.works:
            self.works.remove(work)
        if not self.works:
            self.plan = ""

    def tick(self) -> None:
        """Write a line if it is time for one."""
        works, now = [*self.works], self.clock()
        if not works:
            return
        fresh = [work for work in works if self._is_long(work, now)]
        if not fresh and (now - self.last < INTERVAL or self.quiet()):
            return
        self.last = now
        for work in fresh:
            work.announced = True
        parts = [work for work in works if not work.whole]
        shown = parts[-2:] or works[-1:]
        texts = [work.text(now) for work in shown]
        if fresh and self.plan:
            texts.insert(0, self.plan)
            self.plan = ""
        self.write(f"fewshot: {'; '.join(texts)}")

    def _is_long(self, work: Work, now: float) -> bool:
        left = work.left(now)
        early = now - work.begun >= EARLY
        return not work.announced and early and left is not None and left >= LONG


def _to_stderr(line: str) -> None:
    if is_terminal():  # above a bar, if there is one
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether standard error is a terminal, so that bars can be drawn there."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stream, or a closed one
        return False


class _Ticking:
    """The reporter of this process, and the thread that lets it look at the clock."""

    def __init__(self) -> None:
        self.reporter = Reporter(quiet=is_terminal)
        self.thread: threading.Thread | None = None

    def begin(self, work: Work) -> None:
        self.reporter.begin(work)
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name="progress", daemon=True)
            self.thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(POLL)
            self.reporter.tick()


_ticking = _Ticking()


def _forget() -> None:
    """In a forked process, which has none of the threads."""
    global _ticking  # noqa: PLW0603  one per process
    _ticking = _Ticking()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def stage(
    what: str, total: int = 0, unit: str = "", *, count: Callable[[], int] | None = None
) -> Iterator[Work]:
    """Work that has lines now and then; on a terminal one at most, if it takes long.

    Parameters
    ----------
    what : str
    total : int
        0: unknown.
    unit : str
        In the plural.
    count : callable, optional
        Returns how much is done, in place of `Work.update`.
    """
    work = Work(what, total, unit, count)
    ticking = _ticking
    ticking.begin(work)
    try:
        yield work
    finally:
        ticking.reporter.end(work)


def announce(plan: str) -> None:
    """Say what is going to be done, in case that it takes long: with the first line on long work.

    Parameters
    ----------
    plan : str
        ``4 cells of 600 episodes``.
    """
    _ticking.reporter.plan = plan


@contextmanager
def whole_command(what: str) -> Iterator[None]:
    """All that a command does, of which lines tell when nothing else is to be told."""
    with stage(what) as work:
        work.whole = True
        yield


def counted_work(items: Sequence[T], what: str, unit: str = "") -> Iterator[T]:
    """Iterate over items in a `stage`, of which each is done when the next one is asked for."""
    with stage(what, len(items), unit) as work:
        for item in items:
            yield item
            work.update()


@contextmanager
def bar(total: int, what: str, unit: str, **options: Any) -> Iterator[Any]:
    """A progress bar on a terminal or in a notebook, and lines elsewhere.

    A line on long work is written beside a bar, too.

    Parameters
    ----------
    total : int
    what : str
    unit : str
        In the singular.
    **options
        Of ``tqdm``.

    Yields
    ------
    tqdm or Work
        Both have ``update`` and ``set_postfix_str``.
    """
    from tqdm.auto import tqdm

    if "notebook" in tqdm.__name__:
        with tqdm(total=total, unit=unit, desc=what, **options) as drawn:
            yield drawn
    elif is_terminal():
        with (
            tqdm(total=total, unit=unit, desc=what, **options) as drawn,
            stage(what, total, f"{unit}s", count=lambda: drawn.n) as work,
        ):
            drawn.work = work
            yield drawn
    else:
        with stage(what, total, f"{unit}s") as work:
            yield work


def start_from(progress: Any, n: int) -> None:
    """Tell a bar or lines that `n` are done already, which took no time."""
    if isinstance(progress, Work):
        progress.start_from(n)
        return
    if (work := getattr(progress, "work", None)) is not None:
        work.start_from(n)
    progress.n = progress.initial = n
    progress.refresh()
