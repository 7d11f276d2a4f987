"""``fewshot list``: what there is; only what other packages bring is imported."""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from fewshot.cli.arguments import Parser
from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.paths import card, options, resource_dir
from fewshot.registry import Registry
from fewshot.sweeps.ready import ready_sweeps

Facts = dict[str, Any]
# Facts of a card that are columns of the table, with their format; --long shows all facts.
COLUMNS = {
    "backbones": {"dim": "{}-d", "parameters": "{}"},
    "datasets": {"images": "{} images", "classes": "{} classes"},
}
LONGEST = 70
# Kinds of which tasks may bring their own.
GROUPS = {"heads": "head", "estimators": "estimator"}
OF_TASK = ": "  # between the name of such a task and that of a head


def main(argv: Sequence[str]) -> int:
    """Print names with a summary of one line each, or all facts with --long or --json."""
    parser = Parser(prog="fewshot list", description=__doc__)
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("pattern", nargs="?", default="*", help="as in a shell: '*dinov2*'")
    parser.add_argument(
        "--task", metavar="NAME", help=f"of that task only: of {' and '.join(GROUPS)}"
    )
    parser.add_argument("--long", action="store_true", help="the whole card of each")
    parser.add_argument("--json", action="store_true", help="the cards as JSON")
    arguments = parser.parse_args(argv)
    if arguments.kind not in KINDS:
        raise UnknownNameError("list", arguments.kind, KINDS)
    table = _of_task(arguments.kind, arguments.task) if arguments.task else KINDS[arguments.kind]()
    chosen = [name for name in sorted(table) if _matches(name, arguments.pattern)]
    if not chosen:
        raise UnknownNameError(arguments.kind, arguments.pattern, table)
    rows = {name: table[name] for name in chosen}
    if arguments.json:
        print(json.dumps(_whole(arguments.kind, rows), indent=2, ensure_ascii=False))
    elif arguments.long:
        print("\n\n".join(_card(*row) for row in _whole(arguments.kind, rows).items()))
    else:
        print(_table(rows, COLUMNS.get(arguments.kind, {})))
    return 0


def _matches(name: str, pattern: str) -> bool:
    """Whether a name, or that behind the task it is of, matches a pattern."""
    behind = name.rpartition(OF_TASK)[2]
    return fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(behind, pattern)


def _table(rows: Mapping[str, Facts], columns: Mapping[str, str]) -> str:
    """Format a table of names, numbers aligned to the right, and summaries."""
    lines = [
        [name, *(_cell(facts.get(key), words) for key, words in columns.items())]
        for name, facts in rows.items()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line, facts in zip(lines, rows.values(), strict=True):
        numbers = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)][1:]
        parts = [line[0].ljust(widths[0]), *numbers, str(facts.get("summary", ""))]
        text.append("  ".join(parts).rstrip())
    return "\n".join(text)


def _cell(value: Any, words: str) -> str:
    """Format the number that a fact starts with: 86M of "86M image tower, 150M in all"."""
    number = _text(value).split()
    return words.format(number[0]) if number else ""


