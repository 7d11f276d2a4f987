"""``fewshot oneclass``: detection of a class in images by its name."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
)

if TYPE_CHECKING:
    from fewshot.evaluation.detector import Detector
    from fewshot.report.text.detector import Verdict
    from fewshot.tasks.one_class.rules import Learned, Rule

EPILOG = """\
An image is a yes where it is more similar to the word than a threshold, which follows from how
similar it is to the word's confusers: things that could be taken for it. Confusers come from the
first of these that has the word: a list of a language model (in the cache or in the package),
WordNet, the nearest class names of ImageNet.

rules (default: posterior with --threshold-from, anp_and_ft with --fixed, else
anp_and_random)
  fixed, max, anp, anp_ft, anp_ft_fitted, anp_and_ft, anp_and_random, lme, generic,
  posterior: docs/one-class.md

examples:
  fewshot oneclass dalmatian holiday_photos
  fewshot oneclass finch birds/*.jpg --negative sparrow bunting --output finches.csv
  fewshot oneclass finch birds --threshold-from other_labelled_classes
  fewshot oneclass finch birds --ask llm.model=qwen3 llm.base_url=http://localhost:11434/v1
"""
SETTING = re.compile(r"llm\.\w+=.*", re.DOTALL)
# Settings of a run, and the arguments of this command that stand for them in errors.
WORDS = {
    "one_class.confusers.file": "--confusers",
    "one_class.confusers.k": "-k",
    "one_class.sources": "--source",
    "one_class.rules": "--rule",
    "one_class.fixed": "--fixed",
    "dataset.root": "--threshold-from",
    ", or set dataset.on_error=skip": "",
    "backbone=": "--backbone ",
}


def main(argv: Sequence[str]) -> int:
    """Decide for images whether they show a class, by its name."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if not SETTING.fullmatch(word)])
    expect(arguments.ask or not settings, "llm", "expected --ask with settings of a language model")
    try:
        _check(arguments)
        return _judge(arguments, settings)
    except FewshotError as error:
        texts = [error.argument, error.problem, error.remedy]
        for run, here in WORDS.items():
            texts = [text.replace(run, here) for text in texts]
        raise FewshotError(*texts) from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot oneclass",
        usage="fewshot oneclass CLASS IMAGES... [options] [--ask llm.model=NAME ...]",
        description="Say of each image whether it shows what CLASS names. No example is needed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("word", metavar="CLASS", help='a name, as "sea horse"')
    add("images", metavar="IMAGES", nargs="+", help="images, or folders of them")
    add("--backbone", default="conse_lite0", metavar="NAME",
        help="a dual encoder of `fewshot list backbones` (default: %(default)s)")  # fmt: skip
    add("--rule", metavar="NAME", help="see below")
    add("--source", default="auto", metavar="NAME",
        help="of confusers: auto, llm, wordnet, vocabulary, random or none")  # fmt: skip
    add("--confusers", metavar="FILE", help="JSON of `fewshot text confusers`")
    add("--negative", metavar="NAME", nargs="+", action="extend", default=[],
        help="confusers of your own, beside those of the source")  # fmt: skip
    add("-k", type=int, default=10, metavar="N", help="confusers, at most (default: %(default)s)")
    add("--fixed", type=float, metavar="X", help="fixed threshold, a cosine")
    add("--threshold-from", metavar="DIR",
        help="learn it from images of other classes, a sub-folder each")  # fmt: skip
    add("--ask", action="store_true",
        help="ask the language model of llm.* for confusers, and keep them")  # fmt: skip
    add("--output", metavar="FILE", help="write the decisions as CSV")
    add("--json", action="store_true", help="print JSON instead of words")
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--size", type=int, metavar="PIXELS", help="input of the network")
    add("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    return parser


def _check(arguments: argparse.Namespace) -> None:
    """Raise FewshotError for invalid arguments, before anything is loaded."""
    from fewshot.tasks.one_class.lookup import SOURCE, SOURCES
    from fewshot.tasks.one_class.rules import rules_named
    from fewshot.text.descriptions import fault
    from fewshot.text.prompts import readable

    for name, word in (
        ("CLASS", arguments.word),
        *(("--negative", negative) for negative in arguments.negative),
    ):
        reason = fault(word) or ("it is longer than 100 characters" if len(word) > 100 else None)
        expect(reason is None and bool(readable(word)), name, f"expected a name, but {reason}")
    expect_choice(SOURCE, arguments.source, SOURCES)
    listed = bool(arguments.confusers or arguments.ask)
    compatible = not listed or arguments.source in ("auto", "llm")
    expect(
        compatible, SOURCE, f"expected llm with lists of a language model, got {arguments.source!r}"
    )
    both = bool(arguments.confusers and arguments.ask)
    expect(not both, "--ask", "expected it or --confusers, got both")
    expect_positive_int("-k", arguments.k)
    if arguments.fixed is not None:
        expect_number("--fixed", arguments.fixed, -1, 1)
    if arguments.rule is not None:
        rules_named([arguments.rule])
    if arguments.size is not None:
        expect_positive_int("--size", arguments.size)


def _judge(arguments: argparse.Namespace, settings: Sequence[str]) -> int:
    from fewshot.evaluation.detector import Detector
    from fewshot.report.text.detector import Verdict, as_json, in_words
    from fewshot.report.wording import plain
    from fewshot.tasks.one_class.lookup import confusers_for, with_own

    detector = Detector(arguments.backbone, arguments.device, arguments.weights, arguments.size)
    images, skipped = detector.images(arguments.images)
    file = (
        _ask_confusers(arguments, settings, detector.cache)
        if arguments.ask
        else arguments.confusers
    )
    confuser_settings = {"k": arguments.k, "file": str(Path(file).expanduser()) if file else None}
    lists = confusers_for(
        [arguments.word], arguments.source, confuser_settings, detector.cache, detector.encode
    )
    lists = with_own(lists, arguments.negative)
    learned = _learned(arguments, detector, confuser_settings)
    rule = _rule(arguments.rule, learned, bool(lists.names[0]))
    bank = detector.features(images)
    decisions = detector.decide(bank, arguments.word, lists, rule, learned)
    skipped += [
        {"path": image["path"], "reason": image["reason"]} for image in bank.info["skipped"]
    ]
    verdict = Verdict(
        arguments.word,
        arguments.backbone,
        rule,
        learned,
        lists,
        tuple(bank.paths or ()),
        decisions,
        skipped,
    )
    if arguments.output:
        _write(verdict, Path(arguments.output))
    if arguments.json:
        print(json.dumps(as_json(verdict), indent=2, ensure_ascii=False))
    else:
        print(in_words(verdict))
        if arguments.output:
            print(f"\nDecisions: {arguments.output}")
    for image in skipped if arguments.json else ():
        print(f"fewshot: not judged: {plain(image['path'])} ({plain(image['reason'])})",
              file=sys.stderr)  # fmt: skip
    return 0


def _learned(
    arguments: argparse.Namespace, detector: Detector, confuser_settings: dict[str, Any]
) -> Learned:
    """Return the parameters of rules: from the arguments, and fitted on other classes."""
    from fewshot.tasks.one_class.rules import Learned

    initial = Learned(arguments.fixed, record={} if arguments.fixed is None else {"fixed": "given"})
    if not arguments.threshold_from:
        return initial
    learned, classes = detector.learn(
        arguments.threshold_from, arguments.word, arguments.source, confuser_settings, initial
    )
    return replace(learned, record={"classes": classes} | learned.record)


def _rule(name: str | None, learned: Learned, confusers: bool) -> Rule:
    """Return the rule of a name, or the default one.

    Raises
    ------
    FewshotError
        The rule needs a parameter that is not available.
    """
    from fewshot.tasks.one_class.rules import (
        FIXED,
        LEVEL,
        POSTERIOR,
        RULES,
        TAU,
    )

    if name is None:
        return RULES[_default_rule(learned, confusers)]
    rule = RULES[name]
    values = {FIXED: learned.fixed, LEVEL: learned.level, TAU: learned.tau,
             POSTERIOR: learned.posterior}  # fmt: skip
    for need, value in values.items():
        if need in rule.needs and value is None and confusers | (need == FIXED):
            requirement = (
                "a fixed threshold" if need == FIXED else "labelled images of other classes"
            )
            remedy = "Give --fixed X or --threshold-from DIR." if need == FIXED else ""
            problem = f"the rule {name!r} needs {requirement}"
            raise FewshotError("--rule", problem, remedy or "Give --threshold-from DIR.")
    return rule


def _default_rule(learned: Learned, confusers: bool) -> str:
    """Return the best rule in benchmarks for the available parameters (docs/one-class.md)."""
    if learned.posterior is not None and confusers:
        return "posterior"
    return "anp_and_random" if learned.fixed is None else "anp_and_ft"


def _ask_confusers(arguments: argparse.Namespace, settings: Sequence[str], cache: Path) -> Path:
    """Ask the language model for confusers of the word; return the file of the answers."""
    from fewshot.config.compose import settings_from
    from fewshot.tasks.one_class.confusers.llm import PROMPT, ask_confusers
    from fewshot.text.descriptions import place_of
    from fewshot.text.llm.questions import incomplete
    from fewshot.text.llm.settings import LanguageModel, check_no_secret

    llm = settings_from(settings)["llm"]
    check_no_secret(llm)
    model = LanguageModel(**llm)
    file = place_of(cache / "confusers", "words", str(model.model), PROMPT)
    lists, outcome = ask_confusers([arguments.word], file, "words", model)
    if not lists.of([arguments.word])[0]:
        raise incomplete(outcome, 1, file)
    return file


def _write(verdict: Verdict, target: Path) -> None:
    import csv

    from fewshot.files import atomic_path, writing
    from fewshot.report.text.detector import rows_of

    with (
        writing("--output", target),
        atomic_path(target) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        columns = ["file", "yes", "score", "similarity", "threshold", "posterior"]
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows_of(verdict))
