"""One lazy registry for heads, estimators, data set kinds and backbone loaders."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fewshot.exceptions import FewshotError, UnknownNameError, suggestion

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Entry:
    """A name, where its object lives (``module:attribute``), and one line about it."""

    name: str
    target: str | Any
    summary: str

    @property
    def origin(self) -> str:
        """The ``module:attribute`` that the name stands for."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"

    def load(self) -> Any:
        """The object itself; only this imports its module."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry:
    """Names of one kind of thing. Naming a thing imports nothing.

    Examples
    --------
    >>> from fewshot.registry import Registry
    >>> heads = Registry("head")
    >>> heads.add("ncm", "fewshot.heads.ncm:NCM", "nearest class mean")
    >>> heads.names("n*")
    ['ncm']
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, target: str | Any, summary: str = "") -> None:
        """Register `target`, an object or a ``module:attribute`` string, as `name`."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already: {self[name].origin}")
        self._entries[name] = Entry(name, target, summary)

    def names(self, pattern: str = "*") -> list[str]:
        """Registered names that match a shell pattern, sorted."""
        return sorted(fnmatch.filter(self._entries, pattern))

    def create(self, name: str, /, **parameters: Any) -> Any:
        """Load the object called `name` and call it with `parameters`.

        Raises
        ------
        FewshotError
            It has no such parameter.
        """
        made = self[name].load()
        known = inspect.signature(made).parameters
        takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
        for given in () if takes_any else sorted(parameters.keys() - known.keys()):
            raise FewshotError(
                self.kind.removesuffix(".kind"),
                f"{name!r} has no setting {given!r}",
                suggestion(given, known) if known else "It has none.",
            )
        return made(**parameters)

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownNameError(self.kind, str(name), self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)


@lru_cache(maxsize=256)
def parameter_names(cls: type) -> tuple[str, ...]:
    """Names of a constructor's parameters; looked up once, as heads are cloned per chunk."""
    return tuple(inspect.signature(cls).parameters)
