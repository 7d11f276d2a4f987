"""Texts by class name in files as people have them: JSON, YAML, tables and lines of text.

Published descriptions are JSON: ``{class: [texts]}`` (CuPL, classification by description,
WaffleCLIP, LaBo), ``{class: text}`` or ``{class: {aspect: [texts]}}``.
"""

from __future__ import annotations

import csv
import io
import json
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fewshot.datasets.split_files.text import read_mapping
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import kind_of
from fewshot.files import regular_file

# Bytes of a file.
LARGEST = 256 * 2**20
TABLES, JSON, YAML = (".csv", ".tsv"), (".json", ".jsonl", ".ndjson"), (".yaml", ".yml")
# Columns of tables and fields of records.
CLASS = ("class", "classname", "class_name", "category", "label", "name")
TEXTS = ("text", "description", "descriptor", "prompt", "sentence", "caption", "confuser")
# Marks of lists, as people paste them: "- cat", "* cat", "1. cat".
BULLET = re.compile(r"(?:[-*\u2022]|\d+[.)])\s+")
QUOTES = "\"'\u201c\u201d"
# From a text that stands alone to the texts in it: itself, or the names in a line.
Split = Callable[[str], list[str]]


class Table(list[list[str]]):
    """Rows of cells."""


class Lines(list[str]):
    """Lines of text that are neither blank nor comments."""


class ClassTexts(NamedTuple):
    """Texts of a file.

    Attributes
    ----------
    classes : dict of str to list of str
    common : list of str
        Texts of no class, of a plain list.
    """

    classes: dict[str, list[str]]
    common: list[str]


def names_in(line: str) -> list[str]:
    """The names in a line, between commas, semicolons or tabs, without bullets and quotes.

    Examples
    --------
    >>> from fewshot.text.class_files import names_in
    >>> names_in("- cat, 'fox';wolf,")
    ['cat', 'fox', 'wolf']
    """
    line = BULLET.sub("", line.strip(), count=1).strip("[]")
    names = (name.strip().strip(QUOTES) for name in re.split(r"[,;\t]", line))
    return [name for name in names if name]


def read_content(path: Path, setting: str) -> tuple[bytes, Any]:
    """The bytes of a file, and their content: JSON types, a `Table` or `Lines`.

    Raises
    ------
    OSError
        The file cannot be read.
    FewshotError
        A device, a file of more than `LARGEST` bytes, or one that holds none of these.
    """
    raw = regular_file(setting, path, LARGEST).read_bytes()
    suffix = path.suffix.lower()
    if suffix in YAML:
        return raw, read_mapping(path, setting)
    try:
        return raw, _table(raw, suffix) if suffix in TABLES else _json(raw)
    except (ValueError, RecursionError, csv.Error) as error:
        kind = kind_of(path)
        if kind in ("a text file", "a text file in UTF-16") and suffix not in (*TABLES, *JSON):
            return raw, _lines(raw, path, setting)
        ours = kind in (None, "a JSON file", "a text file")
        what = f"no {'CSV' if suffix in TABLES else 'JSON'} file ({error})"
        raise FewshotError(setting, f"{path} is {what if ours else kind}") from None


def texts_in(content: Any, split: Split) -> ClassTexts:
    """Texts by class name, or of a plain list, in the content of a file.

    Raises
    ------
    ValueError
        The content has another form.

    Examples
    --------
    >>> from fewshot.text.class_files import names_in, texts_in
    >>> texts_in({"crab": "lobster, crayfish", "ant": []}, names_in)
    ClassTexts(classes={'crab': ['lobster', 'crayfish']}, common=[])
    """
    if isinstance(content, Mapping):
        inner = next(iter(content.values()), None)
        if len(content) == 1 and isinstance(inner, Mapping):  # {"classes": {...}}
            content = inner
        return ClassTexts(_gathered(content.items(), split), [])
    if isinstance(content, Table):
        return _of_rows(content, split)
    if isinstance(content, Lines):
        return _of_lines(content, split)
    if not isinstance(content, list):
        raise ValueError("it holds neither texts by class name nor a list")
    if content and all(isinstance(record, Mapping) for record in content):
        return ClassTexts(_gathered(map(_pair, content), split), [])
    return ClassTexts({}, _texts("the list", content, split))


def _json(raw: bytes) -> Any:
    """JSON, or a list of the JSON values in the lines."""
    try:
        return json.loads(raw, object_pairs_hook=_unique_object)
    except ValueError:
        lines = _decoded(raw).splitlines()
        if len(lines) < 2 or not all(line.strip()[:1] in ("{", "") for line in lines):
            raise
        return [
            json.loads(line, object_pairs_hook=_unique_object) for line in lines if line.strip()
        ]


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; duplicate names, of which JSON would keep the last, are errors."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} comes twice")
    return content


