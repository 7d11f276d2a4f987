"""Predicted mean IoU in words and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.aligned import aligned, short, wrapped
from fewshot.report.wording import plain
from fewshot.units import counted, percent

if TYPE_CHECKING:
    from fewshot.evaluation.predict_masks import MaskForecasts
    from fewshot.models.segmentation.segmenter import Segmenter
    from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction

LEFT_OUT = (
    "Every annotated image was segmented by a head fitted on the others; this is expected of new "
    "images that are like them. "
)
NEW_GROUPS = (
    "New groups: images of other groups than the annotated ones, each group left out in turn."
)
NO_GROUPS = (
    "Images of other places than these may do worse: dataset.group=REGEX says of which they are."
)


def prediction_text(predicted: SegmentationPrediction, level: float) -> str:
    """One paragraph: the predicted mean IoU of new images, its interval, and reservations."""
    notes = "".join(f" Note: {reason}." for reason in predicted.reservations)
    if math.isnan(predicted.miou):
        return f"No mIoU can be predicted.{notes}"
    return (
        f"Predicted mIoU of further images like the annotated ones: {percent(predicted.miou)} % "
        f"({interval_text(predicted.lower, predicted.upper)}, {100 * level:.0f} % interval), from "
        f"leaving each of these out in turn.{notes}"
    )


def forecast_text(forecasts: MaskForecasts) -> str:
    """Tables of the predicted mean IoU by backbone and head, and by class of the best one."""
    best, level = forecasts.best, f"{100 * forecasts.level:.0f} % interval"
    grouped = best.new_groups is not None
    rows = [["backbone", "head", "predicted mIoU", level, *["new groups", level] * grouped]]
    for row in forecasts.rows:
        said = row.predicted
        rows.append([plain(row.backbone), plain(row.head), _percent(said.miou),
                     interval_text(said.lower, said.upper)])  # fmt: skip
        if row.new_groups is not None:
            of_groups = row.new_groups
            rows[-1] += [_percent(of_groups.miou), interval_text(of_groups.lower, of_groups.upper)]
    said = best.predicted
    classes = class_rows(said, forecasts.classnames, forecasts.images, forecasts.level)
    notes = [f"Note: {reason}." for reason in said.reservations]
    return "\n".join(
        [
            f"{plain(forecasts.dataset)}: {counted(forecasts.annotated, 'annotated image')}, "
            f"{len(forecasts.classnames)} classes",
            "",
            *aligned(rows),
            "",
            f"{plain(best.head)} on {plain(best.backbone)}, by class:",
            *aligned(classes),
            "",
            *wrapped(LEFT_OUT + (NEW_GROUPS if grouped else NO_GROUPS), ""),
            *(line for note in notes for line in wrapped(note, "  ")),
        ]
    )


def model_text(model: Segmenter) -> str:
    """What a model was fitted on, and what is predicted of it, by class too."""
    header, classnames = model.header_, model.classnames
    network, images = header.backbone, [header.images[name] for name in classnames]
    title = (
        f"{plain(model.name_of_head)} on {plain(network.name) if network else 'features'}, fitted "
        f"on {counted(model.dense.annotated, 'annotated image')} of {plain(header.name)}, "
        f"{len(classnames)} classes"
    )
    predicted = model.predicted
    if predicted is None:
        shown = [[short(name), str(header.images[name])] for name in classnames]
        return "\n".join([title, "", *aligned([["class", "images"], *shown])])
    rows = class_rows(predicted, classnames, images, model.dense.level)
    return "\n".join([title, "", *aligned(rows), "", prediction_text(predicted, model.dense.level)])


def class_rows(
    predicted: SegmentationPrediction,
    classnames: Sequence[str],
    images: Sequence[int],
    level: float,
) -> list[list[str]]:
    """A table by class: annotated images that show it, and its predicted IoU."""
    rows = [["class", "images", "predicted IoU", f"{100 * level:.0f} % interval"]]
    for c, name in enumerate(classnames):
        interval = interval_text(predicted.class_lower[c], predicted.class_upper[c])
        rows.append([short(name), str(images[c]), _percent(predicted.iou[c]), interval])
    return rows


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{percent(share)} %"


def interval_text(lower: float, upper: float) -> str:
    """``42.0 to 51.3 %``; a dash where there is none."""
    if math.isnan(lower) or math.isnan(upper):
        return "-"
    return f"{percent(lower)} to {percent(upper)} %"


def prediction_facts(
    predicted: SegmentationPrediction, classnames: Sequence[str], level: float
) -> dict[str, Any]:
    """The prediction as JSON: shares in [0, 1], null where nothing is known."""
    of_classes = zip(
        classnames, predicted.iou, predicted.class_lower, predicted.class_upper, strict=True
    )
    return {
        "miou": _number(predicted.miou),
        "lower": _number(predicted.lower),
        "upper": _number(predicted.upper),
        "level": level,
        "pixel_error": _number(predicted.pixel_error),
        "classes": [
            {
                "class": name,
                "iou": _number(iou),
                "lower": _number(lower),
                "upper": _number(upper),
                "reservation": predicted.class_reservations.get(c),
            }
            for c, (name, iou, lower, upper) in enumerate(of_classes)
        ],
        "reservations": list(predicted.reservations),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
