"""Version of the tables and summaries, and the types of a summary.

Which columns a table has, its task says (`fewshot.tasks.base`).
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict  # typing's has no types to check before Python 3.12

SCHEMA_VERSION = 3


class Interval(TypedDict, total=False):
    """A mean with the bounds of its interval over a population; None where undefined."""

    mean: float | None
    lower: float | None
    upper: float | None
    level: float | None
    population: str
    reason: str | None


class CellSummary(TypedDict):
    """Summary of a cell: what identifies it, facts of all tasks, and measures of its task."""

    task: str
    dataset: str
    part: str
    backbone: str
    feature: str
    head: str
    variant: str
    ways: int
    shots: int
    seed: int
    episodes: NotRequired[int]
    queries: NotRequired[Any]
    normalize: NotRequired[str | None]
    head_parameters: NotRequired[dict[str, Any]]
    head_uses: NotRequired[list[str]]
    hashes: NotRequired[dict[str, str]]
    base: NotRequired[dict[str, Any]]
    comparisons: NotRequired[list[dict[str, Any]] | None]
    estimators: NotRequired[dict[str, dict[str, Any]]]
    key: NotRequired[str | None]
    reused_from: NotRequired[str | None]
    duration_s: NotRequired[float | None]
    episodes_per_second: NotRequired[float | None]


class LeftOut(TypedDict):
    """A combination without a cell: what of, the number of shots if it matters, and why."""

    head: str
    shots: int | None
    reason: str


class Failed(TypedDict):
    """A cell that failed; `defect` if by an internal error."""

    head: str
    ways: int
    shots: int
    error: str
    defect: NotRequired[bool]
    seed: NotRequired[int]
    variant: NotRequired[str]


class RunSummary(TypedDict):
    """``summary.json`` of a run."""

    schema_version: int
    cells: list[CellSummary]
    created: NotRequired[str | None]
    duration_s: NotRequired[float | None]
    environment: NotRequired[dict[str, Any] | None]
    data: NotRequired[dict[str, Any] | None]
    left_out: NotRequired[list[LeftOut]]
    failed: NotRequired[list[Failed]]