def _card(name: str, facts: Facts) -> str:
    """Format a paragraph: the name, then a line per fact."""
    facts = dict(facts)
    if places := facts.pop("weights_looked_for", None):
        facts["weights_looked_for"] = places[0]  # docs/backbones.md has the others
    width = max((len(key) for key in facts), default=0)
    return "\n".join(
        [name, *(f"  {key:<{width}}  {_text(value)}".rstrip() for key, value in facts.items())]
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10000 else str(value)
    if isinstance(value, Mapping):
        value = [f"{key}: {_text(inner)}" for key, inner in value.items()]
    if isinstance(value, list):
        joined = ", ".join(map(_text, value))
        return joined if len(joined) <= LONGEST else f"{joined[: LONGEST - 3]}..."
    return "" if value is None else " ".join(str(value).split())


def _whole(kind: str, rows: Mapping[str, Facts]) -> dict[str, Facts]:
    """Return the rows with their papers; for backbones with their weights on disk."""
    rows = {name: _with_papers(name, facts) for name, facts in rows.items()}
    if kind != "backbones":
        return rows
    from fewshot.backbones.lookup import whereabouts
    from fewshot.paths import places_of_environment

    folder = places_of_environment().weights
    whole = {}
    for name, facts in rows.items():
        weights = whereabouts(facts, folder)
        whole[name] = {key: value for key, value in facts.items() if value is not None}
        if weights.found or weights.places:
            whole[name]["weights_found"] = str(weights.found) if weights.found else False
            whole[name]["weights_looked_for"] = [str(place) for place in weights.places]
    return whole


def _with_papers(name: str, facts: Facts) -> Facts:
    """Facts of a card with its papers as text beside their keys."""
    if not facts.get("references"):
        return facts
    from fewshot.references import resolve

    papers = [entry.text() for entry in resolve(facts["references"], name)]
    return facts | {"citation": "; ".join(papers)}


def _backbones() -> dict[str, Facts]:
    from fewshot.backbones import kinds

    return options("backbone") | _plugged(kinds)


def _datasets() -> dict[str, Facts]:
    """Return the facts of the cards of data sets; the settings of those without a card."""
    rows = {}
    for name, settings in options("dataset").items():
        facts = card(str(settings.get("card") or name)) or settings
        if isinstance(facts.get("classnames"), list):  # settings have a word or a file there
            facts.setdefault("classes", len(facts["classnames"]))
        rows[name] = {"summary": ""} | facts | {"summary": settings.get("summary", "")}
    from fewshot.datasets import kinds

    return rows | _plugged(kinds)


def _episodes() -> dict[str, Facts]:
    """Settings of every sampler, with the first sentence of its file as summary."""
    rows = {}
    for name, settings in options("episodes").items():
        text = (resource_dir("conf") / "episodes" / f"{name}.yaml").read_text(encoding="utf-8")
        lines = takewhile(lambda line: line.startswith("#"), text.splitlines())
        about = " ".join(line.removeprefix("#").strip() for line in lines)
        sentence = re.split(r"[.:;] ", re.sub(r" \([^)]*\)", "", about))[0]
        rows[name] = {"summary": sentence.rstrip("."), **settings}
    return rows


def _registered(registry: Registry) -> dict[str, Facts]:
    """Facts of registered names; entry points that cannot be used are named on stderr."""
    own = [registry[name] for name in registry if registry[name].package is None]
    table = {entry.name: {"summary": entry.summary, "code": entry.origin} for entry in own}
    return table | _plugged(registry)


def _plugged(registry: Registry) -> dict[str, Facts]:
    """Facts of what other packages bring; what cannot be used is named on stderr."""
    for problem in registry.problems():
        print(f"fewshot: left out: {problem}", file=sys.stderr)
    table: dict[str, Facts] = {}
    for entry in map(registry.__getitem__, registry.plugged()):
        try:
            summary = f"{_first_line(entry.load())} [{entry.package}]".strip()
        except FewshotError as error:
            print(f"fewshot: left out: {error}", file=sys.stderr)
            continue
        table[entry.name] = {"summary": summary, "code": entry.origin, "package": entry.package}
    return table


def _first_line(value: object) -> str:
    """First line of the docstring of an object of another package."""
    return ((getattr(value, "__doc__", None) or "").strip().splitlines() or [""])[0]


def _tasks() -> dict[str, Facts]:
    from fewshot.tasks import tasks

    return _registered(tasks)


def _heads() -> dict[str, Facts]:
    return _of_all_tasks("head")


def _estimators() -> dict[str, Facts]:
    return _of_all_tasks("estimator")


def _of_all_tasks(group: str) -> dict[str, Facts]:
    """Facts of heads or estimators; those of tasks with a registry of their own say which."""
    from fewshot.config.nodes import GROUPS as REGISTRIES
    from fewshot.tasks import known_tasks

    listed = [REGISTRIES[group]]
    table = _registered(listed[0])
    for task in known_tasks():
        registry = task.registry(group)
        if registry not in listed:
            listed.append(registry)
            table |= {
                f"{task.name}{OF_TASK}{name}": {**facts, "task": task.name}
                for name, facts in _registered(registry).items()
            }
    return table


def _of_task(kind: str, name: str) -> dict[str, Facts]:
    """Facts of the heads or estimators of a task."""
    from fewshot.tasks import task_named

    if kind not in GROUPS:
        raise FewshotError("--task", f"expected it with {' or '.join(GROUPS)}, got {kind}")
    return _registered(task_named(name).registry(GROUPS[kind]))


def _loggers() -> dict[str, Facts]:
    from fewshot.loggers import loggers

    return _registered(loggers)


KINDS: dict[str, Callable[[], dict[str, Facts]]] = {
    "backbones": _backbones,
    "datasets": _datasets,
    "episodes": _episodes,
    "heads": _heads,
    "tasks": _tasks,
    "estimators": _estimators,
    "sweeps": ready_sweeps,
    "loggers": _loggers,
}
