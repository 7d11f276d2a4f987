"""What people read of the cells of a task: its table, sentences, figures and part of the page.

`TaskReport` does for any task as it stands, from the measures that the task declares. A task with
words, tables or figures of its own derives from it, and names the class in ``Task.report``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fewshot.report.citing.made import made_of
from fewshot.report.comparison.ahead import ends
from fewshot.report.comparison.measured import best_lines
from fewshot.report.intervals import by_population, intervals_of, main_interval
from fewshot.report.payload.entries import (
    MeasureEntry,
    PairEntry,
    Predictions,
    measure_entry,
    pair_entry,
)
from fewshot.report.text.measured import (
    OTHER,
    OTHER_CLASSES,
    POPULATION,
    Column,
    columns_of,
    measured_markdown,
    measured_text,
)
from fewshot.report.wording import Cell, comparisons_of, protocol_text
from fewshot.tasks.base import EPISODIC_KEYS, NEITHER, Better, Measure, Task, head_label
from fewshot.units import is_number

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.report.cell_rows import CellRows
    from fewshot.report.charts.base import Chart
    from fewshot.report.charts.details import Details
    from fewshot.report.comparison.paired import EvaluatedCell
    from fewshot.report.figures.plots import Plot

NO_PREDICTIONS: Predictions = {"estimators": [], "spokesman": None, "worst": []}


@dataclass(frozen=True)
class Axis:
    """Horizontal axis of the page's curves, on a logarithmic scale.

    Attributes
    ----------
    key : {"shots", "at"}
        A number of every cell, or the part of it that a measure is of: a share of positives.
    title : str
        Of the axis.
    name : str
        In "Accuracy against shots".
    unit : str
        Of a number in a sentence: "5 shots". A final s is added to it but for percentages.
    percent : bool
        Whether it is a share, shown in percent.
    least : float
        Numbers below it are drawn at it: 0 shots are drawn half as far as 1 shot.
    """

    key: str = "shots"
    title: str = "shots per class"
    name: str = "shots"
    unit: str = "shot"
    percent: bool = False
    least: float = 0.5


@dataclass(frozen=True)
class Parts:
    """Title of the parts of a cell that measures are of, and whether they are shares."""

    title: str
    percent: bool = False


@dataclass(frozen=True)
class Number:
    """A number of cells that is no measure, as what they cost: a column of the page's leaderboard.

    Attributes
    ----------
    key : str
        Of the summary.
    title, unit : str
    digits : int
        Decimals.
    better : {"higher", "lower", "neither"}
    divisor : float
        The number is shown divided by it: 1e6 for millions.
    """

    key: str
    title: str
    unit: str = ""
    digits: int = 0
    better: Better = NEITHER
    divisor: float = 1.0

    def text(self, value: float | None, missing: str = "-") -> str:
        """The number as text, without the unit."""
        return f"{value / self.divisor:,.{self.digits}f}" if is_number(value) else missing


class TaskReport:
    """What people read of the cells of one task.

    Methods get cells as they stand in ``summary.json``, all of the task, and the rows of its tables
    by name, with the columns that `columns` asks for.

    Attributes
    ----------
    task : Task
    order : int
        Of the tasks of a report; those of equal numbers by name.
    heading : str, optional
        In headings of sentences; the title of the task in lower case by default.
    titles : mapping of str to str
        Short titles of measures, for columns of tables; a name without underscores by default.
    long_titles : mapping of str to str
        Titles of measures on the page where there is room; the short ones by default.
    meanings : mapping of str to str
        Explanations of measures below the table, by name.
    question : str
        A line at the head of the table: what the task asks.
    columns : mapping of str to sequence of str
        Columns that sentences, figures and page read, by table, beside those that identify cells.
    compared : sequence of str
        Those of the task's keys that people choose between, as they do between heads. The others
        are conditions.
    over_episodes : bool
        Whether intervals are over episodes.
    population, caution : str
        What ± means, below the table for the terminal, and at the end of the sentences; where
        intervals are over episodes.
    head, heads, episode : str
        What a head, several of them, and an episode are called.
    queries : str
        What the number of queries of a cell is of.
    timed_together : str
        What has one time, if not every cell: "all rules".
    cost_caption : str
        Of the page's table of times.
    place : str
        What a cell is called among those of its data set and backbone, with its columns in braces;
        ways, shots, head and the task's keys by default.
    numbers : sequence of Number
        Further columns of the leaderboard.
    settings : sequence of str
        Columns of the leaderboard that say how a cell was evaluated.
    key_titles : mapping of str to str
        Titles of the task's keys.
    axis : Axis
    parts : Parts, optional
    averaged : str
        What is averaged for ranks over several data sets.
    error_of : str, optional
        Measure whose complement is drawn, with predictions of it: the error of an accuracy.
    sections : frozenset of str
        Optional sections of the page: "matrix" (backbones by data sets), "ranks" (mean ranks by the
        main measure), "comparisons" (paired differences).
    glossary : sequence of (str, str)
        Terms and explanations at the end of the page.
    """

    order: ClassVar[int] = 100
    heading: ClassVar[str] = ""
    titles: ClassVar[Mapping[str, str]] = {}
    long_titles: ClassVar[Mapping[str, str]] = {}
    meanings: ClassVar[Mapping[str, str]] = {}
    question: ClassVar[str] = ""
    columns: ClassVar[Mapping[str, Sequence[str]]] = {}
    compared: ClassVar[Sequence[str]] = ()
    over_episodes: ClassVar[bool] = True
    population: ClassVar[str] = POPULATION
    caution: ClassVar[str] = (
        "± over episodes: other draws from these images of these classes, as papers print it. "
        "For other classes: such as were not drawn, with images of their own. Both at 95 %."
    )
    head: ClassVar[str] = "head"
    heads: ClassVar[str] = "heads"
    episode: ClassVar[str] = "episode"
    queries: ClassVar[str] = "queries per class"
    timed_together: ClassVar[str] = ""
    cost_caption: ClassVar[str] = (
        "Episodes per second: a head fitted on the shots and asked about the queries, features at "
        "hand."
    )
    place: ClassVar[str] = ""
    numbers: ClassVar[Sequence[Number]] = ()
    settings: ClassVar[Sequence[str]] = ("ways", "shots")
    key_titles: ClassVar[Mapping[str, str]] = {}
    axis: ClassVar[Axis] = Axis()
    parts: ClassVar[Parts | None] = None
    averaged: ClassVar[str] = "values"
    error_of: ClassVar[str | None] = None
    sections: ClassVar[frozenset[str]] = frozenset({"matrix", "ranks", "comparisons"})
    glossary: ClassVar[Sequence[tuple[str, str]]] = ()

    def __init__(self, task: Task) -> None:
        self.task = task

    # -- What is cited.

    def cited(
        self, cell: Cell, config: Mapping[str, Any]
    ) -> Iterator[tuple[str, str, Sequence[str] | None]]:
        """Role, name and papers of what a cell was evaluated with: its head.

        Parameters
        ----------
        cell : dict
        config : mapping
            Settings of the run; empty where they are not known.
        """
        settings = (config.get("head") or {}) if isinstance(config.get("head"), Mapping) else {}
        name, recorded = cell["head"], cell.get("head_parameters") or {}
        made = made_of(self.task.registry("head"), name, recorded, settings.get(name))
        yield self.head, head_label(cell), getattr(made, "references", None)

    # -- Words.

    @property
    def name_in_headings(self) -> str:
        """``verification``."""
        return self.heading or self.task.title.lower()

    def title(self, measure: str) -> str:
        """Short title of a measure."""
        return self.titles.get(measure, measure.replace("_", " "))

    def long_title(self, measure: str) -> str:
        """Title of a measure on the page."""
        return self.long_titles.get(measure, self.title(measure))

    def key_title(self, key: str) -> str:
        """Title of one of the task's keys, on the page."""
        return self.key_titles.get(key, key.replace("_", " ").capitalize())

    # -- Text.

    def text(self, cells: Sequence[Cell], *, explained: bool = True) -> str:
        """The table for the terminal, a block per data set and backbone.

        Parameters
        ----------
        cells : sequence of dict
        explained : bool
            Whether a legend explains the columns.
        """
        return measured_text(self, cells, explained=explained)

    def recommended(self, cells: Sequence[Cell]) -> tuple[Sequence[Cell], Sequence[str]]:
        """Cells with the estimators alone that a terminal shows unasked, and names of the others.

        By default the cells as they are.
        """
        return cells, ()

    def markdown(self, cells: Sequence[Cell]) -> str:
        """The same numbers as GitHub-flavoured Markdown tables."""
        return measured_markdown(self, cells)

    def about(self, cells: Sequence[Cell]) -> str:
        """A line above the table on what all its cells share."""
        return protocol_text(cells)

    def legend(self, cells: Sequence[Cell]) -> dict[str, str]:
        """Titles of columns of the table, and what they mean."""
        meanings = {self.title(name): text for name, text in self.meanings.items()}
        if self.over_episodes:
            meanings["±"] = self.population
        if any(title == OTHER_CLASSES for title, _ in self.table_columns(cells)):
            meanings[OTHER_CLASSES] = OTHER
        return meanings

    def table_columns(self, cells: Sequence[Cell]) -> list[Column]:
        """Columns of the table of cells of a data set and backbone: titles and texts of a cell."""
        return columns_of(self, cells)

    def further_columns(self, cells: Sequence[Cell]) -> dict[str, Callable[[Cell], str]]:
        """Further columns of the table: titles, and functions from a cell to its text."""
        return {}

    def lines(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """Sentences on the cells of one data set: what is best, and whether clearly."""
        return best_lines(self, [cell for cell, _ in evaluated])

    def brief(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """Those of `lines` that a terminal shows above its table: the first and the last."""
        return ends(self.lines(evaluated))

    def about_best(self, cells: Sequence[Cell]) -> str:
        """A clause on the best cells, one per seed, that ends their sentence; none by default."""
        return ""

    def overall(self, datasets: Sequence[Sequence[EvaluatedCell]]) -> list[str]:
        """Sentences over several data sets; none by default."""
        return []

    # -- Figures.

    @property
    def plots(self) -> Mapping[str, str]:
        """Kinds of figures by the word that asks for them, in `Results.plot`."""
        return {"shots": f"{self.task.name}_vs_shots"}

    def chance(self, cells: Sequence[Cell], measure: str) -> float | None:
        """About what a measure of cells would be by chance, drawn as a level; None if unknown."""
        return None

    def figures(self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]) -> list[Plot]:
        """Figures for papers, those for which there is data.

        Parameters
        ----------
        cells : sequence of dict
        rows : mapping of str to DataFrame
            Tables of the task by name.
        """
        from fewshot.report.figures.measured import measured_figures

        return measured_figures(self, cells)

    # -- The page.

    def evaluated(
        self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]
    ) -> list[EvaluatedCell]:
        """Cells with their rows, of which the page shows points; None without points."""
        return [(cell, None) for cell in cells]

    def lines_on_page(self, cells: Sequence[Cell]) -> list[Chart]:
        """Charts of lines of one data set and backbone that the page shows as on paper."""
        return []

    def details(
        self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]
    ) -> Sequence[Details | None]:
        """Charts and pictures of every cell, in their order; None of cells without any.

        Parameters
        ----------
        cells : sequence of dict
        rows : mapping of str to DataFrame
            Tables of the task by name.
        """
        return [None for _ in cells]

    def measures(self, cell: Cell) -> list[MeasureEntry]:
        """Measures of a cell with their intervals; the one for ranking comes first."""
        return [
            entry for measure in self.task.measures for entry in self._entries_of(cell, measure)
        ]

    def _entries_of(self, cell: Cell, measure: Measure) -> Iterator[MeasureEntry]:
        for entry in self.task.entries(cell, measure.name):
            intervals = intervals_of(self.task, entry, measure.name)
            if intervals:
                at = cast("float | str", entry.get(measure.of.name)) if measure.of else None
                yield measure_entry(measure.name, measure.better, intervals, at=at)

    def comparisons(self, cell: Cell) -> list[PairEntry]:
        """Paired differences of a cell from others on the same episodes.

        By default those of ``comparisons`` of the summary: ``first`` and ``second`` are heads, and
        each measure has an interval or intervals by population.
        """
        pairs = []
        for row in comparisons_of(cell):
            for measure in self.task.measures:
                gap = main_interval(by_population(row.get(measure.name)))
                if gap is not None:
                    pairs.append(pair_entry(row["first"], row["second"], measure.name, gap))
        return pairs

    def predictions(self, cell: Cell, rows: CellRows | None) -> Predictions:
        """Estimators of the error of a cell, with its rows as of `evaluated`; none by default."""
        return NO_PREDICTIONS

    def number(self, cell: Cell, number: Number) -> float | None:
        """One of the `numbers` of a cell; None if it is not known."""
        value = cast("float | None", cell.get(number.key))
        return value if is_number(value) else None

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """Further facts on how the numbers of a cell were made: names and texts."""
        return [(self.title(name), text) for name, text in self.meanings.items()]

    def main_value(self, cell: Cell) -> float | None:
        """The main measure of a cell, for ranks; None where it has none."""
        main = self.task.measures[0]
        entry = next(iter(self.task.entries(cell, main.name)), None)
        value = None if entry is None else self.task.value(entry, main.name)
        return None if value is None else value.mean

    def _place(self) -> str:
        settings = {"ways": "{ways}-way", "shots": "{shots}-shot"}
        where = [settings.get(name, f"{name} {{{name}}}") for name in self.settings]
        head = "with {head}" if where else "{head}"
        # Unlabelled images are named where cells differ in them.
        keys = (f"{{{key}}}" for key in self.task.keys if key not in EPISODIC_KEYS)
        return ", ".join([" ".join([*where, head]), *keys])

    def page(self) -> dict[str, Any]:
        """Words and properties by which the page's script shows the cells."""
        measures = {
            measure.name: {
                "title": self.long_title(measure.name),
                "short": self.title(measure.name),
                "better": measure.better,
                "fraction": measure.fraction,
            }
            for measure in self.task.measures
        }
        return {
            "title": self.task.title,
            "tables": [table.name for table in self.task.tables],
            "measures": measures,
            "head": self.head,
            "heads": self.heads,
            "episode": self.episode,
            "queries": self.queries,
            "timed_together": self.timed_together,
            "cost_caption": self.cost_caption,
            "place": self.place or self._place(),
            "numbers": [asdict(number) for number in self.numbers],
            "settings": list(self.settings),
            "keys": {key: self.key_title(key) for key in self.task.keys},
            "axis": asdict(self.axis),
            "parts": None if self.parts is None else asdict(self.parts),
            "error_of": self.error_of,
            "sections": sorted(self.sections),
        }
