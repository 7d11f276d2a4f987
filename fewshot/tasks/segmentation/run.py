"""A run of segmentation: draws, annotated images, fits, one pass over the queries, cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fewshot.exceptions import FewshotError
from fewshot.results.folders import episodes_name
from fewshot.results.result import Result, check_rows
from fewshot.tasks.base import RunData, TaskOutput, head_label
from fewshot.tasks.engine.code import code_of
from fewshot.tasks.engine.episodic import expect_complete
from fewshot.tasks.engine.keys import component_causes, hashed
from fewshot.tasks.segmentation.cell import counts_of_rows
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.draw_files import save_draws
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.measures import miou
from fewshot.tasks.segmentation.resampling import Resampling
from fewshot.tasks.segmentation.schema import IMAGES, MeasureComparison, SegmentationSummary
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.work import Job, Work
from fewshot.units import counted

if TYPE_CHECKING:
    from fewshot.results.schema import Failed, LeftOut
    from fewshot.tasks.segmentation.task import Segmentation, SegmentationEvaluation

VERSION = 2  # to be raised when a formula changes


@dataclass(frozen=True, eq=False)
class SegmentationData(RunData):
    """The images and masks of a run, and its draws."""

    dataset: MaskDataset
    features: DenseFeatures
    drawn: Sequence[tuple[int, DrawSet]]

    @property
    def info(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Names of data set and backbone."""
        return {"dataset": self.dataset.name, "backbone": self.features.backbone.name}

    def facts(self) -> dict[str, Any]:
        """Numbers of images and classes, parts, and what was skipped."""
        dataset = self.dataset
        queries = dataset.queries
        return {
            "images": len(dataset),
            "classes": len(dataset.classnames),
            "support_part": len(dataset.support),
            "query_part": None if queries is None else len(queries),
            "groups": None if dataset.groups is None else len(set(dataset.groups)),
            "feature_dim": self.features.dim,
            "features": self.features.fingerprint(),
            **dataset.facts,
        }

    def write(self, folder: Path) -> None:
        """Write the draws, a file per number of shots, and per seed if there are several."""
        several = len({seed for seed, _ in self.drawn}) > 1
        (folder / "episodes").mkdir(exist_ok=True)
        for seed, drawn in self.drawn:
            name = episodes_name(drawn.ways, drawn.shots, seed if several else None)
            save_draws(drawn, folder / "episodes" / name)


def segmentation_run(task: Segmentation, evaluation: SegmentationEvaluation) -> TaskOutput:
    """Segment the queries of all draws by all heads in one pass, or take cells of earlier runs."""
    settings = SegmentationSettings.of(evaluation.options)
    dataset = evaluation.source.load()
    features = evaluation.source.features(settings)
    drawn = [
        (seed, draws)
        for seed in evaluation.seeds
        for draws in evaluation.sampling.draw(dataset, seed)
    ]
    heads, omitted = _usable(evaluation.heads, drawn[0][1].ways)
    evaluation.notices.left_out(omitted)
    for warning in dataset.facts.get("warnings", ()):
        evaluation.notices.warn(warning)
    jobs = [
        Job(draws, head, seed, _key(task, evaluation, settings, features, draws, head, seed))
        for seed, draws in drawn
        for head in heads
    ]
    cells, failed = _missing_computed(task, evaluation, settings, features, jobs)
    _compare(jobs, cells, dataset)
    done = [cells[job.key] for job in jobs if job.key in cells]
    data = SegmentationData(dataset, features, drawn)
    return TaskOutput(data, done, [], omitted, failed)


def _usable(
    heads: Iterable[tuple[str, DenseHead]], ways: int
) -> tuple[list[tuple[str, DenseHead]], list[LeftOut]]:
    """Heads that are defined for so many classes, and the others with their reasons.

    Raises
    ------
    FewshotError
        None of them is.
    """
    usable, omitted, errors = list[tuple[str, DenseHead]](), list["LeftOut"](), []
    for name, head in heads:
        try:
            head.check_ways(ways)
            usable.append((name, head))
        except FewshotError as error:
            errors.append(error)
            omitted.append({"head": name, "shots": None, "reason": str(error)})
    if not usable:
        raise errors[0]
    return usable, omitted


def _key(
    task: Segmentation,
    evaluation: SegmentationEvaluation,
    settings: SegmentationSettings,
    features: DenseFeatures,
    drawn: DrawSet,
    head: tuple[str, DenseHead],
    seed: int,
) -> str:
    dataset = evaluation.source.load()
    causes = {
        "version": VERSION,
        "task": task.name,
        "seed": seed,
        "data": [dataset.fingerprint(), dataset.name, list(dataset.classnames), dataset.groups],
        "backbone": features.backbone.name,
        "features": features.fingerprint(),
        "draws": drawn.hash(),
        "head": component_causes(*head),
        "estimators": [component_causes(*named) for named in evaluation.estimators.items()],
        "settings": [settings.boundary, settings.level, settings.pictures],
    }
    kind: type = type(task)
    if code := code_of(kind):
        causes["task_code"] = code
    return hashed(causes)


def _missing_computed(
    task: Segmentation,
    evaluation: SegmentationEvaluation,
    settings: SegmentationSettings,
    features: DenseFeatures,
    jobs: Sequence[Job],
) -> tuple[dict[str, Result], list[Failed]]:
    """Cells by key, from earlier runs or computed and stored, and those that failed."""
    store = evaluation.store
    cells = store.find([job.key for job in jobs])
    missing = [job for job in jobs if job.key not in cells]
    if store.policy == "never":
        expect_complete(f"{j.head[0]} with {counted(j.drawn.shots, 'shot')}" for j in missing)
    if not missing:
        return cells, []
    work = Work(evaluation, settings, features, missing)
    computed, failed, errors = work.run()
    for job, cell in computed:
        check_rows(task, cell)
        cell.summary["key"], cell.summary["reused_from"] = job.key, None
        store.keep(cell)
        cells[job.key] = cell
    work.forget()
    if errors and not cells:
        raise errors[0]
    for failure, error in zip(failed, errors, strict=True):
        evaluation.notices.failed(failure, error)
    return cells, failed


def _compare(jobs: Sequence[Job], cells: Mapping[str, Result], dataset: MaskDataset) -> None:
    """Add paired differences of heads on the same draws to the summaries of the first ones."""
    groups: dict[tuple[str, int], list[Job]] = {}  # replayed draws are the same for all seeds
    for job in jobs:
        if job.key in cells:
            groups.setdefault((job.drawn.hash(), job.seed), []).append(job)
    for members in groups.values():
        drawn = members[0].drawn
        shape = (*drawn.queries.shape, drawn.ways)
        resampling = Resampling(drawn.queries, dataset.groups)
        counts = {
            job.key: counts_of_rows(cells[job.key].tables[IMAGES.name], shape) for job in members
        }
        for job in members:
            cast("SegmentationSummary", cells[job.key].summary)["comparisons"] = []
        for first, second in itertools.combinations(members, 2):
            row: MeasureComparison = {
                "first": head_label(cells[first.key].summary),
                "second": head_label(cells[second.key].summary),
                "miou": resampling.differences(
                    counts[first.key], counts[second.key], partial(miou, first=drawn.first)
                ),
            }
            cast("SegmentationSummary", cells[first.key].summary)["comparisons"].append(row)
