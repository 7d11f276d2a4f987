"""The settings ``one_class.confusers``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fewshot.exceptions import FewshotError, expect, expect_number, expect_positive_int, suggestion

PLACE = "one_class.confusers"


@dataclass(frozen=True)
class Wanted:
    """What a run wants of confusers.

    Attributes
    ----------
    k : int
        Confusers of a class, at most.
    file : str, optional
        JSON of ``fewshot text confusers``; None: the cache's, else the package's.
    cosine : float, optional
        Names whose text vector has at least this cosine with the class's are dropped; None: none.
    wordnet : str, optional
        Folder; None: FEWSHOT_WORDNET, WNHOME, or where Debian and npm put it.
    vocabulary : str, or tuple of str
        "imagenet", a text file with a name per line, or the names themselves.
    seed : int
        Of random names.
    """

    k: int = 10
    file: str | None = None
    cosine: float | None = 0.95
    wordnet: str | None = None
    vocabulary: str | tuple[str, ...] = "imagenet"
    seed: int = 0

    def __post_init__(self) -> None:
        expect_positive_int(f"{PLACE}.k", self.k)
        expect_positive_int(f"{PLACE}.seed", self.seed, 0)
        if self.cosine is not None:
            expect_number(f"{PLACE}.cosine", self.cosine, 0, 1, above=True)
        for name in ("file", "wordnet", "vocabulary"):
            value = getattr(self, name)
            other = tuple if name == "vocabulary" else type(None)
            fine = isinstance(value, str | other)
            expect(fine, f"{PLACE}.{name}", f"expected a text, got {value!r}")


def wanted_of(given: Mapping[str, Any]) -> Wanted:
    """The settings, checked; what is missing has its usual value.

    Raises
    ------
    FewshotError
        An unknown setting, or a value that is not allowed.
    """
    known = {one.name for one in fields(Wanted)}
    for name in sorted(given.keys() - known):
        raise FewshotError(PLACE, f"there is no setting {name!r}", suggestion(name, known))
    return Wanted(**given)
