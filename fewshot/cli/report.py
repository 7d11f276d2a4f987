"""``fewshot report``: one report over many runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fewshot.cli.parser import Parser
from fewshot.results.store import find_runs, read_runs
from fewshot.storage import atomic_path, writing


def main(argv: Sequence[str]) -> int:
    """Write the report and print where it is."""
    parser = Parser(prog="fewshot report", description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="DIR", help="runs, or folders of runs")
    parser.add_argument("--output", metavar="FILE", help="default: report.html in the first DIR")
    given = parser.parse_args(argv)
    target = Path(given.output) if given.output else Path(given.folders[0]) / "report.html"
    join_report(find_runs(given.folders), target)
    return 0


def join_report(runs: Sequence[Path], target: Path) -> None:
    """Write the page over `runs` to `target` and print the table."""
    from fewshot.report import render_report, summary_table

    summary, episodes, predictions = read_runs(runs)
    page = render_report(summary, episodes, predictions)
    with writing("--output", target), atomic_path(target) as partial:
        partial.write_text(page, encoding="utf-8")
    print(summary_table(summary["cells"]))
    print(f"\nReport over {len(runs)} run{'s' * (len(runs) > 1)}: {target}")
