"""Open-set verification: is this image of class c? One class at a time, from its shots or name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.heads.verifier import verifier
from fewshot.results.result import Result
from fewshot.results.schema import (
    EPISODE_COLUMNS,
    MEASURES,
    PREDICTION_COLUMNS,
    VERIFICATION,
    VERIFICATION_COLUMNS,
)
from fewshot.statistics.populations import population_intervals
from fewshot.tasks.engine.context import check_uses
from fewshot.tasks.engine.judged_part import judged_name
from fewshot.tasks.engine.least_shots import check_least_shots
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification.scores import Verified, verified

NO_BASE = "verification learns nothing from base-class episodes"


def evaluate_verification(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    settings: Settings,
    seed: int,
) -> Result:
    """Each of the N classes of an episode as target, all other queries as impostors.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        Of any sampler; the shots of a class are all that a head gets of it.
    head : (str, Head)
        Name for the rows, and a head that is a `Verifier`.
    settings : Settings
        Device, threads and progress; nothing else matters here.
    seed : int
        Of the episodes, for the rows.

    Returns
    -------
    Result
        ``.verification`` has a row per episode and target, ``.summary`` the means of AUROC,
        average precision and false positives at 95 % recall with their intervals.

    Raises
    ------
    FewshotError
        The head cannot verify, needs more shots, or class names that are not there.
    """
    name, classifier = head
    verifier(name, classifier)
    check_least_shots({name: classifier}, episodes.fewest_shots)
    check_uses(bank, name, classifier.uses)
    begun = time.perf_counter()
    measured = verified(bank, episodes, head, progress=settings.progress, **settings.engine)
    judged = time.perf_counter() - begun
    cell = _cell_columns(bank, name, episodes, seed)
    summary = {
        **cell,
        "queries": episodes.queries,
        "episodes": len(episodes),
        "normalize": bank.normalize,
        "head_parameters": classifier.get_params(),
        "head_uses": sorted(classifier.uses),
        "prevalence": _prevalence(measured),
        "targets": int(np.isfinite(measured.auroc).sum()),
        **{one: _intervals(getattr(measured, one), episodes) for one in MEASURES},
        "base": {"reason": NO_BASE},
        "comparisons": [],
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / judged,
    }
    return Result(
        pd.DataFrame(columns=list(EPISODE_COLUMNS)),
        pd.DataFrame(columns=list(PREDICTION_COLUMNS)),
        summary,
        verification=_rows(cell, bank, episodes, measured),
    )


def _cell_columns(bank: FeatureBank, head: str, episodes: EpisodeSet, seed: int) -> dict[str, Any]:
    return {
        "task": VERIFICATION,
        "dataset": judged_name(bank),
        "backbone": bank.info.get("backbone", "unknown"),
        "feature": bank.info.get("feature", "unknown"),
        "head": head,
        "ways": episodes.ways,
        "shots": episodes.shots,
        "seed": seed,
    }


def compare_verifiers(results: Mapping[str, Result], episodes: EpisodeSet) -> list[dict[str, Any]]:
    """Paired differences of heads that were judged on the same episodes.

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
    values = {name: _by_target(one.verification, episodes) for name, one in results.items()}
    return [
        {"first": first, "second": second}
        | {one: _intervals(values[first][one] - values[second][one], episodes) for one in MEASURES}
        for first, second in itertools.combinations(values, 2)
    ]


def note_comparisons(judged: Iterable[tuple[EpisodeSet, Result]]) -> None:
    """Put the paired differences of heads into ``summary["comparisons"]`` of the first of a pair.

    Parameters
    ----------
    judged : iterable of (EpisodeSet, Result)
        Results on the same episodes are compared.
    """
    groups: dict[EpisodeSet, dict[str, Result]] = {}
    for episodes, result in judged:
        groups.setdefault(episodes, {})[result.summary["head"]] = result
    for episodes, results in groups.items():
        for pair in compare_verifiers(results, episodes):
            results[pair["first"]].summary["comparisons"].append(pair)


def _by_target(rows: pd.DataFrame, episodes: EpisodeSet) -> dict[str, NDArray]:
    """Columns of measures as (E, N)."""
    return {one: rows[one].to_numpy(float).reshape(episodes.classes.shape) for one in MEASURES}


def _prevalence(measured: Verified) -> float:
    """Mean share of positives among the queries of a target."""
    known = np.isfinite(measured.auroc)
    total = (measured.positives + measured.negatives)[known]
    return float((measured.positives[known] / total).mean()) if known.any() else float("nan")


def _intervals(values: NDArray, episodes: EpisodeSet) -> dict[str, Any] | None:
    """Intervals by population of the mean of values (E, N); None if there is no value.

    A target without queries takes the mean of the others of its episode, which leaves the
    episode's mean as it is; an episode without any target is left out.
    """
    known = np.isfinite(values)
    some = known.any(-1)
    if not some.any():
        return None
    values, known = values[some], known[some]
    mean = np.nanmean(values, -1, keepdims=True)
    query = None if episodes.query is None else episodes.query[some]
    return population_intervals(
        np.where(known, values, mean),
        episodes.classes[some],
        episodes.labels,
        episodes.support[some],
        query,
        impostors=True,
    )


def _rows(
    cell: dict[str, Any], bank: FeatureBank, episodes: EpisodeSet, measured: Verified
) -> pd.DataFrame:
    """A row per episode and target."""
    E, N = episodes.classes.shape
    names = np.array(bank.classnames, dtype=object)
    rows = pd.DataFrame({"episode": np.repeat(np.arange(E), N)}).assign(**cell)
    rows["target"] = names[episodes.classes].reshape(-1)
    for name, values in measured._asdict().items():
        rows[name] = values.reshape(-1)
    return rows[list(VERIFICATION_COLUMNS)]
