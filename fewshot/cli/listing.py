"""``fewshot list``: what there is, without importing any of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

from fewshot.cli.parser import Parser
from fewshot.exceptions import UnknownNameError
from fewshot.registry import Registry
from fewshot.resources import options


def main(argv: Sequence[str]) -> int:
    """Print names and one line about each."""
    parser = Parser(prog="fewshot list", description=__doc__)
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("pattern", nargs="?", default="*", help="as in a shell: '*dinov2*'")
    given = parser.parse_args(argv)
    if given.kind not in KINDS:
        raise UnknownNameError("list", given.kind, KINDS)
    table = KINDS[given.kind]()
    chosen = fnmatch.filter(sorted(table), given.pattern)
    if not chosen:
        raise UnknownNameError(given.kind, given.pattern, table)
    width = max(map(len, chosen))
    for name in chosen:
        print(f"{name:<{width}}  {table[name]}".rstrip())
    return 0


def _group(name: str) -> Callable[[], dict[str, str]]:
    return lambda: {key: str(one.get("summary", "")) for key, one in options(name).items()}


def _registered(registry: Registry) -> dict[str, str]:
    return {name: registry[name].summary for name in registry}


def _heads() -> dict[str, str]:
    from fewshot.heads import heads

    return _registered(heads)


def _estimators() -> dict[str, str]:
    from fewshot.errors import estimators

    return _registered(estimators)


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "backbones": _group("backbone"),
    "datasets": _group("dataset"),
    "heads": _heads,
    "estimators": _estimators,
}
