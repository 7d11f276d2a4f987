"""Results of an evaluation: cells as data frames, compared, drawn, reported, saved and loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from fewshot.estimators.calibration.transferred import General
from fewshot.evaluation.folder import write_folder, write_rows
from fewshot.exceptions import FewshotError, expect, expect_choice, suggestion
from fewshot.features.bank import FeatureBank
from fewshot.files import plain_name, writing
from fewshot.report.text.terminal import (
    CHOICES,
    RECOMMENDED,
    Estimators,
    brief_answer,
    terminal_text,
)
from fewshot.report.wording import display_name
from fewshot.results.cells import CellStore, load_run
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.querying import cells_table
from fewshot.results.reading import identity
from fewshot.results.result import Result, join_rows
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.tasks import table_columns, task_named
from fewshot.tasks.base import RunData, TaskOutput, dataset_label, head_label
from fewshot.units import decimal, percent, plus_minus

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fewshot.report.citing.citation import Citation
    from fewshot.results.schema import CellSummary, RunSummary
    from fewshot.tasks.classification.schema import ClassificationSummary


@dataclass(frozen=True, eq=False)
class Results:
    """Cells of one evaluation: every head, number of shots and seed.

    Attributes
    ----------
    cells : list of Result
        One per head, number of shots and seed, each with its rows and its summary, a dict.
    run : RunSummary
        Summary of the whole run: when and where it was made, its data, what was left out, what
        failed; with the summaries of the cells, as in ``summary.json``.
    single : bool
        Whether one cell was asked for, by a head, a number of shots and a seed.
    parts : tuple of Results
        What was joined by `Results.join`; else empty.
    """

    cells: list[Result]
    run: RunSummary
    single: bool = False
    output: TaskOutput | None = field(default=None, repr=False)
    folder: Path | None = field(default=None, repr=False)
    parts: tuple[Results, ...] = field(default=(), repr=False)

    @classmethod
    def join(cls, results: Iterable[Results]) -> Results:
        """Results of several evaluations as one, to compare backbones or data sets.

        Parameters
        ----------
        results : iterable of Results
            At least one, none of which has a cell of another. `compare` finds the episodes that
            they share.

        Raises
        ------
        FewshotError
            None, or the same cell twice.

        Examples
        --------
        >>> import numpy as np, fewshot
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(np.arange(6), 20)
        >>> features = rng.normal(size=(6, 32))[labels] + rng.normal(size=(120, 32))
        >>> of = {"wide": features, "narrow": features[:, :4]}
        >>> results = fewshot.Results.join(
        ...     fewshot.evaluate(x, labels, backbone=name, episodes=50) for name, x in of.items()
        ... )
        >>> pairs = results.compare("wide", "narrow", of="backbone")
        >>> bool(pairs["lower"].item() > 0)
        True
        """
        parts = tuple(results)
        expect(bool(parts), "results", "expected at least one, got none")
        cells = [cell for part in parts for cell in part.cells]
        known: set[tuple[Any, ...]] = set()
        for cell in cells:
            key = identity(cell.summary)
            expect(key not in known, "results", f"two of them have {_cell_text(cell.summary)}",
                   "Features have names: fewshot.evaluate(..., backbone=NAME).")  # fmt: skip
            known.add(key)
        run = {
            **parts[-1].run,
            "cells": [cell.summary for cell in cells],
            "left_out": [entry for part in parts for entry in part.run.get("left_out", [])],
            "failed": [entry for part in parts for entry in part.run.get("failed", [])],
        }
        return cls(cells, cast("RunSummary", run), parts=parts)

    # -- Data frames.

    @property
    def episodes(self) -> pd.DataFrame:
        """One row per episode: ``head``, ``shots``, ``seed``, ``episode``, ``actual_error`` ..."""
        return self.rows("episodes")

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per episode and estimator: ``predicted_error``, ``actual_error`` ..."""
        return self.rows("predictions")

    @property
    def classes(self) -> pd.DataFrame:
        """One row per class: its ``accuracy`` over all ``queries``, ``lower`` and ``upper``."""
        return self.rows("classes")

    @property
    def confusion(self) -> pd.DataFrame:
        """One row per pair that was confused: ``class``, ``taken_for``, number of ``queries``.

        ``opportunities`` are the queries of the class in the episodes that have both.
        """
        return self.rows("confusion")

    def rows(self, table: str) -> pd.DataFrame:
        """Rows of a table of any task, of all cells."""
        return self.tables.get(table, pd.DataFrame(columns=list(table_columns(table))))

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Rows of all cells by table."""
        return join_rows(self.cells)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per cell: its measures with their intervals, those of estimators, hashes."""
        cells = [cell.summary for cell in self.cells]
        return cells_table({"schema_version": SCHEMA_VERSION, "cells": cells})

    @property
    def summary(self) -> Any:
        """Of several cells the data frame `table`; of a single one its summary, a dict."""
        return self.cells[0].summary if self.single else self.table

    @property
    def calibrator(self) -> General | None:
        """Of a single cell: what base classes taught; ``.save(path)`` keeps it."""
        expect(len(self.cells) == 1, "calibrator", f"expected one cell, got {len(self.cells)}",
               "Take that of one of the cells: results.cells[i].calibrator.")  # fmt: skip
        return self.cells[0].calibrator

    # -- What people read.

    def __repr__(self) -> str:
        return self.text()

    def text(self, estimators: Estimators = RECOMMENDED) -> str:
        """The answer in a few sentences and the table below, as the command line prints them.

        Parameters
        ----------
        estimators : {"recommended", "all"}
            Of the table: auto, where it is one of them, or all.
        """
        expect_choice("estimators", estimators, CHOICES)
        cells = [cell.summary for cell in self.cells]
        how = 'results.text("all")'
        parts = brief_answer(cells, self.tables)
        return terminal_text(parts, cells, estimators=estimators, how=how)

    def _repr_html_(self) -> str:
        from fewshot.report.text.rows import html_text

        return html_text(pd.DataFrame([row for cell in self.cells for row in self._shown(cell)]))

    def _shown(self, cell: Result) -> list[dict[str, Any]]:
        """Rows of the notebook's table: what differs between cells, and their measures."""
        task = task_named(cell.summary["task"])
        first = task.measures[0]
        shown = ("head", "ways", "shots")
        table = self.table
        named = [n for n in task.identity if n in shown or (n in table and table[n].nunique() > 1)]
        rows = []
        for entry in task.entries(cell.summary, first.name):
            row: dict[str, Any] = {name: entry.get(name) for name in named}
            if first.of is not None:
                row[first.of.name] = entry.get(first.of.name)
            for measure in task.measures:
                if measure.of == first.of and (value := task.value(entry, measure.name)):
                    text = plus_minus(*value[:2]) if measure.fraction else decimal(value.mean)
                    row[f"{measure.name} %" if measure.fraction else measure.name] = text
            for name, estimated in _estimators(entry).items():
                title = display_name(name, False, bool(estimated.get("sees_unlabelled")))
                row[f"{title} MAE"] = percent(estimated.get("mae"))
            rows.append(row)
        return rows

    def compare(
        self,
        first: str,
        second: str,
        *others: str,
        of: str = "head",
        measure: str | None = None,
    ) -> pd.DataFrame:
        """Paired differences on the same episodes, first minus second.

        Parameters
        ----------
        first, second, *others : str
            Names of heads; with their variant where there are several, ``lda (shrinkage=0.1)``.
        of : {"head", "backbone"}
        measure : str, optional
            With a value per episode; accuracy, or the main one of the task, by default.

        Returns
        -------
        DataFrame
            A row per pair, number of shots and seed: ``difference`` with its interval over
            episodes (``lower``, ``upper``), ``images_lower`` ... ``classes_upper`` for other images
            and classes, the numbers of episodes in which the first was ``better``, ``equal`` and
            ``worse``, and ``p`` of a sign-flip test.

        Raises
        ------
        FewshotError
            A name that no cell has, no measure by episode, or no episodes that both share.
        """
        from fewshot.results.comparing import compare

        with self._on_disk() as folders:
            found = compare(Store(folders), of, [first, second, *others], None, measure)
        reasons = [left["reason"] for left in found["left_out"]] or ["no cells differ in it alone"]
        expect(bool(found["pairs"]), "compare",
               f"expected {of}s on the same episodes, but {reasons[0]}")  # fmt: skip
        rows = []
        for pair in found["pairs"]:
            row = {key: value for key, value in pair.items() if key not in ("mean", "intervals")}
            for population in ("images", "classes"):
                interval = pair["intervals"].get(population) or {}
                row |= {f"{population}_{side}": interval.get(side) for side in ("lower", "upper")}
            rows.append({"measure": found["measure"], **row, "difference": pair["mean"]})
        first_columns = ["first", "second", "measure", "shots", "seed", "difference", "lower"]
        table = pd.DataFrame(rows)
        named = [name for name in [*first_columns, "upper", "p"] if name in table]
        return table[[*named, *(name for name in table if name not in named)]]

    @contextmanager
    def _on_disk(self) -> Iterator[list[Path]]:
        """Run folders of loaded results; of others temporary ones, without a page."""
        with tempfile.TemporaryDirectory() as place:
            folders = []
            for number, part in enumerate(self.parts or (self,)):
                folders.append(part.folder or Path(place, f"{part._name()}_{number}"))
                if part.folder is None:
                    folders[-1].mkdir()
                    write_rows(folders[-1], part.run, part.cells, part.output)
            yield folders

    def plot(self, kind: str = "shots") -> Figure:
        """A figure of matplotlib, as the report draws it for papers; notebooks show it.

        Parameters
        ----------
        kind : str
            "shots" (the main measure by shots), "predicted" (predicted against actual errors),
            "mae", "calibration", "coverage", or the name of a figure of the task's report.

        Raises
        ------
        FewshotError
            matplotlib is not installed, no such kind, or no data for it.
        """
        from fewshot.report.tasks import cells_by_task, report_of, tables_of
        from fewshot.report.write import check_figures

        check_figures("plot", ["svg"])
        drawn: dict[str, Figure] = {}
        words: dict[str, Figure] = {}
        for name, cells in cells_by_task(cell.summary for cell in self.cells).items():
            report = report_of(name)
            for plot in report.figures(cells, tables_of(task_named(name), self.tables)):
                drawn.setdefault(plot.kind, plot.figure)
            for word, named in report.plots.items():
                if named in drawn:
                    words.setdefault(word, drawn[named])
        known = {**words, **drawn}
        expect(kind in known, "plot", f"these results have no figure {kind!r}",
               suggestion(kind, known))  # fmt: skip
        return known[kind]

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the interactive page, one self-contained HTML file; return its path."""
        from fewshot.report import render_report

        target = Path(path).expanduser()
        if self.parts:
            from fewshot.report import read_report

            with self._on_disk() as folders:
                page = render_report(*read_report(folders))
        else:
            folders = [] if self.folder is None else [self.folder]
            page = render_report(self.run, self.tables, folders)
        with writing("report", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(page, encoding="utf-8", newline="\n")
        return target

    def cite(self) -> Citation:
        """Papers to cite for these results, and a paragraph on their protocol.

        Printed, it is text; ``.bibtex``, ``.latex``, ``.markdown`` and ``.json`` are the same in
        other forms.

        Raises
        ------
        FewshotError
            A part of another package names a paper that there is not.
        """
        from fewshot.report.citing.citation import Citation
        from fewshot.report.citing.parts import CitedRun, config_of

        config = {} if self.folder is None else config_of(self.folder)
        return Citation.of_runs([CitedRun([c.summary for c in self.cells], self.run, config)])

    # -- Files.

    def save(self, runs: str | Path = "runs", name: str | None = None) -> Path:
        """Write a run folder, as the command line does; ``fewshot report`` and ``fewshot results``
        read it.

        Cells that `fewshot.evaluate` has kept in the same folder of runs are forgotten: the run
        folder has them. Loaded results take their episodes and images along.

        Parameters
        ----------
        runs : str or Path
            Folder of runs.
        name : str, optional
            Of the new folder; time, data set and backbone by default.

        Returns
        -------
        Path
            The run folder.

        Raises
        ------
        FewshotError
            The folder cannot be written, or the results were joined.
        """
        expect(not self.parts, "save", "these results were joined, and a run folder has one run",
               "Save the parts: for part in results.parts: part.save(...).")  # fmt: skip
        place = Path(runs).expanduser()
        target = place / (plain_name(name) if name else self._name())
        folder = write_folder(target, self.run, self.cells, self.output, loaded_from=self.folder)
        CellStore(place).forget(self.cells)
        return folder

    def _name(self) -> str:
        from fewshot.evaluation.folder import default_name

        first = self.cells[0].summary
        return default_name(first["dataset"], first["backbone"])

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Load what `save` or the command line wrote.

        Parameters
        ----------
        folder : str or Path
            A run folder.

        Raises
        ------
        FewshotError
            No run folder, several, or a damaged one.
        """
        runs = find_runs([Path(folder).expanduser()], "load")
        expect(len(runs) == 1, "load", f"expected one run, got {len(runs)} under {str(folder)!r}",
               "Give one of them, or join them with `fewshot report`.")  # fmt: skip
        summary, cells = load_run(runs[0])
        return cls(cells, summary, len(cells) == 1, folder=runs[0])

    @property
    def bank(self) -> FeatureBank:
        """The features that were evaluated.

        Raises
        ------
        FewshotError
            These results were loaded: a run folder has no features. Or their task has none.
        """
        if self.output is None:
            kind = "joined" if self.parts else "loaded"
            raise FewshotError("bank", f"expected results of this session, got {kind} ones")
        if isinstance(self.output.bank, RunData):
            raise FewshotError("bank", "the task of these results takes no features of images")
        return self.output.bank


def _cell_text(cell: CellSummary) -> str:
    """Which cell it is: ``lda on efficientnet_lite0 features of digits, 5-way 1-shot, seed 0``."""
    return (
        f"{head_label(cell)} on {cell['backbone']} features of {dataset_label(cell)}, "
        f"{cell['ways']}-way {cell['shots']}-shot, seed {cell['seed']}"
    )


def _estimators(cell: CellSummary) -> Mapping[str, Mapping[str, Any]]:
    """Estimators of a cell by name; none where its task has none."""
    return cast("ClassificationSummary", cell).get("estimators") or {}
