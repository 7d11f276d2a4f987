"""``fewshot text describe``: descriptions of classes by a language model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fewshot.cli.text_asking import Asking, ask_or_preview, asking_parser

EXAMPLES = """\
  fewshot text describe dataset=flowers102 llm.model=gpt-4o-mini
  fewshot text describe dataset=dtd llm.model=qwen3 llm.base_url=http://localhost:11434/v1
  fewshot text describe --dry-run dataset=flowers102
  fewshot dataset=flowers102 backbone=clip_vitb32 head=zero_shot text.source=descriptions
"""


def main(argv: Sequence[str]) -> int:
    """Ask for descriptions of the classes of a data set that have none yet."""
    arguments, overrides = asking_parser("describe", "", main.__doc__, EXAMPLES).parse_known_args(
        argv
    )
    return ask_or_preview(arguments, overrides, "describe", _asking)


def _asking() -> Asking:
    from fewshot.text.describing import PROMPT, describe, question_for
    from fewshot.text.descriptions import Descriptions

    return Asking(
        answers="descriptions",
        done="are described",
        prompt=PROMPT,
        fresh=lambda name: Descriptions(dataset=name, prompt=PROMPT),
        question=question_for,
        ask=partial(describe, allow_identifiers=True),  # checked by the command before
    )
