"""Which classes are base, validation and novel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fewshot.exceptions import FewshotError, expect, expect_positive_int, suggestion
from fewshot.features.bank import PARTS


def assign_parts(
    spec: str | None,
    classnames: Sequence[str],
    own: tuple[str, ...] | None,
    base_fraction: float = 0.5,
    seed: int = 0,
) -> tuple[str, ...] | None:
    """Part of every class by the setting ``dataset.split``.

    Parameters
    ----------
    spec : str or None
        "auto" (what the data set itself says, if anything), "none" (all classes serve alike),
        "random" (`base_fraction` of the classes are base, the rest novel), or a YAML or JSON file
        that lists class names under ``base``, ``validation`` and ``novel``.
    classnames : sequence of C str
    own : tuple of C str, or None
        What the data set says.
    base_fraction : float
        In (0, 1), for "random".
    seed : int
        For "random".
    """
    if spec is None or spec == "none":
        return None
    if spec == "auto":
        return own
    if spec == "random":
        expect_positive_int("dataset.split_seed", seed, minimum=0)
        return random_parts(len(classnames), base_fraction, seed)
    return _read_parts(Path(str(spec)).expanduser(), classnames)


def random_parts(classes: int, base_fraction: float, seed: int) -> tuple[str, ...]:
    """Mark a random share of the classes as base and the others as novel."""
    number = isinstance(base_fraction, int | float)
    expect(
        number and 0 < base_fraction < 1,
        "dataset.base_fraction",
        f"expected a number between 0 and 1, got {base_fraction!r}",
    )
    order = np.random.default_rng(seed).permutation(classes)
    base = set(order[: round(base_fraction * classes)].tolist())
    return tuple("base" if c in base else "novel" for c in range(classes))


def _read_parts(path: Path, classnames: Sequence[str]) -> tuple[str, ...]:
    listed = _read_lists(path)
    part_of: dict[str, str] = {}
    for part, names in listed.items():
        for name in names:
            other = part_of.setdefault(str(name), part)
            if other != part:
                raise FewshotError(
                    "dataset.split", f"class {name!r} is in {other} and in {part} of {path}"
                )
    unknown = sorted(part_of.keys() - set(classnames))
    if unknown:
        raise FewshotError(
            "dataset.split",
            f"{path} names class {unknown[0]!r}, which the data set does not have",
            suggestion(unknown[0], classnames),
        )
    # Classes that the file leaves out serve neither side.
    return tuple(part_of.get(name, "validation") for name in classnames)


def _read_lists(path: Path) -> dict[str, list[Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        # Every name as text, or a class called `no` would be False and `007` would be 7.
        lists = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    except OSError as error:
        raise FewshotError(
            "dataset.split",
            f"expected auto, none, random or a readable file, got {str(path)!r}: {error.strerror}",
        ) from None
    except (ValueError, yaml.YAMLError) as error:
        raise FewshotError("dataset.split", f"cannot parse {path}: {error}") from None
    fine = isinstance(lists, dict) and all(
        key in PARTS and isinstance(names, list) for key, names in lists.items()
    )
    expect(fine, "dataset.split", f"{path} should list class names under {', '.join(PARTS)}")
    return lists
