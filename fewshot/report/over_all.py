"""Which combination is best on average over several data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot.report.candidates import Candidate, Setting, candidates
from fewshot.report.contexts import feature_kinds
from fewshot.report.paired import Judged
from fewshot.report.wording import percent, plain, shots_text

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
