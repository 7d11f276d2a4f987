"""The sentences at the top of the page: best backbone and head, shots, and their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from fewshot.datasets.part_names import of_one_part
from fewshot.report.aligned import wrapped
from fewshot.report.comparison.ahead import ahead_text, evenly_spaced
from fewshot.report.comparison.candidates import (
    Candidate,
    Setting,
    candidates,
    over_all,
    runner_up,
)
from fewshot.report.comparison.paired import EvaluatedCell, compare
from fewshot.report.comparison.predictions import prediction_lines
from fewshot.report.tasks.one_class import one_class_lines
from fewshot.report.tasks.verification import ONE_CLASS, VERIFICATION, verification_lines
from fewshot.report.wording import plain, shots_text, task_of
from fewshot.units import counted, percent

DATASETS = 8
SMALLEST_GAP = 5e-4  # smaller differences vanish in a percentage with one decimal
COMBINATION = ("backbone", "feature", "head", "source")
FEWEST_FOR_CHOICE = 2  # with as many combinations the accuracy of the best one is optimistic

Part = dict[str, Any]


def answer(judged: Iterable[EvaluatedCell], aside: int = 0) -> list[Part]:
    """A heading and a few sentences per data set and task, followed by caveats.

    Parameters
    ----------
    judged : iterable of (cell, rows)
        In the order of the page.
    aside : int
        Number of cells left aside because another run has the same cell over more episodes, or
        made it later.

    Returns
    -------
    list of dict
        ``heading`` and ``lines``, plain text.
    """
    groups: dict[tuple[str, str], list[EvaluatedCell]] = {}
    for cell, rows in judged:
        groups.setdefault((str(cell["dataset"]), task_of(cell)), []).append((cell, rows))
    tasks = {task for _, task in groups}
    parts = []
    for (dataset, task), pairs in list(groups.items())[:DATASETS]:
        title = plain(dataset) if len(tasks) == 1 else f"{plain(dataset)}: {TASKS[task]}"
        lines = LINES.get(task, classification_lines)(pairs)
        parts.append({"heading": title, "lines": [plain(line) for line in lines]})
    unlisted = len(groups) - len(parts)
    if not parts:
        return []
    caution = _caution(groups, tasks)
    if aside:
        caution.insert(0, _aside_text(aside))
    if unlisted:
        caution.insert(
            0, f"{unlisted} more data set{'s are' if unlisted > 1 else ' is'} in the table."
        )
    sets = of_one_part((key for key in groups if key[1] == "classification"), itemgetter(0))
    joint = over_all([groups[key] for key in sets])
    first = [{"heading": "Over all data sets", "lines": joint}] if joint else []
    return [*first, *parts, {"heading": "How far to believe this", "lines": caution}]


def answer_text(parts: Sequence[Part]) -> str:
    """The parts of `answer` as text for a terminal."""
    blocks = []
    for part in parts:
        lines = [line for text in part["lines"] for line in wrapped(f"  {text}", "    ")]
        blocks.append("\n".join([part["heading"], *lines]))
    return "\n\n".join(blocks)


def classification_lines(judged: Sequence[EvaluatedCell]) -> list[str]:
    """Sentences on the best combination by shots, the gain of more shots, and predicted errors."""
    ranked = candidates(judged)
    several = len({ways for ways, _ in ranked}) > 1
    chosen = evenly_spaced(list(ranked))
    lines = [_best_line(setting, ranked[setting], several) for setting in chosen]
    return [*lines, *_more_shots(ranked), *prediction_lines(ranked, chosen)]


def _best_line(setting: Setting, ranked: Sequence[Candidate], several: bool) -> str:
    best = ranked[0]
    where = f"{setting[0]}-way, {shots_text(setting[1])}"
    texts = [
        _rival_text(best, runner_up(ranked, backbone=backbone), "backbone" if backbone else "head")
        for backbone in (True, False)
    ]
    rivalry = "; ".join(text for text in texts if text)
    name = best.name + (" (transductive)" if best.transductive else "")
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
    most = max(ways for ways, _ in ranked)
    by_shots = {shots: ranking for (ways, shots), ranking in ranked.items() if ways == most}
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
    return [f"More shots ({best.name}): {', '.join(steps)}."] if steps else []


def _caution(groups: dict[tuple[str, str], list[EvaluatedCell]], tasks: set[str]) -> list[str]:
    """Caveats: selection of the best on the test episodes, and the two kinds of intervals."""
    lines = []
    most = max(len({tuple(c.get(name) for name in COMBINATION) for c, _ in g})
               for g in groups.values())  # fmt: skip
    if most >= FEWEST_FOR_CHOICE:
        lines.append(
            f"The best of {most} combinations was chosen on the episodes that it is judged on, and "
            "is flattered by it: the more were tried and the closer they are, the more. Another "
            "seed, or other classes, would put it a little lower."
        )
    if tasks - {ONE_CLASS}:
        lines.append(
            "± over episodes: other draws from these images of these classes, as papers print it. "
            "For other classes: such as were not drawn, with images of their own. Both at 95 %."
        )
    return lines


def _aside_text(aside: int) -> str:
    cells = f"{counted(aside, 'cell')} of other runs {'are' if aside > 1 else 'is'}"
    return (
        f"{cells} left aside: of runs that have the same cell, the one over most episodes counts, "
        "of those the one made last."
    )


TASKS = {
    "classification": "classification",
    VERIFICATION: "verification",
    ONE_CLASS: "one class by its name",
}
LINES = {VERIFICATION: verification_lines, ONE_CLASS: one_class_lines}
