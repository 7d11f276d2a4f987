"""Charts of segmentation: IoU per class, predictions of it, and pictures of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fewshot.report.charts.base import Words
from fewshot.report.charts.details import (
    Cloud,
    CloudsChart,
    Details,
    PartRow,
    PartsChart,
    Picture,
)
from fewshot.report.charts.scatter import Scatter, scatter_chart
from fewshot.report.text.segmentation import PREDICTED, estimators_of
from fewshot.report.wording import Cell
from fewshot.tasks.base import Task, head_label, identity_of
from fewshot.tasks.segmentation.pictures import palette
from fewshot.tasks.segmentation.schema import SegmentationSummary
from fewshot.units import percent

if TYPE_CHECKING:
    import pandas as pd

RANKS = ("worst", "median", "best")
READING = "On the diagonal the prediction was exact; above it the truth was better, below it worse."
DRAWS = Words(
    "Predicted against actual mIoU",
    "predicted mIoU, %",
    "actual mIoU, %",
    f"A point per draw, with the interval of its prediction. {READING}",
    "predicted = actual",
)
CLASSES = Words(
    "Predicted against actual IoU of classes",
    "predicted IoU, %",
    "actual IoU, %",
    f"A point per draw and class. {READING}",
    "predicted = actual",
)
BY_CLASS = Words(
    "IoU per class",
    "IoU, %",
    "class",
    "Mean over draws with its 95 % interval; the diamond is what was predicted from the support "
    "alone. Pixels: share of the judged pixels of the queries.",
)


QUERIES = Words(
    "Worst, median and best query",
    "Image, truth and prediction side by side",
    "",
    "Of the first draw: image, truth and prediction. A background is left as it is; striped in "
    "white: pixels that are not judged.",
)


def class_chart(cell: SegmentationSummary) -> PartsChart | None:
    """IoU of every class of a cell, in the order of the classes; None without any."""
    if not cell.get("classes"):
        return None
    colors = dict(class_colors(cell))
    rows = [
        PartRow(
            row["name"],
            row.get("iou"),
            row.get("lower"),
            row.get("upper"),
            row.get("predicted"),
            row.get("share"),
            colors.get(row["name"]),
        )
        for row in cell["classes"]
    ]
    return PartsChart(BY_CLASS, rows, "Pixels", "predicted from the support")


def class_colors(cell: SegmentationSummary) -> list[tuple[str, str]]:
    """Classes and their colours in pictures, ``#rrggbb``."""
    names = cell["classnames"]
    return [
        (name, f"#{red:02x}{green:02x}{blue:02x}")
        for name, (red, green, blue) in zip(names, palette(len(names)).tolist(), strict=True)
    ]


def details_of(
    task: Task, cells: Sequence[SegmentationSummary], rows: Mapping[str, pd.DataFrame]
) -> list[Details]:
    """What the page shows of every cell.

    Parameters
    ----------
    task : Task
    cells : sequence of dict
    rows : mapping of str to DataFrame
        Tables of predictions, of those of classes, and of examples.
    """
    draws, classes, examples = (
        _by_cell(rows[name], task)
        for name in (
            "segmentation_predictions",
            "segmentation_class_predictions",
            "segmentation_examples",
        )
    )
    return [
        Details(
            parts=class_chart(cell),
            clouds=[
                chart
                for chart in (_draws_chart(cell, draws(cell)), _classes_chart(cell, classes(cell)))
                if chart.clouds
            ],
            pictures=_pictures(examples(cell)),
            pictured=QUERIES,
            colors=class_colors(cell),
        )
        for cell in cells
    ]


def scatter_of(
    predictions: pd.DataFrame, cells: Sequence[Cell], task: Task, title: str
) -> Scatter | None:
    """Predicted against actual mIoU of cells of a data set and backbone, a panel per estimator."""
    rows_of = _by_cell(predictions, task)
    differing = [key for key in task.keys if len({str(cell.get(key)) for cell in cells}) > 1]
    tables = []
    for cell in cells:
        head = ", ".join([head_label(cell), *(str(cell.get(key)) for key in differing)])
        tables.append(rows_of(cell).assign(head=head))
    if not any(map(len, tables)):
        return None
    import pandas as pd

    rows = pd.concat([table for table in tables if len(table)])
    names = {PREDICTED: "predicted_error", "actual_miou": "actual_error"}
    return scatter_chart(rows.rename(columns=names), title, words=DRAWS)


def _by_cell(rows: pd.DataFrame, task: Task) -> Callable[[Mapping[str, object]], pd.DataFrame]:
    """Function from a cell to its rows of a table."""
    from fewshot.report.cell_rows import by_cell

    places = by_cell(rows, task.identity)
    none = np.empty(0, dtype=np.int64)
    return lambda cell: rows.iloc[places.get(identity_of(cell, task.keys), none)]


def _draws_chart(cell: SegmentationSummary, rows: pd.DataFrame) -> CloudsChart:
    clouds = []
    for name in estimators_of(cell):
        of = rows[rows["estimator"] == name]
        predicted, actual, lower, upper = (
            of[column].to_numpy(dtype=np.float64, na_value=np.nan)
            for column in (PREDICTED, "actual_miou", "lower", "upper")
        )
        good = np.isfinite(predicted) & np.isfinite(actual)
        bounded = bool((np.isfinite(lower) & np.isfinite(upper) & good).any())
        if good.any():
            clouds.append(
                Cloud(
                    name,
                    predicted[good],
                    actual[good],
                    of["episode"].to_numpy(np.int64)[good],
                    lower[good] if bounded else None,
                    upper[good] if bounded else None,
                )
            )
    return CloudsChart(DRAWS, clouds)


def _classes_chart(cell: SegmentationSummary, rows: pd.DataFrame) -> CloudsChart:
    names = list(dict.fromkeys([*cell["classnames"], *rows["class"].astype(str)]))
    numbers = {name: number for number, name in enumerate(names)}
    clouds = []
    for name in estimators_of(cell):
        of = rows[rows["estimator"] == name]
        predicted, actual = (
            of[column].to_numpy(dtype=np.float64, na_value=np.nan)
            for column in ("predicted_iou", "actual_iou")
        )
        good = np.isfinite(predicted) & np.isfinite(actual)
        if good.any():
            part = np.array([numbers[str(value)] for value in of["class"]], dtype=np.int64)
            episode = of["episode"].to_numpy(np.int64)
            clouds.append(
                Cloud(name, predicted[good], actual[good], episode[good], part=part[good])
            )
    return CloudsChart(CLASSES, clouds, names)


def _pictures(rows: pd.DataFrame) -> list[Picture]:
    """Pictures of a cell: the worst first, then the median, then the best."""
    table = rows[["rank", "file", "miou", "picture"]].astype(object)
    pictured = [
        Picture(str(rank), str(file), f"mIoU {percent(miou)} %", picture)
        for rank, file, miou, picture in table.itertuples(index=False, name=None)
        if isinstance(picture, str) and picture
    ]
    order = {rank: place for place, rank in enumerate(RANKS)}
    return sorted(pictured, key=lambda one: order.get(one.rank, len(RANKS)))
