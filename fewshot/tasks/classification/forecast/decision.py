"""What is known of a task of a few labelled images, and what it is decided by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewshot.tasks.classification.forecast.forecast import Forecast
from fewshot.tasks.classification.forecast.learning_curve import Target
from fewshot.tasks.classification.forecast.next_labels import NextLabel
from fewshot.tasks.classification.forecast.suspects import LabelDoubt, Suspect


@dataclass(frozen=True, eq=False)
class Decision:
    """What the terminal, the page, JSON and Python show of a task.

    Attributes
    ----------
    rows : sequence of Forecast
        The best first, which is the one to take.
    sizes : mapping of str to int
        Labelled images per class.
    level : float
        Nominal coverage of the intervals.
    target : Target or None
        None if no error was aimed at, or the learning curve of the best forecast is not known.
    aim : float or None
        Error that is aimed at.
    suspects : sequence of Suspect
    next_labels : sequence of NextLabel
        Empty without unlabelled images.
    unreadable : sequence of str
        Files that could not be read.
    notes : sequence of str
        What was left out of the unlabelled images.
    doubt : LabelDoubt or None
        The label in the greatest doubt, where none is among the suspects.
    """

    rows: Sequence[Forecast]
    sizes: Mapping[str, int]
    level: float
    target: Target | None = None
    aim: float | None = None
    suspects: Sequence[Suspect] = ()
    next_labels: Sequence[NextLabel] = ()
    unreadable: Sequence[str] = ()
    notes: Sequence[str] = ()
    doubt: LabelDoubt | None = None

    @property
    def taken(self) -> Forecast:
        """The forecast of the combination to take."""
        return self.rows[0]

    @property
    def reservations(self) -> dict[str, list[Forecast]]:
        """Every note and warning of a forecast, with the forecasts that it concerns."""
        affected: dict[str, list[Forecast]] = {}
        for row in self.rows:
            for text in dict.fromkeys([*([row.note] if row.note else []), *row.warnings]):
                affected.setdefault(text, []).append(row)
        return affected

    @property
    def per_class(self) -> float:
        """Labelled images per class, on average."""
        return sum(self.sizes.values()) / len(self.sizes)
