"""``fewshot oneclass``: which of these images show what a word names."""

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
# Names of a run's settings as the arguments here.
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
    """Judge images by the name of one class."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    given = _parser().parse_args([word for word in argv if not SETTING.fullmatch(word)])
    expect(given.ask or not settings, "llm", "expected --ask with settings of a language model")
    try:
        _check(given)
        return _judge(given, settings)
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


def _check(given: argparse.Namespace) -> None:
    """Raise for arguments that cannot be used, before anything is loaded."""
    from fewshot.tasks.one_class.lookup import SOURCE, SOURCES
    from fewshot.tasks.one_class.rules import rules_named
    from fewshot.text.descriptions import fault
    from fewshot.text.prompts import readable

    for name, word in (("CLASS", given.word), *(("--negative", one) for one in given.negative)):
        why = fault(word) or ("it is longer than 100 characters" if len(word) > 100 else None)
        expect(why is None and bool(readable(word)), name, f"expected a name, but {why}")
    expect_choice(SOURCE, given.source, SOURCES)
    listed = bool(given.confusers or given.ask)
    fine = not listed or given.source in ("auto", "llm")
    expect(fine, SOURCE, f"expected llm with lists of a language model, got {given.source!r}")
    both = bool(given.confusers and given.ask)
    expect(not both, "--ask", "expected it or --confusers, got both")
    expect_positive_int("-k", given.k)
    if given.fixed is not None:
        expect_number("--fixed", given.fixed, -1, 1)
    if given.rule is not None:
        rules_named([given.rule])
    if given.size is not None:
        expect_positive_int("--size", given.size)


def _judge(given: argparse.Namespace, settings: Sequence[str]) -> int:
    from fewshot.evaluation.detector import Detector
    from fewshot.report.text.detector import Verdict, as_json, in_words
    from fewshot.report.wording import plain
    from fewshot.tasks.one_class.lookup import confusers_for, with_own

    detector = Detector(given.backbone, given.device, given.weights, given.size)
    images, skipped = detector.images(given.images)
    file = _asked(given, settings, detector.cache) if given.ask else given.confusers
    wanted = {"k": given.k, "file": str(Path(file).expanduser()) if file else None}
    lists = confusers_for([given.word], given.source, wanted, detector.cache, detector.encode)
    lists = with_own(lists, given.negative)
    learned = _learned(given, detector, wanted)
    rule = _rule(given.rule, learned, bool(lists.names[0]))
    bank = detector.features(images)
    found = detector.decide(bank, given.word, lists, rule, learned)
    skipped += [{"path": one["path"], "reason": one["reason"]} for one in bank.info["skipped"]]
    verdict = Verdict(
        given.word, given.backbone, rule, learned, lists, tuple(bank.paths or ()), found, skipped
    )
    if given.output:
        _write(verdict, Path(given.output))
    if given.json:
        print(json.dumps(as_json(verdict), indent=2, ensure_ascii=False))
    else:
        print(in_words(verdict))
        if given.output:
            print(f"\nDecisions: {given.output}")
    for one in skipped if given.json else ():
        print(f"fewshot: not judged: {plain(one['path'])} ({plain(one['reason'])})",
              file=sys.stderr)  # fmt: skip
    return 0


def _learned(given: argparse.Namespace, detector: Detector, wanted: dict[str, Any]) -> Learned:
    """What is given by hand, and what other classes teach."""
    from fewshot.tasks.one_class.rules import Learned

    told = Learned(given.fixed, record={} if given.fixed is None else {"fixed": "given"})
    if not given.threshold_from:
        return told
    found, classes = detector.learn(given.threshold_from, given.word, given.source, wanted, told)
    return replace(found, record={"classes": classes} | found.record)


def _rule(name: str | None, learned: Learned, confusers: bool) -> Rule:
    """The rule of that name, if what it needs is there."""
    from fewshot.tasks.one_class.rules import (
        FIXED,
        LEVEL,
        POSTERIOR,
        RULES,
        TAU,
    )

    if name is None:
        return RULES[_best(learned, confusers)]
    rule = RULES[name]
    there = {FIXED: learned.fixed, LEVEL: learned.level, TAU: learned.tau,
             POSTERIOR: learned.posterior}  # fmt: skip
    for need, value in there.items():
        if need in rule.needs and value is None and confusers | (need == FIXED):
            what = "a fixed threshold" if need == FIXED else "labelled images of other classes"
            ways = "Give --fixed X or --threshold-from DIR." if need == FIXED else ""
            problem = f"the rule {name!r} needs {what}"
            raise FewshotError("--rule", problem, ways or "Give --threshold-from DIR.")
    return rule


def _best(learned: Learned, confusers: bool) -> str:
    """What did best, where it was measured, with as much knowledge (docs/one-class.md)."""
    if learned.posterior is not None and confusers:
        return "posterior"
    return "anp_and_random" if learned.fixed is None else "anp_and_ft"


def _asked(given: argparse.Namespace, settings: Sequence[str], cache: Path) -> Path:
    """The file in the cache that has the language model's answer for the word."""
    from fewshot.config.compose import settings_from
    from fewshot.tasks.one_class.confusers.llm import PROMPT, ask_confusers
    from fewshot.text.descriptions import place_of
    from fewshot.text.llm.questions import incomplete
    from fewshot.text.llm.settings import LanguageModel, check_no_secret

    llm = settings_from(settings)["llm"]
    check_no_secret(llm)
    model = LanguageModel(**llm)
    file = place_of(cache / "confusers", "words", str(model.model), PROMPT)
    found, outcome = ask_confusers([given.word], file, "words", model)
    if not found.of([given.word])[0]:
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
