"""Options of a run, which are Hydra's, checked before Hydra prints its usage over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from fewshot.exceptions import FewshotError, suggestion

SETTINGS = "A setting has no dashes: episodes.shots=5. fewshot --cfg job prints all of them."
REMEDY = "See fewshot --help, and fewshot --hydra-help for Hydra's own options."


def check_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, settings first, as Hydra takes these in one piece only.

    Raises
    ------
    FewshotError
        An option that does not exist, or with a value that it does not take.
    """
    parser = get_args_parser()
    parser.error = _raise  # type: ignore[method-assign]
    known = [name for action in parser._actions for name in action.option_strings]
    known.append("--dry-run")
    options, others = parser.parse_known_args(list(arguments))
    for word in others:
        if re.match(r"--?[a-zA-Z]", word):
            name = word.partition("=")[0]
            raise FewshotError(
                name, "there is no such option", f"{suggestion(name, known)} {SETTINGS} {REMEDY}"
            )
    settings = [*options.overrides, *others]
    named = {word.partition("=")[0] for word in settings}
    if options.shell_completion and len(named & {"install", "uninstall", "query"}) != 1:
        expected = "expected install=SHELL, uninstall=SHELL or query=SHELL"
        raise FewshotError("--shell-completion", expected, REMEDY)
    settings = [word for word in settings if word != "--"]
    return [*settings, *_without(list(arguments), settings)]


def _raise(message: str) -> NoReturn:
    """Raise what argparse would print with its usage."""
    argument, problem = re.fullmatch(r"(?:argument (\S+): )?(.*)", message, re.DOTALL).groups()  # type: ignore[union-attr]
    raise FewshotError(argument or "arguments", problem, REMEDY)


def _without(words: list[str], removed: Sequence[str]) -> list[str]:
    """`words` without the last occurrence of each of `removed`: a value of an option stays."""
    for word in reversed(removed):
        del words[len(words) - 1 - words[::-1].index(word)]
    return [word for word in words if word != "--"]
