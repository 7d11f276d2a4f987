"""Few-shot segmentation as a task: its rows, measures and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fewshot.registry import Entry
from fewshot.tasks.base import Task, TaskOutput
from fewshot.tasks.segmentation.schema import KEYS, MEASURES, NAME, TABLES

# Of every estimator, and of the images, in the table of cells.
ESTIMATOR_COLUMNS = ("predicted_miou", "mae", "bias", "coverage", "width", "class_correlation")
COSTS = ("support_images", "tokens", "input_pixels", "gflops")
SECONDS = ("fit", "features_per_image", "heads_per_image")

if TYPE_CHECKING:
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.results.schema import CellSummary
    from fewshot.tasks.segmentation.heads.base import DenseHead
    from fewshot.tasks.segmentation.sampling import DrawSampling
    from fewshot.tasks.segmentation.schema import SegmentationSummary
    from fewshot.tasks.segmentation.source import MaskSource

    SegmentationEvaluation = Evaluation[MaskSource, DenseHead, Any, DrawSampling]


class Segmentation(Task):
    """Which pixels are of which class? From a few annotated images."""

    name = NAME
    title = "Segmentation"
    references = ()
    tables = TABLES
    measures = MEASURES
    keys = KEYS
    episode_sets = False
    report = "fewshot.report.tasks.segmentation:SegmentationReport"
    sections = (
        Entry(
            NAME,
            "fewshot.tasks.segmentation.settings:SegmentationSettings",
            "For task=segmentation: which pixels are of which class?",
        ),
    )
    heads = "fewshot.tasks.segmentation.heads:heads"
    estimators = "fewshot.tasks.segmentation.estimators:estimators"
    sampling = "fewshot.tasks.segmentation.settings:draw_sampling_of"
    source = "fewshot.tasks.segmentation.source:MaskSource"
    forecast = "fewshot.evaluation.predict_masks:predict_masks"
    defaults: ClassVar[Mapping[str, Any]] = {
        "dataset": "scenes",
        "episodes": "per_class",
        "head": ["pixel_lda", "prototype"],
        "estimator": ["loo_image", "resubstitution", "constant"],
    }
    arguments: ClassVar[Mapping[str, Any]] = {
        "head": "pixel_lda",
        "ways": None,
        "shots": (1, 5),
        "episodes": 5,
        "queries": None,
        "estimators": ("loo_image", "resubstitution", "constant"),
        "sampler": "per_class",
    }

    def estimate(self, evaluation: SegmentationEvaluation) -> str:
        """Numbers of images, draws and cells, and the time of the features."""
        from fewshot.tasks.segmentation.estimate import segmentation_estimate

        return segmentation_estimate(evaluation)

    def flat(self, cell: CellSummary) -> list[dict[str, Any]]:
        """Measures with their intervals, costs, seconds, and columns of every estimator."""
        (row,) = super().flat(cell)
        summary = cast("SegmentationSummary", cell)
        over_images = cast("Mapping[str, Any]", (summary.get("miou") or {}).get("images") or {})
        row |= {f"images_{side}": over_images.get(side) for side in ("lower", "upper")}
        row |= {name: summary.get(name) for name in COSTS}
        seconds = summary.get("seconds") or {}
        row |= {f"{name}_s": seconds.get(name) for name in SECONDS}
        for name, metrics in (summary.get("estimators") or {}).items():
            row |= {f"{name}_{column}": metrics.get(column) for column in ESTIMATOR_COLUMNS}
        return [row]

    def run(self, evaluation: SegmentationEvaluation) -> TaskOutput:
        """Segment the queries of all draws by all heads in one pass over them."""
        from fewshot.tasks.segmentation.run import segmentation_run

        return segmentation_run(self, evaluation)
