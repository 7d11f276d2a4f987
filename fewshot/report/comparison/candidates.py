"""Combinations of backbone and head that were judged at the same ways and shots, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fewshot.report.comparison.paired import Judged
from fewshot.report.wording import (
    Cell,
    backbone_name,
    feature_kinds,
    half_width,
    known,
    percent,
    plain,
    shots_text,
)

Setting = tuple[int, int]  # ways, shots


@dataclass(frozen=True, eq=False)
class Candidate:
    """A backbone with a head, judged under one or several seeds.

    Attributes
    ----------
    backbone, head : str
    judged : tuple of (cell, rows)
        One per seed.
    """

    backbone: str
    head: str
    judged: tuple[Judged, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over seeds."""
        return sum(cell["accuracy"]["mean"] for cell, _ in self.judged) / len(self.judged)

    @property
    def name(self) -> str:
        """``resnet50 with lda``."""
        return f"{self.backbone} with {self.head}"

    @property
    def transductive(self) -> bool:
        """Whether it sees all queries of an episode together."""
        return "queries" in (self.judged[0][0].get("head_uses") or ())

    def text(self) -> str:
        """``63.1 % (± 0.8 over episodes, ± 4.5 for other classes)``."""
        if len(self.judged) > 1:
            many = len(self.judged)
            return f"{percent(self.mean)} % (mean of {many} seeds)"
        cell = self.judged[0][0]
        halves = {"over episodes": _episodes(cell), "for other classes": _classes(cell)}
        told = ", ".join(f"± {half} {what}" for what, half in halves.items() if half)
        return f"{percent(self.mean)} %" + (f" ({told})" if told else "")


def _episodes(cell: Cell) -> str:
    lower, upper = cell["accuracy"].get("lower"), cell["accuracy"].get("upper")
    return percent((upper - lower) / 2) if known(lower) and known(upper) else ""


def _classes(cell: Cell) -> str:
    return half_width(cell, "classes", "")


def candidates(
    judged: Iterable[Judged], kinds: Mapping[str, set[str]] | None = None
) -> dict[Setting, list[Candidate]]:
    """Candidates by ways and shots, best first; those with fewer seeds than others left out.

    `kinds` are the features of each backbone where they are not those of `judged` alone.
    """
    judged = [pair for pair in judged if known(pair[0]["accuracy"]["mean"])]
    kinds = feature_kinds(cell for cell, _ in judged) if kinds is None else kinds
    groups: dict[Setting, dict[tuple[str, str], list[Judged]]] = {}
    for cell, rows in judged:
        names = backbone_name(cell, kinds), str(cell["head"])
        setting = int(cell["ways"]), int(cell["shots"])
        groups.setdefault(setting, {}).setdefault(names, []).append((cell, rows))
    return {
        setting: _ranked([Candidate(*names, tuple(own)) for names, own in group.items()])
        for setting, group in sorted(groups.items())
    }


def _ranked(found: Sequence[Candidate]) -> list[Candidate]:
    most = max(len(one.judged) for one in found)
    return sorted((one for one in found if len(one.judged) == most), key=lambda one: -one.mean)


def runner_up(ranked: Sequence[Candidate], *, backbone: bool) -> Candidate | None:
    """The best with another backbone, whatever the head; or with another head, if possible under
    the same backbone.
    """
    best = ranked[0]
    if backbone:
        return next((one for one in ranked if one.backbone != best.backbone), None)
    others = [one for one in ranked if one.head != best.head]
    same = [one for one in others if one.backbone == best.backbone]
    return next(iter(same or others), None)


Table = Mapping[Setting, Sequence[Candidate]]


def over_all(datasets: Sequence[Sequence[Judged]]) -> list[str]:
    """A sentence on the ways and most shots that all data sets share; none for one data set.

    Parameters
    ----------
    datasets : sequence of sequences of (cell, rows)
        Of classification, one per data set.
    """
    # A backbone must be called the same everywhere, whatever features a data set has of it.
    kinds = feature_kinds(cell for judged in datasets for cell, _ in judged)
    tables: list[Table] = [candidates(judged, kinds) for judged in datasets]
    if len(tables) < 2:
        return []
    shared = set.intersection(*(set(table) for table in tables))
    if not shared:
        return []
    setting = max(shared, key=lambda one: (one[1], one[0]))
    means = _means([table[setting] for table in tables])
    if len(means) < 2:
        return []
    best = max(means, key=lambda name: sum(means[name]))
    firsts = sum(table[setting][0].name == best for table in tables)
    mean = sum(means[best]) / len(tables)
    where = f"{setting[0]}-way, {shots_text(setting[1])}"
    return [
        f"{where}: {plain(best)} is right in {percent(mean)} % on average over {len(tables)} data "
        f"sets, the most of {len(means)} combinations that were judged on all; it is the best one "
        f"on {firsts} of them."
    ]


def _means(ranked: Sequence[Sequence[Candidate]]) -> dict[str, list[float]]:
    """Accuracies by combination, of those that every data set has."""
    found: dict[str, list[float]] = {}
    for own in ranked:
        for one in own:
            found.setdefault(one.name, []).append(one.mean)
    return {name: values for name, values in found.items() if len(values) == len(ranked)}
