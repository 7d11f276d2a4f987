"""Splits of the classes into base, validation and novel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fewshot.datasets.classnames import composed, nearest
from fewshot.datasets.split_files import read_class_split
from fewshot.datasets.walk import is_file, is_folder
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_positive_int,
    suggestion,
)

WORDS = ("auto", "none", "random")


def assign_parts(
    spec: str | None,
    classnames: Sequence[str],
    dataset_parts: tuple[str, ...] | None,
    base_fraction: float = 0.5,
    seed: int = 0,
    ids: Sequence[Sequence[str]] = (),
) -> tuple[str, ...] | None:
    """Part of every class by the setting ``dataset.split``.

    Parameters
    ----------
    spec : str or None
        "auto" (the split of the data set, if it has one), "none" (no split),
        "random" (`base_fraction` of the classes are base, the rest novel), or a file (or
        a folder) of class names that :func:`~fewshot.datasets.split_files.read_class_split` reads.
    classnames : sequence of C str
    dataset_parts : tuple of C str, or None
        Split that the data set defines.
    base_fraction : float
        In (0, 1), for "random".
    seed : int
        For "random".
    ids : sequence of sequences of C str
        Other identifiers by which a file may name the classes.
    """
    if spec is None or spec == "none":
        return None
    if spec == "auto":
        return dataset_parts
    if spec == "random":
        expect_positive_int("dataset.split_seed", seed, minimum=0)
        return random_parts(len(classnames), base_fraction, seed)
    return _read_parts(Path(str(spec)).expanduser(), [*ids, classnames])


def random_parts(classes: int, base_fraction: float, seed: int) -> tuple[str, ...]:
    """Part of every class, "base" or "novel": a random share of them is base.

    Parameters
    ----------
    classes : int
        C classes.
    base_fraction : float
        In (0, 1); ``round(base_fraction * C)`` classes are base.
    seed : int

    Returns
    -------
    tuple of C str

    Raises
    ------
    FewshotError
        A share that is not between 0 and 1.
    """
    number = isinstance(base_fraction, int | float)
    expect(
        number and 0 < base_fraction < 1,
        "dataset.base_fraction",
        f"expected a number between 0 and 1, got {base_fraction!r}",
    )
    order = np.random.default_rng(seed).permutation(classes)
    base = set(order[: round(base_fraction * classes)].tolist())
    return tuple("base" if c in base else "novel" for c in range(classes))


def _read_parts(path: Path, ways: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Parts from a file that names classes by one of the vocabularies `ways`, in this order."""
    classnames = ways[-1]
    if not is_file(path) and not is_folder(path):
        raise FewshotError(
            "dataset.split",
            f"expected auto, none, random or a readable file, got {str(path)!r}: nothing is there",
            suggestion(str(path), WORDS) if path.name == str(path) else "",
        )
    listed = read_class_split(path)
    part_of = {name: part for part, names in listed.items() for name in names}
    place = {composed(name): c for names in reversed(ways) for c, name in enumerate(names)}
    unknown = sorted(part_of.keys() - place.keys())
    if unknown:
        more = f" (nor {len(unknown) - 1} more that it names)" if len(unknown) > 1 else ""
        raise FewshotError(
            "dataset.split",
            f"{path} names class {unknown[0]!r}, which the data set does not have{more}",
            nearest(unknown[0], [name for names in reversed(ways) for name in names]),
        )
    # Classes that are not in the file are neither base nor novel.
    parts = ["validation"] * len(classnames)
    for name, part in part_of.items():
        parts[place[name]] = part
    return tuple(parts)
