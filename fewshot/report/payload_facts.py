"""What single tasks have to tell beyond their measures, as lines of name and text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fewshot.report.one_class import RULES
from fewshot.report.payload_measures import task_of
from fewshot.report.verification import MEANINGS, ONE_CLASS, TITLES, VERIFICATION
from fewshot.report.wording import Cell, percent

LISTED = 12


def more_facts(cell: Cell) -> list[list[str]]:
    """Pairs of name and text; none for classification."""
    facts = {VERIFICATION: _verification, ONE_CLASS: _one_class}.get(task_of(cell))
    return [list(pair) for pair in facts(cell)] if facts else []


def _verification(cell: Cell) -> Iterator[tuple[str, str]]:
    yield "share of positives", f"{percent(cell.get('prevalence'))} % of the queries"
    for name, text in MEANINGS.items():
        yield TITLES[name], text


def _one_class(cell: Cell) -> Iterator[tuple[str, str]]:
    yield "rule", RULES.get(cell["head"], str(cell["head"]))
    yield "target classes", str(cell.get("targets", "not said"))
    if cell.get("dropped_targets"):
        yield "classes left out as targets", listed(cell["dropped_targets"])
    used = cell.get("confusers") or {}
    if not used:
        return
    yield "confusers of a class", f"{used['mean']:.1f} on average"
    yield from _some("confusers of", {c: listed(own) for c, own in used["names"].items()})
    dropped = {c: listed([f"{n} ({why})" for n, why in own]) for c, own in used["dropped"].items()}
    yield from _some("dropped for", dropped)
    yield from _some("without confusers:", {c: f"took {w}" for c, w in used["fallbacks"].items()})


def _some(what: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The first entries of a table, and how many there are beyond."""
    yield from ((f"{what} {name}", text) for name, text in list(texts.items())[:LISTED])
    if len(texts) > LISTED:
        yield f"{what} others", f"{len(texts) - LISTED} more classes, in summary.json"


def listed(values: Sequence[Any]) -> str:
    """``a, b, c and 5 more``."""
    shown = ", ".join(map(str, values[:LISTED])) or "none"
    more = len(values) - LISTED
    return f"{shown} and {more} more" if more > 0 else shown
