"""Open-set classification of one head on one set of episodes, and comparisons of heads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.episodes.rows import PADDING
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.result import Result
from fewshot.results.schema import CellColumns
from fewshot.statistics.populations import paired_intervals, population_intervals
from fewshot.tasks.base import columns_of, head_label
from fewshot.tasks.engine.context import check_uses
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.tasks.engine.least_shots import check_least_shots
from fewshot.tasks.engine.rows import cell_columns, queries_of
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.open_set.sampling import draw_unknown
from fewshot.tasks.open_set.schema import (
    EPISODES,
    KEYS,
    MEASURES,
    NAME,
    Intervals,
    OpenSetComparison,
    OpenSetSummary,
)
from fewshot.tasks.open_set.scores import OpenSetMeasures, open_set_measures
from fewshot.tasks.open_set.settings import OpenSetSettings

NO_BASE = "open-set classification learns nothing from base-class episodes"


def evaluate_open_set(
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    options: OpenSetSettings,
    settings: Settings,
    seed: int,
) -> Result:
    """Evaluate a head on the queries of episodes and on those of classes outside of each.

    Parameters
    ----------
    bank : FeatureBank
    episodes : EpisodeSet
        From any sampler that leaves classes outside of an episode.
    head : (str, Head)
        Name for the rows, and an unfitted head; it is not told that there are unknown queries.
    options : OpenSetSettings
    settings : Settings
        Only device, threads and progress are used.
    seed : int
        Of the episodes and of the unknown queries.

    Returns
    -------
    Result
        The table ``open_set`` has a row per episode, ``.summary`` the means of the measures with
        their intervals.

    Raises
    ------
    FewshotError
        Too few classes outside of an episode, fewer shots than the head needs, or class names that
        are not there.
    """
    name, classifier = head
    check_least_shots([head], episodes.fewest_shots)
    check_uses(bank, name, classifier.uses)
    begun = time.perf_counter()
    classes, unknown = unknown_of(bank, episodes, options, seed)
    start = time.perf_counter()
    measures = open_set_measures(
        bank, episodes, unknown.reshape(len(episodes), -1), classifier, options.score, settings
    )
    seconds = time.perf_counter() - start
    cell = {
        **cell_columns(NAME, bank, episodes, head, seed),
        "unknown": f"{unknown.shape[1]} x {unknown.shape[2]}",  # classes and queries of each
        "score": options.score,
    }
    intervals = {
        measure: _intervals(getattr(measures, measure), episodes, classes, unknown)
        for measure in MEASURES
    }
    summary = {
        **cell,
        "unknown_ways": unknown.shape[1],
        "unknown_queries": unknown.shape[2],
        "queries": queries_of(episodes),
        "episodes": len(episodes),
        "normalize": bank.normalize,
        "head_parameters": classifier.get_params(),
        "head_uses": sorted(classifier.uses),
        **intervals,
        "base": {"reason": NO_BASE},
        "comparisons": [],
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
        "duration_s": time.perf_counter() - begun,
        "episodes_per_second": len(episodes) / seconds,
    }
    rows = _rows(cast("CellColumns", cell), bank, episodes, classes, unknown, measures)
    return Result({EPISODES.name: rows}, cast("OpenSetSummary", summary))


def unknown_of(
    bank: FeatureBank, episodes: EpisodeSet, options: OpenSetSettings, seed: int
) -> tuple[NDArray, NDArray]:
    """Unknown classes (E, U) and their queries (E, U, Q) of episodes on the features of a bank."""
    pool = np.unique(bank.labels[bank.labels >= 0])
    if bank.parts is not None:
        pool = np.intersect1d(pool, bank.classes("novel"))
    return draw_unknown(episodes, pool, *options.numbers(episodes), seed)


def note_comparisons(evaluated: Iterable[tuple[EpisodeSet, Result]]) -> None:
    """Add paired differences to ``summary["comparisons"]`` of the first head of each pair."""
    groups: dict[EpisodeSet, dict[str, Result]] = {}
    for episodes, result in evaluated:
        groups.setdefault(episodes, {})[head_label(result.summary)] = result
    for episodes, results in groups.items():
        related = episodes.related_classes
        for first, second in itertools.combinations(results, 2):
            rows = [results[name].rows(EPISODES.name) for name in (first, second)]
            classes = _numbered(rows[0])
            pair: dict[str, Any] = {"first": first, "second": second}
            for measure in MEASURES:
                values = rows[0][measure].to_numpy(float) - rows[1][measure].to_numpy(float)
                pair[measure] = paired_intervals(values, classes, related=related)
            summary = cast("OpenSetSummary", results[first].summary)
            summary["comparisons"].append(cast("OpenSetComparison", pair))


def _numbered(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Numbers (E, N) of the known and unknown classes of rows; -1 pads episodes of fewer."""
    columns = rows[["classes", "unknown_classes"]].to_numpy()
    names = [[*known, *unknown] for known, unknown in columns]  # lists, or arrays from a file
    counts = np.array([len(episode) for episode in names])
    numbers = np.full((len(names), counts.max()), PADDING, dtype=np.int64)
    real = np.arange(counts.max()) < counts[:, None]
    numbers[real] = np.unique(np.concatenate(names), return_inverse=True)[1]
    return numbers


def _intervals(
    values: NDArray, episodes: EpisodeSet, classes: NDArray, unknown: NDArray
) -> Intervals:
    """Intervals by population of the mean of values (E,).

    Every image, also an unknown one, acts on the value of its whole episode; the classes of an
    episode are the known and the unknown ones.
    """
    E, N, K = episodes.support.shape
    ways = classes.shape[1]
    none = np.full((E, ways, K), PADDING, dtype=np.int64)
    query = None
    if episodes.query is not None:
        width = max(episodes.query.shape[2], unknown.shape[2])
        query = np.concatenate([_padded(rows, width) for rows in (episodes.query, unknown)], 1)
    intervals = population_intervals(
        np.broadcast_to(values[:, None], (E, N + ways)),
        np.concatenate([episodes.classes, classes], 1),
        episodes.labels,
        np.concatenate([episodes.support, none], 1),
        query,
        impostors=True,
        related=episodes.related_classes,
    )
    return cast("Intervals", intervals)


def _padded(rows: NDArray, width: int) -> NDArray:
    return np.pad(rows, ((0, 0), (0, 0), (0, width - rows.shape[2])), constant_values=PADDING)


def _rows(
    cell: CellColumns,
    bank: FeatureBank,
    episodes: EpisodeSet,
    classes: NDArray,
    unknown: NDArray,
    measures: OpenSetMeasures,
) -> pd.DataFrame:
    """Data frame with a row per episode."""
    names = np.array(bank.classnames, dtype=object)
    rows = pd.DataFrame({"episode": np.arange(len(episodes))}).assign(**cell)
    rows["classes"] = [names[known[known >= 0]].tolist() for known in episodes.classes]
    rows["unknown_classes"] = list(names[classes].tolist())
    rows["queries"] = episodes.query_counts.sum(-1)
    rows["unknown_images"] = unknown[0].size
    for name, values in measures._asdict().items():
        rows[name] = values
    return rows[list(columns_of(EPISODES, {**EpisodicTask.keys, **KEYS}))]
