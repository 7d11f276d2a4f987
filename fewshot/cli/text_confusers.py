"""``fewshot text confusers``: names of what could be taken for classes, by a language model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.cli.parser import Parser
from fewshot.cli.text_describe import classes_of
from fewshot.exceptions import expect, expect_positive_int

# What `fewshot.text.confusers.asking.COUNT` says, which would import torch for the help.
COUNT = 12
EPILOG = """\
The settings are those of a run (fewshot --cfg job); those of the language model begin with llm.
The key stands in the environment variable OPENAI_API_KEY, nowhere else. A server that is named
by llm.base_url needs none.

examples:
  fewshot text confusers dataset=flowers102 llm.model=gpt-4o-mini
  fewshot text confusers dataset=dtd llm.model=qwen3 llm.base_url=http://localhost:11434/v1
  fewshot text confusers --dry-run dataset=flowers102
  fewshot text show ~/.cache/fewshot/confusers/flowers102-gpt-4o-mini-confusers_1.json

Every answer is kept as soon as it is there; the same command asks for what is missing.
"""


def main(argv: Sequence[str]) -> int:
    """Ask for confusers of the classes of a data set that have none yet."""
    given, overrides = _parser().parse_known_args(argv)
    for word in overrides:
        expect("=" in word, "fewshot text confusers", f"expected SETTING=VALUE, got {word!r}")
    expect_positive_int("-k", given.count)
    expect(given.count <= 100, "-k", f"expected at most 100 names, got {given.count}")
    from fewshot.cli.compose import settings_from
    from fewshot.text.llm_settings import check_no_secret

    settings = settings_from(overrides)
    check_no_secret(settings["llm"])
    name, classnames = classes_of(settings)
    if given.dry_run:
        _say_what_would_be_asked(settings, given, name, classnames)
    else:
        _ask(settings, given, name, classnames)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot text confusers",
        usage="fewshot text confusers [--output FILE] [-k N] [-n] [--json] [SETTING=VALUE ...]",
        description=main.__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--output", metavar="FILE", help="JSON to write or to complete; a place in the cache"
    )
    parser.add_argument(
        "-k", dest="count", metavar="N", type=int, default=COUNT,
        help=f"names to ask for, per class; {COUNT}, two more than a run uses",
    )  # fmt: skip
    parser.add_argument(
        "-n", "--dry-run", action="store_true",
        help="how many questions there are, and the first; nothing is asked",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _say_what_would_be_asked(
    settings: dict[str, Any], given: argparse.Namespace, name: str, classnames: Sequence[str]
) -> None:
    from fewshot.text.confusers.asking import PROMPT, question_for
    from fewshot.text.confusers.files import ConfuserFile
    from fewshot.text.describing import opened_as

    file = _file(settings, given, name)
    fresh = ConfuserFile(dataset=name, prompt=PROMPT)
    known = opened_as(file, fresh, settings["llm"]["model"]).of(classnames)
    wanted = [one for one, names in zip(classnames, known, strict=True) if not names]
    first = question_for(wanted[0], _images(name), given.count).messages() if wanted else []
    if given.json:
        facts = {"file": str(file), "prompt": PROMPT, "questions": len(wanted), "first": first}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    print(f"{len(wanted)} questions ({PROMPT}) for {len(classnames)} classes of {name}: {file}")
    for message in first:
        print(f"\n{message['role']}:\n{message['content']}")


def _ask(
    settings: dict[str, Any], given: argparse.Namespace, name: str, classnames: Sequence[str]
) -> None:
    from fewshot.text.confusers.asking import ask_confusers
    from fewshot.text.llm_settings import LanguageModel
    from fewshot.text.questions import incomplete

    model = LanguageModel(**settings["llm"])
    file = _file(settings, given, name)
    try:
        found, outcome = ask_confusers(classnames, file, name, model, _images(name), given.count)
    except KeyboardInterrupt:
        print(f"\nConfusers so far are kept in {file}.", file=sys.stderr)
        raise
    missing = [one for one, has in zip(classnames, found.of(classnames), strict=True) if not has]
    if missing:
        raise incomplete(outcome, len(missing), file)
    if given.json:
        facts = {"file": str(file), "classes": len(classnames), "asked": outcome.answered}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    print(f"{len(classnames)} classes of {name} have confusers, {outcome.answered} of them now.")
    print(f"Confusers: {file}")


def _file(settings: dict[str, Any], given: argparse.Namespace, name: str) -> Path:
    """Where the confusers go."""
    from fewshot.places import places_of
    from fewshot.text.confusers.asking import PROMPT
    from fewshot.text.descriptions import place_of

    if given.output:
        return Path(given.output).expanduser()
    folder = places_of(settings["paths"]).cache / "confusers"
    return place_of(folder, name, str(settings["llm"]["model"] or "MODEL"), PROMPT)


def _images(name: str) -> str | None:
    """What the data set's card says the images are; None without a card."""
    from fewshot.resources import card

    said = card(name).get("summary")
    return None if said is None else str(said)
