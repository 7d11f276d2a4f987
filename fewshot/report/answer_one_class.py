"""The sentences at the top of the page for one-class tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fewshot.report.ahead import evenly, gap_text, signed
from fewshot.report.contexts import backbone_name, feature_kinds
from fewshot.report.one_class import at, keys, shares, source_text
from fewshot.report.paired import Judged
from fewshot.report.wording import Cell, known, percent_interval

TOLD = {"against": "negatives", "seed": "seed"}


def _verdict(gap: Mapping[str, Any], what: str, name: str) -> str:
    told = f"{gap_text(gap['mean'], (gap['upper'] - gap['lower']) / 2)} points"
    clear = "clearly" if gap["lower"] > 0 else "not clearly"
    return f"{clear} ahead of the {what}, {name} ({told})"


def one_class_lines(judged: Sequence[Judged]) -> list[str]:
    """The rule with the largest macro F1 at some shares of positives."""
    cells = [cell for cell, _ in judged]
    kinds = feature_kinds(cells)
    lines = []
    for share in evenly(shares(cells)):
        there = [cell for cell in cells if known(_macro_f1(cell, share))]
        if not there:
            continue
        best = max(there, key=lambda cell: _macro_f1(cell, share))
        told = percent_interval(at(best, share)["macro_f1"])
        name = f"{backbone_name(best, kinds)} with {_rule(best['head'], best['source'])}"
        name += "".join(f", {word} {best[key]}" for key, word in TOLD.items() if key in keys(cells))
        line = f"{100 * share:.3g} % positives: {name}, macro F1 {told} % over target classes"
        lines.append(line + _next_rule(best, there, share) + ".")
    return lines


def _macro_f1(cell: Cell, share: float) -> Any:
    return (at(cell, share).get("macro_f1") or {}).get("mean")


def _rule(head: Any, source: Any) -> str:
    return str(head) if source == "none" else f"{head} ({source_text(source)})"


def _next_rule(best: Cell, cells: Iterable[Cell], share: float) -> str:
    """The best of the rules and sources that the run compared with the best one."""
    gaps = list(_rule_gaps(best, cells, share))
    if not gaps:
        return ""
    _, name, gap = max(gaps, key=lambda one: one[0])
    return f"; {_verdict(gap, 'next rule that it was compared with', name)}"


def _rule_gaps(
    best: Cell, cells: Iterable[Cell], share: float
) -> Iterator[tuple[float, str, dict[str, Any]]]:
    same = ("backbone", "feature", "seed", "against")
    own = str(best["head"]), str(best["source"])
    for cell in cells:
        if any(cell[name] != best[name] for name in same):
            continue
        for row in cell.get("comparisons") or []:
            ends = {one: (row[one], row[f"{one}_source"]) for one in ("first", "second")}
            if own not in ends.values():
                continue
            sign, other = (1, ends["second"]) if ends["first"] == own else (-1, ends["first"])
            found = [one["macro_f1"] for one in row["prevalences"] if one["prevalence"] == share]
            gap = signed(found[0], sign) if found else None
            if gap is not None:
                yield -gap["mean"], _rule(*other), gap
