"""Open-set verification: whether an image belongs to a class, given its shots or its name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.heads.verifier import verifier
from fewshot.results.result import Result
from fewshot.results.schema import CellColumns
from fewshot.statistics.paired import differences
from fewshot.statistics.populations import population_intervals
from fewshot.tasks.base import EPISODIC_KEYS, columns_of, head_label
from fewshot.tasks.engine.context import check_uses
from fewshot.tasks.engine.least_shots import check_least_shots
from fewshot.tasks.engine.rows import cell_columns, queries_of
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification.schema import (
    MEASURES,
    NAME,
    TARGETS,
    Intervals,
    VerificationSummary,
    VerifierComparison,
)
from fewshot.tasks.verification.scores import VerificationMeasures, verification_measures

NO_BASE = "verification learns nothing from base-class episodes"


def evaluate_verification(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    settings: Settings,
    seed: int,
) -> Result:
    """Evaluate a head on verification: each class of an episode as target, the others as impostors.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        From any sampler; the head sees only the shots of a class.
    head : (str, Head)
        Name for the rows, and a head that is a `Verifier`.
    settings : Settings
        Only device, threads and progress are used.
    seed : int
        Of the episodes, for the rows.

    Returns
    -------
    Result
        The table ``verification`` has a row per episode and target, ``.summary`` the means of
        AUROC, average precision and false positives at 95 % recall with their intervals.

    Raises
    ------
    FewshotError
        The head cannot verify, needs more shots, or class names that are not there.
    """
    name, classifier = head
    verifier(name, classifier)
    check_least_shots([head], episodes.fewest_shots)
    check_uses(bank, name, classifier.uses)
    begun = time.perf_counter()
    measures = verification_measures(
        bank, episodes, head, progress=settings.progress, **settings.engine
    )
    seconds = time.perf_counter() - begun
    cell = cell_columns(NAME, bank, episodes, head, seed)
    intervals = {name: _intervals(getattr(measures, name), episodes) for name in MEASURES}
    summary: VerificationSummary = {
        **cell,
        "queries": queries_of(episodes),
        "episodes": len(episodes),
        "normalize": bank.normalize,
        "head_parameters": classifier.get_params(),
        "head_uses": sorted(classifier.uses),
        "prevalence": _prevalence(measures),
        "targets": int(np.isfinite(measures.auroc).sum()),
        "auroc": intervals["auroc"],
        "average_precision": intervals["average_precision"],
        "fpr95": intervals["fpr95"],
        "base": {"reason": NO_BASE},
        "comparisons": [],
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / seconds,
    }
    if not episodes.equal_ways:
        summary["rows"] = int(episodes.way_counts.sum())
    return Result({TARGETS.name: _rows(cell, bank, episodes, measures)}, summary)


def compare_verifiers(
    results: Mapping[str, Result], episodes: EpisodeSet
) -> list[VerifierComparison]:
    """Paired differences of heads that were evaluated on the same episodes.

    Parameters
    ----------
    results : mapping of str to Result
        By head, of `evaluate_verification` on `episodes`.

    Returns
    -------
    list of dict
        One per pair: ``first``, ``second`` and, for each measure, the intervals of the mean of
        first minus second by population.
    """
    values = {
        name: _by_target(result.rows(TARGETS.name), episodes) for name, result in results.items()
    }
    pairs = [
        {"first": first, "second": second}
        | {
            measure: _intervals(
                differences(values[first][measure], values[second][measure]), episodes
            )
            for measure in MEASURES
        }
        for first, second in itertools.combinations(values, 2)
    ]
    return cast("list[VerifierComparison]", pairs)


def note_comparisons(evaluated: Iterable[tuple[EpisodeSet, Result]]) -> None:
    """Add paired differences to ``summary["comparisons"]`` of the first head of each pair.

    Parameters
    ----------
    evaluated : iterable of (EpisodeSet, Result)
        Results on the same episodes are compared.
    """
    groups: dict[EpisodeSet, dict[str, Result]] = {}
    for episodes, result in evaluated:
        groups.setdefault(episodes, {})[head_label(result.summary)] = result
    for episodes, results in groups.items():
        for pair in compare_verifiers(results, episodes):
            summary = cast("VerificationSummary", results[pair["first"]].summary)
            summary["comparisons"].append(pair)


def _by_target(rows: pd.DataFrame, episodes: EpisodeSet) -> dict[str, NDArray]:
    """Arrays (E, N) of each measure, by name."""
    return {
        measure: _of_targets(rows[measure].to_numpy(float), episodes.classes)
        for measure in MEASURES
    }


def _of_targets(values: NDArray, classes: NDArray) -> NDArray:
    """Values of all targets in order as an array (E, N), NaN in the padding of classes."""
    arranged = np.full(classes.shape, np.nan)
    arranged[classes >= 0] = values
    return arranged


def _prevalence(measures: VerificationMeasures) -> float:
    """Mean share of positives among the queries of a target."""
    defined = np.isfinite(measures.auroc)
    total = (measures.positives + measures.negatives)[defined]
    return float((measures.positives[defined] / total).mean()) if defined.any() else float("nan")


def _intervals(values: NDArray, episodes: EpisodeSet) -> Intervals | None:
    """Intervals by population of the mean of values (E, N); None if there is no value.

    A target without queries takes the mean of the others of its episode, which leaves the
    episode's mean as it is; an episode without any target is left out.
    """
    defined = np.isfinite(values)
    usable = defined.any(-1)
    if not usable.any():
        return None
    values, defined = values[usable], defined[usable]
    mean = np.nanmean(values, -1, keepdims=True)  # the padding of classes does not count
    query = None if episodes.query is None else episodes.query[usable]
    intervals = population_intervals(
        np.where(defined, values, mean),
        episodes.classes[usable],
        episodes.labels,
        episodes.support[usable],
        query,
        impostors=True,
        related=episodes.related_classes,
    )
    return cast("Intervals", intervals)


def _rows(
    cell: CellColumns, bank: FeatureBank, episodes: EpisodeSet, measures: VerificationMeasures
) -> pd.DataFrame:
    """Data frame with a row per episode and target."""
    real = episodes.classes >= 0
    names = np.array(bank.classnames, dtype=object)
    numbers = np.repeat(np.arange(len(episodes)), episodes.way_counts)
    rows = pd.DataFrame({"episode": numbers}).assign(**cell)
    rows["target"] = names[episodes.classes[real]]
    for name, values in measures._asdict().items():
        rows[name] = values[real]
    return rows[list(columns_of(TARGETS, EPISODIC_KEYS))]
