"""Shared parts of the commands that ask a language model about classes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, expect_overrides
from fewshot.exceptions import FewshotError

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
    """A kind of question about classes to a language model.

    Attributes
    ----------
    answers : str
        Name of the answers, and of their folder in the cache.
    done : str
        Predicate for answered classes in messages.
    prompt : str
        Name and version of the prompt.
    fresh : callable
        Takes the name of a data set, returns an empty file of answers.
    question : callable
        Takes a class name and the kind of its images (or None), returns a question.
    ask : callable
        Takes class names, file, data set, language model and kind of images; returns the answers
        and the outcome of the questions.
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
    """Create the parser of ``fewshot text <command>``."""
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


def ask_or_preview(
    arguments: argparse.Namespace,
    overrides: Sequence[str],
    command: str,
    asking: Callable[[], Asking],
) -> int:
    """Ask the questions, or preview them; `asking` is called once the settings are checked."""
    expect_overrides(f"fewshot text {command}", overrides)
    from fewshot.config.compose import settings_from
    from fewshot.text.llm.settings import check_no_secret

    settings = settings_from(overrides)
    check_no_secret(settings["llm"])
    dataset = dataset_of(settings)
    _expect_names(dataset, settings, command)
    name, classnames = dataset_name(dataset), dataset.classnames
    _expect_printable(name, classnames)
    act = _preview if arguments.dry_run else _ask
    act(asking(), settings, arguments, name, classnames)
    return 0


def dataset_of(settings: dict[str, Any]) -> ImageDataset | FeatureBank:
    """Load the data set of a configuration; raise if its class names cannot be used in texts."""
    from fewshot.evaluation.build import load_images
    from fewshot.text.prompts import check_classnames

    dataset = load_images(settings)
    check_classnames(dataset.classnames)
    return dataset


def dataset_name(dataset: ImageDataset | FeatureBank) -> str:
    """Return the name of a data set in rows and in files of answers."""
    from fewshot.datasets.base import ImageDataset

    return str(dataset.name if isinstance(dataset, ImageDataset) else dataset.info.get("dataset"))


def _expect_names(
    dataset: ImageDataset | FeatureBank, settings: dict[str, Any], command: str
) -> None:
    """Raise if class names look like identifiers, unless ``dataset.classnames`` allows them."""
    from fewshot.datasets.identifiers import in_words
    from fewshot.datasets.naming import DATA, SETTING, unnamed

    names, classes = unnamed(dataset), len(dataset.classnames)
    if names and settings["dataset"].get("classnames") != DATA:
        raise FewshotError(
            SETTING,
            f"expected names that a language model can know; {in_words(names, classes)}",
            f"Give names with {SETTING}=FILE; {SETTING}={DATA} asks about these all the same.",
        )


def _expect_printable(name: str, classnames: Sequence[str]) -> None:
    """Raise if a name cannot stand in a question or in a file of answers."""
    from fewshot.datasets.naming import SETTING
    from fewshot.text.descriptions import fault

    if why := fault(name):
        raise FewshotError("dataset.name", f"{name!r} cannot stand in a file of answers: {why}")
    for classname in classnames:
        if why := fault(classname):
            problem = f"nobody can be asked about the class {classname!r}: {why}"
            raise FewshotError(SETTING, problem, f"Give names with {SETTING}=FILE.")


def _preview(
    asking: Asking,
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    name: str,
    classnames: Sequence[str],
) -> None:
    """Print the number of questions and the first one."""
    from fewshot.text.describing import opened_as

    file = _file(asking, settings, arguments, name)
    answers = opened_as(file, asking.fresh(name), settings["llm"]["model"]).of(classnames)
    missing = [classname for classname, texts in zip(classnames, answers, strict=True) if not texts]
    first = asking.question(missing[0], _images(name)).messages() if missing else []
    if arguments.json:
        facts = {"file": str(file), "prompt": asking.prompt, "questions": len(missing)}
        print(json.dumps(facts | {"first": first}, indent=2, ensure_ascii=False))
        return
    count = f"{len(missing)} questions ({asking.prompt})"
    print(f"{count} for {len(classnames)} classes of {name}: {file}")
    for message in first:
        print(f"\n{message['role']}:\n{message['content']}")


def _ask(
    asking: Asking,
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    name: str,
    classnames: Sequence[str],
) -> None:
    from fewshot.text.llm.questions import incomplete
    from fewshot.text.llm.settings import LanguageModel

    model = LanguageModel(**settings["llm"])
    file = _file(asking, settings, arguments, name)
    words = asking.answers.capitalize()
    try:
        answers, outcome = asking.ask(classnames, file, name, model, _images(name))
    except KeyboardInterrupt:
        print(f"\n{words} so far are kept in {file}.", file=sys.stderr)
        raise
    missing = [
        classname
        for classname, has in zip(classnames, answers.of(classnames), strict=True)
        if not has
    ]
    if missing:
        raise incomplete(outcome, len(missing), file)
    if arguments.json:
        facts = {"file": str(file), "classes": len(classnames), "asked": outcome.answered}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    print(f"{len(classnames)} classes of {name} {asking.done}, {outcome.answered} of them now.")
    print(f"{words}: {file}")


def _file(
    asking: Asking, settings: dict[str, Any], arguments: argparse.Namespace, name: str
) -> Path:
    """Return the file of the answers."""
    from fewshot.paths import places_of
    from fewshot.text.descriptions import place_of

    if arguments.output:
        return Path(arguments.output).expanduser()
    folder = places_of(settings["paths"]).cache / asking.answers
    return place_of(folder, name, str(settings["llm"]["model"] or "MODEL"), asking.prompt)


def _images(name: str) -> str | None:
    """Return the kind of images from the data set's card; None without a card."""
    from fewshot.paths import card

    summary = card(name).get("summary")
    return None if summary is None else str(summary)
