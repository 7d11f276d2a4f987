"""Explanations of settings: the numpydoc entries of constructors and dataclasses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

SECTIONS = ("Parameters", "Attributes")
# What types of Python are called where settings are written: in YAML and on the command line.
TYPES = (
    (r"(?:sequence|list|tuple) of str", "list of texts"),
    (r"(?:sequence|list|tuple) of", "list of"),
    (r"\bstr\b", "text"),
    (r"\bint\b", "integer"),
    (r"\bfloat\b", "number"),
    (r"\bbool\b", "true | false"),
    (r", optional$", ", or null"),
)


class Explanation(NamedTuple):
    """Allowed values and meaning of a setting, as in its numpydoc entry.

    Attributes
    ----------
    type : str
        As written after the colon, for instance ``float in (0, 1], or None``.
    text : str
        The description in one line; may be empty.
    """

    type: str
    text: str

    def comment(self) -> str:
        """Return both in one line, in the words of YAML, without markup.

        Examples
        --------
        >>> Explanation('"auto" or float > 0, optional', "None is the ``default``.").comment()
        'auto or number > 0, or null. null is the `default`.'
        """
        parts = (_plain_type(self.type), _plain(self.text))
        return " ".join(part if part.endswith((".", "?")) else f"{part}." for part in parts if part)


def explanations(target: Callable[..., Any]) -> dict[str, Explanation]:
    """Return the documented parameters of a function, a class or its base classes, by name.

    A class is documented in its docstring, or in that of its constructor. A parameter without a
    description has that of the base class.
    """
    return merged(_docstrings(target))


def merged(docstrings: Iterable[str]) -> dict[str, Explanation]:
    """Return the entries of several docstrings; later ones have precedence if they say anything."""
    entries: dict[str, Explanation] = {}
    for docstring in docstrings:
        for name, entry in parse(docstring).items():
            if entry.text or name not in entries:
                entries[name] = entry
    return entries


def _docstrings(target: Callable[..., Any]) -> Iterator[str]:
    """Yield the docstrings of a function, or of a class and its constructor, base classes first."""
    if not inspect.isclass(target):
        yield target.__doc__ or ""
        return
    for cls in reversed(inspect.getmro(target)[:-1]):
        yield cls.__doc__ or ""
        constructor = vars(cls).get("__init__")
        yield getattr(constructor, "__doc__", None) or ""


def parse(docstring: str) -> dict[str, Explanation]:
    """Return the entries of the sections "Parameters" and "Attributes" of a docstring.

    Names that share an entry (``a, b : int``) each have it.
    """
    entries: dict[str, Explanation] = {}
    names: list[str] = []
    for line in _lines(inspect.cleandoc(docstring).splitlines()):
        if line.startswith((" ", "\t")):
            for name in names:
                kind, text = entries[name]
                entries[name] = Explanation(kind, f"{text} {line.strip()}".strip())
        elif line:
            before, _, kind = line.partition(":")
            names = [name.strip().lstrip("*") for name in before.split(",")]
            entries |= {name: Explanation(kind.strip(), "") for name in names}
    return entries


def _lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines of the wanted sections, without their headings."""
    wanted = False
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if below and set(below) == {"-"}:
            wanted = line in SECTIONS
        elif wanted and not (line and set(line) == {"-"}):
            yield line


def _plain_type(text: str) -> str:
    """Translate a type: ``{"a", "b"}, or None`` is ``a | b, or null``."""
    text = re.sub(r"\{([^}]*)\}", lambda match: match[1].replace(", ", " | "), text)
    for pattern, words in TYPES:
        text = re.sub(pattern, words, text)
    return _plain(text).replace('"', "")


def _plain(text: str) -> str:
    """Remove markup, and write constants as YAML does."""
    text = re.sub(r":\w+:`~?([^`]*)`", lambda match: match[1].rpartition(".")[2], text)
    text = text.replace("``", "`")
    for python, yaml in (("None", "null"), ("True", "true"), ("False", "false")):
        text = re.sub(rf"\b{python}\b", yaml, text)
    return text
