"""Vocabularies of names that do not depend on a data set, for nearest and random confusers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fewshot.exceptions import FewshotError, expect
from fewshot.files import regular_file
from fewshot.text.descriptions import fault
from fewshot.text.prompts import readable

SETTING = "one_class.confusers.vocabulary"
IMAGENET = "imagenet"
# Names of a vocabulary and characters of one name: every name is encoded as a text.
MOST, LONGEST = 100_000, 100


def vocabulary_names(chosen: str | tuple[str, ...] = IMAGENET) -> tuple[str, ...]:
    """The names of a vocabulary, the setting ``one_class.confusers.vocabulary``.

    ``imagenet``: the 1000 class names of ImageNet as open_clip words them. Anything else is a text
    file with a name per line; empty lines and lines that begin with # are skipped. Names that are
    equal up to case are used once. Names are not changed otherwise.

    Raises
    ------
    FewshotError
        No such file, no names in it, or lines that are not names.
    """
    if isinstance(chosen, tuple):
        return _distinct_names(chosen)
    if chosen == IMAGENET:
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        return _distinct_names(IMAGENET_CLASSNAMES)
    path = Path(chosen).expanduser()
    try:
        lines = regular_file(SETTING, path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        problem = f"expected {IMAGENET!r} or a text file with a name per line, got {chosen!r}"
        raise FewshotError(SETTING, f"{problem} ({reason})") from None
    named = [(n, " ".join(line.split())) for n, line in enumerate(lines, 1)]
    named = [(n, name) for n, name in named if name and not name.startswith("#")]
    for number, name in named:
        why = fault(name) or (f"more than {LONGEST} characters" if len(name) > LONGEST else None)
        expect(why is None, SETTING, f"line {number} of {path} is no name: {why}")
    names = _distinct_names(name for _, name in named)
    several = 0 < len(names) <= MOST
    expect(several, SETTING, f"expected 1 to {MOST} names in {path}, got {len(names)}")
    return names


def shuffled(names: Sequence[str], seed: int, target: str) -> list[str]:
    """The vocabulary in a random order that depends on the class.

    The generator is seeded by `seed` and the class name, so the order does not depend on other
    classes.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.vocabulary import shuffled
    >>> shuffled(["a", "b", "c"], 0, "crab") == shuffled(["a", "b", "c"], 0, "Crab")
    True
    """
    cause = f"{seed}/{readable(target).casefold()}".encode()
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(cause).digest()))
    return [names[n] for n in generator.permutation(len(names))]


def digest(names: Sequence[str]) -> str:
    """SHA-256 of the names in their order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names in their order without those equal to an earlier one up to case and spaces."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(readable(name).casefold(), name)
    return tuple(first.values())
