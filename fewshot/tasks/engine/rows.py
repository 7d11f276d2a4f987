"""What the rows and the summary of every cell have, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd

from fewshot.datasets.part_names import NOVEL
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.episodes.unlabelled_sampling import EQUAL, QUERIES
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.result import Result, check_rows
from fewshot.results.schema import BankColumns, CellColumns, CellSummary, UnlabelledFacts
from fewshot.tasks.base import Task

UNLABELLED = "unlabelled"
QUERIES_AND_STRANGERS = "queries and strangers"


def bank_columns(bank: FeatureBank) -> BankColumns:
    """Columns that identify the features of a cell: data set, part, backbone and feature kind."""
    return {
        "dataset": str(bank.info.get("dataset", "features")),
        "part": str(bank.info.get("part", NOVEL)),
        "backbone": str(bank.info.get("backbone", "unknown")),
        "feature": str(bank.info.get("feature", "unknown")),
    }


class EpisodicColumns(CellColumns):
    """Columns that identify a cell of an episodic task."""

    unlabelled_images: str
    protocol: str


def cell_columns(
    task: str, bank: FeatureBank, episodes: EpisodeSet, head: tuple[str, Head], seed: int
) -> EpisodicColumns:
    """Columns that identify a cell of a head on episodes."""
    name, classifier = head
    return {
        "task": task,
        **bank_columns(bank),
        "head": name,
        "variant": classifier.variant(),
        "ways": episodes.nominal_ways,
        "shots": episodes.nominal_shots,
        "seed": seed,
        "unlabelled_images": unlabelled_text(unlabelled_facts(episodes)),
        "protocol": episodes.protocol,
    }


def queries_of(episodes: EpisodeSet) -> int | str:
    """Queries per class, ``all``, or of uneven episodes those of all classes, ``75 in all``."""
    if episodes.query is None:
        return "all"
    counts = episodes.query_counts
    if counts.min() == counts.max():
        return int(counts.max())
    fewest, most = int(counts.sum(-1).min()), int(counts.sum(-1).max())
    return f"{most} in all" if fewest == most else f"{fewest} to {most} in all"


def unlabelled_facts(episodes: EpisodeSet) -> UnlabelledFacts:
    """How the unlabelled images of episodes were drawn, None without any.

    Of episodes that no sampler drew, their mean number per class, whatever their classes.
    """
    sampling = episodes.unlabelled_sampling
    if sampling is not None:
        return {
            "unlabelled": sampling.count,
            "unlabelled_shares": sampling.shares,
            "strangers": sampling.strangers,
        }
    number = None
    if episodes.has_unlabelled:
        number = round(float(episodes.unlabelled_counts.mean() / episodes.way_counts.mean()))
    return {"unlabelled": number, "unlabelled_shares": None, "strangers": None}


def ranges_of(episodes: EpisodeSet) -> dict[str, list[int]]:
    """Smallest and largest ways of an episode and shots of a class, of those that vary."""
    numbers = {
        "ways_range": episodes.way_counts,
        "shots_range": episodes.shot_counts[episodes.classes >= 0],
    }
    pairs = {name: [int(values.min()), int(values.max())] for name, values in numbers.items()}
    return {name: pair for name, pair in pairs.items() if pair[0] < pair[1]}


def learns_from(episodes: EpisodeSet, uses: frozenset[str]) -> str | None:
    """Which images without labels a head that uses `uses` learns from.

    Returns
    -------
    str or None
        "queries" (transductive), "queries and strangers", "unlabelled" (semi-supervised: images
        apart from the queries); None of a head that looks at no image beside the shots.
    """
    if "queries" not in uses:
        return None
    if episodes.learns_apart:
        return UNLABELLED
    return QUERIES if episodes.unlabelled is None else QUERIES_AND_STRANGERS


def unlabelled_text(facts: UnlabelledFacts) -> str:
    """A text that tells ways of drawing unlabelled images apart; empty without any.

    Examples
    --------
    >>> unlabelled_text({"unlabelled": 15, "unlabelled_shares": "dirichlet", "strangers": 0.25})
    '15 dirichlet + 25 % strangers'
    """
    number, shares = facts.get("unlabelled"), facts.get("unlabelled_shares")
    strangers = facts.get("strangers")
    if number is None:
        return ""
    text = f"{number}" if shares in (None, EQUAL) else f"{number} {shares}"
    if not strangers:
        return text
    share = strangers if isinstance(strangers, str) else f"{100 * float(strangers):g} %"
    return f"{text} + {share} strangers"


def completed(
    task: Task,
    result: Result,
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    seed: int,
) -> Result:
    """The result with the columns and facts of every cell added where missing, checked.

    Raises
    ------
    FewshotError
        Rows that do not match what the task declares.
    """
    columns = cell_columns(task.name, bank, episodes, head, seed)
    facts = {
        "queries": queries_of(episodes),
        **unlabelled_facts(episodes),
        **ranges_of(episodes),
        "episodes": len(episodes),
        "normalize": bank.normalize,
        "head_parameters": head[1].get_params(),
        "head_uses": sorted(head[1].uses),
        "learns_from": learns_from(episodes, head[1].uses),
        "hashes": {"features": bank.hash(), "episodes": episodes.hash()},
    }
    identity = {name: value for name, value in columns.items() if name in task.identity}
    tables = {name: _identified(rows, identity) for name, rows in result.tables.items()}
    whole = Result(
        tables, cast("CellSummary", {**dict(columns), **facts, **result.summary}), result.calibrator
    )
    check_rows(task, whole)
    return whole


def _identified(rows: pd.DataFrame, columns: Mapping[str, object]) -> pd.DataFrame:
    missing = {name: value for name, value in columns.items() if name not in rows}
    return rows.assign(**cast("dict[str, str | int]", missing)) if missing else rows
