"""The main job: data set, features, episodes, heads, predicted errors, results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from fewshot.api import check_replay, draw_episodes
from fewshot.cli.mistakes import check_sections, in_house_form
from fewshot.cli.nouns import class_text, described_backbone, extraction_settings, load_images
from fewshot.datasets.base import ImageDataset
from fewshot.episodes import EpisodeSet
from fewshot.errors import estimators as estimator_registry
from fewshot.errors.calibration import METHODS, SOURCES
from fewshot.errors.general import load_general
from fewshot.errors.intervals import check_level
from fewshot.exceptions import FewshotError, expect, expect_choice, expect_positive_int
from fewshot.features.bank import NORMALIZATIONS, FeatureBank
from fewshot.hardware import available_cores, device_named
from fewshot.heads import heads as head_registry
from fewshot.places import places_of
from fewshot.registry import Registry
from fewshot.results.provenance import environment
from fewshot.results.result import Result, join_rows
from fewshot.results.schema import SCHEMA_VERSION
from fewshot.results.store import write_tables
from fewshot.storage import atomic_path, claimed, plain_name, writing
from fewshot.tasks.classification import TASK, Settings, evaluate_cell
from fewshot.tasks.context import check_uses


def run(config: DictConfig, folder: Path, label: str | None = None) -> Path:
    """Do what `config` says and write a run folder under `folder`; returns its path."""
    begun = time.perf_counter()
    with writing("paths.runs", folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # better now than after an hour of work
    settings = resolved(config)
    engine = _engine(settings)
    heads = _objects(head_registry, settings["head"])
    estimators = _objects(estimator_registry, settings["estimator"])
    uses = frozenset().union(*(head.uses for head in heads.values()))
    bank = _bank(settings, engine, uses)
    for name, head in heads.items():
        check_uses(bank, name, head.uses)
    drawn = _episodes(settings, bank)
    cells: list[Result] = []
    total = len(heads) * sum(map(len, drawn))
    bar = tqdm(total=total, unit="episode", desc="episodes", disable=None)
    with bar:
        for episodes in drawn:
            for head in heads.items():
                now = replace(engine, progress=bar.update)
                cells.append(evaluate_cell(bank, episodes, head, estimators, now, settings["seed"]))
    summary = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_s": round(time.perf_counter() - begun, 3),
        "environment": environment(str(engine.device), engine.threads or available_cores()),
        "data": _data(bank, drawn),
        "cells": [cell.summary for cell in cells],
    }
    target = folder / (plain_name(label) if label else _stamp(bank))
    return _write(target, settings, summary, cells, drawn)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Plain settings, with the shape of ``conf/config.yaml``."""
    try:
        settings = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise in_house_form(error) from None
    check_sections(settings)
    return settings  # type: ignore[return-value]


def _engine(settings: dict[str, Any]) -> Settings:
    expect_choice("task", settings["task"], (TASK,))
    calibration = settings["calibration"]
    expect_choice("calibration.source", calibration["source"], SOURCES)
    expect_choice("calibration.method", calibration["method"], METHODS[:-1])
    check_level("calibration.level", calibration["level"])
    wishes = ("auto", *NORMALIZATIONS)
    expect_choice("features.normalize", settings["features"]["normalize"], wishes)
    expect_positive_int("calibration.episodes", calibration["episodes"])
    if calibration["calibrator"]:
        load_general(Path(calibration["calibrator"]))
    threads = settings["threads"]
    if threads is not None:
        expect_positive_int("threads", threads)
    torch.set_num_threads(threads or available_cores())
    return Settings(
        calibration=calibration["source"],
        method=calibration["method"],
        level=calibration["level"],
        calibrator=calibration["calibrator"],
        base_episodes=calibration["episodes"],
        device=device_named(settings["device"]),
        threads=threads,
    )


def _objects(registry: Registry, named: Mapping[str, Any] | None) -> dict[str, Any]:
    """Objects of a registry from {name: parameters}."""
    expect(bool(named), registry.kind, "expected at least one, got none")
    assert named is not None
    made = {}
    for name, given in named.items():
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


