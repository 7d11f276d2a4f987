"""The answer of ``fewshot predict`` in sentences: what to expect, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from fewshot.report.aligned import WIDTH, wrapped_to
from fewshot.report.wording import plain
from fewshot.units import counted, joined, rough_percent, short_percent

if TYPE_CHECKING:
    from fewshot.tasks.classification.forecast.decision import Decision
    from fewshot.tasks.classification.forecast.forecast import Forecast
    from fewshot.tasks.classification.forecast.learning_curve import Target
    from fewshot.tasks.classification.forecast.suspects import LabelDoubt

NAMED = 3  # files in a sentence
MUCH = 0.25  # of all errors: a pair of classes that makes as many is worth a sentence
UNEVEN = 1.5  # times an even share of the errors, which is large where classes are few
LEAST_GAIN = 0.001  # of the error by labelling images that are named; less is not said
USUAL = "as is usual even where all belong to them"  # unlabelled images outside of all classes
WORTH_MORE = 0.005  # of the error by more images of every class


@dataclass(frozen=True)
class Answer:
    """The answer in sentences of plain text.

    Attributes
    ----------
    headline : str
        Expected error with its interval, and of what.
    target : str or None
        How many images the error takes that is aimed at; None if none is.
    steps : tuple of str
        What to do next, the first first.
    """

    headline: str
    target: str | None = None
    steps: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All sentences below the headline."""
        return (*([self.target] if self.target else []), *self.steps)

    def as_json(self) -> dict[str, Any]:
        """``headline`` and ``lines``."""
        return {"headline": self.headline, "lines": list(self.lines)}

    def text(self, width: int = WIDTH) -> str:
        """Headline and target as paragraphs, and a list of steps."""
        paragraphs = [self.headline, *([self.target] if self.target else [])]
        steps = [line for step in self.steps for line in wrapped_to(f"- {step}", width, "  ")]
        blocks = [*("\n".join(wrapped_to(text, width)) for text in paragraphs), "\n".join(steps)]
        return "\n\n".join(block for block in blocks if block)

    def __str__(self) -> str:
        return self.text()


def answer(decision: Decision) -> Answer:
    """The answer to what is known of a task."""
    return Answer(_headline(decision), _target(decision), tuple(_steps(decision)))


def combination(row: Forecast) -> str:
    """``ridge on efficientnet_lite0``; ``ridge on these features`` if nothing is known of them."""
    if row.backbone == "unknown":
        return plain(f"{row.head} on these features")
    return plain(f"{row.head} on {row.backbone}")


def doubt_text(doubt: LabelDoubt) -> str:
    """A sentence on the label in the greatest doubt, which is no suspect."""
    return (
        f"No label stands out. Look at {plain(doubt.file)} (of {plain(doubt.label)}) if at any: "
        f"closer to {plain(doubt.other)}, as some image is in {rough_percent(doubt.chance)} of the "
        "tasks in which nothing is wrong."
    )


def _headline(decision: Decision) -> str:
    best = decision.taken
    text = f"{_of_new_images(best, decision.level)}, with {combination(best)}"
    return f"{text}; no more than an average of other data sets." if best.note else f"{text}."


def _of_new_images(row: Forecast, level: float) -> str:
    """``About 6 of 100 new images would be labelled wrongly (90 % sure: 3 to 11)``."""
    total = 100 if 100 * row.error >= 1 else 1000
    wrong, lower, upper = (round(total * share) for share in (row.error, row.lower, row.upper))
    many = f"About {wrong}" if wrong else "Fewer than 1"
    return (
        f"{many} of {total:,} new images would be labelled wrongly "
        f"({short_percent(level)} sure: {lower} to {upper})"
    )


def _target(decision: Decision) -> str | None:
    if decision.aim is None:
        return None
    aim, target, best = short_percent(decision.aim), decision.target, decision.taken
    if target is None:
        reason = "one image per class does not show it" if best.note else "no curve was measured"
        what = f"How many images per class {aim} takes is not known for {combination(best)}"
        return f"{what}: {reason}."
    text = f"For {aim} {_images(target, decision)}."
    return f"{text} {_sentence(target.note)}" if target.note else text


