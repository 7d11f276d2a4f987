"""What a task is: its rows, its measures, its evaluation and its report, as data.

Results, report, page, loggers and command line ask the task and never compare its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

from fewshot.importing import attribute_at
from fewshot.registry import Entry, Registry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from fewshot.episodes.episode_set import EpisodeSet
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.features.bank import FeatureBank
    from fewshot.results.result import Result
    from fewshot.results.schema import CellSummary, Failed, LeftOut

# Columns that identify a cell, in every table of every task: the rows of a cell differ in others.
CELL_COLUMNS = {
    "task": "str",
    "dataset": "str",
    "part": "str",
    "backbone": "str",
    "feature": "str",
    "head": "str",
    "variant": "str",
    "ways": "int64",
    "shots": "int64",
    "seed": "int64",
}
# What identifies a cell on episodes beside these: how their unlabelled images were drawn, and how
# classes, shots and queries (`EpisodeSet.protocol`). Empty texts say the following.
EPISODIC_KEYS = {"unlabelled_images": "str", "protocol": "str"}
WHERE_EMPTY = {"unlabelled_images": "none", "protocol": "balanced"}
EPISODE = "episode"
KINDS = ("str", "int64", "float64", "bool", "list<str>", "list<int64>")  # of columns

Better = Literal["higher", "lower", "neither"]
HIGHER: Better = "higher"
LOWER: Better = "lower"
NEITHER: Better = "neither"


class Value(NamedTuple):
    """A measure of a cell; `half` is half the width of its interval, None without an interval."""

    mean: float
    half: float | None
    level: float | None


@dataclass(frozen=True)
class Table:
    """A table of rows, one Parquet file of a run.

    Attributes
    ----------
    name : str
        Of the file, and for ``fewshot results query --table``.
    columns : mapping of str to {"str", "int64", "float64", "bool", "list<str>", "list<int64>"}
        Beside those that identify the cell, and ``episode``.
    per_episode : str, optional
        Key of a cell's summary that says how many rows an episode has: a number, or a collection
        with an entry per row. One row by default.
    total : str, optional
        Key of a cell's summary that says how many rows it has in all, where episodes have different
        numbers of them; of a summary without it, `per_episode` holds.
    by_episode : bool
        Whether rows are of an episode. Those of a cell as a whole have no column ``episode``;
        `total` says how many there are, and a summary without it has none, as of runs from before
        there was the table.
    """

    name: str
    columns: Mapping[str, str]
    per_episode: str | None = None
    total: str | None = None
    by_episode: bool = True

    def rows_of(self, cell: CellSummary) -> int | None:
        """Number of rows of a cell; None if its summary does not say."""
        if not self.by_episode and self.total not in cell:
            return 0
        if self.total is not None and (self.per_episode is None or self.total in cell):
            rows = cell.get(self.total)
            return rows if isinstance(rows, int) else None
        episodes = cell.get("episodes")
        if not isinstance(episodes, int):
            return None
        if self.per_episode is None:
            return episodes
        entries = cell.get(self.per_episode)
        if isinstance(entries, int):
            return episodes * entries
        return None if entries is None else episodes * len(cast("Sized", entries))


def columns_of(table: Table, keys: Mapping[str, str] | None = None) -> dict[str, str]:
    """All columns of a table with their types, for a task with further `keys` of its cells."""
    episode = {EPISODE: "int64"} if table.by_episode else {}
    return {**CELL_COLUMNS, **(keys or {}), **episode, **table.columns}


class Entries(NamedTuple):
    """Parts of a cell with measures of their own.

    Attributes
    ----------
    key : str
        Of the summary: a mapping of names to measures, as ``estimators``, or a list of measures
        that have their name in them, as ``prevalences``.
    name : str
        Name of the column, as ``estimator`` or ``prevalence``.
    """

    key: str
    name: str

    def of(self, cell: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The parts of a cell, with the column `name`."""
        parts = cell.get(self.key) or ()
        if isinstance(parts, Mapping):
            return [{**row, self.name: name} for name, row in parts.items()]
        return [dict(row) for row in parts]


@dataclass(frozen=True)
class Measure:
    """A measure of a cell.

    Attributes
    ----------
    name : str
    better : {"higher", "lower", "neither"}
    fraction : bool
        Whether it is a share, shown in percent.
    table : str, optional
        Table that has the measure by episode, for paired comparisons.
    value : callable, optional
        From rows of that table to a value per row; the column of the measure's name by default.
        Several rows of an episode are averaged.
    columns : sequence of str
        Columns that `value` reads.
    of : Entries, optional
        What a cell has it of, where it has several: one per estimator, or per share of positives.
    """

    name: str
    better: Better = HIGHER
    fraction: bool = True
    table: str | None = None
    value: Callable[[pd.DataFrame], pd.Series] | None = None
    columns: Sequence[str] = ()
    of: Entries | None = None


