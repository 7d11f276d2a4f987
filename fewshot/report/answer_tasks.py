"""The sentences at the top of the page for verification and for one-class tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fewshot.report.contexts import backbone_name, feature_kinds
from fewshot.report.one_class import at, shares, source_text
from fewshot.report.paired import Judged
from fewshot.report.verification import half
from fewshot.report.wording import Cell, known, percent, percent_interval, shots_text

MOST = 4


def verification_lines(judged: Sequence[Judged]) -> list[str]:
    """The head with the largest AUROC at some numbers of shots, and whether it is clearly ahead."""
    cells = [cell for cell, _ in judged if cell["auroc"]]
    kinds = feature_kinds(cells)
    groups: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell["ways"], cell["shots"]), []).append(cell)
    lines = []
    for (ways, shots), own in _some(sorted(groups.items())):
        best = max(own, key=lambda cell: cell["auroc"]["episodes"]["mean"])
        intervals = best["auroc"]
        told = percent_interval(intervals["episodes"])
        classes = half(intervals["classes"])
        elsewhere = "" if classes == "-" else f" (± {classes} for other classes)"
        name = f"{backbone_name(best, kinds)} with {best['head']}"
        line = f"{ways}-way, {shots_text(shots)}: {name}, AUROC {told} %{elsewhere}"
        lines.append(line + _next_head(best, own) + ".")
    return lines


def _next_head(best: Cell, cells: Iterable[Cell]) -> str:
    """The next head under the same backbone, by the paired differences of the run."""
    others = [
        cell
        for cell in cells
        if (cell["backbone"], cell["feature"], cell["seed"])
        == (best["backbone"], best["feature"], best["seed"])
        and cell["head"] != best["head"]
    ]
    if not others:
        return ""
    other = max(others, key=lambda cell: cell["auroc"]["episodes"]["mean"])
    gap = _paired(best, other)
    if gap is None:
        return f"; the next head, {other['head']}, was not compared episode by episode"
    return f"; {_verdict(gap, 'next head', str(other['head']))}"


def _paired(best: Cell, other: Cell) -> dict[str, Any] | None:
    """Difference of AUROC, best minus other; noted with whichever of the two came first."""
    for cell, sign in ((best, 1), (other, -1)):
        for row in cell.get("comparisons") or []:
            if {row["first"], row["second"]} == {best["head"], other["head"]} and row["auroc"]:
                return _signed(row["auroc"]["episodes"], sign)
    return None


def _signed(gap: Mapping[str, Any], sign: int) -> dict[str, Any] | None:
    """A difference, or the same of the pair turned round."""
    lower, upper = gap["lower"], gap["upper"]
    if not (known(lower) and known(upper)):
        return None
    bounds = sorted((sign * lower, sign * upper))
    return {"mean": sign * gap["mean"], "lower": bounds[0], "upper": bounds[1]}


def _verdict(gap: Mapping[str, Any], what: str, name: str) -> str:
    told = f"{percent(gap['mean'], sign=True)} ± {half(gap)} points"
    clear = "clearly" if gap["lower"] > 0 else "not clearly"
    return f"{clear} ahead of the {what}, {name} ({told})"


def one_class_lines(judged: Sequence[Judged]) -> list[str]:
    """The rule with the largest macro F1 at some shares of positives."""
    cells = [cell for cell, _ in judged]
    kinds = feature_kinds(cells)
    lines = []
    for share in _some(shares(cells)):
        there = [cell for cell in cells if known(_macro_f1(cell, share))]
        if not there:
            continue
        best = max(there, key=lambda cell: _macro_f1(cell, share))
        told = percent_interval(at(best, share)["macro_f1"])
        name = f"{backbone_name(best, kinds)} with {_rule(best['head'], best['source'])}"
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
            gap = _signed(found[0], sign) if found else None
            if gap is not None:
                yield -gap["mean"], _rule(*other), gap


def _some(values: Sequence[Any]) -> list[Any]:
    """At most a few, evenly spread, the first and the last among them."""
    if len(values) <= MOST:
        return list(values)
    return [values[round(i * (len(values) - 1) / (MOST - 1))] for i in range(MOST)]
