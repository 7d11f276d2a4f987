"""``fewshot text confusers``: confusers of classes from a language model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fewshot.cli.text_asking import Asking, ask_or_preview, asking_parser
from fewshot.exceptions import expect, expect_positive_int

# As `fewshot.tasks.one_class.confusers.llm.COUNT`, whose import would load torch for the help.
COUNT = 12
EXAMPLES = """\
  fewshot text confusers dataset=flowers102 llm.model=gpt-4o-mini
  fewshot text confusers dataset=dtd llm.model=qwen3 llm.base_url=http://localhost:11434/v1
  fewshot text confusers --dry-run dataset=flowers102
  fewshot text show ~/.cache/fewshot/confusers/flowers102-gpt-4o-mini-confusers_1.json
"""


def main(argv: Sequence[str]) -> int:
    """Ask for confusers of the classes of a data set that have none yet."""
    parser = asking_parser("confusers", "[-k N] ", main.__doc__, EXAMPLES)
    parser.add_argument(
        "-k", dest="count", metavar="N", type=int, default=COUNT,
        help=f"names to ask for, per class; {COUNT}, two more than a run uses",
    )  # fmt: skip
    arguments, overrides = parser.parse_known_args(argv)
    expect_positive_int("-k", arguments.count)
    expect(arguments.count <= 100, "-k", f"expected at most 100 names, got {arguments.count}")
    return ask_or_preview(arguments, overrides, "confusers", partial(_asking, arguments.count))


def _asking(count: int) -> Asking:
    from fewshot.tasks.one_class.confusers.lists import ConfuserFile
    from fewshot.tasks.one_class.confusers.llm import PROMPT, ask_confusers, question_for

    return Asking(
        answers="confusers",
        done="have confusers",
        prompt=PROMPT,
        fresh=lambda name: ConfuserFile(dataset=name, prompt=PROMPT),
        question=partial(question_for, count=count),
        ask=partial(ask_confusers, count=count, allow_identifiers=True),
    )
