"""``fewshot oneclass``: detection of a class in images by its name."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser, reworded, share
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_positive_int,
)

if TYPE_CHECKING:
    from fewshot.tasks.one_class.decide import Verdict

EPILOG = """\
The score of an image is how much more it is like the word, in singular and plural, than like other
names, which count by their distance from the word. Images are a yes where they belong to the upper
one of two groups of scores. Names of what could be taken for the word come from the first of these
that has it: a list of a language model (in the cache or in the package), WordNet, the nearest
class names of ImageNet.

rules (default: posterior with --threshold-from, anp_and_ft with --fixed, else two_groups)
  two_groups, fixed, max, anp, anp_ft, anp_ft_fitted, anp_and_ft, anp_and_random, lme, generic,
  posterior: docs/one-class.md

examples:
  fewshot oneclass dalmatian holiday_photos
  fewshot oneclass finch birds/*.jpg --negative sparrow bunting --output finches.csv
  fewshot oneclass dog photos --share 0.3 --top 20 --page dogs.html
  fewshot oneclass finch birds --threshold-from other_labelled_classes
  fewshot oneclass finch birds --ask llm.model=qwen3 llm.base_url=http://localhost:11434/v1
"""
SETTING = re.compile(r"llm\.\w+=.*", re.DOTALL)
# Arguments below this command, and those of the command line that stand for them in errors.
ARGUMENTS = {
    "word": "CLASS", "images": "IMAGES", "negatives": "--negative", "source": "--source",
    "confusers": "--confusers", "k": "-k", "rule": "--rule", "fixed": "--fixed",
    "share": "--share", "top": "--top", "threshold_from": "--threshold-from",
}  # fmt: skip
WORDS = {
    "one_class.confusers.file": "--confusers",
    "one_class.confusers.k": "-k",
    "one_class.sources": "--source",
    "dataset.root": "--threshold-from",
    "backbone.size": "--size",
    " or features.batch_size": "",
    ", or set dataset.on_error=skip": "",
    "backbone=": "--backbone ",
    "Give fixed or threshold_from.": "Give --fixed X or --threshold-from DIR.",
    "Give threshold_from.": "Give --threshold-from DIR.",
    "(fewshot oneclass --ask": "(--ask",
    "another source": "another --source",
}


def main(argv: Sequence[str]) -> int:
    """Decide for images whether they show a class, by its name."""
    settings = [word for word in argv if SETTING.fullmatch(word)]
    arguments = _parser().parse_args([word for word in argv if not SETTING.fullmatch(word)])
    expect(arguments.ask or not settings, "llm", "expected --ask with settings of a language model")
    try:
        return _detect(arguments, settings)
    except FewshotError as error:
        raise reworded(error, ARGUMENTS, WORDS) from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot oneclass",
        usage="fewshot oneclass CLASS IMAGES... [options] [--ask llm.model=NAME ...]",
        description="Find the images that show what CLASS names. No example is needed.",
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
    add(
        "--confusers",
        metavar="FILE",
        help="names, one a line or between commas; or JSON of `fewshot text confusers`",
    )
    add("--negative", metavar="NAME", nargs="+", action="extend", default=[],
        help="confusers of your own, beside those of the source")  # fmt: skip
    add("-k", type=int, default=10, metavar="N", help="confusers, at most (default: %(default)s)")
    add("--fixed", type=float, metavar="X", help="fixed threshold, a cosine")
    add("--threshold-from", metavar="DIR",
        help="learn it from images of other classes, a sub-folder each")  # fmt: skip
    add("--ask", action="store_true",
        help="ask the language model of llm.* for confusers, and keep them")  # fmt: skip
    add("--share", type=share, metavar="S",
        help="share of the images that show the class, as 30%% or 0.3: so many are a "
        "yes")  # fmt: skip
    add("--top", type=int, metavar="N", help="only the N images with the highest scores")
    add("--page", metavar="FILE", help="write a gallery of the images as an HTML page")
    add("--output", metavar="FILE", help="write the decisions as CSV")
    add("--json", action="store_true", help="print JSON instead of words")
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--size", type=int, metavar="PIXELS", help="input of the network")
    add("--device", default="auto", help="auto, cpu, cuda ... (%(default)s)")
    return parser


def _detect(arguments: argparse.Namespace, settings: Sequence[str]) -> int:
    from fewshot.evaluation.detector import Detector, Question

    expect(not (arguments.confusers and arguments.ask), "--ask",
           "expected it or --confusers, got both")  # fmt: skip
    for name in ("top", "size"):
        if getattr(arguments, name) is not None:
            expect_positive_int(f"--{name}", getattr(arguments, name))
    question = Question(
        arguments.word, tuple(arguments.negative), arguments.source, arguments.confusers,
        arguments.k, arguments.rule, arguments.fixed, arguments.share, arguments.threshold_from,
    )  # fmt: skip
    compatible = not arguments.ask or arguments.source in ("auto", "llm")
    expect(compatible, "source",
           f"expected llm with lists of a language model, got {arguments.source!r}")  # fmt: skip
    detector = Detector(arguments.backbone, arguments.device, arguments.weights, arguments.size)
    if arguments.ask:
        detector.images(arguments.images)  # fails before the question is sent
        file = _ask_confusers(arguments.word, settings, detector.cache)
        question = replace(question, file=str(file))
    _print(detector.detect(question, arguments.images), arguments)
    return 0


def _print(verdict: Verdict, arguments: argparse.Namespace) -> None:
    """Write the files that are asked for, and print the decisions."""
    from fewshot.report.gallery import write_gallery
    from fewshot.report.text.detector import as_json, in_words
    from fewshot.report.wording import plain

    shown = verdict.top(arguments.top)
    written = []
    if arguments.output:
        _write(shown, Path(arguments.output))
        written.append(f"Decisions: {arguments.output}")
    if arguments.page:
        write_gallery(shown, Path(arguments.page))
        written.append(f"Page: {arguments.page}")
    if arguments.json:
        print(json.dumps(as_json(shown), indent=2, ensure_ascii=False))
    else:
        print("\n".join([in_words(shown), *([""] if written else []), *written]))
    for image in verdict.skipped if arguments.json else ():
        print(f"fewshot: not judged: {plain(image['path'])} ({plain(image['reason'])})",
              file=sys.stderr)  # fmt: skip


def _ask_confusers(word: str, settings: Sequence[str], cache: Path) -> Path:
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
    lists, outcome = ask_confusers([word], file, "words", model)
    if not lists.of([word])[0]:
        raise incomplete(outcome, 1, file)
    return file


def _write(verdict: Verdict, target: Path) -> None:
    from fewshot.report.text.csv_cells import write_csv

    columns = ["file", "yes", "score", "similarity", "threshold", "posterior"]
    write_csv("--output", target, columns, verdict.rows())
