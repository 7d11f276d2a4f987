"""Lists of images on the page of a forecast: suspects, images to label, labels of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fewshot.report.static.pictures import SMALL_PIXELS, Picture, Pictures
from fewshot.tasks.classification.forecast.next_labels import NextLabel
from fewshot.tasks.classification.forecast.suspects import Suspect
from fewshot.units import percent, rough_percent

SHOWN = 40  # suspects of a kind
SHOWN_LABELS = 200
# Headings of the kinds of suspects, and what the kind means.
MEANING = {
    "unreadable": ("Cannot be read", "Left out of everything on this page."),
    "copy": (
        "Copies",
        "The same picture twice: one of them adds nothing, and filed under two classes, one label "
        "is wrong.",
    ),
    "near-copy": ("Near-copies", "Almost the same picture: cropped, scaled or saved anew."),
    "mislabelled": (
        "Perhaps of another class",
        "Closer to the images of another class than to those of its own. Beside it: an image of "
        "that class.",
    ),
    "outlier": ("Unlike the rest", "Far from all others of the class."),
    "tiny": ("Very small or empty", "Nothing much to tell a class by."),
    "blurred": ("Blurred", "Less detail than the others have."),
}
COPIES = ("copy", "near-copy")
SMALLEST = 0.001  # a chance below it is not told apart


@dataclass(frozen=True)
class SuspectCard:
    """A suspect, with what it is a copy of, or an image of the class it looks like, beside it."""

    file: str
    label: str
    likely: str
    reason: str
    chance: str
    pictures: tuple[Picture, ...]


class SuspectGroup(NamedTuple):
    """Suspects of a kind; `more` are not listed."""

    title: str
    about: str
    total: int
    cards: tuple[SuspectCard, ...]
    more: int


class NextCard(NamedTuple):
    """An image to label, with numbers as text; `shown` is its file without the common folder.

    `gain` is in percentage points, less or more than without it.
    """

    file: str
    shown: str
    likely: str
    probability: str
    error: str
    gain: str
    picture: Picture | None


class LabelRow(NamedTuple):
    """The label of an image; `shown` is its file without the common folder."""

    shown: str
    label: str
    runner_up: str
    probability: str
    picture: Picture | None


def suspect_groups(suspects: Sequence[Suspect], pictures: Pictures) -> list[SuspectGroup]:
    """Suspects by kind; kinds and those within a kind in the order in which they come."""
    doubted = {suspect.file for suspect in suspects}
    groups = []
    for kind in dict.fromkeys(suspect.kind for suspect in suspects):
        listed = [suspect for suspect in suspects if suspect.kind == kind]
        title, about = MEANING.get(kind, (kind.capitalize(), ""))
        cards = tuple(_suspect(entry, pictures, doubted) for entry in listed[:SHOWN])
        groups.append(SuspectGroup(title, about, len(listed), cards, len(listed) - len(cards)))
    return groups


def _suspect(suspect: Suspect, pictures: Pictures, doubted: set[str]) -> SuspectCard:
    return SuspectCard(
        name_of(suspect.file, pictures),
        suspect.label,
        suspect.other or "" if suspect.kind == "mislabelled" else "",
        suspect.reason,
        chance_text(suspect.chance),
        tuple(_pictures(suspect, pictures, doubted)) if pictures.any else (),
    )


def _pictures(suspect: Suspect, pictures: Pictures, doubted: set[str]) -> Iterator[Picture]:
    """The suspect, and the file that it repeats or one of the class that it looks like."""
    alt = f"{suspect.file}, filed under {suspect.label}"
    first = Picture(pictures.of_shot(suspect.file), alt)
    if suspect.other is not None and suspect.kind in COPIES:
        yield first._replace(caption=suspect.file)
        yield Picture(
            pictures.of_shot(suspect.other), f"{suspect.other}, which it repeats", suspect.other
        )
        return
    example = None
    if suspect.other is not None and suspect.kind == "mislabelled":
        example = pictures.example_of(suspect.other, doubted)
    url = None if example is None else pictures.of_shot(example)
    if url is None:
        yield first
    else:
        yield first._replace(caption=suspect.label)
        yield Picture(url, f"{example}, an image of {suspect.other}", str(suspect.other))


def name_of(file: str, pictures: Pictures) -> str:
    """A file as it is, or ``row 3`` of features that have no files."""
    return f"row {file}" if file.isdecimal() and not pictures.any else file


def chance_text(chance: float | None) -> str:
    """``1.2 %``, ``below 0.1 %``; empty where there is no doubt."""
    if chance is None:
        return ""
    return f"below {rough_percent(SMALLEST)}" if chance < SMALLEST else rough_percent(chance)


def next_cards(listed: Sequence[NextLabel], pictures: Pictures, folder: str) -> list[NextCard]:
    """Images to label, the first first; `folder` is left out of what is shown."""
    return [
        NextCard(
            entry.file,
            name_of(entry.file.removeprefix(folder), pictures),
            entry.likely,
            rough_percent(entry.probability),
            f"{percent(entry.error)} %",  # one label changes little
            f"{100 * abs(entry.gain):.2f}\N{NO-BREAK SPACE}points "
            + ("less" if entry.gain >= 0 else "more"),
            Picture(pictures.of_other(entry.file), entry.file) if pictures.any else None,
        )
        for entry in listed
    ]


def label_rows(
    labels: Sequence[Mapping[str, Any]], pictures: Pictures, folder: str
) -> list[LabelRow]:
    """Labels of images, the least probable first."""
    doubtful = sorted(labels, key=lambda row: float(row["probability"]))
    return [
        LabelRow(
            name_of(str(row["file"]).removeprefix(folder), pictures),
            str(row["label"]),
            str(row["runner_up"]),
            rough_percent(float(row["probability"])),
            Picture(pictures.of_other(str(row["file"]), SMALL_PIXELS), "")
            if pictures.any
            else None,
        )
        for row in doubtful[:SHOWN_LABELS]
    ]
