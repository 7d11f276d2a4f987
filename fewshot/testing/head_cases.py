"""A head, and the cases that it is checked on."""

from __future__ import annotations

import inspect

from torch import Tensor

from fewshot.heads.base import Head, Query, Support
from fewshot.testing.check import require_close
from fewshot.testing.gaussians import support_and_query


def prepared(head: Head, case: str) -> tuple[Head, Support, Query]:
    """A clone of a head, quick to check, with support and queries of a case."""
    return quick(head), *support_and_query(case, head.least_shots)


def quick(head: Head) -> Head:
    """A clone; parameters that have their default take the values of ``tags.check_with``."""
    accepted = inspect.signature(type(head)).parameters
    parameters = head.get_params()
    for name, value in head.tags.check_with.items():
        if parameters[name] == accepted[name].default:
            parameters[name] = value
    return type(head)(**parameters)


def relative(scores: Tensor) -> Tensor:
    """Scores up to what is common to all classes of a query."""
    return scores - scores.mean(-1, keepdim=True)


def require_same(first: Tensor, second: Tensor, what: str, head: Head, least: float = 0.0) -> None:
    tolerance = max(least, head.tags.tolerance)
    require_close(relative(first), relative(second), f"equal {what}", tolerance)


def shape_of(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
