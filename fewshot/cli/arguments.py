"""Arguments of the small commands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

from fewshot.exceptions import FewshotError, UnknownNameError


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in the house form."""

    def error(self, message: str) -> NoReturn:
        """Raise where argparse would print its usage and exit."""
        raise FewshotError(self.prog, message, f"See {self.prog} --help.")


def run_action(command: str, actions: Mapping[str, str], usage: str, argv: Sequence[str]) -> int:
    """Hand the arguments to one of the actions, which is not imported before it is asked for.

    Parameters
    ----------
    command : str
        What errors name.
    actions : mapping of str to str
        Name to module, whose ``main`` takes the arguments after it.
    usage : str
        What ``--help`` prints.
    argv : sequence of str

    Raises
    ------
    FewshotError
        No action, or one that there is not.
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
