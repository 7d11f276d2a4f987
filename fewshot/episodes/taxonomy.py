"""A taxonomy of classes: which groups there are, and which classes each spans."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError, expect, shown
from fewshot.text_files import read_text, without_duplicates

SETTING = "episodes.taxonomy"
NAMES = "names"  # the groups are in the names of the classes, as in "Greek/character01"
# Headers of tables, in either order.
PARENTS = ("parent", "superclass", "group", "parent_id")
CHILDREN = ("child", "class", "subclass", "child_id")
TABLES = (".csv", ".tsv")
LARGEST_FILE = 64 << 20
Edge = tuple[str, str]  # parent, child


@dataclass(frozen=True)
class Group:
    """An inner node of a taxonomy.

    Attributes
    ----------
    name : str
    classes : tuple of int
        Classes below it, ascending.
    """

    name: str
    classes: tuple[int, ...]


class Taxonomy:
    """A directed graph without cycles, from groups down to classes; a node may have many parents.

    Parameters
    ----------
    edges : iterable of (str, str)
        Names of parent and child. Case, underscores and repeated spaces do not matter.

    Raises
    ------
    FewshotError
        No edge, a name that is empty, or a cycle.

    Examples
    --------
    >>> from fewshot.episodes.taxonomy import Taxonomy
    >>> dogs = Taxonomy([("animal", "dog"), ("animal", "fish"), ("dog", "pug"), ("dog", "poodle")])
    >>> dogs.groups(["fish", "poodle", "pug"])
    [Group(name='animal', classes=(0, 1, 2)), Group(name='dog', classes=(1, 2))]
    """

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.names: dict[str, str] = {}
        self.children: dict[str, list[str]] = {}
        for edge in edges:
            parent, child = (self._node(name) for name in edge)
            if child not in self.children[parent]:
                self.children[parent].append(child)
        expect(bool(self.names), SETTING, "expected pairs of a group and what is in it, got none")
        self._order = self._from_below()

    def _node(self, name: str) -> str:
        key = _key(name)
        expect(bool(key), SETTING, f"expected names of groups and classes, got {shown(name)}")
        self.names.setdefault(key, name)
        self.children.setdefault(key, [])
        return key

    def _from_below(self) -> list[str]:
        """The nodes, children before their parents."""
        parents: dict[str, list[str]] = {node: [] for node in self.names}
        for parent, children in self.children.items():
            for child in children:
                parents[child].append(parent)
        waiting = {node: len(children) for node, children in self.children.items()}
        order = [node for node, count in waiting.items() if count == 0]
        for node in order:  # which grows on the way
            for parent in parents[node]:
                waiting[parent] -= 1
                if waiting[parent] == 0:
                    order.append(parent)
        if len(order) < len(self.names):
            cycle = self._cycle({node for node, count in waiting.items() if count})
            raise FewshotError(
                SETTING,
                f"expected no cycles, got {' > '.join(self.names[node] for node in cycle)}",
                "Take out one of these pairs.",
            )
        return order

    def _cycle(self, stuck: set[str]) -> list[str]:
        """A cycle among nodes each of which has a child among them."""
        path = [min(stuck)]
        while path[-1] not in path[:-1]:
            path.append(next(child for child in self.children[path[-1]] if child in stuck))
        return path[path.index(path[-1]) :]

    def groups(
        self, classnames: Sequence[str], identifiers: Sequence[str] | None = None
    ) -> list[Group]:
        """The groups of some classes, as Meta-Dataset's sampling graph has them.

        A node that leads to none of the classes is left out, and so is one with a single child, to
        whose parents the child is attached: it would be its child under another name.

        Parameters
        ----------
        classnames : sequence of C str
        identifiers : sequence of C str, optional
            By which classes are found as well, such as WordNet's.

        Returns
        -------
        list of Group
            In the order of their names; the numbers are positions in `classnames`.

        Raises
        ------
        FewshotError
            A class that the taxonomy lacks, or two classes in one place.
        """
        number = self._numbers(classnames, identifiers or classnames)
        spans: dict[str, frozenset[int]] = {}
        kept: dict[str, str] = {}  # the node that a node stands for, itself or an only child
        groups = []
        for node in self._order:
            below = {kept[child] for child in self.children[node] if child in kept}
            itself = frozenset({number[node]} if node in number else ())
            span = itself.union(*(spans[child] for child in below))
            if not span:
                continue
            if len(below) == 1 and not itself:
                kept[node] = below.pop()
                continue
            kept[node], spans[node] = node, span
            if below:
                groups.append(Group(self.names[node], tuple(sorted(span))))
        return sorted(groups, key=lambda group: group.name)

    def _numbers(self, classnames: Sequence[str], identifiers: Sequence[str]) -> dict[str, int]:
        """Position of each class by its node."""
        number: dict[str, int] = {}
        missing = []
        for c, aliases in enumerate(zip(classnames, identifiers, strict=True)):
            node = next((_key(name) for name in aliases if _key(name) in self.names), None)
            if node is None:
                missing.append(classnames[c])
            elif node in number:
                raise FewshotError(
                    SETTING,
                    f"classes {classnames[number[node]]!r} and {classnames[c]!r} are one place of "
                    f"the taxonomy, {self.names[node]!r}",
                    "Give them names of their own there.",
                )
            else:
                number[node] = c
        if missing:
            more = f" (and {len(missing) - 1} more classes)" if len(missing) > 1 else ""
            raise FewshotError(
                SETTING,
                f"class {missing[0]!r} is not in the taxonomy{more}",
                "Add it, by its name or its identifier, or draw from other classes.",
            )
        return number

    @classmethod
    def of_pairs(cls, pairs: object) -> Taxonomy:
        """The taxonomy of what should be pairs (parent, child).

        Raises
        ------
        FewshotError
            It is something else.
        """
        if isinstance(pairs, Mapping):
            return cls(_nested(pairs, ""))
        return cls(_pairs(list(pairs) if isinstance(pairs, Iterable) else pairs, ""))

    @classmethod
    def of_names(cls, classnames: Sequence[str]) -> Taxonomy:
        """The taxonomy in names such as "Greek/character01", or folders within folders.

        Raises
        ------
        FewshotError
            A name without a group.
        """
        edges: list[Edge] = []
        for name in classnames:
            levels = name.replace("\\", "/").strip("/").split("/")
            expect(
                len(levels) > 1,
                SETTING,
                f"names: expected classes such as 'group/class', got {name!r}",
                "Give a file with the taxonomy instead.",
            )
            paths = ["/".join(levels[: depth + 1]) for depth in range(len(levels) - 1)] + [name]
            edges += itertools.pairwise(paths)
        return cls(edges)

    @classmethod
    def load(cls, path: str | Path) -> Taxonomy:
        """Read a file of a taxonomy.

        Parameters
        ----------
        path : str or Path
            ``.json``: an object, from the name of each group to a list of names or an object of the
            same form, or a list of [parent, child]. ``.csv`` or ``.tsv``: two columns, named parent
            and child or superclass and class. Other text: lines of parent and child with a space in
            between, as in WordNet's ``wordnet.is_a.txt``.

        Raises
        ------
        FewshotError
            The file cannot be read or has another form.
        """
        path = Path(path).expanduser()
        text = read_text(path, SETTING, LARGEST_FILE)
        kind = path.suffix.lower()
        if kind == ".json":
            return cls(_from_json(text, path))
        if kind in TABLES:
            return cls(_from_table(text, path))
        return cls(_from_lines(text, path))


def _key(name: str) -> str:
    return " ".join(str(name).replace("_", " ").split()).casefold()


def _from_json(text: str, path: Path) -> list[Edge]:
    try:
        content = json.loads(text, object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        raise FewshotError(SETTING, f"{path} is not JSON: {error}") from None
    if isinstance(content, Mapping):
        return list(_nested(content, f"{path}: "))
    return _pairs(content, f"{path}: ")


def _pairs(content: object, where: str) -> list[Edge]:
    """Pairs of names, checked."""
    pairs: Sequence[Any] = content if isinstance(content, list | tuple) else [content]
    for pair in pairs:
        fine = isinstance(pair, list | tuple) and len(pair) == 2
        fine = fine and all(isinstance(name, str) for name in pair)
        expect(fine, SETTING, f"{where}expected pairs [parent, child], got {shown(pair)}")
    return [(parent, child) for parent, child in pairs]


def _nested(content: Mapping[str, Any], where: str) -> Iterator[Edge]:
    """Pairs in an object of objects and lists."""
    waiting = list(content.items())
    while waiting:
        name, below = waiting.pop()
        if isinstance(below, Mapping):
            yield from ((name, child) for child in below)
            waiting += below.items()
            continue
        fine = isinstance(below, list) and all(isinstance(child, str) for child in below)
        expect(fine, SETTING, f"{where}expected names below {name!r}, got {shown(below)}")
        yield from ((name, child) for child in below)


def _from_table(text: str, path: Path) -> Iterator[Edge]:
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # Excel writes semicolons in many countries
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        parent, child = _columns(header, path)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            fine = len(row) > max(parent, child) and row[parent].strip() and row[child].strip()
            place = f"{path}, line {rows.line_num}"
            expect(bool(fine), SETTING, f"{place}: expected a parent and a child, got {shown(row)}")
            yield row[parent].strip(), row[child].strip()
    except csv.Error as error:
        raise FewshotError(
            SETTING,
            f"cannot parse {path}, line {rows.line_num}: {error}",
            "Look for a quotation mark that is not closed.",
        ) from None


def _columns(header: Sequence[str], path: Path) -> tuple[int, int]:
    """Where parents and children are in a table."""
    parent = next((header.index(name) for name in PARENTS if name in header), None)
    child = next((header.index(name) for name in CHILDREN if name in header), None)
    if parent is None or child is None:
        raise FewshotError(
            SETTING,
            f"{path}: expected columns parent and child, or superclass and class, got "
            f"{shown(', '.join(header)) if header else 'none'}",
            "Name them in the first line.",
        )
    return parent, child


def _from_lines(text: str, path: Path) -> Iterator[Edge]:
    for line, entry in enumerate(text.splitlines(), 1):
        if not (words := entry.split()):
            continue
        expect(
            len(words) == 2,
            SETTING,
            f"{path}, line {line}: expected parent and child with a space in between, got "
            f"{shown(entry)}",
            "Names with spaces need a .csv, .tsv or .json file.",
        )
        yield words[0], words[1]