def _images(target: Target, decision: Decision) -> str:
    """What follows "For 5 %"."""
    if target.reached:
        text = "the images at hand should do"
        if target.enough is None:
            upper = rough_percent(decision.taken.upper)
            text += f", though not surely: the interval goes up to {upper}"
        elif target.enough > decision.per_class:
            text += f"; with {target.enough:,} per class it is nearly sure"
        return text
    if target.images is None:
        text = f"even {target.most:,} images per class are not expected to do"
        if target.fewest is not None:
            return f"{text}, though as few as {target.fewest:,} may"
        return f"{text} with {combination(decision.taken)}: try another backbone"
    bounds = []
    if target.fewest is not None:
        bounds.append(f"{target.fewest:,}")
    if target.enough is not None:
        bounds.append(f"to {target.enough:,}" if bounds else f"up to {target.enough:,}")
    else:
        bounds.append(f"to more than {target.most:,}" if bounds else f"or over {target.most:,}")
    return f"it takes about {counted(target.images, 'image')} per class in all ({' '.join(bounds)})"


def _steps(decision: Decision) -> Iterator[str]:
    if len(decision.rows) > 1 or decision.taken.note:
        yield _take(decision.rows)
    yield from _first_suspects(decision)
    yield from _confused(decision.taken)
    yield from _label(decision)


def _take(rows: Sequence[Forecast]) -> str:
    best, *others = rows
    if best.note:
        return (
            "These images alone do not show how much those of one class differ "
            f"({plain(best.note)}). Give two images of some class, better five of each, or other "
            "labelled classes with --base."
        )
    # Forecasts below the middle of the best one's error and upper bound are not clearly worse.
    near = [row for row in others if row.error <= (best.error + best.upper) / 2]
    text = f"Take {combination(best)}"
    if min(row.error for row in rows) < best.error:
        text += ", the usual choice where no other is clearly better"
    if not near:
        return f"{text}."
    several = any(row.backbone != best.backbone for row in near)
    if len(near) == len(others) > 1:
        return f"{text}. All {len(others)} others are too close to it to tell apart."
    names = joined(combination(row) if several else plain(row.head) for row in near)
    return f"{text}. Too close to tell apart: {names}."


def _first_suspects(decision: Decision) -> Iterator[str]:
    suspects = [entry for entry in decision.suspects if entry.kind != "unreadable"]
    if broken := [plain(entry.file) for entry in decision.suspects if entry.kind == "unreadable"]:
        rest = f" and {len(broken) - NAMED} more" * (len(broken) > NAMED)
        shown = ", ".join(broken[:NAMED]) if rest else joined(broken)
        yield f"Mend or remove {shown}{rest}: unreadable, and passed over."
    if not suspects:
        return
    first, more = suspects[0], len(suspects) - 1
    text = f"Look at {plain(first.file)} (of {plain(first.label)}): {plain(first.reason)}"
    yield f"{text}; {counted(more, 'more image')} to look at." if more else _sentence(text)


def _confused(best: Forecast) -> Iterator[str]:
    """The two classes that make most of the errors; of two classes there is nothing to say."""
    if best.confusion is None or len(best.confusion.classes) < 3:
        return
    even = 1 / math.comb(len(best.confusion.classes), 2)
    for pair in best.confusion.pairs()[:1]:
        if pair.share >= max(MUCH, UNEVEN * even):
            names = f"{plain(pair.first)} and {plain(pair.second)}"
            yield f"Two classes make {rough_percent(pair.share)} of the errors: {names}."


def _label(decision: Decision) -> Iterator[str]:
    """What to label next: images that are named, or more of every class."""
    images, best = decision.next_labels, decision.taken
    if images:
        names = [plain(PurePath(image.file).name) for image in images[:NAMED]]
        shown = joined(names) if len(images) <= NAMED else ", ".join(names)
        more = f" and {len(images) - NAMED} more" * (len(images) > NAMED)
        text = f"Label {shown}{more} next"
        last = images[-1].error
        now, then = rough_percent(best.error), rough_percent(last)
        if best.error - last >= LEAST_GAIN and now != then:
            text += f": the error should fall from {now} to about {then}"
        yield f"{text}."
    elif best.outlook and decision.aim is None:
        point = next((p for p in best.outlook if p.more >= 5), best.outlook[-1])
        if best.error - point.error >= WORTH_MORE:
            yield (
                f"Label {counted(point.more, 'more image')} per class: the error should be about "
                f"{rough_percent(point.error)} then."
            )


def _sentence(text: str) -> str:
    """A text as a sentence: with a capital at the beginning and a mark at the end."""
    text = plain(text)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
