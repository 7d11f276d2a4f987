"""One lazy registry for heads, estimators, tasks, data set kinds, backbone loaders and loggers."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fewshot.exceptions import FewshotError, UnknownNameError, expect, suggestion
from fewshot.importing import (
    BY_MODULE,
    argument_of,
    attribute_at,
    described,
    dotted,
    entry_points,
    imported,
    package_of,
    short_name,
)


@dataclass(frozen=True)
class Entry:
    """A registered name, its object or ``module:attribute``, and a summary of one line.

    Attributes
    ----------
    kind, name : str
    target : object or str
    summary : str
    package : str, optional
        The distribution whose entry point it is, or `BY_MODULE`; None for what this package brings.
    base : str, optional
        ``module:class`` that a class of another package has to be derived from.
    """

    name: str
    target: str | Any
    summary: str
    kind: str = "object"
    package: str | None = None
    base: str | None = None

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
            The module of another package cannot be imported, has no such attribute, or it is of
            another kind.
        """
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        if self.package is None:
            return getattr(importlib.import_module(module), attribute)
        by_name = (
            "" if self.package == BY_MODULE else f"{self.name!r} of the package {self.package}"
        )
        argument = argument_of(self.kind)
        loaded = imported(self.target, argument, by_name)
        where = f"{by_name} ({self.target})" if by_name else self.target
        expect(
            self._is_fit(loaded),
            argument,
            f"{where}: expected {self._expected()}, got {described(loaded)}",
        )
        return loaded

    def _is_fit(self, loaded: Any) -> bool:
        """Whether a class has the base; what a function returns shows when it is called."""
        if not callable(loaded) or self.base is None or not isinstance(loaded, type):
            return callable(loaded)
        return issubclass(loaded, attribute_at(self.base))

    def check_made(self, made: Any) -> Any:
        """Return what `load` made, if it is of the kind.

        Raises
        ------
        FewshotError
            A function of another package returns something else.
        """
        if self.package is not None and self.base is not None:
            expect(
                isinstance(made, attribute_at(self.base)),
                argument_of(self.kind),
                f"{self.origin}: expected it to return an object of a class derived from "
                f"{dotted(self.base)}, got {described(made)}",
            )
        return made

    def _expected(self) -> str:
        if self.base is None:
            return "a class or a function"
        return (
            f"a class derived from {dotted(self.base)}, or a function that returns an object of one"
        )


