"""Warnings about the images of a forecast and about the data of its calibration."""

from __future__ import annotations

from collections.abc import Iterator

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.regimes import NUMBERS
from fewshot.estimators.calibration.transferred import Model
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import with_copies
from fewshot.heads.base import Support
from fewshot.tasks.calibration.cells import WAYS
from fewshot.tasks.classification.forecast.unlabelled import Numbers, Sharper

UNEQUAL = 3  # times as many images as another class has
LISTED = 5
# Of heads that declare "query_prior".
EVEN_IMAGES = (
    "it assumes the same number of images of every class among those without labels that it learns "
    "from, and is wrong more often where that does not hold"
)


def image_warnings(bank: FeatureBank, support: Support) -> Iterator[str]:
    """Warnings about the images that apply to the predictions of all heads."""
    copies = with_copies(bank).info["copies"]["images"]
    if copies:
        what = f"{copies} images are copies" if copies > 1 else "an image is a copy"
        yield f"{what} of others, which hides how images differ: the number may be far off"
    if float(support.counts.max() / support.counts.min()) > UNEQUAL:
        yield (
            "classes differ much in their number of images; intervals were measured on classes "
            "with equally many"
        )
    alone = [bank.classnames[c] for c in bank.classes() if (bank.labels == c).sum() == 1]
    if alone and bool((support.counts > 1).any()):
        more = len(alone) - LISTED
        named = ", ".join(alone[:LISTED]) + (f" and {more} more" if more > 0 else "")
        its = "its class is" if len(alone) == 1 else "their classes are"
        yield f"one image only of {named}: {its} taken to vary as others do"


def calibration_warnings(
    model: Model | None, support: Support, base: FeatureBank | None, base_classes: BaseClasses
) -> Iterator[str]:
    """Warnings about the data of the calibration and about images outside of its range.

    `model` is the one of other data sets; None where it was fitted on base classes.
    """
    if base is not None and not base_classes.has_episodes:
        yield f"base classes were not used: {base_classes.reason}"
    elif base is None:
        yield (
            "no base classes: calibrated on other data sets, and as good as these resemble the "
            "images"
        )
    if model is None:
        return  # on episodes of these ways and shots
    measured = model.shots
    shots = float(support.typical_shots[0])
    if not measured[0] <= shots <= measured[-1]:
        within = f"{measured[0]:g}" + f" to {measured[-1]:g}" * (len(measured) > 1)
        yield (
            f"{shots:.3g} images per class, where the calibration was measured on {within}: the "
            "nearest of these stands in"
        )
    ways = support.counts.shape[1]
    if not min(WAYS) <= ways <= max(WAYS):
        yield (
            f"{ways} classes, where the calibration was measured on {min(WAYS)} to {max(WAYS)}: "
            "extrapolated"
        )


def disagreement_warnings(alone: Numbers, numbers: Numbers) -> Iterator[str]:
    """A warning where unlabelled images contradict the labelled ones.

    Images of other classes can look like some of these ones, and are then taken for errors.

    Parameters
    ----------
    alone, numbers : Numbers
        Predictions from the labelled images alone, and with the unlabelled ones.
    """
    if not numbers.lower <= alone.error <= numbers.upper:
        yield (
            "the prediction from the labelled images alone is outside of the interval with the "
            "unlabelled ones: look whether most of these are of the classes at all"
        )


def number_warnings(prediction: Sharper, base: FeatureBank | None) -> Iterator[str]:
    """Warnings about another number of unlabelled images than the calibration had."""
    number = prediction.per_class
    if prediction.on_base:
        if prediction.calibrated_with < number / 2:
            yield (
                f"{number:.3g} unlabelled images per class, where the base classes have room for "
                f"{prediction.calibrated_with:.3g} beside shots and queries: calibrated on so many"
            )
        return
    if base is not None:
        yield (
            "base classes are too few, or have too few images, for unlabelled ones: the "
            "prediction with unlabelled images is calibrated on other data sets"
        )
    if not min(NUMBERS) <= number <= max(NUMBERS):
        yield (
            f"{number:.3g} unlabelled images per class, where the calibration was measured on "
            f"{min(NUMBERS)} to {max(NUMBERS)}: the nearest of these stands in"
        )