def _decoded(raw: bytes) -> str:
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    return raw.decode("utf-16" if wide else "utf-8-sig")


def _table(raw: bytes, suffix: str) -> Table:
    text = _decoded(raw)
    first = text.lstrip().partition("\n")[0]
    delimiter = "\t" if suffix == ".tsv" else max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return Table([[cell.strip() for cell in row] for row in rows if any(map(str.strip, row))])


def _lines(raw: bytes, path: Path, setting: str) -> Lines:
    try:
        lines = [line.strip() for line in _decoded(raw).splitlines()]
    except UnicodeDecodeError as error:
        raise FewshotError(setting, f"{path} is no text ({error})", "Save it as UTF-8.") from None
    return Lines(line for line in lines if line and not line.startswith("#"))


def _of_rows(rows: Table, split: Split) -> ClassTexts:
    """A class and its texts in every row; a plain list where there is one column or row."""
    header = [cell.casefold() for cell in rows[0]] if rows else []
    if max(map(len, rows), default=0) < 2 or (len(rows) == 1 and header[0] not in CLASS):
        named = rows[1:] if header and _singular(header[0]) in (*CLASS, *TEXTS) else rows
        return ClassTexts({}, [text for row in named for cell in row for text in split(cell)])
    titled = any(cell in CLASS for cell in header)
    key = next((n for n, cell in enumerate(header) if cell in CLASS), 0)
    columns = {n for n, cell in enumerate(header) if titled and _singular(cell) in TEXTS}
    columns = columns or {n for n in range(max(map(len, rows))) if n != key}
    for number, row in enumerate(rows, 1):
        if len(row) != len(header) and split("a,b") == ["a,b"]:
            problem = f"row {number} has {len(row)} cells, the first {len(header)}"
            raise ValueError(f"{problem}; texts with commas need quotation marks")
    pairs = (
        (row[key], [text for n, cell in enumerate(row) if n in columns for text in split(cell)])
        for row in (rows[1:] if titled else rows)
    )
    return ClassTexts(_gathered(pairs, split), [])


def _of_lines(lines: Lines, split: Split) -> ClassTexts:
    """``class: texts``, in every line with the same separator, or a plain list."""
    for separator in (":", "\t", ";") if len(lines) > 1 else (":",):
        parts = [BULLET.sub("", line, count=1).partition(separator) for line in lines]
        if all(name.strip() and rest.strip() for name, _, rest in parts):
            pairs = ((name.strip().strip(QUOTES), rest.strip()) for name, _, rest in parts)
            return ClassTexts(_gathered(pairs, split), [])
    return ClassTexts({}, [text for line in lines for text in split(line)])


def _pair(record: Mapping[str, Any]) -> tuple[str, Any]:
    """The class and the texts of a record."""
    fields = {name.casefold(): value for name, value in record.items()}
    name = next((fields[key] for key in CLASS if key in fields), None)
    texts = [value for key, value in fields.items() if _singular(key) in TEXTS]
    if not isinstance(name, str) or not texts:
        problem = f"expected {CLASS[0]!r} and {TEXTS[0]!r} in every entry of the list"
        raise ValueError(f"{problem}, got {', '.join(map(repr, list(record)[:5]))}")
    return name, texts[0] if len(texts) == 1 else texts


def _singular(title: str) -> str:
    return title.removesuffix("s")


def _gathered(pairs: Iterable[tuple[str, Any]], split: Split) -> dict[str, list[str]]:
    """Texts by class name; classes without any are left out, and those of one name joined."""
    classes: dict[str, list[str]] = {}
    for name, value in pairs:
        if texts := _texts(f"class {name!r}", value, split):
            classes.setdefault(name, []).extend(texts)
    return classes


def _texts(where: str, value: Any, split: Split, depth: int = 2) -> list[str]:
    """The texts in a value: a text, a list of texts, such by aspect, or nothing."""
    if value is None:
        return []
    if isinstance(value, str):
        return [text for text in map(_visible, split(value)) if text]
    entries = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not depth:
        raise ValueError(f"{where}: expected a text or a list of texts, got {reprlib.repr(value)}")
    texts: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            texts += filter(None, [_visible(entry)])
        else:
            texts += _texts(where, entry, split, depth - 1)
    return texts


def _visible(text: str) -> str:
    """A text without marks that nobody sees: soft hyphens, zero-width and directional ones."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf").strip()