class RunData(ABC):
    """The data of a run whose task takes no features of whole images.

    Attributes
    ----------
    info : mapping
        With ``dataset`` and ``backbone``, their names.
    """

    info: Mapping[str, Any]

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What ``summary.json`` says of the data; JSON types."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write further files into the folder of a run, as the draws into ``episodes/``."""


class TaskOutput(NamedTuple):
    """Output of a task: features, cells, episodes to store, and what has no cell.

    Attributes
    ----------
    bank : FeatureBank or RunData
    cells : list of Result
    drawn : list of EpisodeSet
    left_out : list of LeftOut
        Combinations that cannot be evaluated: ``head``, ``shots`` (or None) and ``reason``.
    failed : list of Failed
        ``head``, ``variant``, ``ways``, ``shots``, ``seed``, ``error``, and whether it is a
        ``defect`` of the program.
    """

    bank: FeatureBank | RunData
    cells: list[Result]
    drawn: list[EpisodeSet]
    left_out: list[LeftOut]
    failed: list[Failed]


class Task:
    """Base of all tasks.

    A task is registered by name in `fewshot.tasks`, or by an entry point of the group
    ``fewshot.tasks``. Tasks whose cells are a head on episodes derive from
    `fewshot.tasks.engine.episodic.EpisodicTask`.

    Attributes
    ----------
    name : str
        In rows, in ``task=NAME`` and in the registry.
    title : str
        For headings.
    tables : tuple of Table
        The first one has the rows of the main measure.
    measures : tuple of Measure
        The main one first.
    keys : mapping of str to str
        Columns that identify a cell beside `CELL_COLUMNS`, and their types.
    episode_sets : bool
        Whether a run folder has the episodes as `EpisodeSet`, from whose images and classes paired
        differences have intervals for other images and classes; else over episodes alone.
    version : int
        To be raised when a formula changes: cells of earlier versions are then computed again.
    sections : tuple of Entry
        Settings of the task: the section of its name in the configuration, a dataclass by
        ``module:Class``, and sections within it (``name.section``).
    heads, estimators : str
        ``package.module:attribute`` of the registries that ``head=NAME`` and ``estimator=NAME``
        choose from.
    sampling : str
        ``package.module:function`` that makes what draws episodes from the settings ``episodes``.
    source : str
        ``package.module:Class`` of the data of a run, which gets all settings and the device.
    defaults : mapping
        Options of groups, as ``{"dataset": "digits", "head": ["ncm"]}``, and settings by their
        dotted names, where they differ from ``conf/config.yaml``.
    forecast : str, optional
        ``package.module:function`` of ``fewshot predict --task NAME``: from a folder of labelled
        images, backbones and heads to what is predicted of them.
    arguments : mapping
        Values of the arguments of `fewshot.evaluate` that are left at None.
    report : str
        ``package.module:Class`` of its tables, sentences and figures, a
        `fewshot.report.tasks.base.TaskReport`. Only the report resolves it.
    references : sequence of str, optional
        Papers that its protocol is from, as those of `fewshot.heads.Head.references`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    tables: ClassVar[tuple[Table, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    keys: ClassVar[Mapping[str, str]] = {}
    episode_sets: ClassVar[bool] = True
    version: ClassVar[int] = 1
    sections: ClassVar[tuple[Entry, ...]] = ()
    heads: ClassVar[str] = "fewshot.heads:heads"
    estimators: ClassVar[str] = "fewshot.estimators:estimators"
    sampling: ClassVar[str] = "fewshot.evaluation.sampling:sampling_of"
    source: ClassVar[str] = "fewshot.evaluation.sources:ConfiguredSource"
    forecast: ClassVar[str | None] = None
    defaults: ClassVar[Mapping[str, Any]] = {}
    arguments: ClassVar[Mapping[str, Any]] = {
        "head": "ncm",
        "ways": "auto",
        "shots": 5,
        "episodes": 600,
        "queries": "all",
        "estimators": ("auto", "margin", "gaussian", "loo", "constant"),
        "sampler": "balanced",
    }
    report: ClassVar[str] = "fewshot.report.tasks.base:TaskReport"
    references: ClassVar[Sequence[str] | None] = None

    def run(self, evaluation: Evaluation[Any, Any, Any, Any]) -> TaskOutput:
        """Evaluate all cells, or take them from earlier runs."""
        raise NotImplementedError

    def estimate(self, evaluation: Evaluation[Any, Any, Any, Any]) -> str:
        """What a run would do and how long it would take, in a few lines; nothing is stored."""
        return str(evaluation.source.estimate())

    def check_head(self, name: str, head: Any) -> None:
        """Raise FewshotError unless the head can do the task; called before any work."""

    def registry(self, group: str) -> Registry:
        """The registry of the group "head" or "estimator"."""
        registry: Registry = attribute_at({"head": self.heads, "estimator": self.estimators}[group])
        return registry

    @property
    def takes_features(self) -> bool:
        """Whether it takes features of whole images, from a file, arrays or a backbone."""
        return self.source == Task.source

    # -- What is in the rows.

    @property
    def identity(self) -> dict[str, str]:
        """Columns that identify a cell, with their types."""
        return {**CELL_COLUMNS, **self.keys}

    def table(self, name: str) -> Table:
        """The table of a name."""
        return next(table for table in self.tables if table.name == name)

    def columns(self, name: str) -> dict[str, str]:
        """All columns of a table, with their types."""
        return columns_of(self.table(name), self.keys)

    # -- What is in the summary of a cell.

    def measure(self, name: str) -> Measure | None:
        """The measure of a name; None if the task has none of it."""
        return next((measure for measure in self.measures if measure.name == name), None)

    def entries(self, cell: CellSummary, measure: str) -> Iterator[CellSummary]:
        """The cell, or the cell with each of its parts that have a value of the measure."""
        found = self.measure(measure)
        if found is None or found.of is None:
            yield cast("CellSummary", dict(cell))
        else:
            for part in found.of.of(cell):
                yield cast("CellSummary", {**cell, **part})

    def value(self, entry: CellSummary, measure: str, population: str = "episodes") -> Value | None:
        """A measure of an entry with its interval over a population; None if missing.

        In the summary a measure is a number, an interval (``mean``, ``lower``, ``upper``), or
        intervals by population.
        """
        return value_of(entry.get(measure), population)

    def flat(self, cell: CellSummary) -> list[dict[str, Any]]:
        """Columns of the table of cells beside those of all tasks, a dict per row of it."""
        parts = self.measures[0].of
        names = [measure.name for measure in self.measures if measure.of == parts]
        if parts is None:
            return [bounded({name: cell.get(name) for name in names})]
        return [
            {parts.name: part[parts.name], **bounded({name: part.get(name) for name in names})}
            for part in parts.of(cell)
        ]

    def metrics(self, cell: CellSummary) -> Iterator[tuple[str, int, float]]:
        """Name, step and value of what is logged: the measures of the cell, by shots."""
        for measure in self.measures:
            value = None if measure.of else self.value(cell, measure.name)
            if value is not None and value.mean == value.mean:
                yield measure.name, int(cell["shots"]), value.mean


def value_of(value: Any, population: str) -> Value | None:
    """A measure as it stands in a summary: number, interval, or intervals by population."""
    if isinstance(value, Mapping) and "mean" not in value:
        value = value.get(population) or value.get("episodes")
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return Value(float(value), None, None)
    if value.get("mean") is None:
        return None
    lower, upper = value.get("lower"), value.get("upper")
    same = value.get("population", population) == population
    half = (upper - lower) / 2 if same and lower is not None and upper is not None else None
    return Value(float(value["mean"]), half, value.get("level"))


def bounded(measures: Mapping[str, Any]) -> dict[str, Any]:
    """Means and bounds of measures, as columns; of intervals by population, over episodes."""
    row: dict[str, Any] = {}
    for name, measure in measures.items():
        interval = measure if isinstance(measure, Mapping) else {"mean": measure}
        interval = interval.get("episodes", interval) or {}
        row |= {name: interval.get("mean")}
        row |= {f"{name}_{side}": interval.get(side) for side in ("lower", "upper")}
    return row


def dataset_label(cell: Mapping[str, object]) -> str:
    """Name of a data set where people read it: ``digits (base classes)``; novel go without."""
    part = cell.get("part") or "novel"
    return str(cell["dataset"]) if part == "novel" else f"{cell['dataset']} ({part} classes)"


def head_label(cell: Mapping[str, object]) -> str:
    """Name of a head where people read it, with its variant: ``lda (shrinkage=0.1)``."""
    variant = cell.get("variant")
    return f"{cell['head']} ({variant})" if variant else str(cell["head"])


def identity_of(cell: Mapping[str, object], keys: Iterable[str] = ()) -> tuple[Any, ...]:
    """The values that identify a cell among those of its task; missing `keys` are empty."""
    return (*(cell.get(name) for name in CELL_COLUMNS), *(cell.get(name) or "" for name in keys))
