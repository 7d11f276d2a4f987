"""``fewshot text``: what there is to say about classes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from fewshot.exceptions import FewshotError, UnknownNameError

# None is imported before it is asked for.
ACTIONS = {
    "describe": "fewshot.cli.text_describe",
    "confusers": "fewshot.cli.text_confusers",
    "show": "fewshot.cli.text_show",
    "fit": "fewshot.cli.text_fit",
}
HELP = """\
usage: fewshot text ACTION ...

  describe   ask a language model what the classes of a data set look like
  confusers  ask a language model what could be taken for the classes of a data set
  show       what a file of descriptions or confusers holds
  fit        learn from base classes what texts say about image features

fewshot text ACTION --help says more.
"""


def main(argv: Sequence[str]) -> int:
    """Hand the arguments to one of the actions."""
    action, *rest = argv or [""]
    if action in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if not action:
        raise FewshotError("fewshot text", "expected an action, got none", "See --help.")
    if action not in ACTIONS:
        raise UnknownNameError("fewshot text", action, ACTIONS)
    run = import_module(ACTIONS[action]).main
    return int(run(rest))
