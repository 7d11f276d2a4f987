"""``fewshot text``: descriptions and confusers of classes, and predictors from text."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.cli.arguments import run_action

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
    """Run an action of ``fewshot text``."""
    return run_action("fewshot text", ACTIONS, HELP, argv)
