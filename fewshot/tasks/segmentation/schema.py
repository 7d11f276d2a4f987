"""Rows and measures of segmentation."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from fewshot.results.schema import CellSummary, Interval
from fewshot.tasks.base import HIGHER, LOWER, Entries, Measure, Table

NAME = "segmentation"
# Columns that identify a cell beside those of all tasks: how images were drawn, and the input.
KEYS = {"sampler": "str", "resolution": "str"}
Intervals = dict[str, Interval]  # by population: "episodes" are draws, "images" queries

# A row per draw. Measures are in [0, 1], at native resolution, over the classes in the truth of the
# query part; NaN where undefined.
DRAWS = Table(
    "segmentation",
    {
        "miou": "float64",
        "pixel_accuracy": "float64",
        "dice": "float64",  # mean over classes
        "fb_iou": "float64",  # foreground and background, where there is a background
        "boundary_iou": "float64",  # where it was asked for
        "support_images": "int64",  # distinct
        "queries": "int64",
        "predicted_miou": "float64",  # of the main estimator
        "predicted_lower": "float64",
        "predicted_upper": "float64",
    },
)
# A row per draw and class.
CLASSES = Table(
    "segmentation_classes",
    {
        "class": "str",
        "iou": "float64",
        "support_images": "int64",
        "support_pixels": "int64",
        "pixels": "int64",  # of the truth
        "predicted_pixels": "int64",
    },
    per_episode="classnames",
)
# A row per draw and estimator.
PREDICTIONS = Table(
    "segmentation_predictions",
    {
        "estimator": "str",
        "predicted_miou": "float64",
        "lower": "float64",
        "upper": "float64",
        "level": "float64",
        "actual_miou": "float64",
        "predicted_pixel_error": "float64",
        "actual_pixel_error": "float64",
        "reservations": "list<str>",
    },
    per_episode="estimators",
)
# A row per draw, estimator and class.
CLASS_PREDICTIONS = Table(
    "segmentation_class_predictions",
    {
        "estimator": "str",
        "class": "str",
        "predicted_iou": "float64",
        "lower": "float64",
        "upper": "float64",
        "actual_iou": "float64",
        "reservation": "str",
    },
    per_episode="class_predictions",
)
# A row per draw and query. The lists have an entry for every class of the truth or the prediction.
IMAGES = Table(
    "segmentation_images",
    {
        "file": "str",
        "miou": "float64",  # over the classes in the truth of the image
        "pixel_accuracy": "float64",
        "classes": "list<int64>",  # numbers in the cell's classnames
        "intersection": "list<int64>",  # pixels
        "truth": "list<int64>",
        "predicted": "list<int64>",
    },
    total="query_rows",
)
# Queries with the worst, a median and the best mIoU of every draw.
EXAMPLES = Table(
    "segmentation_examples",
    {
        "rank": "str",  # worst | median | best
        "file": "str",
        "miou": "float64",
        # Image, truth and prediction side by side, a data URI; of the first draw only.
        "picture": "str",
    },
    per_episode="examples",
)
TABLES = (DRAWS, CLASSES, PREDICTIONS, CLASS_PREDICTIONS, IMAGES, EXAMPLES)
ESTIMATORS = Entries("estimators", "estimator")

MEASURES = (
    Measure("miou", HIGHER, table=DRAWS.name),
    Measure("pixel_accuracy", HIGHER, table=DRAWS.name),
    Measure("dice", HIGHER, table=DRAWS.name),
    Measure("fb_iou", HIGHER, table=DRAWS.name),
    Measure("boundary_iou", HIGHER, table=DRAWS.name),
    Measure("miou_by_class", HIGHER),  # of episodes: pixels of a class summed over its episodes
    Measure("mae", LOWER, of=ESTIMATORS),
    Measure("coverage", HIGHER, of=ESTIMATORS),
)


class ClassSummary(TypedDict):
    """A class over all draws: mean IoU with its interval, and shares of the queries' pixels."""

    name: str
    iou: float | None
    lower: float | None
    upper: float | None
    share: float
    support_images: float
    predicted: float | None  # IoU by the main estimator


class EstimatorSummary(TypedDict):
    """An estimator over all draws; shares in [0, 1], None where undefined."""

    predicted_miou: float | None
    mae: float | None  # mean |predicted - actual| mIoU
    bias: float | None
    coverage: float | None
    width: float | None
    class_correlation: float | None  # Pearson's, of per-class IoU
    class_mae: float | None
    pixel_error_bias: float | None
    level: float | None
    reservations: list[str]


class MeasureComparison(TypedDict):
    """Paired difference of two heads on the same draws and images."""

    first: str
    second: str
    miou: Intervals | None


class SegmentationSummary(CellSummary):
    """Summary of a cell of segmentation."""

    sampler: str
    resolution: str
    classnames: list[str]
    class_predictions: int  # rows of `CLASS_PREDICTIONS` of a draw
    examples: int
    miou: Intervals | None
    pixel_accuracy: Intervals | None
    dice: Intervals | None
    fb_iou: Intervals | None
    boundary_iou: Intervals | None
    miou_by_class: NotRequired[float | None]
    query_rows: int
    confusion: list[list[float]] | None  # shares of a true class's pixels, by predicted class
    classes: list[ClassSummary]
    estimators: dict[str, EstimatorSummary]
    comparisons: list[MeasureComparison]
    # Means over images: tokens of the grid, pixels of the network's input; and multiply-adds.
    tokens: float
    input_pixels: float
    gflops: float | None
    support_images: float
    # "bank" of the run; "fit" and "estimators" of a draw, means; "features_per_image"; and
    # "heads_per_image" that a fitted head takes for one image.
    seconds: dict[str, float]
    notes: NotRequired[list[str]]
    facts: NotRequired[dict[str, Any]]
