"""What the labels of images come to, in sentences: for the terminal and the page."""

from __future__ import annotations

from fewshot.report.wording import plain
from fewshot.tasks.classification.labelling.labels import Label, LabelledImages, ModelFacts
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
    names = {plain(name): count for name, count in list(counts.items())[:SHOWN_CLASSES]}
    if len(labels) == 1:
        return f"1 image: {next(iter(names))}."
    colon = ":" * any(name[-1:].isdigit() for name in names)  # "class 1 40" would be a riddle
    shown = [f"{name}{colon} {count:,}" for name, count in names.items()]
    more = len(counts) - len(shown)
    rest = f" and {counted(more, 'more label')}" if more > 0 else ""
    return f"{counted(len(labels), 'image')}: {', '.join(shown)}{rest}."


def look_text(labels: LabelledImages) -> str:
    """``Look at 23 of them yourself: of the other 191 about 3 % should be wrong.``"""
    look = len(labels) - len(labels.accepted)
    if not labels.rows:
        return ""
    if len(labels) == 1:
        return _single_text(labels.rows[0])
    if look == len(labels):
        return f"Look at all of them yourself{none_text(labels)}{_all_wrong(labels, ': ')}."
    if not look:
        return f"There is none that you have to look at: about {_wrong(labels)}."
    others = f"of the other {len(labels.accepted):,} about {_wrong(labels)}"
    return f"Look at {look:,} of them yourself{none_text(labels)}: {others}."


def _single_text(row: Label) -> str:
    """``Look at it yourself: the label is wrong with a probability of 36 %.``"""
    if row.none_of_these:
        return "Look at it yourself: it looks like none of the classes."
    start = "Look at it yourself" if row.look else "You need not look at it"
    return f"{start}: the label is wrong with a probability of {chance_text(1 - row.probability)}."


def _all_wrong(labels: LabelledImages, before: str = "") -> str:
    """``about 55 % of the labels should be wrong``, of those that may be of the classes.

    A probability is that of an image of one of the classes, and says nothing of others; empty if
    all images look like others.
    """
    known = [row for row in labels.rows if not row.none_of_these]
    if not known:
        return ""
    error = rough_percent(sum(1 - row.probability for row in known) / len(known))
    which = "the labels" if len(known) == len(labels) else f"the other {len(known):,}"
    return f"{before}about {error} of {which} should be wrong"


def _wrong(labels: LabelledImages) -> str:
    return f"{rough_percent(labels.expected_error or 0.0)} should be wrong"


def headline(labels: LabelledImages) -> str:
    """``Look at 23 of 214 images yourself``: the title of the page."""
    look = len(labels) - len(labels.accepted)
    if len(labels) == 1:
        return "Look at this image yourself" if look else "You need not look at this image"
    if not look:
        return f"{counted(len(labels), 'image')}, none of which you have to look at"
    if look == len(labels):
        return f"Look at all {counted(look, 'image')} yourself"
    return f"Look at {look:,} of {counted(len(labels), 'image')} yourself"


def others_text(labels: LabelledImages) -> str:
    """``Of the other 191 labels about 3 % should be wrong; 5 % are allowed.``"""
    accepted = len(labels.accepted)
    allowed = f"{short_percent(labels.budget)} are allowed"
    if not accepted:
        all_wrong = _all_wrong(labels)
        if not all_wrong:
            return "None of the images looks like one of the classes."
        return f"{all_wrong[0].upper()}{all_wrong[1:]}, and no part of them few enough; {allowed}."
    which = "all" if accepted == len(labels) else "the other"
    return f"Of {which} {counted(accepted, 'label')} about {_wrong(labels)}; {allowed}."


def none_text(labels: LabelledImages) -> str:
    """`` (5 look like none of the classes)``, or nothing."""
    count = sum(row.none_of_these for row in labels.rows)
    if not count:
        return ""
    every = count == len(labels) - len(labels.accepted)
    if count == 1:
        return f" ({'it' if every else '1'} looks like none of the classes)"
    return f" ({'all' if every else f'{count:,}'} look like none of the classes)"


def skipped_text(labels: LabelledImages) -> str:
    """``2 images could not be read and have no label.``; empty if there are none."""
    count = len(labels.skipped)
    have = "has" if count == 1 else "have"
    return f"{counted(count, 'image')} could not be read and {have} no label." if count else ""


def model_text(model: ModelFacts) -> str:
    """``Labels by lda on dinov2_vits14. Its predicted error on ...``: what they rest on."""
    text, error = f"Labels by {combination(model)}.", error_text(model)
    if error is not None:
        text += f" Its predicted error is {error}."
    return f"{text} Note: {plain(model.note)}." if model.note else text


def error_text(model: ModelFacts) -> str | None:
    """``13 % of all new images (90 % interval 6 % to 25 %), all classes alike``, if it is known."""
    if model.error is None or model.lower is None or model.upper is None:
        return None
    interval = f"{rough_percent(model.lower)} to {rough_percent(model.upper)}"
    return (
        f"{rough_percent(model.error)} of all new images ({short_percent(model.level)} interval "
        f"{interval}), all classes alike"
    )


def chance_text(probability: float) -> str:
    """A probability in percent, never rounded to 0 or 100 %.

    Examples
    --------
    >>> chance_text(0.873), chance_text(0.0312), chance_text(0.9997), chance_text(0.0001)
    ('87 %', '3.1 %', '> 99 %', '< 0.1 %')
    """
    if probability >= 0.995:
        return "> 99 %"
    return "< 0.1 %" if probability < 0.001 else rough_percent(probability)


def combination(model: ModelFacts) -> str:
    """``lda on dinov2_vits14``; the head alone where there are features."""
    on = f" on {plain(model.backbone)}" if model.backbone else ""
    return f"{plain(model.head)}{on}"
