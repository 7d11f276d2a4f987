"""Cells of segmentation computed: annotated images, fits, one pass over the queries."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from fewshot.features.extraction.pipeline import ordered
from fewshot.hardware import freed_memory_kept, torch_threads
from fewshot.memory import memory_error
from fewshot.paths import places_of
from fewshot.progress import stage
from fewshot.results.result import Result
from fewshot.tasks.engine.episodic import failure_of
from fewshot.tasks.segmentation.annotated import AnnotatedImages
from fewshot.tasks.segmentation.cell import (
    CellInputs,
    segmentation_cell,
)
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, threads_of
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.examples import add_pictures
from fewshot.tasks.segmentation.fitting import DrawFit, FittedHead
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.judging import FittedCell, QueryPass, forget_abandoned
from fewshot.tasks.segmentation.schema import SegmentationSummary
from fewshot.tasks.segmentation.settings import SegmentationSettings

if TYPE_CHECKING:
    from fewshot.results.schema import Failed
    from fewshot.tasks.segmentation.task import SegmentationEvaluation


class Job(NamedTuple):
    """A cell to be computed: a head on the draws of one number of shots and seed."""

    drawn: DrawSet
    head: tuple[str, DenseHead]
    seed: int
    key: str


class Work:
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
        self.threads = threads_of(self.device, evaluation.settings.threads)
        self.places = places_of(evaluation.source.settings["paths"])
        self.spent: dict[str, float] = {}  # seconds of the heads of a job, summed over threads
        self.judging_share = 0.0  # of heads in the time of the pass over the queries
        self._folder: Path | None = None

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
        failed = [failure_of(job.drawn, job.head, job.seed, e) for job, e in errors]
        return results, failed, [e for _, e in errors]

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
        self._folder = self._kept(jobs)
        cells = [FittedCell(job.drawn, [f.head for f in fits[job.key]]) for job in jobs]
        query_pass = QueryPass(
            self.dataset,
            self.features,
            cells,
            self.device,
            self.settings.boundary,
            self._folder,
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

    def forget(self) -> None:
        """Remove the finished images of the pass, once its cells are stored."""
        if self._folder is not None:
            with suppress(OSError):
                rmtree(self._folder)

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
