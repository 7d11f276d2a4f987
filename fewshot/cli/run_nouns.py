"""Heads, estimators, features and episodes of a run, as its settings describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fewshot.api import check_replay, draw_episodes
from fewshot.cli.labels import labels_only
from fewshot.cli.nouns import features_of
from fewshot.datasets.base import ImageDataset
from fewshot.episodes import EpisodeSet
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.registry import Registry
from fewshot.tasks.judged_part import check_judged, judged_part
from fewshot.tasks.settings import Settings


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
