"""Version of the tables and summaries, and the types of a summary.

Which columns a table has, its task says (`fewshot.tasks.base`).
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict  # typing's has no types to check before Python 3.12

SCHEMA_VERSION = 5


class Interval(TypedDict, total=False):
    """A mean with the bounds of its interval over a population; None where undefined."""

    mean: float | None
    lower: float | None
    upper: float | None
    level: float | None
    population: str
    reason: str | None
    closed_form: bool


class BankColumns(TypedDict):
    """What identifies the features of a cell."""

    dataset: str
    part: str
    backbone: str
    feature: str


class CellColumns(BankColumns):
    """What identifies a cell in every table of every task."""

    task: str
    head: str
    variant: str
    ways: int
    shots: int
    seed: int


class UnlabelledFacts(TypedDict, total=False):
    """How the unlabelled images of a cell's episodes were drawn; all None without any.

    ``unlabelled_images`` is a text of the others that identifies the cell, as
    ``15 dirichlet + 25 % strangers``; empty without any.
    """

    unlabelled_images: str
    unlabelled: int | str | None
    unlabelled_shares: str | None
    strangers: float | str | None


class CellSummary(CellColumns, UnlabelledFacts):
    """Summary of a cell: what identifies it, and facts of all tasks.

    ``learns_from`` says which images without labels the head learned from: "queries", "unlabelled",
    "queries and strangers"; None of heads without "queries" among their ``head_uses``.
    Measures, comparisons and whatever else a task adds are in types of its own, as
    `fewshot.tasks.classification.schema.ClassificationSummary`.
    """

    protocol: NotRequired[str]
    ways_range: NotRequired[list[int]]  # smallest and largest, where they vary
    shots_range: NotRequired[list[int]]
    episodes: NotRequired[int]
    queries: NotRequired[Any]
    normalize: NotRequired[str | None]
    head_parameters: NotRequired[dict[str, Any]]
    head_uses: NotRequired[list[str]]
    learns_from: NotRequired[str | None]
    hashes: NotRequired[dict[str, str]]
    base: NotRequired[dict[str, Any]]
    data: NotRequired[dict[str, Any]]
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


class RunFacts(TypedDict):
    """What the summary of a run says beside its cells."""

    schema_version: int
    created: NotRequired[str | None]
    duration_s: NotRequired[float | None]
    environment: NotRequired[dict[str, Any] | None]
    data: NotRequired[dict[str, Any] | None]
    left_out: NotRequired[list[LeftOut]]
    failed: NotRequired[list[Failed]]


class RunSummary(RunFacts):
    """``summary.json`` of a run."""

    cells: list[CellSummary]


class JoinedCell(CellSummary):
    """A cell among those of several runs; `run` is an index of ``made``."""

    run: NotRequired[int]


class Made(TypedDict):
    """A run among several: its name and folder, when and where it was made, and its data."""

    name: str
    folder: str
    created: str | None
    duration_s: float | None
    environment: dict[str, Any] | None
    data: dict[str, Any] | None


class Unreadable(TypedDict):
    """A run that was left out: its folder, and why."""

    run: str
    reason: str


class Ahead(TypedDict):
    """A run that says that it was made in the future: its folder and that time."""

    run: str
    created: str | None


class LeftAside(CellColumns):
    """A cell of `run` that is not shown, as `counts_run` has it with other rows; runs are folders.

    Columns by which the task of the cell identifies it are in it as well.
    """

    run: str
    episodes: int
    counts_run: str
    counts_episodes: int


class JoinedSummary(RunFacts):
    """Summary of one run, or of several as `fewshot.results.joining.Store.summary` joins them."""

    cells: list[JoinedCell]
    runs: NotRequired[list[str]]
    made: NotRequired[list[Made]]
    left_aside: NotRequired[list[LeftAside]]
    unreadable: NotRequired[list[Unreadable]]
    ahead: NotRequired[list[Ahead]]
