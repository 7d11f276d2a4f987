"""Names of classes and files that the page shows, each said once and then called by a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fewshot.report.run_files import RunFolder

LARGEST = 0xFFFF - 1


@dataclass(eq=False)
class DatasetNames:
    """Of one data set: numbers by name, in the order in which they were met.

    Attributes
    ----------
    classnames, files : dict of str to int
    run : RunFolder or None
        One that knows how to open the data set.
    """

    classnames: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    run: RunFolder | None = None


class NameBook:
    """The names of all data sets of a page."""

    def __init__(self) -> None:
        self.datasets: dict[str, DatasetNames] = {}

    def of(self, dataset: str) -> DatasetNames:
        """Of one data set, which may be new."""
        return self.datasets.setdefault(str(dataset), DatasetNames())

    def classes(self, dataset: str, names: Iterable[str]) -> list[int]:
        """Numbers of class names; beyond 65,534 classes all others share the last one."""
        book = self.of(dataset).classnames
        return [min(book.setdefault(name, len(book)), LARGEST) for name in names]

    def files(self, dataset: str, rows: NDArray, run: RunFolder) -> NDArray:
        """Numbers of the files of rows of the features, any shape; -1 where there is none."""
        own = self.of(dataset)
        own.run = own.run or run
        unique, place = np.unique(rows, return_inverse=True)
        numbers = [
            own.files.setdefault(run.files[row], len(own.files)) if row in run.files else -1
            for row in unique.tolist()
        ]
        return np.array(numbers, dtype=np.int64)[place].reshape(rows.shape)
