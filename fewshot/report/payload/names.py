"""Names of classes and files that the page shows, each said once and then called by a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fewshot.report.payload.run_files import RunFolder

LARGEST = 0xFFFF - 1


@dataclass(eq=False)
class DatasetNames:
    """Of one data set: numbers by name, in the order in which they were met.

    Attributes
    ----------
    classnames, files : dict of str to int
    run : RunFolder or None
        One that knows how to open the data set.
    places : set of str
        Where the data set lay, as the runs say; one is of no help where there are several.
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
        What new names of files may take; files without one are not named.
    """

    def __init__(self) -> None:
        self.datasets: dict[str, DatasetNames] = {}
        self.bytes_left = 0.0

    def of(self, dataset: str) -> DatasetNames:
        """Of one data set, which may be new."""
        return self.datasets.setdefault(str(dataset), DatasetNames())

    def add_location(self, dataset: str, run: RunFolder) -> None:
        """Note where a run's data set lay."""
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
        # In the order of the episodes, of which the last go without where there is no room.
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
