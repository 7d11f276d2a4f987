"""The forecast of a task as one self-contained HTML page, without a script."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.features.bank import FeatureBank
from fewshot.report.forecast import charts
from fewshot.report.forecast.answer import USUAL, answer, combination, doubt_text
from fewshot.report.forecast.confused import confused
from fewshot.report.forecast.curves import rise_text
from fewshot.report.forecast.images import label_rows, next_cards, suspect_groups
from fewshot.report.forecast.text import CALIBRATED_ON
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES
from fewshot.report.static.page import render_page
from fewshot.report.static.pictures import Pictures, common_folder
from fewshot.tasks.classification.forecast.decision import Decision
from fewshot.tasks.classification.forecast.forecast import Forecast
from fewshot.tasks.classification.forecast.learning_curve import Target
from fewshot.units import counted, percent, rough_percent, short_percent

SECTIONS = {
    "interval": "Expected error",
    "more": "More images",
    "unlabelled": "Unlabelled images",
    "heads": "Heads and backbones",
    "confusion": "Which classes are confused",
    "suspects": "Images to check",
    "next": "Images to label next",
    "labels": "Labels of the query images",
    "classes": "All classes",
    "notes": "Notes",
    "made": "How the numbers were made",
}
NOTED = 50  # most unreadable images by name


def forecast_page(
    decision: Decision,
    *,
    name: str = "",
    supports: Mapping[str, FeatureBank] | None = None,
    fail_above: float | None = None,
    labels: Sequence[Mapping[str, Any]] = (),
    labelled: ImageDataset | None = None,
    others: Sequence[ImageDataset] = (),
    created: str = "",
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> str:
    """The page, which makes no request; identical for identical inputs.

    Parameters
    ----------
    decision : Decision
        What is known of the task.
    name : str
        Of the data set, for the title.
    supports : mapping of str to FeatureBank, optional
        Features of the labelled images, by backbone: what is noted of the networks.
    fail_above : float, optional
        Error above which a check fails, in [0, 1].
    labels : sequence of mapping
        ``file``, ``label``, ``probability`` and ``runner_up`` of query images.
    labelled : ImageDataset, optional
        The labelled images, for thumbnails; without them and `others` files are named alone.
    others : sequence of ImageDataset
        Unlabelled images and query images, for thumbnails.
    created : str
        Date and time, as text.
    thumbnail_bytes : int
        Size of all thumbnails at most; 0 for none.
    """
    best = decision.taken
    pictures = Pictures(labelled, others, thumbnail_bytes)
    listed = [entry.file for entry in decision.next_labels] + [str(row["file"]) for row in labels]
    folder = common_folder(listed)
    contents = {
        "interval": _interval(decision, fail_above),
        "more": _more(best, decision.sizes, decision.target),
        "unlabelled": _unlabelled(best),
        "heads": _heads(decision.rows),
        "confusion": confused(best.confusion),
        "suspects": suspect_groups(decision.suspects, pictures),
        "next": next_cards(decision.next_labels, pictures, folder),
        "labels": label_rows(labels, pictures, folder),
        "classes": _classes(best, decision.sizes),
        "notes": _notes(decision),
        "made": _made(decision, supports or {}, created),
    }
    return render_page(
        "forecast",
        title=f"Forecast of {name}" if name else "Forecast of a few-shot task",
        name=name,
        answer=answer(decision),
        support=_support(decision.sizes),
        created=created,
        best=best,
        taken=combination(best),
        level=short_percent(decision.level),
        folder=folder,
        labelled_images=len(labels),
        error_now=rough_percent(best.error),
        error_decimal=percent(best.error),
        rise=rise_text([best.error, *(entry.error for entry in decision.next_labels)]),
        sections={key: SECTIONS[key] for key, value in contents.items() if value},
        **{f"{key}_": value for key, value in contents.items()},
    )


def _support(sizes: Mapping[str, int]) -> str:
    """``10 classes, 50 images (5 of each)``."""
    least, most = min(sizes.values()), max(sizes.values())
    each = f"{least} of each" if least == most else f"{least} to {most} of each"
    return f"{len(sizes):,} classes, {counted(sum(sizes.values()), 'image')} ({each})"


def _interval(decision: Decision, fail_above: float | None) -> dict[str, Any]:
    """Best error and interval on the scale from 0 to 100 %, with what they are compared with."""
    best, marks = decision.taken, []
    if decision.aim is not None:
        marks.append(charts.mark("target", "target", decision.aim))
    if fail_above is not None:
        marks.append(charts.mark("limit", "fails above", fail_above))
    classes = len(decision.sizes)
    marks.append(charts.mark("chance", "guessing", 1 - 1 / classes))
    full = charts.FULL
    error, lower, upper = _numbers(best)
    words = [f"Predicted error {error}, {short_percent(decision.level)} interval {lower} to "
             f"{upper}, on a scale from 0 to 100 %."]  # fmt: skip
    words += [f"Mark: {entry.label.text}." for entry in marks]
    return {
        "error": charts.label_at(full.at(best.error), error, edge=5),
        "from": full.at(best.lower),
        "to": full.at(best.upper),
        "lower": lower,
        "upper": upper,
        "ticks": full.labels(),
        "marks": marks,
        "words": " ".join(words),
    }


def _numbers(entry: Any) -> tuple[str, str, str]:
    return rough_percent(entry.error), rough_percent(entry.lower), rough_percent(entry.upper)


def _more(best: Forecast, sizes: Mapping[str, int], target: Target | None) -> dict[str, Any]:
    """The learning curve as a chart and rows, with what the target takes."""
    points = sorted(best.outlook, key=lambda point: point.more)
    if not points:
        return {}
    counts = np.array(list(sizes.values()), dtype=float)
    shots = len(counts) / (1 / counts).sum()  # harmonic mean, as in the curve
    steps = [charts.CurveStep(shots, "now", best.error, best.lower, best.upper)]
    steps += [
        charts.CurveStep(shots + point.more, f"+{point.more:,}", point.error, point.lower,
                         point.upper)
        for point in points
        if point.more > 0
    ]  # fmt: skip
    about = "" if counts.min() == counts.max() else "about "
    reach = _reach(target)
    rows = [(step.words, f"{about}{step.x:,.0f}", *_numbers(step)) for step in steps]
    words = [f"{words}: {error}, {lower} to {upper}" for words, _, error, lower, upper in rows]
    words += [f"target {short_percent(target.error)}: {reach}"] if target and reach else []
    return {
        "chart": charts.curve_chart(steps, target),
        "rows": rows,
        "reach": reach,
        "words": "; ".join(words),
    }


def _reach(target: Target | None) -> str:
    """``23 images per class in all, 11 to 70``: what a target takes that is ahead; else empty."""
    if target is None or target.images is None or target.reached:
        return ""
    fewest = "few" if target.fewest is None else f"{target.fewest:,}"
    enough = f"more than {target.most:,}" if target.enough is None else f"{target.enough:,}"
    return f"{counted(target.images, 'image')} per class in all, {fewest} to {enough}"


def _unlabelled(best: Forecast) -> dict[str, Any]:
    """What is known of the unlabelled images, and predictions from fewer of them."""
    seen = best.seen
    if seen is None or not seen.unlabelled:
        return {}
    about = f"The prediction rests on {counted(seen.unlabelled, 'unlabelled image')} as well."
    if seen.outside is not None:
        usual = "more than usual" if seen.strangers else USUAL
        about += f" About {rough_percent(seen.outside)} of these look like none of the classes, "
        about += f"{usual}."
    rows = [
        (
            f"{point.images:,}",
            f"{point.per_class:.3g}",
            *_numbers(point),
            rough_percent(point.width),
        )
        for point in seen.unlabelled_curve
    ]
    return {"about": about, "rows": rows}


def _heads(rows: Sequence[Forecast]) -> dict[str, Any]:
    """A row per head and backbone, with its interval on a common axis."""
    axis = charts.ErrorAxis.up_to([row.upper for row in rows])
    entries = [
        {
            "head": row.head,
            "backbone": row.backbone,
            "numbers": _numbers(row),
            "at": axis.at(row.error),
            "from": axis.at(row.lower),
            "to": axis.at(row.upper),
            "alone": None
            if row.seen is None
            else tuple(
                rough_percent(value)
                for value in (
                    row.seen.error_support,
                    row.seen.lower_support,
                    row.seen.upper_support,
                )
            ),
            "on": CALIBRATED_ON[row.calibrated_on],
        }
        for row in rows
    ]
    return {
        "rows": entries,
        "ticks": axis.labels(),
        "grid": [axis.at(tick) for tick in axis.ticks],
        "alone": any(row.seen is not None for row in rows),
        "several": len({row.backbone for row in rows}) > 1,
    }


def _classes(best: Forecast, sizes: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """Every class with its images and its expected error, where that is known."""
    errors = {}
    if best.confusion is not None:
        errors = dict(zip(best.confusion.classes, best.confusion.errors, strict=True))
    rows = [
        (name, f"{count:,}", rough_percent(float(errors[name])) if name in errors else "-")
        for name, count in sizes.items()
    ]
    order = sorted(range(len(rows)), key=lambda n: -float(errors.get(rows[n][0], 0)))
    return [rows[n] for n in order]


def _notes(decision: Decision) -> list[tuple[str, str]]:
    """Every reservation once, with the heads and backbones that it concerns unless it is all."""
    several = len({row.backbone for row in decision.rows}) > 1
    notes = [("", text) for text in decision.notes]
    if decision.doubt is not None:
        notes.append(("", doubt_text(decision.doubt)))
    for text, affected in decision.reservations.items():
        names = (combination(row) if several else row.head for row in affected)
        notes.append(("" if len(affected) == len(decision.rows) else ", ".join(names), text))
    suspects = {suspect.file for suspect in decision.suspects if suspect.kind == "unreadable"}
    unread = [file for file in decision.unreadable if file not in suspects]
    notes += [(file, "could not be read") for file in unread[:NOTED]]
    if len(unread) > NOTED:
        notes.append(("", f"{counted(len(unread) - NOTED, 'further image')} could not be read"))
    return notes


def _made(
    decision: Decision, supports: Mapping[str, FeatureBank], created: str
) -> list[tuple[str, str]]:
    """Versions, networks and data that the numbers rest on, as terms and texts."""
    import torch

    import fewshot

    versions = (
        f"fewshot {fewshot.__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    networks = [
        ("Features" if name == "unknown" else f"Backbone {name}", _network(bank))
        for name, bank in supports.items()
    ]
    on = dict.fromkeys(CALIBRATED_ON[row.calibrated_on] for row in decision.rows)
    interval = (
        f"of {short_percent(decision.level)}: of a hundred tasks as those of the calibration, "
        f"about {round(100 * decision.level)} have their true error within"
    )
    return [
        *([("Made", created)] if created else []),
        ("Versions", versions),
        *networks,
        ("Calibrated on", " and ".join(filter(None, on))),
        ("Interval", interval),
    ]


def _network(bank: FeatureBank) -> str:
    """``1,280-d features (pooled), weights sha256 0a1b2c``, as far as that is recorded."""
    kind = f" ({bank.info['feature']})" if bank.info.get("feature") else ""
    digest = ((bank.info.get("causes") or {}).get("backbone") or {}).get("weights")
    weights = f", weights sha256 {str(digest)[:16]}" if digest else ""
    return f"{bank.dim:,}-d features{kind}{weights}"
