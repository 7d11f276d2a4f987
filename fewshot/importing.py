"""Objects of other packages: by ``module:attribute``, or by an entry point."""

from __future__ import annotations

import importlib
import json
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError, expect, suggestion

# In place of a package, for what was named by its module.
BY_MODULE = "module:attribute"
LONGEST = 60  # of what an error shows of a value


def argument_of(kind: str) -> str:
    """The setting that chooses among objects of a kind: ``dataset`` of "dataset.kind"."""
    return kind.removesuffix(".kind")


def short_name(target: str) -> str:
    """Name of an object in settings and rows, from ``module:attribute``.

    Examples
    --------
    >>> short_name("my.module:MyHead")
    'myhead'
    """
    return target.partition(":")[2].rpartition(".")[2].lower()


def search_working_directory() -> None:
    """Let modules of the working directory be found, after those that are installed."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def is_target(text: str) -> bool:
    """Whether a text has the form ``module:attribute``."""
    module, colon, attribute = text.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(map(str.isidentifier, parts))


def is_module(name: str) -> bool:
    """Whether there is a module or a package of a name, here or installed; it is not imported."""
    search_working_directory()
    return name.isidentifier() is False or find_spec(name) is not None


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
        It has another form, the module cannot be imported, or it has no such attribute: one line
        with the reason.
    """
    module, _, attribute = target.partition(":")
    where = f"{what} ({target})" if what else repr(target)
    expect(
        is_target(target),
        argument,
        f"{where}: expected module:attribute, as my.module:MyClass",
    )
    search_working_directory()
    try:
        value = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # any error of somebody else's module, SystemExit included
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FewshotError(argument, f"{where} cannot be imported: {reason}") from error
    for name in attribute.split("."):
        if not hasattr(value, name):
            public = [known for known in vars(value) if not known.startswith("_")]
            raise FewshotError(
                argument,
                f"{where}: {module} has no {attribute!r}",
                suggestion(attribute, public) if public else "",
            )
        value = getattr(value, name)
    return value


def attribute_at(target: str) -> Any:
    """Return the attribute of a ``module:attribute`` of this package."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def dotted(target: str) -> str:
    """Write ``module:attribute`` as it is imported, ``module.attribute``."""
    return target.replace(":", ".")


def is_plain(value: object) -> bool:
    """Whether YAML can hold a value; a tuple becomes a list."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(entry) for key, entry in value.items())
    return value is None or type(value) in (bool, int, float, str)


def survives_json(value: object) -> bool:
    """Whether JSON gives a value back as it is: no tuple, NaN or object does.

    Examples
    --------
    >>> survives_json({"a": [1, None]}), survives_json([(1, 2)]), survives_json(float("nan"))
    (True, False, False)
    """
    try:
        same: bool = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        return False
    return same


def origin_of(kind: type) -> str:
    """The ``module:class`` of a class, by which registries and model files name it."""
    return f"{kind.__module__}:{kind.__qualname__}"


def described(value: Any) -> str:
    """What a value is, in a few words of one line."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"an object of {type(value).__qualname__}"


def package_of(point: metadata.EntryPoint) -> str:
    """Return the name of the distribution that an entry point is of."""
    return point.dist.name if point.dist is not None else "an unknown package"


@cache
def entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """Entry points of all groups of this project, by group."""
    groups: dict[str, list[metadata.EntryPoint]] = {}
    found = metadata.entry_points()
    for group in found.groups:
        if group.startswith("fewshot."):
            groups[group] = list(found.select(group=group))
    return groups
