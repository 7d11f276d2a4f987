"""Signals that end the command line: SIGINT, SIGTERM and SIGHUP, with the exit codes of shells.

This module is imported before everything else and therefore imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one does not exist on Windows
# Seconds in which a second signal counts as the same one: `timeout` sends it to the process and to
# its group.
SAME = 0.2
# Seconds that the process has to end by itself, in case that a library swallows the exception.
GRACE = 10.0
INTERRUPTED = 130  # 128 and SIGINT

_received: list[tuple[int, float]] = []


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by the first signal, so that everything is closed on the way."""


@contextmanager
def stopping() -> Iterator[None]:
    """Raise `Stopped` on the first signal, and end the process at the second.

    A signal that comes while a module is imported ends the process at once: there, libraries turn
    exceptions into others or swallow them. Signals that are ignored, as after ``nohup``, stay
    ignored. In other threads than the main one nothing happens.
    """
    _received.clear()
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    try:
        before = {
            number: signal.signal(number, _handle)
            for number in numbers
            if signal.getsignal(number) != signal.SIG_IGN
        }
    except ValueError:  # not the main thread
        yield
        return
    hook = sys.unraisablehook
    try:
        yield
    finally:
        _cancel_alarm()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if is_stopped() or handler is None else handler)


def is_stopped() -> bool:
    """Whether a signal has come."""
    return bool(_received)


def exit_code() -> int:
    """The exit code after the first signal: 128 and its number; that of Ctrl-C without one."""
    return 128 + _received[0][0] if _received else INTERRUPTED


def _handle(number: int, frame: Any) -> None:
    now = time.monotonic()
    if _received:
        if now - _received[0][1] > SAME:
            os._exit(exit_code())
        return
    _received.append((number, now))
    if _is_importing(frame):
        os.write(2, b"\nfewshot: interrupted.\n")
        os._exit(exit_code())
    sys.unraisablehook = _end_if_lost
    _set_alarm()
    raise Stopped


def _is_importing(frame: Any) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end_if_lost(unraisable: Any) -> None:
    """End the process if the exception was raised where it is only printed, as in ``__del__``."""
    if isinstance(unraisable.exc_value, Stopped):
        os._exit(exit_code())


def _set_alarm() -> None:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(exit_code()))
        signal.setitimer(signal.ITIMER_REAL, GRACE)


def _cancel_alarm() -> None:
    if _received and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
