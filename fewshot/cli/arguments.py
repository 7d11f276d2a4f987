"""Argument parser of the commands, and dispatch to their actions."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from fewshot.exceptions import FewshotError, UnknownNameError, shown

SHARE = re.compile(r"(?P<number>(\d+\.?\d*|\.\d+))\s*(?P<percent>%)?", re.ASCII)


def is_override(word: str) -> bool:
    """Whether an argument is an option, SETTING=VALUE, or ``~SETTING``, which deletes one."""
    return word.startswith("-") or "=" in word or (word.startswith("~") and "/" not in word)


def expect_overrides(command: str, words: Iterable[str]) -> None:
    """Raise unless all words are SETTING=VALUE; a path gets the settings that were meant."""
    for word in words:
        if "=" in word:
            continue
        remedy = ""
        if Path(word).expanduser().exists():
            from fewshot.config.suggestions import as_dataset

            remedy = f"For what is at that path: {as_dataset(word)}."
        raise FewshotError(command, f"expected SETTING=VALUE, got {word!r}", remedy)


def reworded(
    error: FewshotError, arguments: Mapping[str, str], words: Mapping[str, str]
) -> FewshotError:
    """An error about settings of a run, in the words of a command.

    Parameters
    ----------
    error : FewshotError
    arguments : mapping of str to str
        Arguments and settings, and those of the command that stand for them.
    words : mapping of str to str
        Texts to be replaced anywhere in the error, in this order.
    """
    texts = [arguments.get(error.argument, error.argument), error.problem, error.remedy]
    for run, here in words.items():
        texts = [text.replace(run, here) for text in texts]
    return FewshotError(*texts)


def share_of(argument: str, text: str) -> float:
    """A share as people write it, ``5%``, ``5 %`` or ``0.05``: above 0 and below 1.

    Raises
    ------
    FewshotError
        No number, or one out of this range.

    Examples
    --------
    >>> share_of("--target", "5%"), share_of("--target", "2.5 %"), share_of("--target", "0.05")
    (0.05, 0.025, 0.05)
    """
    match = SHARE.fullmatch(text.strip())
    value = float(match["number"]) / (100 if match["percent"] else 1) if match else 0.0
    if 0 < value < 1:
        return value
    remedy = "Write 5% or 0.05 for five of a hundred."
    if match and not match["percent"] and 1 <= value < 100:
        remedy = f"Did you mean {text.strip()}%?"
    problem = f"expected a share above 0 and below 100 %, got {shown(text)}"
    raise FewshotError(argument, problem, remedy)


# What JSON leaves as it is and terminals obey: further control characters, directions of text.
STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def share(text: str) -> float:
    """The type of an option that takes a share, as ``90%`` or ``0.9``; its range is not checked.

    Examples
    --------
    >>> share("90%"), share("0.9"), share(".5"), share("2")
    (0.9, 0.9, 0.5, 2.0)
    """
    number = text.strip().removesuffix("%")
    try:
        return float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a share, as 90% or 0.9, got {shown(text)}"
        ) from None


def print_json(content: Any) -> None:
    """Print JSON, with escapes for what steers terminals or standard output cannot hold."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    text = STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, indent=2, allow_nan=False)
    print(text)


class Parser(argparse.ArgumentParser):
    """An ``argparse`` parser that raises FewshotError."""

    def error(self, message: str) -> NoReturn:
        """Raise FewshotError, where argparse would print its usage and exit."""
        remedy = f"See {self.prog} --help."
        unknown = message.partition("unrecognized arguments: ")[2]
        if any("=" in word and word[:1] != "-" for word in unknown.split()):
            remedy = f"It takes options, and no SETTING=VALUE. {remedy}"
        raise FewshotError(self.prog, message, remedy)


def run_action(command: str, actions: Mapping[str, str], usage: str, argv: Sequence[str]) -> int:
    """Run an action of a command with the remaining arguments; imports only that action.

    Parameters
    ----------
    command : str
        Name of the command in errors.
    actions : mapping of str to str
        Name of the action to a module, whose ``main`` takes the remaining arguments.
    usage : str
        Text of ``--help``.
    argv : sequence of str

    Raises
    ------
    FewshotError
        No action, or an unknown one.
    """
    action, *rest = argv or [""]
    if action in ("-h", "--help", "help"):
        print(usage, end="")
        return 0
    if not action:
        raise FewshotError(command, "expected an action, got none", "See --help.")
    if action not in actions:
        raise UnknownNameError(command, action, actions)
    run = import_module(actions[action]).main
    return int(run(rest))
