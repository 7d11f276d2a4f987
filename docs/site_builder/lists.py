"""Pages that list heads, estimators, backbones, data sets and others, as ``fewshot list`` does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from fewshot.cli.listing import KINDS
from fewshot.references import resolve
from fewshot.registry import Entry
from fewshot.tasks import known_tasks
from site_builder.repository import ROOT
from site_builder.rst import contents, escaped, heading, table
from site_builder.settings import part_label

HOME = "reference/lists"
# Heads whose page is that of another.
SHARED = {"zs_lp": ("clap",)}
TITLES = {
    "heads": "All heads",
    "estimators": "All estimators",
    "backbones": "All backbones",
    "datasets": "All data sets",
    "tasks": "All tasks",
    "sweeps": "All ready-made sweeps",
    "loggers": "All loggers",
}
# Facts that are columns, beside name and summary; with the title of the column.
COLUMNS = {
    "backbones": {
        "dim": "features",
        "parameters": "parameters",
        "resolution": "pixels",
        "licence": "licence",
        "references": "papers",
        "source": "weights",
    },
    "datasets": {
        "images": "images",
        "classes": "classes",
        "licence": "licence",
        "references": "papers",
        "note": "note",
    },
    "sweeps": {"duration": "duration"},
}


def sources() -> dict[str, str]:
    """Sources of the pages by path."""
    made = {}
    for kind, title in TITLES.items():
        body = _registered(kind[:-1]) if kind in ("heads", "estimators") else _facts(kind)
        about = f"What ``fewshot list {kind}`` prints, and where more is said.\n"
        made[f"{HOME}/{kind}.rst"] = "\n".join([heading(title), about, body])
    rows = [(f":doc:`{title} <{kind}>`",) for kind, title in TITLES.items()]
    index = heading("What there is") + "\n" + table(("list",), rows) + "\n"
    made[f"{HOME}/index.rst"] = index + contents(TITLES)
    return made


def _facts(kind: str) -> str:
    columns = COLUMNS.get(kind, {})
    facts = {name: KINDS[kind]()[name] for name in sorted(KINDS[kind]())}
    rows = [
        (_anchored(kind, name), escaped(str(row.get("summary", ""))), *_cells(row, columns))
        for name, row in facts.items()
        if "package" not in row
    ]
    return table(("name", "what it is", *columns.values()), rows)


def _anchored(kind: str, name: str) -> str:
    """A name that can be linked to: ``#datasets-cub``."""
    return f":anchor:`{name} <{kind}-{name}>`"


def _cells(facts: Mapping[str, Any], columns: Iterable[str]) -> Iterable[str]:
    for key in columns:
        value = facts.get(key)
        if key == "references" and value:
            value = "; ".join(entry.text() for entry in resolve(value, "references"))
        text = f"{value:,}" if isinstance(value, int) and value >= 10000 else str(value or "")
        if text.startswith("https://"):
            yield f"`{re.sub('^https://(www.)?', '', text)} <{text}>`__"
        else:
            yield escaped(text)


def _registered(group: str) -> str:
    """Tables of heads or estimators, of all tasks and of those with a registry of their own."""
    text, seen = [], []
    for task in known_tasks():
        registry = task.registry(group)
        if registry in seen:
            continue
        seen.append(registry)
        first = len(seen) == 1
        page = f"{group}s" if first else f"{task.name}-{group}s"
        rows = [
            (
                _anchored(page, name),
                escaped(registry[name].summary),
                ", ".join(_links(group, page, registry[name], first)),
            )
            for name in registry
            if registry[name].package is None
        ]
        if not first:
            text.append(heading(f"Of task={task.name}", "-"))
        text.append(table(("name", "what it is", "more"), rows))
    return "\n".join(text)


def _links(group: str, page: str, entry: Entry, first: bool) -> Iterable[str]:
    if group == "head" and first and (doc := _page_of_head(entry.name)):
        yield f":doc:`method </{doc}>`"
    yield f":ref:`settings <{part_label(page, entry.name)}>`"
    package = {"head": "fewshot.heads", "estimator": "fewshot.estimators"}[group]
    public = import_module(package if first else "fewshot.segmentation")
    target = entry.load()
    made = target if inspect.isclass(target) else inspect.signature(target).return_annotation
    name = made if isinstance(made, str) else getattr(made, "__name__", "")
    if name in public.__all__:
        yield f":class:`{name} <{public.__name__}.{name}>`"


def _page_of_head(name: str) -> str | None:
    """The page of a head in docs/heads/; zs_lp shares that of clap."""
    for stem in (name, *SHARED.get(name, ())):
        if (ROOT / "docs" / "heads" / f"{stem}.md").is_file():
            return f"heads/{stem}"
    return None
