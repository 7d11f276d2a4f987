"""Combinations of backbone and head evaluated at the same ways and shots, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from fewshot.report.comparison.paired import ClassifiedCell
from fewshot.report.wording import (
    backbone_name,
    drawn_name,
    drawn_order,
    feature_kinds,
    half_width_text,
    plain,
    protocol_name,
    shots_text,
)
from fewshot.statistics.intervals import half_width
from fewshot.tasks.base import head_label
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number, percent


class Setting(NamedTuple):
    """What combinations are compared at: ways, shots, and how episodes were drawn."""

    ways: int
    shots: int
    unlabelled: str = ""
    protocol: str = ""

    @classmethod
    def of(cls, cell: ClassificationSummary) -> Setting:
        """The setting of a cell."""
        unlabelled, protocol = cell.get("unlabelled_images") or "", cell.get("protocol") or ""
        return cls(int(cell["ways"]), int(cell["shots"]), unlabelled, protocol)

    @property
    def order(self) -> tuple[int, int, str, int, str]:
        """Sort key: more unlabelled images come later, queries last."""
        return self.ways, self.shots, self.protocol, *drawn_order(self.unlabelled)

    def text(self, among: Iterable[Setting] = (), *, unlabelled: bool = True) -> str:
        """``5-way, 1 shot``; with what differs `among` settings in how episodes were drawn."""
        among, drawn = list(among), ""
        if len({other.protocol for other in among}) > 1:
            drawn += f", {protocol_name(self.protocol)}"
        if unlabelled and len({other.unlabelled for other in among}) > 1:
            drawn += f", {drawn_name(self.unlabelled)}"
        return f"{self.ways}-way, {shots_text(self.shots)}{drawn}"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A backbone with a head, evaluated under one or several seeds.

    Attributes
    ----------
    backbone, head : str
    judged : tuple of (cell, rows)
        One per seed.
    """

    backbone: str
    head: str
    judged: tuple[ClassifiedCell, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over seeds."""
        means = [cast("float", cell["accuracy"]["mean"]) for cell, _ in self.judged]
        return sum(means) / len(means)

    @property
    def name(self) -> str:
        """``resnet50 with lda``."""
        return f"{self.backbone} with {self.head}"

    @property
    def kind(self) -> str:
        """``transductive``, ``semi-supervised``; empty for heads that look at the shots alone."""
        cell = self.judged[0][0]
        if "queries" not in (cell.get("head_uses") or ()):
            return ""
        return "semi-supervised" if cell.get("learns_from") == "unlabelled" else "transductive"

    def text(self) -> str:
        """``63.1 % (± 0.8 over episodes, ± 4.5 for other classes)``."""
        if len(self.judged) > 1:
            seeds = len(self.judged)
            return f"{percent(self.mean)} % (mean of {seeds} seeds)"
        cell = self.judged[0][0]
        halves = {"over episodes": _episodes(cell), "for other classes": _classes(cell)}
        intervals = ", ".join(f"± {half} {what}" for what, half in halves.items() if half)
        return f"{percent(self.mean)} %" + (f" ({intervals})" if intervals else "")


def _episodes(cell: ClassificationSummary) -> str:
    return percent(half_width(cell["accuracy"]), "")


def _classes(cell: ClassificationSummary) -> str:
    return half_width_text(cell, "classes", "")


def candidates(
    judged: Iterable[ClassifiedCell], kinds: Mapping[str, set[str]] | None = None
) -> dict[Setting, list[Candidate]]:
    """Candidates by setting, best first; those with fewer seeds than others left out.

    `kinds` are the feature kinds by backbone, by default those of `judged`.
    """
    judged = [pair for pair in judged if is_number(pair[0]["accuracy"]["mean"])]
    kinds = feature_kinds(cell for cell, _ in judged) if kinds is None else kinds
    groups: dict[Setting, dict[tuple[str, str], list[ClassifiedCell]]] = {}
    for cell, rows in judged:
        names = backbone_name(cell, kinds), head_label(cell)
        groups.setdefault(Setting.of(cell), {}).setdefault(names, []).append((cell, rows))
    return {
        setting: _ranked([Candidate(*names, tuple(pairs)) for names, pairs in group.items()])
        for setting, group in sorted(groups.items(), key=lambda entry: entry[0].order)
    }


def _ranked(entries: Sequence[Candidate]) -> list[Candidate]:
    most = max(len(candidate.judged) for candidate in entries)
    return sorted(
        (candidate for candidate in entries if len(candidate.judged) == most),
        key=lambda candidate: -candidate.mean,
    )


def runner_up(ranked: Sequence[Candidate], *, backbone: bool) -> Candidate | None:
    """The best candidate with another backbone, or with another head; None if there is none.

    Another head is looked for under the same backbone first.
    """
    best = ranked[0]
    if backbone:
        return next(
            (candidate for candidate in ranked if candidate.backbone != best.backbone), None
        )
    others = [candidate for candidate in ranked if candidate.head != best.head]
    same = [candidate for candidate in others if candidate.backbone == best.backbone]
    return next(iter(same or others), None)


Table = Mapping[Setting, Sequence[Candidate]]


def over_all(datasets: Sequence[Sequence[ClassifiedCell]]) -> list[str]:
    """A sentence on the ways and most shots that all data sets share; none for one data set.

    Parameters
    ----------
    datasets : sequence of sequences of (cell, rows)
        Of classification, one per data set.
    """
    # A backbone must have the same name for all data sets, even if they have different features.
    kinds = feature_kinds(cell for judged in datasets for cell, _ in judged)
    tables: list[Table] = [candidates(judged, kinds) for judged in datasets]
    if len(tables) < 2:
        return []
    shared = set.intersection(*(set(table) for table in tables))
    if not shared:
        return []
    setting = max(shared, key=lambda setting: (setting.shots, setting.ways, setting.order))
    means = _means([table[setting] for table in tables])
    if len(means) < 2:
        return []
    best = max(means, key=lambda name: sum(means[name]))
    firsts = sum(table[setting][0].name == best for table in tables)
    mean = sum(means[best]) / len(tables)
    where = setting.text(shared)
    return [
        f"{where}: {plain(best)} is right in {percent(mean)} % on average over {len(tables)} data "
        f"sets, the most of {len(means)} combinations that were judged on all; it is the best one "
        f"on {firsts} of them."
    ]


def _means(ranked: Sequence[Sequence[Candidate]]) -> dict[str, list[float]]:
    """Mean accuracies (one per data set) of the combinations that every data set has."""
    means: dict[str, list[float]] = {}
    for ranking in ranked:
        for candidate in ranking:
            means.setdefault(candidate.name, []).append(candidate.mean)
    return {name: values for name, values in means.items() if len(values) == len(ranked)}
