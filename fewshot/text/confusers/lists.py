"""Confusers of every class, and what was not used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Dropped(NamedTuple):
    """A name that a source gave and that is no confuser.

    Attributes
    ----------
    name : str
    reason : str
        In words, as "synonym of the class" or "text cosine .97 with the class".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class ConfuserLists:
    """Confusers of C classes, in the order of their source, the most confusing first.

    Attributes
    ----------
    classnames : tuple of C str
    names : tuple of C tuples of str
        What is used; () for a class without confusers.
    dropped : tuple of C tuples of Dropped
    record : dict
        Source, numbers, file, model, prompt, vocabulary...; JSON types only.
    """

    classnames: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    dropped: tuple[tuple[Dropped, ...], ...]
    record: dict[str, Any] = field(default_factory=dict)