def _bank(settings: dict[str, Any], engine: Settings, uses: frozenset[str]) -> FeatureBank:
    """The features, found or extracted, after checking that the episodes can be drawn.

    With text vectors of the classes, if a head uses them.
    """
    how = extraction_settings(settings, engine.device)
    loaded = load_images(settings)
    wish = settings["features"]["normalize"]
    if isinstance(loaded, FeatureBank):
        return replace(loaded, normalize="none" if wish == "auto" else wish)
    _episodes(settings, _labels_only(loaded), trial=True)
    from fewshot.features.store import open_or_extract

    backbone = described_backbone(settings, loaded)
    text = class_text(settings, loaded, backbone, engine.device) if "text" in uses else {}
    bank = open_or_extract(loaded, backbone, places_of(settings["paths"]).banks, how)
    return replace(bank, normalize="l2" if wish == "auto" else wish, **text)


def _labels_only(dataset: ImageDataset) -> FeatureBank:
    import numpy as np

    empty = np.empty((len(dataset), 0), dtype=np.float32)
    return FeatureBank(
        empty, dataset.labels, dataset.classnames, parts=dataset.parts, subset=dataset.subset
    )


def _episodes(settings: dict[str, Any], bank: FeatureBank, trial: bool = False) -> list[EpisodeSet]:
    """One set of episodes per number of shots; a single episode each on trial."""
    wanted = settings["episodes"]
    if wanted["path"]:
        return [] if trial else [check_replay(EpisodeSet.load(wanted["path"]), bank)]
    shots = wanted["shots"] if isinstance(wanted["shots"], list) else [wanted["shots"]]
    expect(len(shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
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
        for each in shots
    ]


def _data(bank: FeatureBank, drawn: list[EpisodeSet]) -> dict[str, Any]:
    parts = {part: len(bank.classes(part)) for part in ("base", "validation", "novel")}
    return {
        "images": len(bank),
        "classes": len(bank.classes()),
        "classes_by_part": None if bank.parts is None else parts,
        "feature_dim": bank.dim,
        "normalize": bank.normalize,
        "skipped": bank.info.get("skipped", []),
        "transform": bank.info.get("causes", {}).get("backbone", {}).get("transform"),
        "dropped_classes": _dropped(bank, drawn),
    }


def _dropped(bank: FeatureBank, drawn: list[EpisodeSet]) -> dict[str, list[str]]:
    """Names of classes too small for an episode, by shots."""
    import numpy as np

    pool = bank.classes(None if bank.parts is None else "novel")
    size = np.bincount(bank.labels, minlength=len(bank.classnames))
    dropped = {}
    for episodes in drawn:
        queries = 1 if episodes.queries == "all" else int(episodes.mean_queries)
        small = pool[size[pool] < episodes.shots + queries]
        if len(small):
            dropped[str(episodes.shots)] = [bank.classnames[c] for c in small]
    return dropped


def _write(
    target: Path,
    settings: dict[str, Any],
    summary: dict[str, Any],
    cells: list[Result],
    drawn: list[EpisodeSet],
) -> Path:
    """Write the run folder, whole or not at all, and tell the user which one it is."""
    from fewshot.report import summary_table, write_report

    episodes, predictions = join_rows(cells)
    with writing("paths.runs", target), claimed(target) as free, atomic_path(free) as partial:
        partial.mkdir(parents=True)
        (partial / "config.yaml").write_text(OmegaConf.to_yaml(settings), encoding="utf-8")
        write_tables(partial, summary, episodes, predictions)
        (partial / "episodes").mkdir()
        for one in drawn:
            one.save(partial / "episodes" / f"{one.ways}way_{one.shots}shot.safetensors")
        _write_calibrators(partial / "calibrators", cells)
        write_report(partial, summary, episodes, predictions)
    print(summary_table(summary["cells"]))
    print(f"\nRows, summary and plots: {free}\nReport: {free / 'report.html'}")
    return free


def _write_calibrators(folder: Path, cells: list[Result]) -> None:
    """What was learned on base classes, a file per cell; no folder without any."""
    for cell in cells:
        if cell.calibrator is not None:
            name = "{head}_{ways}way_{shots}shot.json".format(**cell.summary)
            cell.calibrator.save(folder / plain_name(name))


def _stamp(bank: FeatureBank) -> str:
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return plain_name(f"{now}_{bank.info.get('dataset')}_{bank.info.get('backbone')}")
