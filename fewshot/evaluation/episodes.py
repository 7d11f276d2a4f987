"""Heads, estimators, features and episodes of a run, as its settings describe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fewshot.datasets.base import ImageDataset
from fewshot.episodes import (
    EpisodeSet,
    sample_all_way,
    sample_episodes,
    sample_imbalanced_episodes,
)
from fewshot.estimators import estimators as estimator_registry
from fewshot.estimators.base import ErrorEstimator
from fewshot.evaluation.build import features_of, labels_only
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_positive_int,
)
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head
from fewshot.registry import Registry
from fewshot.tasks.engine.judged_part import check_judged, judged_part
from fewshot.tasks.engine.settings import Settings


def objects_named(registry: Registry, named: Mapping[str, Any] | None) -> dict[str, Any]:
    """Objects of a registry from {name: parameters}."""
    expect(bool(named), registry.kind, "expected at least one, got none")
    made = {}
    for name, given in (named or {}).items():
        parameters = given or {}
        expect(
            isinstance(parameters, dict),
            f"{registry.kind}.{name}",
            f"expected settings by name, got {parameters!r}",
        )
        try:
            made[name] = registry.create(name, **parameters)
        except TypeError as error:
            reason = str(error).split("__init__() ")[-1]
            raise FewshotError(f"{registry.kind}.{name}", reason) from None
    return made


def shots_asked(settings: dict[str, Any]) -> list[int]:
    """The numbers of shots that are asked for."""
    wanted = settings["episodes"]
    if wanted["path"]:
        return [EpisodeSet.load(wanted["path"]).fewest_shots]
    shots = wanted["shots"] if isinstance(wanted["shots"], list) else [wanted["shots"]]
    expect(len(shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
    for each in shots:
        expect_positive_int("episodes.shots", each, minimum=0)
    return shots


def bank_asked(settings: dict[str, Any], engine: Settings, uses: frozenset[str]) -> FeatureBank:
    """The features, found or extracted, after checking that the episodes can be drawn."""
    part = settings["episodes"]["part"]

    def check(own: ImageDataset) -> None:
        episodes_asked(settings, judged_part(labels_only(own), part), trial=True)

    return judged_part(features_of(settings, engine.device, uses, check), part)


def _replayed(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    return check_judged(check_replay(episodes, bank), bank)


def episodes_asked(
    settings: dict[str, Any], bank: FeatureBank, trial: bool = False
) -> list[EpisodeSet]:
    """One set of episodes per number of shots; a single episode each on trial."""
    wanted = settings["episodes"]
    if wanted["path"]:
        return [] if trial else [_replayed(EpisodeSet.load(wanted["path"]), bank)]
    expect_positive_int("episodes.count", wanted["count"])
    return [
        draw_episodes(
            bank,
            wanted["ways"],
            each,
            wanted["queries"],
            1 if trial else wanted["count"],
            settings["seed"],
            wanted["min_images"],
            wanted["sampler"],
            wanted.get("alpha", 2.0),
        )
        for each in shots_asked(settings)
    ]


SAMPLERS = ("balanced", "imbalanced", "all_way")


def draw_episodes(
    bank: FeatureBank,
    ways: int | None,
    shots: int,
    queries: int | str,
    episodes: int,
    seed: int,
    min_images: str,
    sampler: str = "balanced",
    alpha: float = 2.0,
) -> EpisodeSet:
    """Episodes from the novel classes of a bank, or from all where it has no split."""
    expect_choice("episodes.sampler", sampler, SAMPLERS)
    novel = None if bank.parts is None else bank.classes("novel")
    expect(
        novel is None or len(novel) > 0,
        "split",
        "expected some classes to be novel, got none",
        "Episodes are drawn from novel classes; mark some, or give no split.",
    )
    pool: dict[str, Any] = {
        "classes": novel, "classnames": bank.classnames, "min_images": min_images,
    }  # fmt: skip
    if sampler == "all_way":
        return sample_all_way(bank.labels, shots, episodes, seed, subset=bank.subset, **pool)
    if sampler == "imbalanced":
        expect_positive_int("episodes.ways", ways, minimum=2)
        expect_positive_int("episodes.queries", queries)
        total = int(ways or 0) * int(queries)
        return sample_imbalanced_episodes(
            bank.labels, int(ways or 0), shots, total, episodes, seed, alpha, **pool
        )
    expect(ways is not None, "episodes.ways", "expected a number, got none")
    return sample_episodes(bank.labels, ways or 0, shots, queries, episodes, seed, **pool)


def check_replay(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    """Refuse to replay episodes on rows that they were not drawn from."""
    expect(
        episodes.labels.shape == bank.labels.shape and bool((episodes.labels == bank.labels).all()),
        "episodes",
        "expected episodes that were drawn from these labels, got others",
        "Replay them on the data set (and the same version of it) that they were saved with.",
    )
    return episodes


def named_head(head: str | Head) -> tuple[str, Head]:
    """A head and its name, from either."""
    if isinstance(head, str):
        return head, head_registry.create(head)
    if not isinstance(head, Head):
        raise FewshotError("head", f"expected a name or a Head, got {head!r}")
    return type(head).__name__.lower(), head


def named_estimators(
    estimators: Iterable[str] | Mapping[str, ErrorEstimator],
) -> dict[str, ErrorEstimator]:
    """Estimators by name, from names or as they are."""
    if isinstance(estimators, Mapping):
        return dict(estimators)
    if isinstance(estimators, str):
        estimators = [estimators]
    return {name: estimator_registry.create(name) for name in estimators}
