"""One-class classification by name: every rule with every source of confusers, and the speed.

    python one_class.py --images DIR                     # DIR/<class>/<image>, conse_lite0
    python one_class.py --features bank.npz              # with `text`
    python one_class.py --images DIR one_class.tasks=1000 backbone=clip_vitb32

Half of the classes are base classes, on which the fixed threshold, tau and the posterior are
learned; tasks are of the others. Differences are paired: the same tasks. Seconds are those that the
run records for drawing and judging all tasks by all rules and sources, features at hand.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from typing import Any

from common import table, write

from fewshot import Results

BLENDS = {"anp_ft", "anp_ft_fitted", "posterior"}


def measured(settings: list[str]) -> Results:
    """Results of ``fewshot task=one_class`` with these settings, all of them computed."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "fewshot", "task=one_class", *settings]
        own = [f"paths.runs={runs}", "results.policy=always"]
        subprocess.run([*command, *own], check=True, capture_output=True, text=True)
        return Results.load(runs)


def differences(cells: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Paired differences of macro F1: what is compared, and ``+1.5 ± 0.2`` per prevalence."""
    return [
        (
            f"{_rule_text(pair, 'first')} less {_rule_text(pair, 'second')}",
            [_difference_text(row["macro_f1"]) for row in pair["prevalences"]],
        )
        for cell in cells
        for pair in cell.get("comparisons") or []
    ]


def _rule_text(pair: dict[str, Any], which: str) -> str:
    rule, source = pair[which], pair[f"{which}_source"]
    return rule if source == "none" else f"{rule} ({source})"


def _difference_text(interval: dict[str, Any]) -> str:
    if interval["lower"] is None:
        return "-"
    half = (interval["upper"] - interval["lower"]) / 2
    return f"{100 * interval['mean']:+.1f} ± {100 * half:.1f}"


def _asked(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell with comparisons of blends with their parts, and of sources with chance, alone."""
    kept = []
    for one in cell["comparisons"]:
        rules = {one["first"], one["second"]}
        sources = {one["first_source"], one["second_source"]}
        if (rules & BLENDS and rules & {"fixed", "max"}) or sources == {"llm", "random"}:
            kept.append(one)
    return cell | {"comparisons": kept}


def main() -> None:
    """Three tables: rules and sources, differences, speed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", metavar="DIR", help="a sub-folder per class")
    what.add_argument("--features", metavar="FILE", help=".npz or .safetensors with `text`")
    parser.add_argument("--json", metavar="FILE")
    given, settings = parser.parse_known_args()
    images = ["dataset=folder", f"dataset.root={given.images}", "backbone=conse_lite0"]
    features = ["dataset=features", f"dataset.path={given.features}"]
    chosen = [*(images if given.images else features), "dataset.split=random"]
    try:
        results = measured([*chosen, *settings])
    except subprocess.CalledProcessError as error:
        parser.error(error.stderr.strip().splitlines()[-1])
    cells = [cell.summary for cell in results.cells]
    shares = [f"{100 * entry['prevalence']:.3g} %" for entry in cells[0]["prevalences"]]
    pairs = [
        {"macro F1, points": what} | dict(zip(shares, texts, strict=True))
        for what, texts in differences([_asked(cell) for cell in cells])
    ]
    print(results, end="\n\n")
    print(table(pairs) if pairs else "Nothing to compare.", end="\n\n")
    speed = {"tasks": cells[0]["episodes"], "cells": len(cells), "cores": os.cpu_count(),
             "seconds": f"{cells[0]['duration_s']:.2f}"}  # fmt: skip
    write(None, [speed])
    if given.json:
        rows = results.table.to_dict("records")
        write(given.json, [*rows, *pairs, speed])


if __name__ == "__main__":
    main()
