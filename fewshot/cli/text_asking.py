"""What the commands that ask a language model about classes have in common."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser
from fewshot.exceptions import FewshotError, expect

if TYPE_CHECKING:
    from fewshot.datasets.base import ImageDataset
    from fewshot.features.bank import FeatureBank
    from fewshot.text.descriptions import Descriptions
    from fewshot.text.llm.client import Question
    from fewshot.text.llm.questions import Outcome
    from fewshot.text.llm.settings import LanguageModel

EPILOG = """\
The settings are those of a run (fewshot --cfg job); those of the language model begin with llm.
The key stands in the environment variable OPENAI_API_KEY, nowhere else. A server that is named
by llm.base_url needs none.

examples:
{examples}
Every answer is kept as soon as it is there; the same command asks for what is missing.
"""


@dataclass(frozen=True)
class Asking:
    """What is asked about every class.

    Attributes
    ----------
    answers : str
        What the answers are called; the name of their folder in the cache.
    done : str
        What can be said of a class that has them.
    prompt : str
        Name and version of the question.
    fresh : callable
        Name of a data set to an empty file of answers.
    question : callable
        Class name, and what kind of images it is from (or None), to a question.
    ask : callable
        Class names, file, data set, language model, kind of images: the file and what came of it.
    """

    answers: str
    done: str
    prompt: str
    fresh: Callable[[str], Descriptions]
    question: Callable[[str, str | None], Question]
    ask: Callable[
        [Sequence[str], Path, str, LanguageModel, str | None], tuple[Descriptions, Outcome]
    ]


def asking_parser(command: str, usage: str, about: str | None, examples: str) -> Parser:
    """The options of ``fewshot text <command>``."""
    parser = Parser(
        prog=f"fewshot text {command}",
        usage=f"fewshot text {command} [--output FILE] {usage}[-n] [--json] [SETTING=VALUE ...]",
        description=about,
        epilog=EPILOG.format(examples=examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--output", metavar="FILE", help="JSON to write or to complete; a place in the cache"
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true",
        help="how many questions there are, and the first; nothing is asked",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def ask_or_say(
    given: argparse.Namespace, overrides: Sequence[str], command: str, asking: Callable[[], Asking]
) -> int:
    """Do what the command line says; `asking` is called when the settings are known to be right."""
    for word in overrides:
        expect("=" in word, f"fewshot text {command}", f"expected SETTING=VALUE, got {word!r}")
    from fewshot.config.compose import settings_from
    from fewshot.text.llm.settings import check_no_secret

    settings = settings_from(overrides)
    check_no_secret(settings["llm"])
    dataset = dataset_of(settings)
    _expect_names(dataset, settings, command)
    name, classnames = dataset_name(dataset), dataset.classnames
    act = _say if given.dry_run else _ask
    act(asking(), settings, given, name, classnames)
    return 0


def dataset_of(settings: dict[str, Any]) -> ImageDataset | FeatureBank:
    """The data set of a configuration, whose class names texts can be made of."""
    from fewshot.evaluation.build import load_images
    from fewshot.text.prompts import check_classnames

    dataset = load_images(settings)
    check_classnames(dataset.classnames)
    return dataset


def dataset_name(dataset: ImageDataset | FeatureBank) -> str:
    """What rows and files of answers call it."""
    from fewshot.datasets.base import ImageDataset

    return str(dataset.name if isinstance(dataset, ImageDataset) else dataset.info.get("dataset"))


def _expect_names(
    dataset: ImageDataset | FeatureBank, settings: dict[str, Any], command: str
) -> None:
    """Ask nobody about identifiers, unless they are what is wanted."""
    from fewshot.datasets.identifiers import in_words
    from fewshot.datasets.naming import DATA, SETTING, unnamed

    names, classes = unnamed(dataset), len(dataset.classnames)
    if names and settings["dataset"].get("classnames") != DATA:
        raise FewshotError(
            SETTING,
            f"expected names that a language model can know; {in_words(names, classes)}",
            f"Give names with {SETTING}=FILE; {SETTING}={DATA} asks about these all the same.",
        )


def _say(
    asking: Asking,
    settings: dict[str, Any],
    given: argparse.Namespace,
    name: str,
    classnames: Sequence[str],
) -> None:
    """Say what would be asked."""
    from fewshot.text.describing import opened_as

    file = _file(asking, settings, given, name)
    known = opened_as(file, asking.fresh(name), settings["llm"]["model"]).of(classnames)
    wanted = [one for one, texts in zip(classnames, known, strict=True) if not texts]
    first = asking.question(wanted[0], _images(name)).messages() if wanted else []
    if given.json:
        facts = {"file": str(file), "prompt": asking.prompt, "questions": len(wanted)}
        print(json.dumps(facts | {"first": first}, indent=2, ensure_ascii=False))
        return
    count = f"{len(wanted)} questions ({asking.prompt})"
    print(f"{count} for {len(classnames)} classes of {name}: {file}")
    for message in first:
        print(f"\n{message['role']}:\n{message['content']}")


def _ask(
    asking: Asking,
    settings: dict[str, Any],
    given: argparse.Namespace,
    name: str,
    classnames: Sequence[str],
) -> None:
    from fewshot.text.llm.questions import incomplete
    from fewshot.text.llm.settings import LanguageModel

    model = LanguageModel(**settings["llm"])
    file = _file(asking, settings, given, name)
    words = asking.answers.capitalize()
    try:
        found, outcome = asking.ask(classnames, file, name, model, _images(name))
    except KeyboardInterrupt:
        print(f"\n{words} so far are kept in {file}.", file=sys.stderr)
        raise
    missing = [one for one, has in zip(classnames, found.of(classnames), strict=True) if not has]
    if missing:
        raise incomplete(outcome, len(missing), file)
    if given.json:
        facts = {"file": str(file), "classes": len(classnames), "asked": outcome.answered}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    print(f"{len(classnames)} classes of {name} {asking.done}, {outcome.answered} of them now.")
    print(f"{words}: {file}")


def _file(asking: Asking, settings: dict[str, Any], given: argparse.Namespace, name: str) -> Path:
    """Where the answers go."""
    from fewshot.paths import places_of
    from fewshot.text.descriptions import place_of

    if given.output:
        return Path(given.output).expanduser()
    folder = places_of(settings["paths"]).cache / asking.answers
    return place_of(folder, name, str(settings["llm"]["model"] or "MODEL"), asking.prompt)


def _images(name: str) -> str | None:
    """What the data set's card says the images are; None without a card."""
    from fewshot.paths import card

    said = card(name).get("summary")
    return None if said is None else str(said)
