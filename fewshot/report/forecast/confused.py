"""Which classes are confused, as pairs and as a matrix, for the page of a forecast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.tasks.classification.forecast.confusion import ConfusedPair, Confusion
from fewshot.units import rough_percent

PAIRS = 20
MATRIX = 30
SHADES = 10
NAMED = 3
LEAST = 0.01  # of all errors: pairs with less are counted alone, unless all are so
DARKEST = 0.4  # share of a class's images at which a cell has the deepest shade


class MatrixCell(NamedTuple):
    """A share as text, the place of its shade, and whether it is on the diagonal."""

    text: str
    shade: int
    right: bool


class MatrixRow(NamedTuple):
    """A class and the labels that its images get."""

    name: str
    cells: tuple[MatrixCell, ...]


class Confused(NamedTuple):
    """Pairs of classes with shares as text, and the matrix of some classes.

    `together` is the share of the worst `NAMED` pairs in all errors, empty where there are no
    others; `more` the number of pairs that are not listed; `classes` that of all classes.
    """

    pairs: tuple[tuple[str, str, str, str, str], ...]
    more: int
    together: str
    matrix: tuple[MatrixRow, ...]
    classes: int


def confused(confusion: Confusion | None) -> Confused | None:
    """The confusion of a task; None where it is not known."""
    if confusion is None:
        return None
    pairs = confusion.pairs()
    listed = [pair for pair in pairs if pair.share >= LEAST][:PAIRS] or pairs[:PAIRS]
    rows = _chosen(confusion, pairs)
    names = [confusion.classes[row] for row in rows]
    matrix = tuple(
        MatrixRow(name, tuple(_cell(confusion.shares, c, j) for j in rows))
        for name, c in zip(names, rows, strict=True)
    )
    texts = tuple(
        (
            pair.first,
            pair.second,
            rough_percent(pair.share),
            rough_percent(pair.first_as_second),
            rough_percent(pair.second_as_first),
        )
        for pair in listed
    )
    together = rough_percent(sum(pair.share for pair in pairs[:NAMED]))
    return Confused(
        texts,
        len(pairs) - len(listed),
        together if len(pairs) > NAMED else "",
        matrix,
        len(confusion.classes),
    )


def _chosen(confusion: Confusion, pairs: list[ConfusedPair]) -> list[int]:
    """Rows of the matrix: all classes if these are few, else those of the worst pairs, in order."""
    if len(confusion.classes) <= MATRIX:
        return list(range(len(confusion.classes)))
    place = {name: c for c, name in enumerate(confusion.classes)}
    chosen: dict[int, None] = {}
    for pair in pairs:
        both = [place[name] for name in (pair.first, pair.second) if place[name] not in chosen]
        if len(chosen) + len(both) <= MATRIX:
            chosen |= dict.fromkeys(both)
        if len(chosen) == MATRIX:
            break
    return sorted(chosen)


def _cell(shares: NDArray, c: int, j: int) -> MatrixCell:
    share = float(shares[c, j])
    if c == j:
        return MatrixCell(f"{100 * share:.0f}", 0, True)
    shade = int(np.ceil(SHADES * min(share / DARKEST, 1.0))) if share >= 0.005 else 0
    return MatrixCell(f"{100 * share:.0f}", shade, False)
