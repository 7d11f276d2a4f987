"""Labelled images that look wrong: copies, likely mislabelled, outliers, unreadable, poor ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset
from fewshot.features.bank import FeatureBank
from fewshot.statistics.doubts import label_doubts, outlier_chances
from fewshot.tasks.classification.forecast.suspect_pixels import (
    CopySets,
    Measured,
    copy_sets,
    measure_images,
    poor_images,
)

KINDS = ("unreadable", "copy", "near-copy", "mislabelled", "outlier", "tiny", "blurred")
LEVEL = 0.1
# Difference of margins, in units of the variance within classes, from which on the other images
# speak for one of two labels of the same picture.
CLEARLY = 1.0


@dataclass(frozen=True)
class Suspect:
    """A labelled image that somebody should look at.

    Attributes
    ----------
    file : str
        As the data set names it; the row's number of features without names.
    label : str
        The class that it is filed under.
    kind : str
        One of `KINDS`.
    reason : str
        In words, with the figure that it rests on.
    chance : float or None
        How probable an image at least as odd is among the images of a task in which nothing is
        wrong, in [0, 1]; None where there is no doubt, as of a file that cannot be read.
    other : str or None
        Class that it looks like, or file that it is a copy of.
    """

    file: str
    label: str
    kind: str
    reason: str
    chance: float | None = None
    other: str | None = None


@dataclass(frozen=True)
class LabelDoubt:
    """How much speaks against the label of an image, whether or not it is a suspect.

    Attributes
    ----------
    file, label : str
    other : str
        The class that it is nearest to, of the others.
    margin : float
        By how much it is nearer to its class, in units of the variance within classes.
    chance : float
        As of `Suspect`.
    """

    file: str
    label: str
    other: str
    margin: float
    chance: float


@dataclass(frozen=True, eq=False)
class Doubts:
    """What the features say of the labels of all images.

    Attributes
    ----------
    margins : ndarray of shape (M,)
        See `fewshot.statistics.LabelDoubts`; NaN where nothing can be said.
    rivals : ndarray of shape (M,), int64
        Class numbers; -1 where nothing can be said.
    chances, outliers : ndarray of shape (M,)
        Chance rates of a margin as low and of an image as far from all classes.
    ranks : ndarray of shape (M,), int64
        0 for the label in the greatest doubt; images that are not judged come last.
    """

    margins: NDArray
    rivals: NDArray
    chances: NDArray
    outliers: NDArray
    ranks: NDArray


class Examined(NamedTuple):
    """What is known of labelled images.

    Attributes
    ----------
    suspects : list of Suspect
        Those that are most surely wrong first.
    doubts : list of LabelDoubt
        All images of which something can be said, the label in the greatest doubt first.
    """

    suspects: list[Suspect]
    doubts: list[LabelDoubt]


def suspects(
    bank: FeatureBank,
    images: ImageDataset | None,
    skipped: Sequence[Mapping[str, Any]] = (),
    *,
    level: float = LEVEL,
) -> list[Suspect]:
    """Images that look wrong, those that are most surely so first: as of `examined`."""
    return examined(bank, images, skipped, level=level).suspects


def examined(
    bank: FeatureBank,
    images: ImageDataset | None,
    skipped: Sequence[Mapping[str, Any]] = (),
    *,
    level: float = LEVEL,
) -> Examined:
    """Images that look wrong, and how much speaks against the labels of all.

    Of the suspects first come files that cannot be read and copies across classes, one of whose
    labels is wrong for sure; then whatever is a matter of chance, the least probable first; then
    copies within a class and tiny images, which are certain but may be meant.

    Parameters
    ----------
    bank : FeatureBank
        Features of the labelled images.
    images : ImageDataset, optional
        The images themselves; without them nothing is said of their pixels.
    skipped : sequence of mapping
        ``path`` and ``reason`` of images that could not be read.
    level : float
        Chance rate below which an image is on the list, of each kind, in (0, 1).
    """
    files = _files(bank)
    measured = None if images is None else measure_images(images, _rows(bank, images))
    copies = copy_sets(bank, measured)
    labels = np.asarray(bank.labels)
    poor = [] if measured is None else list(poor_images(measured, labels, level))
    doubts = doubts_of_bank(bank, copies, [entry.row for entry in poor if entry.empty])
    doubts.outliers[[entry.row for entry in poor]] = 1.0  # for a reason that is said
    entries = [
        *_unreadable(bank, images, skipped, measured, files),
        *_copies(bank, files, copies, doubts),
        *_doubtful(bank, files, copies, doubts, level),
        *(Suspect(files[entry.row], _label(bank, entry.row), *entry[1:4]) for entry in poor),
    ]
    classes = dict(zip(files, bank.labels.tolist(), strict=True))
    ordered = sorted(entries, key=lambda entry: _order(entry, bank, classes))
    return Examined(ordered, _ranked(bank, files, doubts))


def _ranked(bank: FeatureBank, files: Sequence[str], doubts: Doubts) -> list[LabelDoubt]:
    return [
        LabelDoubt(
            files[row],
            _label(bank, row),
            str(bank.classnames[int(doubts.rivals[row])]),
            float(doubts.margins[row]),
            float(doubts.chances[row]),
        )
        for row in map(int, np.argsort(doubts.ranks, kind="stable"))
        if doubts.rivals[row] >= 0
    ]


def doubts_of_bank(
    bank: FeatureBank, copies: CopySets | None = None, empty: Sequence[int] = ()
) -> Doubts:
    """Doubts about the labels of all images of a bank, whether or not they make the list.

    Images of a class that are copies of each other count once, as a copy would vouch for the label
    of the other. Those that are in several classes are judged by the other images alone. Rows of
    `empty` images are left out.
    """
    copies = copy_sets(bank, None) if copies is None else copies
    size = len(bank.labels)
    doubts = Doubts(
        np.full(size, np.nan), np.full(size, -1), np.ones(size), np.ones(size), np.arange(size)
    )
    judged = copies.first_in_class.copy()
    judged[list(empty)] = False
    labels = np.asarray(bank.labels)
    classes = np.unique(labels[judged])
    if len(classes) < 2:
        return doubts
    members = [np.flatnonzero((labels == c) & judged) for c in classes]
    rows = np.full((len(classes), max(map(len, members))), -1)
    for n, row in enumerate(members):
        rows[n, : len(row)] = row
    mask = rows >= 0
    features = bank.take(torch.from_numpy(rows.clip(0).ravel())).float()
    features = features.view(1, *rows.shape, -1)
    counted = mask & ~copies.across[rows.clip(0)]
    masks = [torch.from_numpy(entry)[None] for entry in (mask, counted)]
    found = label_doubts(features, *masks)
    chosen = rows[mask]
    doubts.margins[chosen] = found.margins[0].numpy()[mask]
    doubts.rivals[chosen] = classes[found.rivals[0].numpy()[mask]]
    doubts.rivals[np.isnan(doubts.margins)] = -1
    doubts.chances[chosen] = found.chances[0].numpy()[mask]
    doubts.outliers[chosen] = outlier_chances(features, *masks)[0].numpy()[mask]
    rest = np.flatnonzero(~judged)
    doubts.ranks[chosen] = found.ranks[0].numpy()[mask]
    doubts.ranks[rest] = len(chosen) + np.arange(len(rest))
    return doubts


def _rows(bank: FeatureBank, images: ImageDataset) -> NDArray:
    """Row of every image of the bank in the data set: both are in the same order."""
    if len(images) == len(bank.labels):
        return np.arange(len(images))
    unread = {int(image["row"]) for image in bank.info.get("skipped", ()) if "row" in image}
    rows = np.array([row for row in range(len(images)) if row not in unread], np.int64)
    if len(rows) == len(bank.labels):
        return rows
    by_path = {path: row for row, path in enumerate(images.paths)}
    return np.array([by_path.get(path, -1) for path in _files(bank)], np.int64)


def _files(bank: FeatureBank) -> list[str]:
    """Names of the images, row numbers where there are none."""
    if bank.paths is None:
        return [str(row) for row in range(len(bank.labels))]
    return [str(path) for path in bank.paths]


def _label(bank: FeatureBank, row: int) -> str:
    return bank.classnames[int(bank.labels[row])]


def _order(entry: Suspect, bank: FeatureBank, classes: Mapping[str, int]) -> tuple[int, float, int]:
    """What entries are sorted by."""
    kind = KINDS.index(entry.kind)
    if entry.kind == "unreadable":
        return 0, 0.0, kind
    if entry.kind in ("copy", "near-copy"):
        across = bank.classnames[classes[str(entry.other)]] != entry.label
        return (1 if across else 3), 0.0, kind
    return (3, 0.0, kind) if entry.chance is None else (2, entry.chance, kind)


def _unreadable(
    bank: FeatureBank,
    images: ImageDataset | None,
    skipped: Sequence[Mapping[str, Any]],
    measured: Measured | None,
    files: Sequence[str],
) -> Iterator[Suspect]:
    label_of = {}
    if images is not None:
        names = (images.classnames[int(c)] for c in images.labels)
        label_of = dict(zip(images.paths, names, strict=True))
    # The same image is skipped once per backbone.
    for path, reason in {str(image["path"]): str(image["reason"]) for image in skipped}.items():
        yield Suspect(path, label_of.get(path, path.rpartition("/")[0]), "unreadable", reason)
    for row, reason in (measured.unreadable if measured else {}).items():
        yield Suspect(files[row], _label(bank, row), "unreadable", reason)


def _copies(
    bank: FeatureBank, files: Sequence[str], copies: CopySets, doubts: Doubts
) -> Iterator[Suspect]:
    """Every copy but one of its set: whose label fits best if these differ, else the largest."""
    for rows in copies.sets:
        fit = np.nan_to_num(doubts.margins[rows], nan=-np.inf)
        misfit = np.where(copies.across[rows], -fit, 0.0)
        best = np.lexsort((rows, -copies.pixels[rows], misfit))[0]
        kept, other = int(rows[best]), _label(bank, rows[best])
        for row in map(int, np.delete(rows, best)):
            label = _label(bank, row)
            same = copies.identical(kept, row)
            text = f"{'' if same else 'nearly '}the same picture as {files[kept]!r}"
            if label != other:
                surely = "is" if same else "is probably"
                text += f" of {other}: one of the two labels {surely} wrong"
                if np.isfinite(fit).all() and fit[best] - fit[rows == row].max() > CLEARLY:
                    text += f", and the other images speak for {other}"
            yield Suspect(
                files[row], label, "copy" if same else "near-copy", text, None, files[kept]
            )


def _doubtful(
    bank: FeatureBank, files: Sequence[str], copies: CopySets, doubts: Doubts, level: float
) -> Iterator[Suspect]:
    """Likely mislabelled images and outliers, the former in the order of their ranks."""
    for row in map(int, np.argsort(doubts.ranks, kind="stable")):
        label = _label(bank, row)
        if copies.across[row]:
            continue  # said with the copy
        if doubts.chances[row] < level:
            other = bank.classnames[int(doubts.rivals[row])]
            text = (
                f"closer to {other} than to the other images of {label}, by "
                f"{-doubts.margins[row]:.2g} times the variance within classes"
            )
            chance = float(doubts.chances[row])
            yield Suspect(files[row], label, "mislabelled", text, chance, other)
        elif doubts.outliers[row] < level:
            text = f"far from the other images of {label}, and from all other classes"
            yield Suspect(files[row], label, "outlier", text, float(doubts.outliers[row]))
