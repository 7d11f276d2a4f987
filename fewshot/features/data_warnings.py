"""Warnings about a data set: what was taken as what, what is left out, labels of -1, copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fewshot.datasets.labels import unlabelled
from fewshot.datasets.unread import unread_warning
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import PIXELS
from fewshot.features.ranges import dominant_column, one_direction

NAMED = 5


def data_warnings(bank: FeatureBank) -> Iterator[str]:
    """Yield warnings of one line each.

    Of what arrays of other names or shapes were taken as (``bank.info["notices"]``), left-out
    folders and files, labels of -1, features without directions, and copies.

    Copies are those of ``bank.info["copies"]``, see :mod:`fewshot.features.copies`.
    """
    yield from bank.info.get("notices", ())
    yield from files_warnings(bank.info)
    if absent := bank.info.get("without_queries"):
        yield (
            f"episodes.queries_from: {bank.info['queries_from']} has no {named(absent)}, left out"
        )
    count = unlabelled(bank.labels, bank.classnames)
    if count:
        yield (
            f"labels: {count} of {len(bank)} are -1, which usually stands for no label; here they "
            "are a class. Drop these rows if they have none"
        )
    if direction := direction_warning(bank):
        yield direction
    if copies := copies_warning(bank.info.get("copies"), len(bank)):
        yield copies


def files_warnings(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield warnings about folders left out and files not read, from ``bank.info``."""
    if left_out := left_out_warning(info.get("left_out") or []):
        yield left_out
    if unread := unread_warning(info.get("unread") or []):
        yield unread


def direction_warning(bank: FeatureBank) -> str | None:
    """A line where unit length, or heads that go by cosine, have next to nothing left."""
    if bank.dim == 1 and bank.normalize == "l2":
        return "features: with one dimension, unit length leaves nothing but the sign"
    if one_direction(bank):
        return (
            "features: all rows point in the same direction; heads that go by cosine or unit "
            "length can tell no class from another"
        )
    if bank.dim == 1:
        return (
            "features: with one dimension, heads that go by cosine or unit length see nothing but "
            "the sign"
        )
    if (column := dominant_column(bank)) is not None:
        return (
            f"features: column {column} has nearly all of the variance, so that distances and "
            "cosines see no other; leave it out or divide every column by its standard deviation"
        )
    return None


def named(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more


def left_out_warning(folders: Sequence[str]) -> str | None:
    """Warning that names left-out folders with images; None if there are none."""
    if not folders:
        return None
    return (
        f"dataset: left out {named(folders)}, which hold images but are no classes of the data set"
    )


def copies_warning(facts: Mapping[str, Any] | None, images: int) -> str | None:
    """Warning about duplicates counted by ``fewshot.features.copies``; None if there are none."""
    if not facts or not facts["images"]:
        return None
    many = facts["images"] > 1
    if facts["by"] == PIXELS:
        same = "look the same as others" if many else "looks the same as another"
    else:
        same = "have the same features as others" if many else "has the same features as another"
    what = "images" if facts["by"] == PIXELS else "rows"
    first, second = facts["first"]
    where = f"{first!r} and {second!r}" if isinstance(first, str) else f"rows {first} and {second}"
    text = f"{facts['images']} of {images} {what} {same}, first {where}"
    if shared := facts["sets_in_several_classes"]:
        text += f"; {shared} such {'sets' if shared > 1 else 'set'} of {what} "
        text += f"{'are' if shared > 1 else 'is'} in several classes"
    return f"dataset: {text}. A copy of a shot among the queries makes accuracy look better"
