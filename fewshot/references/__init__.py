"""Papers that heads, estimators, backbones, data sets and samplers rest on, by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.references.bibtex import BibTeXError, Reference, parse_bibtex

__all__ = ["Reference", "known_references", "parse_bibtex", "resolve"]

FILE = Path(__file__).with_name("references.bib")


@cache
def known_references() -> Mapping[str, Reference]:
    """All entries of ``references.bib`` by their keys."""
    entries = parse_bibtex(FILE.read_text(encoding="ascii"))
    return MappingProxyType({entry.key: entry for entry in entries})


def resolve(given: Iterable[str], whose: str) -> list[Reference]:
    """Entries of what names its papers: by keys, or as BibTeX of its own.

    Parameters
    ----------
    given : iterable of str
        Keys of `known_references`, or texts of BibTeX with any number of entries.
    whose : str
        For messages: "head ncm".

    Raises
    ------
    FewshotError
        An unknown key, or a text that is no BibTeX.
    """
    found: dict[str, Reference] = {}
    argument = f"references of {whose}"
    if isinstance(given, str) or not all(isinstance(item, str) for item in given):
        raise FewshotError(argument, f"expected a tuple of keys or of BibTeX, got {given!r}")
    for item in given:
        if item.lstrip().startswith(("@", "%")):
            try:
                entries = parse_bibtex(item)
            except BibTeXError as error:
                raise FewshotError(argument, f"not BibTeX: {error}") from None
        elif item in known_references():
            entries = [known_references()[item]]
        else:
            raise UnknownNameError(argument, item, known_references())
        found |= {entry.key: entry for entry in entries}
    return list(found.values())
