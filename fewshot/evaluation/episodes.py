"""Heads, estimators, features and episodes of a run from its settings."""

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


def create_objects(registry: Registry, named: Mapping[str, Any] | None) -> dict[str, Any]:
    """Create objects of a registry from {name: parameters}."""
    expect(bool(named), registry.kind, "expected at least one, got none")
    objects = {}
    for name, options in (named or {}).items():
        parameters = options or {}
        expect(
            isinstance(parameters, dict),
            f"{registry.kind}.{name}",
            f"expected settings by name, got {parameters!r}",
        )
        try:
            objects[name] = registry.create(name, **parameters)
        except TypeError as error:
            reason = str(error).split("__init__() ")[-1]
            raise FewshotError(f"{registry.kind}.{name}", reason) from None
    return objects


def configured_shots(settings: dict[str, Any]) -> list[int]:
    """Return the numbers of shots in the settings."""
    episodes = settings["episodes"]
    if episodes["path"]:
        return [EpisodeSet.load(episodes["path"]).fewest_shots]
    shots = episodes["shots"] if isinstance(episodes["shots"], list) else [episodes["shots"]]
    expect(len(shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
    for number in shots:
        expect_positive_int("episodes.shots", number, minimum=0)
    return shots


def configured_bank(
    settings: dict[str, Any], engine: Settings, uses: frozenset[str]
) -> FeatureBank:
    """Return the features of a run, after a check that its episodes can be drawn."""
    part = settings["episodes"]["part"]

    def check(dataset: ImageDataset) -> None:
        configured_episodes(settings, judged_part(labels_only(dataset), part), trial=True)

    return judged_part(features_of(settings, engine.device, uses, check), part)


def _replayed(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    return check_judged(check_replay(episodes, bank), bank)


def configured_episodes(
    settings: dict[str, Any], bank: FeatureBank, trial: bool = False
) -> list[EpisodeSet]:
    """Return a set of episodes per number of shots; of a single episode each with `trial`."""
    episodes = settings["episodes"]
    if episodes["path"]:
        return [] if trial else [_replayed(EpisodeSet.load(episodes["path"]), bank)]
    expect_positive_int("episodes.count", episodes["count"])
    return [
        draw_episodes(
            bank,
            episodes["ways"],
            shots,
            episodes["queries"],
            1 if trial else episodes["count"],
            settings["seed"],
            episodes["min_images"],
            episodes["sampler"],
            episodes.get("alpha", 2.0),
        )
        for shots in configured_shots(settings)
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
    """Draw episodes from the novel classes of a bank, or from all classes without a split."""
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
    """Return `episodes`; raise unless they were drawn from the labels of this bank."""
    expect(
        episodes.labels.shape == bank.labels.shape and bool((episodes.labels == bank.labels).all()),
        "episodes",
        "expected episodes that were drawn from these labels, got others",
        "Replay them on the data set (and the same version of it) that they were saved with.",
    )
    return episodes


def named_head(head: str | Head) -> tuple[str, Head]:
    """Return the name and the object of a head, from either of them."""
    if isinstance(head, str):
        return head, head_registry.create(head)
    if not isinstance(head, Head):
        raise FewshotError("head", f"expected a name or a Head, got {head!r}")
    return type(head).__name__.lower(), head


def named_estimators(
    estimators: Iterable[str] | Mapping[str, ErrorEstimator],
) -> dict[str, ErrorEstimator]:
    """Return estimators by name, from names or from a mapping of names to objects."""
    if isinstance(estimators, Mapping):
        return dict(estimators)
    if isinstance(estimators, str):
        estimators = [estimators]
    return {name: estimator_registry.create(name) for name in estimators}
