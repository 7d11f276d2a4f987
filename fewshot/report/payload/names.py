"""Names of classes and files on the page, stored once and referred to by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fewshot.report.payload.run_files import RunFolder

LARGEST = 0xFFFF - 1


@dataclass(eq=False)
class DatasetNames:
    """Numbers by name of one data set, in order of appearance.

    Attributes
    ----------
    classnames, files : dict of str to int
    run : RunFolder or None
        A run whose configuration opens the data set.
    locations : set of str
        Locations of the data set in the runs' configurations; several mean different data sets.
    """

    classnames: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    run: RunFolder | None = None
    locations: set[str] = field(default_factory=set)


class NameBook:
    """The names of all data sets of a page.

    Attributes
    ----------
    datasets : dict of str to DatasetNames
    bytes_left : float
        Budget for new file names; files beyond it are not named.
    """

    def __init__(self) -> None:
        self.datasets: dict[str, DatasetNames] = {}
        self.bytes_left = 0.0

    def of(self, dataset: str) -> DatasetNames:
        """Names of a data set, created on first use."""
        return self.datasets.setdefault(str(dataset), DatasetNames())

    def add_location(self, dataset: str, run: RunFolder) -> None:
        """Record the location of a run's data set, if its configuration has one."""
        if run.location:
            self.of(dataset).locations.add(run.location)

    def classes(self, dataset: str, names: Iterable[str]) -> list[int]:
        """Numbers of class names; beyond 65,534 classes all others share the last one."""
        book = self.of(dataset).classnames
        return [min(book.setdefault(name, len(book)), LARGEST) for name in names]

    def files(self, dataset: str, rows: NDArray, run: RunFolder) -> NDArray:
        """Numbers of the files of rows of the features, any shape; -1 where there is none."""
        book = self.of(dataset)
        book.run = book.run or run
        # In the order of the episodes: once the budget is spent, the last ones have no names.
        numbers = {
            row: self._file(book, run.files.get(row))
            for row in dict.fromkeys(rows.ravel().tolist())
        }
        unique, place = np.unique(rows, return_inverse=True)
        file_numbers = [numbers[row] for row in unique.tolist()]
        return np.array(file_numbers, dtype=np.int64)[place].reshape(rows.shape)

    def _file(self, book: DatasetNames, name: str | None) -> int:
        if name is None:
            return -1
        if name not in book.files:
            cost = len(name.encode("utf-8", "replace")) + 3
            if cost > self.bytes_left:
                return -1
            self.bytes_left -= cost
        return book.files.setdefault(name, len(book.files))
