"""A run of segmentation: draws, annotated images, fits, one pass over the queries, cells."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from fewshot.exceptions import FewshotError
from fewshot.features.extraction.pipeline import ordered
from fewshot.hardware import available_cores, freed_memory_kept, torch_threads
from fewshot.memory import memory_error
from fewshot.paths import places_of
from fewshot.progress import stage
from fewshot.results.folders import episodes_name
from fewshot.results.result import Result, check_rows
from fewshot.tasks.base import RunData, TaskOutput, head_label
from fewshot.tasks.engine.code import code_of
from fewshot.tasks.engine.keys import component_causes, hashed
from fewshot.tasks.segmentation.annotated import AnnotatedImages
from fewshot.tasks.segmentation.cell import (
    CellInputs,
    counts_of_rows,
    segmentation_cell,
)
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.draw_files import save_draws
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.examples import add_pictures
from fewshot.tasks.segmentation.fitting import DrawFit, FittedHead
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.judging import FittedCell, QueryPass, forget_abandoned
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.measures import miou
from fewshot.tasks.segmentation.resampling import Resampling
from fewshot.tasks.segmentation.schema import IMAGES, MeasureComparison, SegmentationSummary
from fewshot.tasks.segmentation.settings import SegmentationSettings

if TYPE_CHECKING:
    from fewshot.results.schema import Failed, LeftOut
    from fewshot.tasks.segmentation.task import Segmentation, SegmentationEvaluation

VERSION = 2  # to be raised when a formula changes


class Job(NamedTuple):
    """A cell to be computed: a head on the draws of one number of shots and seed."""

    drawn: DrawSet
    head: tuple[str, DenseHead]
    seed: int
    key: str


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
    features = dense_features(evaluation, settings)
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


def dense_features(
    evaluation: SegmentationEvaluation, settings: SegmentationSettings
) -> DenseFeatures:
    """The dense features of an evaluation."""
    return DenseFeatures(
        evaluation.source.backbone(),
        settings.size,
        settings.stride,
        settings.layers,
        evaluation.settings.device,
    )


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
    if missing and store.policy == "never":
        names = ", ".join(f"{job.head[0]} with {job.drawn.shots} shots" for job in missing)
        raise FewshotError(
            "results.policy",
            f"never to compute, but no earlier run has {names}",
            "Set results.policy=only-missing to compute what is missing.",
        )
    if not missing:
        return cells, []
    work = _Work(evaluation, settings, features, missing)
    computed, failed, errors = work.run()
    for job, cell in computed:
        check_rows(task, cell)
        cell.summary["key"], cell.summary["reused_from"] = job.key, None
        store.keep(cell)
        cells[job.key] = cell
    if errors and not cells:
        raise errors[0]
    for failure, error in zip(failed, errors, strict=True):
        evaluation.notices.failed(failure, error)
    return cells, failed


class _Work:
    """The computation of the cells that no earlier run has."""

    def __init__(
        self,
        evaluation: SegmentationEvaluation,
        settings: SegmentationSettings,
        features: DenseFeatures,
        jobs: Sequence[Job],
    ) -> None:
        self.evaluation, self.settings, self.features = evaluation, settings, features
        self.jobs, self.dataset = jobs, evaluation.source.load()
        self.device = evaluation.settings.device
        self.threads = evaluation.settings.threads or available_cores()
        if self.device.type != "cpu":
            self.threads = 1
        self.places = places_of(evaluation.source.settings["paths"])
        self.spent: dict[str, float] = {}  # seconds of the heads of a job, summed over threads
        self.judging_share = 0.0  # of heads in the time of the pass over the queries

    def run(self) -> tuple[list[tuple[Job, Result]], list[Failed], list[Exception]]:
        """Computed cells, failed ones and their errors."""
        begun = time.perf_counter()
        bank = DenseBank(self.places.banks, self.features, self.dataset.images)
        support = sorted({int(r) for job in self.jobs for r in job.drawn.support.ravel() if r >= 0})
        bank.ensure(support, self.threads)
        banked = time.perf_counter()
        fits = self._fits(AnnotatedImages(self.dataset, bank, self.device))
        fitted = time.perf_counter()
        for job in self.jobs:
            if isinstance(known := fits[job.key], list):
                self.spent[job.key] = sum(f.fit_seconds + f.predict_seconds for f in known)
        good = [job for job in self.jobs if not isinstance(fits[job.key], Exception)]
        results = list[tuple[Job, Result]]()
        if good:
            results = self._judged(good, cast("dict[str, list[FittedHead]]", fits))
        total = time.perf_counter() - begun
        of_heads = fitted - banked + self.judging_share * (total - (fitted - begun))
        for job, cell in results:
            summary = cast("SegmentationSummary", cell.summary)
            summary["seconds"]["bank"] = round(banked - begun, 3)
            share = self.spent[job.key] / sum(self.spent.values())
            seconds = (total - of_heads) / len(self.jobs) + of_heads * share
            summary["duration_s"] = round(seconds, 3)
        errors = [(job, e) for job in self.jobs if isinstance(e := fits[job.key], Exception)]
        return results, [_failure(job, e) for job, e in errors], [e for _, e in errors]

    def _fits(self, source: AnnotatedImages) -> dict[str, list[FittedHead] | Exception]:
        """The fitted heads of every job by key, one per draw, or why there are none."""
        together: dict[tuple[str, int], list[Job]] = {}
        for job in self.jobs:
            together.setdefault((job.drawn.hash(), job.seed), []).append(job)
        work = [(jobs, draw) for jobs in together.values() for draw in range(len(jobs[0].drawn))]

        def fit(item: tuple[list[Job], int]) -> list[FittedHead | Exception]:
            return self._fitted(source, *item)

        fits: dict[str, list[FittedHead] | Exception] = {job.key: [] for job in self.jobs}
        with (
            torch_threads(1),
            freed_memory_kept(),
            stage("fitting heads", len(work), "draws") as progress,
        ):
            for (jobs, _), fitted in zip(
                work, ordered(fit, work, self.threads, ahead=1), strict=True
            ):
                for job, head in zip(jobs, fitted, strict=True):
                    known = fits[job.key]
                    if isinstance(head, Exception):
                        fits[job.key] = head if not isinstance(known, Exception) else known
                    elif not isinstance(known, Exception):
                        known.append(head)
                progress.update()
        return fits

    def _fitted(
        self, source: AnnotatedImages, jobs: Sequence[Job], draw: int
    ) -> list[FittedHead | Exception]:
        """Fits of the heads of jobs on one draw; one that fails does not keep others from it."""
        try:
            fit = DrawFit(source, jobs[0].drawn, draw, [j.head[1] for j in jobs], jobs[0].seed)
            said = fit.predictions(self.evaluation.estimators, self.settings.level)
        except Exception as error:
            if len(jobs) == 1:
                return [memory_error(error) or error]
            return [self._fitted(source, [job], draw)[0] for job in jobs]
        seconds = zip(fit.fit_seconds.tolist(), fit.predict_seconds.tolist(), strict=True)
        return [
            FittedHead(head, entry, *spent)
            for head, entry, spent in zip(fit.heads, said, seconds, strict=True)
        ]

    def _judged(
        self, jobs: Sequence[Job], fits: Mapping[str, list[FittedHead]]
    ) -> list[tuple[Job, Result]]:
        cells = [FittedCell(job.drawn, [f.head for f in fits[job.key]]) for job in jobs]
        query_pass = QueryPass(
            self.dataset,
            self.features,
            cells,
            self.device,
            self.settings.boundary,
            self._kept(jobs),
        )
        judged = query_pass.run(self.threads)
        columns = self._columns()
        shared = self._shared_facts(query_pass)
        heads_seconds = query_pass.heads_seconds
        self.judging_share = float(
            heads_seconds.sum() / max(1e-9, heads_seconds.sum() + query_pass.features_seconds)
        )
        results = []
        for job, cell, counts, spent in zip(
            jobs, cells, judged, heads_seconds.tolist(), strict=True
        ):
            self.spent[job.key] += spent
            result = segmentation_cell(
                CellInputs(
                    self.dataset,
                    job.drawn,
                    job.head,
                    job.seed,
                    counts,
                    [fit.predictions for fit in fits[job.key]],
                    self.evaluation.estimators,
                    self.settings.level,
                    columns,
                )
            )
            facts = {**shared, **self._facts(job), "notes": _notes(cell.heads)}
            facts["seconds"] = shared["seconds"] | {
                "heads_per_image": round(spent / max(1, int((job.drawn.queries >= 0).sum())), 5),
                "fit": round(float(np.mean([f.fit_seconds for f in fits[job.key]])), 4),
                "estimators": round(float(np.mean([f.predict_seconds for f in fits[job.key]])), 4),
            }
            result.summary.update(cast("SegmentationSummary", facts))
            results.append((job, result))
        if self.settings.pictures:
            add_pictures(
                [(cell, result) for cell, (_, result) in zip(cells, results, strict=True)],
                self.dataset, self.features, self.device, self.settings.pictures,
            )  # fmt: skip
        return results

    def _kept(self, jobs: Sequence[Job]) -> Path | None:
        """Folder of the images that an interrupted pass has finished."""
        if self.evaluation.store.runs is None:
            return None
        name = hashlib.sha256("".join(job.key for job in jobs).encode()).hexdigest()
        folder = self.places.banks.parent / "unfinished"
        forget_abandoned(folder)
        return folder / name[:32]

    def _columns(self) -> dict[str, str]:
        layers = self.settings.layers
        text = layers if isinstance(layers, str) else ",".join(map(str, layers))
        return {
            "backbone": self.features.backbone.name,
            "feature": f"dense {text}",
            "resolution": f"{self.settings.size} / {self.features.stride}",
        }

    def _shared_facts(self, query_pass: QueryPass) -> dict[str, Any]:
        """Costs of an image, means over some of the queries."""
        rows = query_pass.rows
        some = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, 16).astype(int))]
        sizes = [self.dataset.read_mask(row).shape for row in some]
        pixels = [self.features.input_pixels(width, height) for height, width in sizes]
        tokens = [np.prod(self.features.grid(width, height)) for height, width in sizes]
        height, width = sizes[0]
        per_image = query_pass.features_seconds / max(1, len(rows))
        return {
            "tokens": float(np.mean(tokens)),
            "input_pixels": float(np.mean(pixels)),
            "gflops": self.features.flops(width, height) / 1e9,
            "seconds": {"features_per_image": round(per_image, 4)},
        }

    def _facts(self, job: Job) -> dict[str, Any]:
        name, head = job.head
        return {
            "normalize": None,
            "head_parameters": head.get_params(),
            "head_uses": [],
            "base": {"reason": f"{name} learns from the annotated images alone"},
            "hashes": {"features": self.dataset.fingerprint(), "episodes": job.drawn.hash()},
        }


def _notes(heads: Sequence[DenseHead]) -> list[str]:
    """What heads that choose have chosen, with the number of draws."""
    chosen = [str(head.chosen_) for head in heads if hasattr(head, "chosen_")]
    return [
        f"{text} in {chosen.count(text)} of {len(heads)} draws" for text in dict.fromkeys(chosen)
    ]


def _failure(job: Job, error: Exception) -> Failed:
    defect = not isinstance(error, FewshotError)
    text = " ".join(f"{type(error).__name__}: {error}".split()) if defect else str(error)
    return {
        "head": job.head[0],
        "ways": job.drawn.ways,
        "shots": job.drawn.shots,
        "seed": job.seed,
        "variant": job.head[1].variant(),
        "error": text,
        "defect": defect,
    }


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
