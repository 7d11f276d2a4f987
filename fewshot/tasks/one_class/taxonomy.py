"""Distances of classes in a taxonomy: levels up to their lowest common ancestor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.taxonomy import taxonomy_of
from fewshot.exceptions import FewshotError
from fewshot.text.prompts import readable

SETTING = "one_class.negatives"
Ancestors = tuple[tuple[str, ...], ...]


def ancestors_of(
    classnames: Sequence[str], taxonomy: Mapping[str, Sequence[str]] | None = None
) -> Ancestors:
    """The ancestors of every class, from the root down to the group it is in.

    Parameters
    ----------
    classnames : sequence of C str
        Identifiers of the classes.
    taxonomy : mapping of str to sequence of str, optional
        Ancestors by class name, as a data set's card has them; case, underscores and hyphens of
        names are ignored. Without it, names in the form of iNaturalist 2021 are parsed.

    Raises
    ------
    FewshotError
        No taxonomy, a class that it lacks, or lists of unequal length.
    """
    if not taxonomy:
        lineages = taxonomy_of(classnames)
        if lineages is None:
            raise FewshotError(
                SETTING,
                "distance needs a taxonomy; the data set's card has none, and these names are not "
                "of iNaturalist 2021's form",
                "Write `taxonomy:` into its card, or set one_class.negatives=uniform.",
            )
        return tuple(lineage.down_to("genus") for lineage in lineages)
    by_key = {_key(name): _checked(name, value) for name, value in taxonomy.items()}
    missing = [name for name in classnames if _key(name) not in by_key]
    if missing:
        raise FewshotError(
            SETTING, f"{len(missing)} of {len(classnames)} classes are not in the taxonomy, for "
            f"instance {missing[0]!r}", "Add them to `taxonomy:` of the data set's card.",
        )  # fmt: skip
    ancestors = tuple(by_key[_key(name)] for name in classnames)
    for name, lineage in zip(classnames, ancestors, strict=True):
        if len(lineage) != len(ancestors[0]):
            raise FewshotError(
                SETTING, f"expected all classes at one depth of the taxonomy; {classnames[0]!r} "
                f"has {len(ancestors[0])} ancestors and {name!r} has {len(lineage)}",
            )  # fmt: skip
    return ancestors


def _key(name: str) -> str:
    return readable(str(name).replace("-", " ")).casefold()


def _checked(name: str, value: Any) -> tuple[str, ...]:
    fine = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    if not fine or not all(isinstance(entry, str) and entry for entry in value):
        raise FewshotError(
            SETTING, f"expected a list of names for {name!r} in the taxonomy, got {value!r}"
        )
    return tuple(value)


def distances(ancestors: Ancestors) -> NDArray:
    """Levels up to the lowest common ancestor, for all pairs of C classes.

    Parameters
    ----------
    ancestors : tuple of C tuples of L str

    Returns
    -------
    ndarray of shape (C, C), int64
        0 for a class and itself, 1 within one group, L + 1 where nothing is shared.
    """
    depth = len(ancestors[0])
    shared = np.zeros((len(ancestors), len(ancestors)), dtype=np.int64)
    for level in range(1, depth + 1):
        number: dict[tuple[str, ...], int] = {}
        branch = np.array(
            [number.setdefault(lineage[:level], len(number)) for lineage in ancestors]
        )
        shared += branch[:, None] == branch
    levels = depth + 1 - shared
    np.fill_diagonal(levels, 0)
    return levels
