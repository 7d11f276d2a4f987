"""Groups of images on the page of labels: those to look at, and the others by class."""

from __future__ import annotations

from typing import NamedTuple

from fewshot.report.labels.summary import chance_text
from fewshot.report.static.pictures import Picture, Pictures
from fewshot.tasks.classification.labelling.labels import Label, LabelledImages, doubt_first
from fewshot.units import joined, short_percent

SHOWN_CARDS = 120  # images to look at of a kind
SHOWN_CLASSES = 200
# Images that nobody has to look at: in all, and of a class.
SHOWN_OTHERS, FEWEST, MOST = 600, 3, 48
TILE = 88  # pixels
SHOWN_SET = 5  # classes of a set by name


class Bar(NamedTuple):
    """A class with its probability, as text and as a width in percent."""

    name: str
    probability: str
    width: float


class Card(NamedTuple):
    """An image to look at; `shown` is its file without the common folder."""

    shown: str
    label: str
    bars: tuple[Bar, Bar]
    reason: str
    picture: Picture | None


class Cards(NamedTuple):
    """Images to look at; `more` are not listed."""

    cards: tuple[Card, ...]
    more: int


class Tile(NamedTuple):
    """An image that nobody has to look at; `name` is the last part of its path."""

    shown: str
    name: str
    probability: str
    picture: Picture | None


class ClassTiles(NamedTuple):
    """Such images of a class, the least probable first; `more` are not listed."""

    name: str
    total: int
    tiles: tuple[Tile, ...]
    more: int


class CountRow(NamedTuple):
    """Images with a label, those of them to look at, and their share of the most frequent label."""

    name: str
    images: int
    look: int
    width: float


def look_cards(labels: LabelledImages, pictures: Pictures, folder: str) -> Cards:
    """Images to look at as their labels are not probable enough, the least probable first."""
    rows = [row for row in labels.doubtful if row.look and not row.none_of_these]
    return _cards(rows, labels, pictures, folder)


def none_cards(labels: LabelledImages, pictures: Pictures, folder: str) -> Cards:
    """Images that look like none of the classes."""
    rows = [row for row in labels.doubtful if row.none_of_these]
    return _cards(rows, labels, pictures, folder)


def _cards(rows: list[Label], labels: LabelledImages, pictures: Pictures, folder: str) -> Cards:
    cards = tuple(_card(row, labels, pictures, folder) for row in rows[:SHOWN_CARDS])
    return Cards(cards, len(rows) - len(cards))


def _card(row: Label, labels: LabelledImages, pictures: Pictures, folder: str) -> Card:
    bars = (
        _bar(row.label, row.probability),
        _bar(row.runner_up, row.runner_up_probability),
    )
    picture = Picture(pictures.of_other(row.file), row.file) if pictures.any else None
    return Card(row.file.removeprefix(folder), row.label, bars, reason(row, labels), picture)


def _bar(name: str, probability: float) -> Bar:
    return Bar(name, chance_text(probability), round(100 * probability, 2))


def reason(row: Label, labels: LabelledImages) -> str:
    """Why an image is to be looked at; empty where what is said of its group is all there is."""
    level, count = short_percent(labels.level), len(row.classes)
    if row.none_of_these or count == 1:
        return ""
    names = joined(row.classes) if count <= SHOWN_SET else f"{count:,} classes"
    return f"In doubt between {names} ({level}\N{NO-BREAK SPACE}set)."


def class_tiles(
    labels: LabelledImages, pictures: Pictures, folder: str
) -> tuple[list[ClassTiles], int]:
    """Labels that nobody has to look at by class, and the number of classes not listed."""
    by_class: dict[str, list[Label]] = {name: [] for name in labels.counts}
    for row in labels.accepted:
        by_class[row.label].append(row)
    filled = {name: doubt_first(rows) for name, rows in by_class.items() if rows}
    shown = list(filled.items())[:SHOWN_CLASSES]
    most = min(MOST, max(FEWEST, SHOWN_OTHERS // max(1, len(shown))))
    groups = [
        ClassTiles(
            name,
            len(rows),
            tuple(_tile(row, pictures, folder) for row in rows[:most]),
            max(0, len(rows) - most),
        )
        for name, rows in shown
    ]
    return groups, len(filled) - len(shown)


def _tile(row: Label, pictures: Pictures, folder: str) -> Tile:
    shown = row.file.removeprefix(folder)
    name = shown.replace("\\", "/").rpartition("/")[2]
    picture = Picture(pictures.of_other(row.file, TILE), shown) if pictures.any else None
    return Tile(shown, name, chance_text(row.probability), picture)


def count_rows(labels: LabelledImages) -> list[CountRow]:
    """A row per label, the most frequent first."""
    counts = labels.counts
    look = dict.fromkeys(counts, 0)
    for row in labels.rows:
        look[row.label] += row.look
    most = max(counts.values(), default=1)
    return [
        CountRow(name, count, look[name], round(100 * count / most, 2))
        for name, count in counts.items()
    ]
