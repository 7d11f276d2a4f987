"""Sentences on the best backbone and head of classification, shots, and predicted errors."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.report.charts.unlabelled import unlabelled_lines
from fewshot.report.comparison.ahead import ahead_text, ends, evenly_spaced
from fewshot.report.comparison.brief import brief_prediction_lines
from fewshot.report.comparison.candidates import Candidate, Setting, candidates, runner_up
from fewshot.report.comparison.paired import ClassifiedCell, compare
from fewshot.report.comparison.predictions import SMALLEST_GAP, prediction_lines
from fewshot.report.wording import protocol_name
from fewshot.units import percent


def classification_lines(judged: Sequence[ClassifiedCell]) -> list[str]:
    """Sentences on the best combination by shots, the gain of more shots, and predicted errors."""
    ranked = candidates(judged)
    settings = _settings(ranked)
    chosen = evenly_spaced(settings)
    lines = [_best_line(setting.text(ranked), ranked[setting]) for setting in chosen]
    return [
        *lines,
        *_more_shots(ranked),
        *prediction_lines(ranked, settings),
        *_more_unlabelled(ranked, chosen),
    ]


def _settings(ranked: dict[Setting, list[Candidate]]) -> list[Setting]:
    """Of settings that differ in their unlabelled images the one with most.

    Accuracies hardly differ in them.
    """
    return list({setting._replace(unlabelled=""): setting for setting in ranked}.values())


def brief_lines(judged: Sequence[ClassifiedCell]) -> list[str]:
    """Of `classification_lines`, those on the first and the last setting, in fewer words."""
    ranked = candidates(judged)
    settings = _settings(ranked)
    best = [_best_line(setting.text(ranked), ranked[setting]) for setting in ends(settings)]
    return [*best, *brief_prediction_lines(ranked, settings)]


def _best_line(where: str, ranked: Sequence[Candidate]) -> str:
    """The best combination of a setting, whose text is `where`."""
    best = ranked[0]
    texts = [
        _rival_text(best, runner_up(ranked, backbone=backbone), "backbone" if backbone else "head")
        for backbone in (True, False)
    ]
    rivalry = "; ".join(text for text in texts if text)
    name = best.name + (f" ({best.kind})" if best.kind else "")
    return f"{where}: {name} is right in {best.text()}" + (f"; {rivalry}." if rivalry else ".")


def _rival_text(best: Candidate, other: Candidate | None, what: str) -> str:
    """A clause on whether the best combination is clearly ahead of `other`; empty without one."""
    if other is None:
        return ""
    name = other.head if what == "head" and other.backbone == best.backbone else other.name
    gap = compare(best.judged, other.judged)
    if gap is None:
        return f"the next {what}, {name}, has {percent(other.mean)} %, but on other episodes"
    if abs(gap.mean) + gap.half < SMALLEST_GAP:
        return f"the next {what}, {name}, is as good in these episodes"
    return ahead_text(gap, what, name)


def _more_shots(ranked: dict[Setting, list[Candidate]]) -> list[str]:
    """Gain from each number of shots to the next, of the combination best with the most shots."""
    last = list(ranked)[-1]
    by_shots = {
        setting.shots: ranking
        for setting, ranking in ranked.items()
        if setting._replace(shots=last.shots) == last
    }
    best = by_shots[max(by_shots)][0]
    means = {}
    for shots, ranking in by_shots.items():
        same = [candidate for candidate in ranking if candidate.name == best.name]
        if same:
            means[shots] = same[0].mean
    steps = [
        f"{percent(means[after] - means[before], sign=True)} points from {before} to {after}"
        for before, after in zip(list(means)[:-1], list(means)[1:], strict=True)
    ]
    name = best.name
    if len({setting.ways for setting in ranked}) > 1:
        name += f", {last.ways}-way"
    if len({setting.protocol for setting in ranked}) > 1:
        name += f", {protocol_name(last.protocol)}"
    return [f"More shots ({name}): {', '.join(steps)}."] if steps else []


def _more_unlabelled(
    ranked: dict[Setting, list[Candidate]], chosen: Sequence[Setting]
) -> list[str]:
    """What more unlabelled images change, for the best combination of each of the settings."""
    lines = []
    for setting in chosen:
        best = ranked[setting][0]
        cells = [
            cell
            for other, ranking in ranked.items()
            if other._replace(unlabelled=setting.unlabelled) == setting
            for candidate in ranking
            if candidate.name == best.name
            for cell, _ in candidate.judged
        ]
        lines += unlabelled_lines(cells)
    return lines