class Registry:
    """Names of one kind of object; modules are imported on first use, not on registration.

    Parameters
    ----------
    kind : str
        For messages: "head".
    group : str, optional
        Group of entry points by which other packages register further ones. With a group, names of
        the form ``module:attribute`` stand for objects that are registered nowhere.
    base : str, optional
        ``module:class`` that classes of other packages have to be derived from.
    reserved : callable, optional
        Names that mean something already, and that no other package may take.

    Examples
    --------
    >>> from fewshot.registry import Registry
    >>> heads = Registry("head")
    >>> heads.add("ncm", "fewshot.heads.ncm:NCM", "nearest class mean")
    >>> heads.names("n*")
    ['ncm']
    """

    def __init__(
        self,
        kind: str,
        group: str | None = None,
        base: str | None = None,
        reserved: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.kind, self.group, self.base, self._reserved = kind, group, base, reserved
        self._entries: dict[str, Entry] = {}
        self._rivals: dict[str, list[Entry]] = {}
        self._searched = group is None

    def add(self, name: str, target: str | Any, summary: str = "") -> None:
        """Register `target`, an object or a ``module:attribute`` string, as `name`."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already: {self[name].origin}")
        self._entries[name] = Entry(name, target, summary, self.kind)

    def remove(self, name: str) -> None:
        """Undo `add`."""
        del self._entries[name]

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
        entry = self[name]
        factory = entry.load()
        accepted = inspect.signature(factory).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        for setting in () if takes_any else sorted(parameters.keys() - accepted.keys()):
            raise FewshotError(
                argument_of(self.kind),
                f"{name!r} has no setting {setting!r}",
                suggestion(setting, accepted) if accepted else "It has none.",
            )
        return entry.check_made(factory(**parameters))

    def create_from(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Create an object from the settings of its section.

        Parameters
        ----------
        name : str
            Of the section, and of what is registered unless the settings have a ``_target_``.
        settings : mapping
            Parameters, and perhaps ``_target_``: ``module:attribute``.

        Raises
        ------
        FewshotError
            A wrong parameter, or a ``_target_`` under the name of something else.
        """
        parameters, argument = dict(settings), f"{argument_of(self.kind)}.{name}"
        target = parameters.pop("_target_", None)
        if target is not None:
            expect(
                isinstance(target, str) and ":" in target,
                f"{argument}._target_",
                f"expected module:attribute, got {target!r}",
            )
            taken = name in self and self[name].origin != target
            expect(
                not taken, argument, f"{name!r} is the name of another one", "Take another name."
            )
        try:
            return self.create(target or name, **parameters)
        except FewshotError as error:
            if error.argument not in parameters:
                raise
            named = f"{argument}.{error.argument}"  # here the name of the section is known
            raise FewshotError(named, error.problem, error.remedy) from error
        except (TypeError, ValueError) as error:
            if self[target or name].package is None and isinstance(error, ValueError):
                raise  # constructors of this package raise FewshotError
            reason = " ".join(str(error).split("__init__() ")[-1].split())
            raise FewshotError(argument, reason or type(error).__name__) from error

    def plugged(self) -> list[str]:
        """Names that other packages registered, sorted; none of them is imported."""
        self._search()
        return sorted(name for name, entry in self._entries.items() if entry.package is not None)

    def problems(self) -> list[str]:
        """A line for each entry point that is left out, as another has its name."""
        self._search()
        return [
            f"{argument_of(self.kind)} {name!r} of {_all_of(rivals)}: {self._which_counts(name)}"
            for name, rivals in self._rivals.items()
        ]

    def _which_counts(self, name: str) -> str:
        if name in self._entries:
            return f"{_brought_by(self._entries[name])} counts"
        if name in self._reserved():
            return "that of fewshot counts"
        return "none of them counts; uninstall all but one"

    def _search(self) -> None:
        """Add the entry points of other packages, once; an own name is never replaced."""
        if self._searched:
            return
        self._searched = True
        found: dict[str, list[Entry]] = {}
        for point in entry_points().get(str(self.group), ()):
            entry = Entry(point.name, point.value, "", self.kind, package_of(point), self.base)
            if entry not in found.setdefault(point.name, []):
                found[point.name].append(entry)
        reserved = set(self._reserved()) if found else set()
        for name, entries in found.items():
            if name in self._entries or name in reserved or len(entries) > 1:
                self._rivals[name] = entries
            else:
                self._entries[name] = entries[0]

    def __getitem__(self, name: str) -> Entry:
        if self._is_by_module(name):
            return Entry(short_name(name), name, "", self.kind, BY_MODULE, self.base)
        if isinstance(name, str) and name not in self._entries:
            self._search()
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            if rivals := self._rivals.get(str(name)):
                raise FewshotError(
                    argument_of(self.kind),
                    f"{name!r} is the name of several: {_all_of(rivals, ' and ')}",
                    "Uninstall all but one.",
                ) from None
            raise UnknownNameError(self.kind, str(name), self._entries) from None

    def __contains__(self, name: object) -> bool:
        if self._is_by_module(name):
            return True
        if name not in self._entries:
            self._search()
        return name in self._entries

    def _is_by_module(self, name: object) -> bool:
        return self.group is not None and isinstance(name, str) and ":" in name

    def name_of(self, target: str) -> str:
        """Name of an object in rows, by its ``module:attribute``.

        The registered name if it has one, else the attribute in lower case.

        Raises
        ------
        FewshotError
            Another object is registered by that name.
        """
        for name, entry in self._entries.items():
            if entry.origin == target:
                return name
        name = short_name(target)
        if name in self:
            raise FewshotError(
                argument_of(self.kind),
                f"{target} would be called {name!r}, as is {_brought_by(self[name])}",
                f"Name it: +{argument_of(self.kind)}.NAME._target_={target}.",
            )
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def _all_of(entries: list[Entry], between: str = " and of ") -> str:
    return between.join(map(_brought_by, entries))


def _brought_by(entry: Entry) -> str:
    return f"{entry.package or 'fewshot'} ({entry.origin})"


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
