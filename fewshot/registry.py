"""One lazy registry for heads, estimators, tasks, data set kinds, backbone loaders and loggers."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError, UnknownNameError, suggestion


@dataclass(frozen=True)
class Entry:
    """A registered name, its object or ``module:attribute``, and a summary of one line.

    Attributes
    ----------
    kind, name : str
    target : object or str
    summary : str
    package : str, optional
        The distribution whose entry point it is; None for what this package brings.
    """

    name: str
    target: str | Any
    summary: str
    kind: str = "object"
    package: str | None = None

    @property
    def origin(self) -> str:
        """The ``module:attribute`` of the object."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"

    def load(self) -> Any:
        """Import the object's module, if needed, and return the object.

        Raises
        ------
        FewshotError
            The module of another package cannot be imported, or has no such attribute.
        """
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        if self.package is None:
            return getattr(importlib.import_module(module), attribute)
        return imported(self.target, self.kind, f"{self.name!r} of the package {self.package}")


class Registry:
    """Names of one kind of object; modules are imported on first use, not on registration.

    Parameters
    ----------
    kind : str
        For messages: "head".
    group : str, optional
        Group of entry points by which other packages register further ones.

    Examples
    --------
    >>> from fewshot.registry import Registry
    >>> heads = Registry("head")
    >>> heads.add("ncm", "fewshot.heads.ncm:NCM", "nearest class mean")
    >>> heads.names("n*")
    ['ncm']
    """

    def __init__(self, kind: str, group: str | None = None) -> None:
        self.kind, self.group = kind, group
        self._entries: dict[str, Entry] = {}
        self._rivals: dict[str, list[Entry]] = {}
        self._searched = group is None

    def add(self, name: str, target: str | Any, summary: str = "") -> None:
        """Register `target`, an object or a ``module:attribute`` string, as `name`."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already: {self[name].origin}")
        self._entries[name] = Entry(name, target, summary, self.kind)

    def names(self, pattern: str = "*") -> list[str]:
        """Registered names that match a shell pattern, sorted."""
        self._search()
        return sorted(fnmatch.filter(self._entries, pattern))

    def registered(self) -> list[str]:
        """All names in the order of their registration, those of other packages last."""
        self._search()
        return list(self._entries)

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

    def problems(self) -> list[str]:
        """A line for each entry point that is left out, as another has its name."""
        self._search()
        return [
            f"{self.kind} {name!r} of {' and of '.join(_brought_by(entry) for entry in rivals)}: "
            + (f"{_brought_by(self._entries[name])} counts" if name in self._entries else
               "none of them counts; uninstall all but one")
            for name, rivals in self._rivals.items()
        ]  # fmt: skip

    def _search(self) -> None:
        """Add the entry points of other packages, once; an own name is never replaced."""
        if self._searched:
            return
        self._searched = True
        found: dict[str, list[Entry]] = {}
        for point in _entry_points().get(str(self.group), ()):
            entry = Entry(point.name, point.value, "", self.kind, _package(point))
            if entry not in found.setdefault(point.name, []):
                found[point.name].append(entry)
        for name, entries in found.items():
            if name in self._entries or len(entries) > 1:
                self._rivals[name] = entries
            else:
                self._entries[name] = entries[0]

    def __getitem__(self, name: str) -> Entry:
        if isinstance(name, str) and name not in self._entries:
            self._search()
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            if rivals := self._rivals.get(str(name)):
                brought = " and ".join(map(_brought_by, rivals))
                raise FewshotError(
                    self.kind,
                    f"{name!r} is the name of several: {brought}",
                    "Uninstall all but one.",
                ) from None
            raise UnknownNameError(self.kind, str(name), self._entries) from None

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            self._search()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def imported(target: str, argument: str, what: str = "") -> Any:
    """Import ``module:attribute``; modules of the working directory are found, too.

    Parameters
    ----------
    target : str
    argument : str
        Argument that errors name.
    what : str
        What it is the target of, for errors.

    Raises
    ------
    FewshotError
        The module cannot be imported, or has no such attribute: one line with the reason.
    """
    module, _, attribute = target.partition(":")
    where = f"{what} ({target})" if what else repr(target)
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        value = importlib.import_module(module)
    except Exception as error:  # any error of somebody else's module
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FewshotError(argument, f"{where} cannot be imported: {reason}") from error
    for name in attribute.split("."):
        if not hasattr(value, name):
            public = [known for known in vars(value) if not known.startswith("_")]
            raise FewshotError(
                argument, f"{where}: {module} has no {attribute!r}", suggestion(attribute, public)
            )
        value = getattr(value, name)
    return value


def _brought_by(entry: Entry) -> str:
    return f"{entry.package or 'fewshot'} ({entry.origin})"


def _package(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


@cache
def _entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """Entry points of all groups of this project, by group."""
    groups: dict[str, list[metadata.EntryPoint]] = {}
    found = metadata.entry_points()
    for group in found.groups:
        if group.startswith("fewshot."):
            groups[group] = list(found.select(group=group))
    return groups


@lru_cache(maxsize=256)
def parameter_names(cls: type) -> tuple[str, ...]:
    """Return the names of a constructor's parameters; cached, as heads are cloned per chunk."""
    return tuple(inspect.signature(cls).parameters)


def variant_text(parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Parameters that differ from their defaults, sorted: ``shrinkage=0.1``.

    Examples
    --------
    >>> variant_text({"metric": "cosine", "l2": False}, {"metric": "euclidean", "l2": False})
    'metric=cosine'
    """
    return ", ".join(
        f"{name}={value}"
        for name, value in sorted(parameters.items())
        if name not in defaults or not _equal(value, defaults[name])
    )


def _equal(first: Any, second: Any) -> bool:
    """Whether two values are equal; False for those that cannot be compared, as tensors."""
    try:
        return bool(first == second)
    except (RuntimeError, ValueError, TypeError):
        return False
