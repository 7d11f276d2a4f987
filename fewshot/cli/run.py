"""The main job: data set, features, episodes, heads, predicted errors, results."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from fewshot.api import check_replay, draw_episodes
from fewshot.cli.data_facts import data_facts, extraction_facts, seen_before
from fewshot.cli.engine import engine_of, figures_of
from fewshot.cli.labels import labels_only
from fewshot.cli.mistakes import check_sections, in_house_form
from fewshot.cli.nouns import features_of
from fewshot.datasets.base import ImageDataset
from fewshot.episodes import EpisodeSet
from fewshot.errors import estimators as estimator_registry
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.bank import FeatureBank
from fewshot.hardware import available_cores
from fewshot.heads import heads as head_registry
from fewshot.loggers.telling import loggers_of, tell
from fewshot.registry import Registry
from fewshot.report.left_out import failure_text, left_out_text, reused_text
from fewshot.results.cells import forget_cells, write_cells
from fewshot.results.images import write_images
from fewshot.results.provenance import environment
from fewshot.results.result import Result
from fewshot.results.schema import ONE_CLASS, SCHEMA_VERSION, VERIFICATION
from fewshot.storage import atomic_path, claimed, plain_name, writing
from fewshot.tasks.calibrating import check_calibration
from fewshot.tasks.context import check_uses
from fewshot.tasks.evaluating import check_heads, evaluate_missing, recalled
from fewshot.tasks.judged_part import check_judged, judged_part
from fewshot.tasks.least_shots import left_out
from fewshot.tasks.settings import Settings
from fewshot.text.llm_settings import check_no_secret


class Judged(NamedTuple):
    """What a task comes to: features, cells, episodes to keep, what was left out or failed."""

    bank: FeatureBank
    cells: list[Result]
    drawn: list[EpisodeSet]
    left_out: list[dict[str, Any]]
    failed: list[dict[str, Any]]


class Finished(NamedTuple):
    """The run folder, the cells that failed, and how many were computed and taken."""

    folder: Path
    failed: list[dict[str, Any]]
    computed: int = 0
    taken: int = 0


def run(config: DictConfig, folder: Path, label: str | None = None) -> Finished:
    """Do what `config` says and write a run folder under `folder`."""
    begun = time.perf_counter()
    with writing("paths.runs", folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # better now than after an hour of work
    settings = resolved(config)
    figures_of(settings)  # before any work
    told = loggers_of(settings["logger"])
    engine = engine_of(settings)
    judge = _one_class if settings["task"] == ONE_CLASS else _episodic
    bank, cells, drawn, out, failed = judge(settings, engine)
    summary = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_s": round(time.perf_counter() - begun, 3),
        "environment": environment(str(engine.device), engine.threads or available_cores()),
        "data": data_facts(bank, drawn)
        | {"extraction": extraction_facts(bank, settings["backbone"])},
        "cells": [cell.summary for cell in cells],
        "left_out": out,
        "failed": failed,
    }
    target = folder / (plain_name(label) if label else _stamp(bank))
    written = _write(target, settings, summary, bank, cells, drawn)
    forget_cells(_runs(settings), [cell.summary["key"] for cell in cells if "key" in cell.summary])
    tell(told, written, summary, settings)
    taken = sum(cell.summary.get("reused_from") is not None for cell in cells)
    return Finished(written, failed, len(cells) - taken, taken)


def _episodic(settings: dict[str, Any], engine: Settings) -> Judged:
    """Heads on episodes: classification and verification."""
    heads = _objects(head_registry, settings["head"])
    estimators = _objects(estimator_registry, settings["estimator"])
    check_heads(settings["task"], heads)
    out = left_out(heads, _shots(settings))  # before features are extracted
    uses = frozenset().union(*(head.uses for head in heads.values()))
    bank = _bank(settings, engine, uses)
    for name, head in heads.items():
        check_uses(bank, name, head.uses)
    if settings["task"] != VERIFICATION:
        check_calibration(engine, bank)
    if out:
        print(f"fewshot: left out: {left_out_text(out)}", file=sys.stderr)
    if "text_gaussians" in uses and (warning := seen_before(bank)):
        print(f"fewshot: {warning}", file=sys.stderr)
    pairs = [
        (episodes, (name, head))
        for episodes in _episodes(settings, bank)
        for name, head in heads.items()
        if head.least_shots <= episodes.fewest_shots
    ]
    drawn = list(dict.fromkeys(episodes for episodes, _ in pairs))
    total = sum(len(episodes) for episodes, _ in pairs)
    with tqdm(total=total, unit="episode", desc="episodes", disable=None) as bar:
        now = replace(engine, progress=bar.update)
        cells, failed = evaluate_missing(
            settings["task"],
            bank,
            pairs,
            estimators,
            now,
            settings["seed"],
            runs=_runs(settings),
            policy=settings["results"]["policy"],
            tell=lambda one: tqdm.write(f"fewshot: failed: {failure_text(one)}", file=sys.stderr),
        )
    return Judged(bank, cells, drawn, out, failed)


def _runs(settings: dict[str, Any]) -> Path:
    return Path(str(settings["paths"]["runs"]))


def _one_class(settings: dict[str, Any], engine: Settings) -> Judged:
    """Rules on one-class tasks, which have names in place of heads and shots."""
    from fewshot.cli.one_class_run import one_class_run

    def recall(keys: Sequence[str]) -> Mapping[str, Result] | None:
        return recalled(keys, _runs(settings), settings["results"]["policy"])

    bank, result, out = one_class_run(settings, engine, recall)
    return Judged(bank, result.cells, [], out, [])


def resolved(config: DictConfig) -> dict[str, Any]:
    """Plain settings, with the shape of ``conf/config.yaml``."""
    try:
        settings: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise in_house_form(error) from None
    check_sections(settings)
    check_no_secret(settings["llm"])  # before anything is written
    plain: dict[str, Any] = settings
    return plain


def _objects(registry: Registry, named: Mapping[str, Any] | None) -> dict[str, Any]:
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


def _shots(settings: dict[str, Any]) -> list[int]:
    """The numbers of shots that are asked for."""
    wanted = settings["episodes"]
    if wanted["path"]:
        return [EpisodeSet.load(wanted["path"]).fewest_shots]
    shots = wanted["shots"] if isinstance(wanted["shots"], list) else [wanted["shots"]]
    expect(len(shots) > 0, "episodes.shots", "expected a number or a list of them, got []")
    for each in shots:
        expect_positive_int("episodes.shots", each, minimum=0)
    return shots


def _bank(settings: dict[str, Any], engine: Settings, uses: frozenset[str]) -> FeatureBank:
    """The features, found or extracted, after checking that the episodes can be drawn."""
    part = settings["episodes"]["part"]

    def check(own: ImageDataset) -> None:
        _episodes(settings, judged_part(labels_only(own), part), trial=True)

    return judged_part(features_of(settings, engine.device, uses, check), part)


def _replayed(episodes: EpisodeSet, bank: FeatureBank) -> EpisodeSet:
    return check_judged(check_replay(episodes, bank), bank)


def _episodes(settings: dict[str, Any], bank: FeatureBank, trial: bool = False) -> list[EpisodeSet]:
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
        for each in _shots(settings)
    ]


def _write(
    target: Path,
    settings: dict[str, Any],
    summary: dict[str, Any],
    bank: FeatureBank,
    cells: list[Result],
    drawn: list[EpisodeSet],
) -> Path:
    """Write the run folder, whole or not at all, and tell the user which one it is."""
    from fewshot.report import summary_table, write_report

    with writing("paths.runs", target), claimed(target) as free, atomic_path(free) as partial:
        partial.mkdir(parents=True)
        (partial / "config.yaml").write_text(OmegaConf.to_yaml(settings), encoding="utf-8")
        episodes, predictions = write_cells(partial, summary, cells)
        (partial / "episodes").mkdir()
        for one in drawn:
            one.save(partial / "episodes" / f"{one.ways}way_{one.shots}shot.safetensors")
        write_images(partial, bank, drawn)
        write_report(partial, summary, episodes, predictions, figures_of(settings))
    print(summary_table(summary["cells"]) + reused_text(summary["cells"]))
    print(f"\nRows and summary: {free}\nReport: {free / 'report.html'}")
    return free


def _stamp(bank: FeatureBank) -> str:
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return plain_name(f"{now}_{bank.info.get('dataset')}_{bank.info.get('backbone')}")
