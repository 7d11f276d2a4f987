"""BibTeX: a strict reader of entries, and the same entries as BibTeX, text and names of authors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

# Fields that an entry of each kind must have beside author, title and year.
REQUIRED = {
    "article": ("journal",),
    "inproceedings": ("booktitle",),
    "book": ("publisher",),
    "techreport": ("institution",),
    "misc": (),
    "software": (),
}
KEY = re.compile(r"[A-Za-z][A-Za-z0-9:_.+/-]*")
OTHERS = "others"  # BibTeX's word for authors who are not named
VENUES = ("journal", "booktitle", "institution", "publisher", "howpublished")
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "c": "\u0327",
    "v": "\u030c", "=": "\u0304", ".": "\u0307", "u": "\u0306", "H": "\u030b", "k": "\u0328",
    "r": "\u030a",
}  # fmt: skip
_LETTERS = {"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å", "AA": "Å", "ae": "æ",
            "AE": "Æ", "oe": "œ", "OE": "Œ"}  # fmt: skip
_ACCENT = re.compile(
    r"""\\(?:(['`^"~=.])|([cvuHkr])(?![A-Za-z]))\s*(?:\{\s*\\?(\w)\s*\}|\\?(\w))"""
)
_LETTER = re.compile(rf"\\({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![A-Za-z])\s?")
_PLAIN = (("``", "“"), ("''", "”"), ("---", "\u2014"), ("--", "\u2013"), ("~", " "))


class BibTeXError(ValueError):
    """A text is no BibTeX; the message says where and why."""


@dataclass(frozen=True)
class Reference:
    """One entry.

    Attributes
    ----------
    kind : str
        As "inproceedings".
    key : str
        What ``\\cite`` takes.
    fields : mapping of str to str
        Values as they stand in BibTeX, names of fields in lower case.
    """

    kind: str
    key: str
    fields: Mapping[str, str]

    def bibtex(self) -> str:
        """The entry as BibTeX, a field a line."""
        lines = [f"  {name} = {{{value}}}," for name, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])

    @property
    def year(self) -> str:
        """Year of publication."""
        return self.fields["year"]

    @property
    def surnames(self) -> list[str]:
        """Surnames of the authors as text; the last one may be "others"."""
        return [_surname(name) for name in _names(self.fields["author"])]

    def cited(self, letter: str = "") -> str:
        """The paper within a sentence: ``Snell et al., 2017``, with a letter after the year."""
        names = self.surnames
        if len(names) > 2 or names[-1] == OTHERS:
            return f"{names[0]} et al., {self.year}{letter}"
        return f"{' and '.join(names)}, {self.year}{letter}"

    def text(self, letter: str = "") -> str:
        """The paper in one line: authors, title, venue, year, identifier."""
        names = self.surnames
        if names[-1] == OTHERS or len(names) > 6:
            authors = f"{names[0]} et al."
        else:
            authors = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        parts = [authors, plain_text(self.fields["title"])]
        parts += [plain_text(self.fields[name]) for name in VENUES if name in self.fields]
        line = f"{', '.join(parts)}, {self.year}{letter}"
        if "doi" in self.fields:
            return f"{line}, doi:{self.fields['doi']}"
        return f"{line}, arXiv:{self.fields['eprint']}" if "eprint" in self.fields else line


def parse_bibtex(text: str) -> list[Reference]:
    """Entries of a text, in its order.

    Stricter than BibTeX: values stand in braces, keys differ, every entry has what its kind needs,
    and characters beyond ASCII are escaped. Lines that begin with % are comments.

    Raises
    ------
    BibTeXError
        The text is not so.
    """
    text = "\n".join("" if line.lstrip().startswith("%") else line for line in text.split("\n"))
    strange = next((letter for letter in text if not letter.isascii()), None)
    if strange is not None:
        raise BibTeXError(f"expected ASCII and LaTeX's accents, got {strange!r}")
    entries: dict[str, Reference] = {}
    position = _skip(text, 0)
    while position < len(text):
        entry, position = _entry(text, position)
        if entry.key in entries:
            raise BibTeXError(f"{entry.key}: the key is there twice")
        entries[entry.key] = entry
        position = _skip(text, position)
    return list(entries.values())


def _entry(text: str, start: int) -> tuple[Reference, int]:
    head = re.compile(r"@([A-Za-z]+)\s*\{\s*([^,\s{}]+)\s*,").match(text, start)
    if head is None:
        raise BibTeXError(f"expected '@kind{{key,', got {_line(text, start)!r}")
    kind, key = head[1].lower(), head[2]
    if not KEY.fullmatch(key):
        raise BibTeXError(f"expected a key of ASCII letters and digits, got {key!r}")
    fields: dict[str, str] = {}
    position = _skip(text, head.end())
    while position < len(text) and text[position] != "}":
        field = re.compile(r"([A-Za-z]+)\s*=\s*\{").match(text, position)
        if field is None:
            raise BibTeXError(f"{key}: expected 'name = {{', got {_line(text, position)!r}")
        value, position = _braced(text, field.end(), key)
        name = field[1].lower()
        if name in fields:
            raise BibTeXError(f"{key}: the field {name} is there twice")
        fields[name] = " ".join(value.split())
        position = _skip(text, position)
        if position < len(text) and text[position] == ",":
            position = _skip(text, position + 1)
        elif position < len(text) and text[position] != "}":
            raise BibTeXError(f"{key}: expected ',' after {name}")
    if position >= len(text):
        raise BibTeXError(f"{key}: a brace is not closed")
    return _checked(Reference(kind, key, fields)), position + 1


def _braced(text: str, start: int, key: str) -> tuple[str, int]:
    """What stands up to the brace that closes the one before `start`, and where it ends."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position], position + 1
    raise BibTeXError(f"{key}: a brace is not closed")


def _checked(entry: Reference) -> Reference:
    if entry.kind not in REQUIRED:
        raise BibTeXError(f"{entry.key}: expected one of {', '.join(REQUIRED)}, got @{entry.kind}")
    needed = ("author", "title", "year", *REQUIRED[entry.kind])
    missing = [name for name in needed if not entry.fields.get(name)]
    if missing:
        raise BibTeXError(f"{entry.key}: no {missing[0]}")
    if not re.fullmatch(r"\d{4}", entry.fields["year"]):
        raise BibTeXError(f"{entry.key}: expected a year of four digits")
    return entry


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _line(text: str, position: int) -> str:
    return text[position : position + 40].partition("\n")[0]


def _names(authors: str) -> list[str]:
    """Names that " and " separates, outside of braces."""
    names, depth = [""], 0
    for word in authors.split(" "):
        if word == "and" and depth == 0:
            names.append("")
            continue
        depth += word.count("{") - word.count("}")
        names[-1] = f"{names[-1]} {word}".strip()
    return names


def _surname(name: str) -> str:
    """Surname of "Surname, Given" and of "Given Surname"; a name in braces is one word."""
    if name.startswith("{") and name.endswith("}"):
        return plain_text(name)
    first, comma, _ = name.partition(",")
    return plain_text(first if comma else name.rpartition(" ")[2])


def plain_text(value: str) -> str:
    """A value of BibTeX as readable text: accents as letters, without braces.

    Examples
    --------
    >>> plain_text(r"Sch{\\"o}lkopf, {LP++}")
    'Schölkopf, LP++'
    """

    def accented(match: re.Match[str]) -> str:
        letter = match[3] or match[4]
        return unicodedata.normalize("NFC", letter + _ACCENTS[match[1] or match[2]])

    value = _ACCENT.sub(accented, value)
    value = _LETTER.sub(lambda match: _LETTERS[match[1]], value)
    value = re.sub(r"\\([&%$#_{}])", lambda match: f"\0{ord(match[1])}\0", value)
    value = value.replace("{", "").replace("}", "")
    for latex, letter in _PLAIN:
        value = value.replace(latex, letter)
    return re.sub(r"\0(\d+)\0", lambda match: chr(int(match[1])), value)


def latex_escaped(text: str) -> str:
    """A text as LaTeX shows it: characters with a meaning there are escaped.

    Examples
    --------
    >>> print(latex_escaped("90 % of efficientnet_lite0"))
    90 \\% of efficientnet\\_lite0
    """
    special = {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    }  # fmt: skip
    escaped = (special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
    return "".join(escaped)
