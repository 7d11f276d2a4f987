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
    """A registered name, its object or ``module:attribute``, and a summary of one line."""

    name: str
    target: str | Any
    summary: str

    @property
    def origin(self) -> str:
        """The ``module:attribute`` of the object."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"

    def load(self) -> Any:
        """Import the object's module, if needed, and return the object."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry:
    """Names of one kind of object; modules are imported on first use, not on registration.

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
            `parameters` has a name that the constructor does not accept.
        """
        factory = self[name].load()
        accepted = inspect.signature(factory).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        for setting in () if takes_any else sorted(parameters.keys() - accepted.keys()):
            raise FewshotError(
                self.kind.removesuffix(".kind"),
                f"{name!r} has no setting {setting!r}",
                suggestion(setting, accepted) if accepted else "It has none.",
            )
        return factory(**parameters)

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
    """Return the names of a constructor's parameters; cached, as heads are cloned per chunk."""
    return tuple(inspect.signature(cls).parameters)
