"""Pages of the public names of Python: a page per package, and one per class.

Public is what a package lists in ``__all__``. A name that two packages list is documented where it
stands first in `PACKAGES`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fewshot.registry import Registry
from site_builder.rst import contents, escaped, heading, table

HOME = "reference/python"
# What each is for; the order is that of the pages.
PACKAGES = {
    "fewshot": "What most programs need.",
    "fewshot.heads": "Classifiers on features, and what they are derived from.",
    "fewshot.estimators": "Estimators of the error of an episode, and what they are derived from.",
    "fewshot.datasets": "Images with labels and names.",
    "fewshot.backbones": "Frozen networks that turn images into features.",
    "fewshot.features": "Features with labels and names, on disk and in memory.",
    "fewshot.episodes": "Episodes, and how they are drawn.",
    "fewshot.segmentation": "Few-shot segmentation.",
    "fewshot.models": "Fitted classifiers, to save and to load.",
    "fewshot.tasks": "What is asked of episodes, and calibration on other data.",
    "fewshot.results": "Rows of runs.",
    "fewshot.report": "Tables and pages of runs.",
    "fewshot.loggers": "Trackers that are told of finished runs.",
    "fewshot.statistics": "Intervals, paired comparisons, calibration errors: pure functions.",
    "fewshot.testing": "Checks for heads, estimators, backbones and tasks of other packages.",
}


@dataclass(frozen=True)
class Name:
    """A public name.

    Attributes
    ----------
    package, name : str
    value : object
    """

    package: str
    name: str
    value: Any

    @property
    def full(self) -> str:
        """The dotted name under which it is documented."""
        return f"{self.package}.{self.name}"

    @property
    def page(self) -> str:
        """The page it stands on: its own for a class, else that of the package."""
        return f"{HOME}/{self.full if inspect.isclass(self.value) else self.package}"

    @property
    def role(self) -> str:
        """The reference to it."""
        kind = "class" if inspect.isclass(self.value) else "func"
        return f":{kind}:`{self.name} <{self.full}>`"

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return ((inspect.getdoc(self.value) or "").splitlines() or [""])[0]


def public_names() -> list[Name]:
    """All public names that are classes, functions or registries, each once."""
    found: list[Name] = []
    for package in PACKAGES:
        module = import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            known = any(entry.value is value for entry in found)
            if not inspect.ismodule(value) and not known:
                found.append(Name(package, name, value))
    return found


def documented(name: Name) -> bool:
    """Whether it has an entry of its own: a class or a function, no constant or registry."""
    return inspect.isclass(name.value) or inspect.isroutine(name.value)


def aliases(names: list[Name]) -> dict[str, str]:
    """Names by which public objects are known elsewhere, with the name they are documented by.

    Where they are defined (``fewshot.heads.base.Head``), and alone where this is unambiguous.
    """
    known: dict[str, str] = {}
    short: dict[str, list[str]] = {}
    for name in filter(documented, names):
        known[f"{name.value.__module__}.{name.value.__qualname__}"] = name.full
        short.setdefault(name.name, []).append(name.full)
    for name in names:  # the second package of two that list the same object
        for package in PACKAGES:
            if getattr(import_module(package), name.name, None) is name.value:
                known.setdefault(f"{package}.{name.name}", name.full)
    return known | {name: full[0] for name, full in short.items() if len(full) == 1}


def sources() -> dict[str, str]:
    """Sources of the pages by path."""
    names = public_names()
    made = {}
    for package, about in PACKAGES.items():
        own = sorted((name for name in names if name.package == package), key=lambda n: n.name)
        made[f"{HOME}/{package}.rst"] = _package(package, about, own)
        for name in own:
            if inspect.isclass(name.value):
                made[f"{name.page}.rst"] = _class(name)
    rows = [(f":doc:`{package}`", about) for package, about in PACKAGES.items()]
    index = heading("Python") + "\n" + table(("package", "what is in it"), rows) + "\n"
    made[f"{HOME}/index.rst"] = index + contents(PACKAGES)
    return made


def _package(package: str, about: str, names: list[Name]) -> str:
    classes = [name for name in names if inspect.isclass(name.value)]
    functions = [name for name in names if inspect.isroutine(name.value)]
    others = [name for name in names if not documented(name)]
    text = [f".. module:: {package}\n", heading(package), f"{about}\n"]
    if rows := [(name.role, escaped(name.summary)) for name in (*functions, *classes)]:
        text.append(table(("name", "what it is"), rows))
    for name in others:
        what = (
            f"the names of every {name.value.kind}, of this package and others"
            if isinstance(name.value, Registry)
            else f"``{name.value!r}``"
        )
        text.append(
            f".. data:: {name.name}\n   :no-index-entry:\n\n   {what[0].upper()}{what[1:]}.\n"
        )
    if functions:
        text.append(heading("Functions", "-"))
    text += [f".. autofunction:: {name.name}\n" for name in functions]
    return "\n".join(text)


def _class(name: Name) -> str:
    return "\n".join(
        [
            ":orphan:\n",
            f".. currentmodule:: {name.package}\n",
            heading(name.full),
            f":doc:`{name.package}`\n",
            f".. autoclass:: {name.name}",
            "   :members:",
            "   :show-inheritance:\n",
        ]
    )
