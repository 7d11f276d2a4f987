"""The sentences at the top of the page for verification."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from fewshot.report.ahead import ahead_text, evenly, signed
from fewshot.report.contexts import backbone_name, feature_kinds
from fewshot.report.paired import Difference, Judged
from fewshot.report.verification import half
from fewshot.report.wording import Cell, percent, percent_interval, shots_text

Name = tuple[str, str]  # backbone and head


def verification_lines(judged: Sequence[Judged]) -> list[str]:
    """The head with the largest AUROC at some numbers of shots, and whether it is clearly ahead."""
    cells = [cell for cell, _ in judged if cell["auroc"]]
    kinds = feature_kinds(cells)
    settings: dict[tuple[int, int], dict[Name, list[Cell]]] = {}
    for cell in cells:
        name = backbone_name(cell, kinds), str(cell["head"])
        own = settings.setdefault((cell["ways"], cell["shots"]), {})
        own.setdefault(name, []).append(cell)
    lines = []
    for (ways, shots), groups in evenly(sorted(settings.items())):
        # A single lucky seed is not to beat the mean of several.
        most = max(map(len, groups.values()))
        means = {name: _auroc(own) for name, own in groups.items() if len(own) == most}
        best = max(means, key=means.__getitem__)
        text = f"{ways}-way, {shots_text(shots)}: {' with '.join(best)}, AUROC "
        text += _auroc_text(groups[best])
        same = {n: mean for n, mean in means.items() if n[0] == best[0] and n != best}
        if same:
            other = max(same, key=same.__getitem__)
            text += f"; {_next_head(groups[best], groups[other], other[1])}"
        lines.append(f"{text}.")
    return lines


def _auroc(seeds: Sequence[Cell]) -> float:
    """Mean over seeds."""
    return fmean(cell["auroc"]["episodes"]["mean"] for cell in seeds)


def _auroc_text(seeds: Sequence[Cell]) -> str:
    if len(seeds) > 1:
        return f"{percent(_auroc(seeds))} % (mean of {len(seeds)} seeds)"
    intervals = seeds[0]["auroc"]
    classes = half(intervals["classes"])
    elsewhere = "" if classes == "-" else f" (± {classes} for other classes)"
    return f"{percent_interval(intervals['episodes'])} %{elsewhere}"


def _next_head(best: Sequence[Cell], other: Sequence[Cell], name: str) -> str:
    """Whether the best is clearly ahead of the next one, by the paired differences of the runs."""
    by_seed = {cell["seed"]: cell for cell in other}
    pairs = [(cell, by_seed[cell["seed"]]) for cell in best if cell["seed"] in by_seed]
    gaps = [gap for gap in (_paired(*pair) for pair in pairs) if gap is not None]
    if not gaps:
        return f"the next head, {name}, was not compared episode by episode"
    return ahead_text(_joined(gaps), "head", name)


def _joined(gaps: Sequence[Difference]) -> Difference:
    """The mean over seeds: their episodes are independent of each other, their classes are not."""
    classes = [gap.classes for gap in gaps if gap.classes is not None]
    return Difference(
        mean=fmean(gap.mean for gap in gaps),
        half=math.hypot(*(gap.half for gap in gaps)) / len(gaps),
        classes=fmean(classes) if len(classes) == len(gaps) else None,
    )


def _paired(best: Cell, other: Cell) -> Difference | None:
    """Difference of AUROC, best minus other; noted with whichever of the two came first."""
    for cell in (best, other):
        for row in cell.get("comparisons") or []:
            if {row["first"], row["second"]} == {best["head"], other["head"]} and row["auroc"]:
                sign = 1 if row["first"] == best["head"] else -1
                return _difference(row["auroc"], sign)
    return None


def _difference(by_population: Mapping[str, Any], sign: int) -> Difference | None:
    episodes, classes = (signed(by_population[one], sign) for one in ("episodes", "classes"))
    if episodes is None:
        return None
    return Difference(
        episodes["mean"], _half(episodes), None if classes is None else _half(classes)
    )


def _half(gap: Mapping[str, float]) -> float:
    return (gap["upper"] - gap["lower"]) / 2
