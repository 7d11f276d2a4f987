"""Arguments of `fewshot.evaluate`: those left at None are the defaults of the task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.labels import as_array
from fewshot.evaluation.inputs import BACKBONE, source_of
from fewshot.evaluation.sampling import (
    ALL,
    DISJOINT,
    META_DATASET,
    OF_SAMPLER,
    OF_SAMPLERS,
    SAMPLERS,
)
from fewshot.evaluation.sources import ConfiguredSource, GivenFeatures, Source, TwoSets
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.bank import FeatureBank, make_bank
from fewshot.importing import attribute_at
from fewshot.tasks.base import Task
from fewshot.tasks.engine.settings import Settings

UNKNOWN = "unknown"


def with_defaults(task: Task, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with the defaults of a task where they are None."""
    return {
        name: task.arguments[name] if value is None else value for name, value in arguments.items()
    }


def is_number(value: Any) -> bool:
    """Whether it is no collection of numbers."""
    return isinstance(value, str) or not isinstance(value, Iterable)


# Samplers that take all classes unless a number of them is asked for.
OF_ALL_CLASSES = ("all_way", "effective")
# What arguments are where they are left at None, as in conf/episodes/, if not what the task has.
USUAL_QUERIES = 15
DEFAULTS: dict[str, dict[str, Any]] = {
    "imbalanced": {"queries": USUAL_QUERIES},
    DISJOINT: {"queries": USUAL_QUERIES, "episodes": ALL},
}


def sampler_settings(
    sampler: str | Mapping[str, Any],
    ways: Any,
    shots: Any = None,
    queries: Any = None,
    episodes: Any = None,
) -> dict[str, Any]:
    """Settings ``episodes`` of a sampler: its name, or a mapping with its ``name`` and others.

    Of numbers that are None, samplers that have other defaults than the task get these, or none.

    Raises
    ------
    FewshotError
        A mapping without a name, or a setting that the sampler does not have.
    """
    if not isinstance(sampler, Mapping):
        sampler = {"name": sampler}
    settings = dict(sampler)
    expect(
        "name" in settings, "sampler", f"expected a name, or settings with a name, got {sampler}"
    )
    name = settings.pop("name")
    for key in settings:
        _check_setting(name, key)
    every = {"ways": ways} if name in OF_ALL_CLASSES else {}
    if name == META_DATASET:
        every = {"ways": ways, "shots": shots, "queries": queries}
    stated = {"queries": queries, "episodes": episodes}
    usual = DEFAULTS.get(name, {}) if isinstance(name, str) else {}
    every |= {key: value for key, value in usual.items() if stated[key] is None}
    return {"sampler": name, **every, **settings}


def _check_setting(sampler: Any, setting: str) -> None:
    """Raise unless the sampler has this setting; of unknown samplers, unless some sampler has."""
    expect_choice("sampler", setting, OF_SAMPLERS)
    if sampler not in SAMPLERS or setting in OF_SAMPLER[sampler]:
        return
    having = " or ".join(name for name, settings in OF_SAMPLER.items() if setting in settings)
    raise FewshotError(
        "sampler",
        f"{sampler!r} has no setting {setting!r}",
        f"It is a setting of {having}.",
    )


def sampling_from(
    task: Task, episodes: Any, ways: Any, shots: Any, unlabelled: Any, **settings: Any
) -> Any:
    """What draws the episodes of a task.

    Parameters
    ----------
    task : Task
    episodes : int, EpisodeSet or DrawSet
        Their number, or drawn ones.
    ways : int, several, "auto" or None
    shots : int or several
    unlabelled : (images, shares, strangers)
        The unlabelled images of an episode.
    **settings
        Others of the settings ``episodes``.
    """
    is_drawn = hasattr(episodes, "hash")  # a set of them, and not their number
    if is_drawn:
        free = tuple(unlabelled) == (None, "equal", 0)
        expect(free, "unlabelled", "expected none with drawn episodes, which have theirs")
    images, shares, strangers = unlabelled
    return attribute_at(task.sampling)(
        {
            **settings,
            "shots": (shots,) if is_number(shots) else tuple(shots),
            "ways": ways if is_number(ways) else tuple(ways),
            "count": None if is_drawn else episodes,
            "unlabelled": images,
            "unlabelled_shares": shares,
            "strangers": strangers,
            "path": None,
            "replay": episodes if is_drawn else None,
        }
    )


def source_from(
    task: Task,
    data: Any,
    settings: Settings,
    split: Any,
    normalize: str | None,
    backbone: str,
    of_arrays: Mapping[str, Any],
) -> Any:
    """The source of features that bring their labels, or of what a task takes in their place."""
    for name, value in of_arrays.items():
        expect(value is None, name, "expected it with arrays only: these features have their own")
    if isinstance(data, FeatureBank) and task.takes_features:
        expect(split is None, "split", "expected none with a bank, which has its own (`parts`)")
        kept = data if normalize is None else replace(data, normalize=normalize)
        return source_of(kept, settings.device)
    if split is not None and not isinstance(split, str):
        raise FewshotError("split", f"expected a word or a file of images, got {split!r}",
                           'As split="random": half of the classes base, half novel.')  # fmt: skip
    if not task.takes_features:
        for name, value in (("normalize", normalize), ("split", split)):
            expect(value is None, name, f"expected none with task={task.name!r}")
    return source_of(
        data,
        settings.device,
        task=task,
        threads=settings.threads,
        backbone=BACKBONE if backbone == UNKNOWN else backbone,
        dataset={} if split is None else {"split": split},
        features={"normalize": normalize or "auto"},
    )


def with_queries_from(task: Task, source: Source, queries: Any, missing: str, part: str) -> TwoSets:
    """The source of shots together with another of queries, of whatever `evaluate` takes.

    Raises
    ------
    FewshotError
        A task without features, or nothing that features come from.
    """
    argument = "queries_from"
    expect(task.takes_features, argument, f"expected none with task={task.name!r}")
    if isinstance(queries, tuple) and len(queries) == 2:
        labels = as_array(queries[1])
        numbers = np.issubdtype(labels.dtype, np.integer)
        names = source.labels().classnames if numbers else None
        info = {"dataset": "queries", "feature": "given"}
        bank = make_bank(queries[0], labels, names, info=info)
        other: Source = GivenFeatures(replace(bank, normalize=_normalize_of(source)))
    elif isinstance(queries, FeatureBank):
        other = GivenFeatures(queries)
    elif isinstance(queries, ImageDataset):
        other = ConfiguredSource(dict(source.settings), source.device, queries)
    elif isinstance(queries, str | Path):
        other = source.other(str(queries), argument)
    else:
        raise FewshotError(
            argument, f"expected a bank, a data set, a folder, a name, a file of features or a "
            f"pair (features, labels), got {type(queries).__name__}",
        )  # fmt: skip
    return TwoSets(source, other, missing, part)


def _normalize_of(source: Source) -> str:
    """How features at hand are normalised; those of images have unit length."""
    return source.bank(frozenset()).normalize if isinstance(source, GivenFeatures) else "l2"
