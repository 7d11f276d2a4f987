"""``fewshot cite``: the papers that runs rest on, and a paragraph on their protocol."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.cli.arguments import Parser
from fewshot.cli.results_common import write_output

if TYPE_CHECKING:
    from fewshot.report.citing.citation import Citation

EXAMPLES = """\
examples:
  fewshot cite runs/2026-05-03_14-05-09_digits_efficientnet_lite0
  fewshot cite runs/a runs/b --format bibtex --output references.bib
  fewshot cite birds.fewshot                      a classifier of `fewshot fit`
  fewshot cite runs/a --format latex              the paragraph, with \\cite{...}

Nothing is looked up: papers come with the package, everything else from the runs. Parts of other
packages that name no papers are listed at the end."""


def main(argv: Sequence[str]) -> int:
    """Print or write what is to be cited."""
    from fewshot.report.citing.citation import FORMATS, Citation
    from fewshot.results.folders import find_runs

    parser = Parser(
        prog="fewshot cite",
        description="Print a paragraph on the protocol of runs, and the papers of their data sets, "
        "backbones, heads, estimators and samplers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="runs, folders of runs, or a file of `fewshot fit`"
    )
    parser.add_argument("--format", default="text", metavar="NAME", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="FILE", help="instead of printing it")
    arguments = parser.parse_args(argv)
    first = Path(arguments.runs[0])
    if len(arguments.runs) == 1 and first.is_file():
        citation = _of_model(first)
    else:
        citation = Citation.of_folders(find_runs(arguments.runs, "RUN"))
    write_output(citation.to(arguments.format, "--format"), arguments.output)
    return 0


def _of_model(path: Path) -> Citation:
    """What is cited for a model file."""
    from fewshot.models.citing import citation_of
    from fewshot.models.file import read_model

    return citation_of(read_model(path, "RUN").header)
