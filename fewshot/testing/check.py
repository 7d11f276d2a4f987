"""A check: a function with a name, whose failures say of what and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.references import resolve


@dataclass(frozen=True)
class Check:
    """A check with its arguments; calling it raises AssertionError unless the subject passes.

    Attributes
    ----------
    name : str
        As in ``batch_equals_loop (one shot)``.
    function : callable
        Called with the subject and `arguments`.
    arguments : tuple
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...] = ()

    def __call__(self, subject: Any) -> None:
        """Check one object.

        Raises
        ------
        AssertionError
            One line: the object, the check, what is expected and what came.
        """
        try:
            self.function(subject, *self.arguments)
        except AssertionError as error:
            reason = str(error) or "failed"
        except Exception as error:  # whatever the code under check raises
            reason = f"raised {type(error).__name__}: {error}"
            raise AssertionError(self._message(subject, reason)) from error
        else:
            return
        raise AssertionError(self._message(subject, reason))

    def _message(self, subject: Any, reason: str) -> str:
        return " ".join(f"{label_of(subject)}: {self.name}: {reason}".split())


def label_of(subject: Any) -> str:
    """Name of an object in messages: that of its class, or of a function."""
    named = subject if hasattr(subject, "__qualname__") else type(subject)
    return str(named.__qualname__)


Pairs = list[tuple[str, Check]]


def pairs(checks: Iterable[Check]) -> Pairs:
    """Names and checks, for parametrized tests."""
    return [(check.name, check) for check in checks]


def run(subject: Any, checks: Pairs) -> None:
    """Make all checks; the first failure is raised."""
    for _, check in checks:
        check(subject)


def papers_are_known(subject: Any) -> None:
    """What it names as ``references`` are keys of `fewshot.references`, or BibTeX."""
    resolve(subject.references or (), label_of(subject))


def require_object_of(subject: object, kind: type) -> None:
    """Raise AssertionError unless `subject` is an object of a class, or of one derived from it."""
    hint = f" Call it: {label_of(subject)}()." if isinstance(subject, type) else ""
    name = f"{kind.__module__}.{kind.__qualname__}"
    require(
        isinstance(subject, kind),
        f"expected an object of a class derived from {name}, got {subject!r}.{hint}",
    )


def require(condition: bool, problem: str) -> None:
    """Raise AssertionError with `problem` unless a condition holds, under ``python -O`` too."""
    if not condition:
        raise AssertionError(problem)


def require_close(
    actual: Tensor, expected: Tensor, what: str, rtol: float, atol: float | None = None
) -> None:
    """Raise AssertionError unless two tensors are equal to a tolerance; NaN equals NaN.

    Parameters
    ----------
    actual, expected : Tensor
    what : str
        What is expected to be equal, for the message: ``scores of a batch and of its episodes``.
    rtol : float
    atol : float, optional
        `rtol` by default.
    """
    try:
        torch.testing.assert_close(
            actual, expected, rtol=rtol, atol=rtol if atol is None else atol, equal_nan=True
        )
    except AssertionError as error:
        raise AssertionError(f"expected {what}, got a difference: {_greatest(error)}") from None


def _greatest(error: AssertionError) -> str:
    """The lines of torch that say how much differs."""
    lines = [line.strip() for line in str(error).splitlines()]
    greatest = [line for line in lines if line.startswith(("Greatest", "Mismatched"))]
    return "; ".join(greatest or lines[:1])


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Another state of the global generators of torch and NumPy, restored afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
