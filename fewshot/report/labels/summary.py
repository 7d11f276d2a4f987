"""What the labels of images come to, in sentences: for the terminal and the page."""

from __future__ import annotations

from fewshot.report.wording import plain
from fewshot.tasks.classification.labelling.labels import LabelledImages, ModelFacts
from fewshot.units import counted, rough_percent, short_percent

SHOWN_CLASSES = 8


def summary(labels: LabelledImages) -> str:
    """All of it in one line: images per label, how many to look at, errors among the others.

    ``214 images: crab 91, ant 40. Look at 23 of them yourself: of the other 191 about 3 % should be
    wrong.``
    """
    return " ".join(filter(None, [counts_text(labels), look_text(labels), skipped_text(labels)]))


def counts_text(labels: LabelledImages) -> str:
    """``214 images: crab 91, ant 40 and 3 more labels.``"""
    counts = labels.counts
    shown = [f"{plain(name)} {count:,}" for name, count in list(counts.items())[:SHOWN_CLASSES]]
    more = len(counts) - len(shown)
    rest = f" and {counted(more, 'more label')}" if more > 0 else ""
    return f"{counted(len(labels), 'image')}: {', '.join(shown)}{rest}."


def look_text(labels: LabelledImages) -> str:
    """``Look at 23 of them yourself: of the other 191 about 3 % should be wrong.``"""
    others, error = len(labels.accepted), labels.expected_error
    look = len(labels) - others
    if not labels.rows:
        return ""
    none = none_text(labels)
    if error is None:
        return f"Look at all of them yourself{none}."
    wrong = f"about {rough_percent(error)} should be wrong"
    if not look:
        return f"There is none that you have to look at: {wrong}."
    return f"Look at {look:,} of them yourself{none}: of the other {others:,} {wrong}."


def none_text(labels: LabelledImages) -> str:
    """`` (5 look like none of the classes)``, or nothing."""
    count = sum(row.none_of_these for row in labels.rows)
    looks = "looks" if count == 1 else "look"
    return f" ({count:,} {looks} like none of the classes)" if count else ""


def skipped_text(labels: LabelledImages) -> str:
    """``2 images could not be read and have no label.``; empty if there are none."""
    count = len(labels.skipped)
    have = "has" if count == 1 else "have"
    return f"{counted(count, 'image')} could not be read and {have} no label." if count else ""


def model_text(model: ModelFacts) -> str:
    """``By lda on dinov2_vits14, with a predicted error of 13 % (90 % interval 6 to 25 %).``"""
    name = combination(model)
    if model.error is None or model.lower is None or model.upper is None:
        return f"Labels by {name}."
    interval = f"{rough_percent(model.lower)} to {rough_percent(model.upper)}"
    text = (
        f"Labels by {name}, whose predicted error on all images is {rough_percent(model.error)} "
        f"({short_percent(model.level)} interval {interval}), all classes alike."
    )
    return f"{text} Note: {plain(model.note)}." if model.note else text


def combination(model: ModelFacts) -> str:
    """``lda on dinov2_vits14``; the head alone where there are features."""
    on = f" on {plain(model.backbone)}" if model.backbone else ""
    return f"{plain(model.head)}{on}"
