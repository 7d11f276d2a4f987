"""One's own few images: which error to expect, of which head, and what more images would bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from fewshot.episodes.episode_set import PADDING
from fewshot.estimators.auto import COPIES, GUESS, Auto
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.estimators.calibration.calibrators import probit
from fewshot.estimators.calibration.regimes import regime_of
from fewshot.estimators.calibration.transferred import Curve, General
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.row_keys import row_keys
from fewshot.heads.base import Head, Query, Support
from fewshot.tasks.calibration.cells import WAYS
from fewshot.tasks.engine.base_classes import draw_base_episodes, known_of_base
from fewshot.tasks.engine.batches import gather

MORE = (1, 5)
UNEQUAL = 3  # times as many images as another class has
LISTED = 5


@dataclass(frozen=True)
class Outlook:
    """Predicted error after `more` further images of every class.

    Attributes
    ----------
    more : int
    error, lower, upper : float
        The bounds take in how differently the error falls from data set to data set.
    """

    more: int
    error: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Forecast:
    """What to expect of one head on one backbone.

    Attributes
    ----------
    backbone, head : str
    error : float
        Predicted share of new images that will be classified wrongly, all classes alike.
    lower, upper : float
        Bounds of the prediction interval.
    calibrated_on : {"datasets", "base"}
    note : str or None
        Why the number says little, where it does.
    outlook : tuple of Outlook
        Empty for a head whose learning curve is not known.
    warnings : tuple of str
        Every other reservation: what about the images makes the number doubtful, what it was
        measured on and where these images are outside of that, and what could not be used.
    """

    backbone: str
    head: str
    error: float
    lower: float
    upper: float
    calibrated_on: str
    note: str | None
    outlook: tuple[Outlook, ...]
    warnings: tuple[str, ...] = ()


def one_support(bank: FeatureBank) -> Support:
    """All images of a bank as the support of one episode; classes may differ in size.

    Raises
    ------
    FewshotError
        Fewer than two classes.
    """
    classes = bank.classes()
    expect(
        len(classes) > 1,
        "support",
        f"expected two classes or more, got {len(classes)}",
        "Give a sub-folder of images per class.",
    )
    own = [np.flatnonzero(bank.labels == c) for c in classes]
    rows = np.full((1, len(classes), max(map(len, own))), PADDING)
    for n, images in enumerate(own):
        rows[0, n, : len(images)] = images
    features, mask = gather(bank, rows, torch.device("cpu"))
    return Support.of(features.float(), mask)


def forecast(
    bank: FeatureBank,
    heads: Mapping[str, Head],
    *,
    base: FeatureBank | None = None,
    estimator: Auto | None = None,
    episodes: int = 300,
    seed: int = 0,
    more: Sequence[int] = MORE,
) -> list[Forecast]:
    """Predicted error of every head fitted on all images of `bank`, the best first.

    Parameters
    ----------
    bank : FeatureBank
        The few labelled images.
    heads : mapping of str to Head
    base : FeatureBank, optional
        Other classes with labels, under the same backbone: the calibration then rests on them.
    estimator : Auto, optional
    episodes : int
        Base-class episodes to calibrate on.
    seed : int
    more : sequence of int
        Further images per class to look ahead to.
    """
    support = one_support(bank)
    if base is not None:
        _check_base(bank, base)
    doubts = tuple(image_doubts(bank, support))
    made = []
    for name, head in heads.items():
        auto = Auto(**(estimator or Auto()).get_params())
        known = _known(base, support, head, episodes, seed)
        auto.fit(known)
        fitted = head.clone().fit(support)
        regime = regime_of(support, fitted, known)[0]
        said = auto.predict(support, fitted)
        assert said.lower is not None and said.upper is not None
        reasons = list(said.by_reservation())
        # Copies among the images are a doubt of their own and leave the number its meaning.
        guess = GUESS in reasons
        others = [one for one in reasons if one not in (GUESS, COPIES)]
        numbers = (float(said.error[0]), float(said.lower[0]), float(said.upper[0]))
        general = auto.general()
        ahead = name in general.curves and not guess
        others += _calibration_doubts(auto, regime, support, base, known)
        if name not in general.curves:
            others.append("what more images would bring is not known for this head")
        made.append(
            Forecast(
                str(bank.info.get("backbone", "unknown")),
                name,
                *numbers,
                "base" if regime in auto.fitted_ else "datasets",
                GUESS if guess else None,
                tuple(_ahead(general, name, support, numbers, n, auto.level) for n in more)
                if ahead
                else (),
                (*doubts, *others),
            )
        )
    return sorted(made, key=lambda one: one.error)


def _check_base(bank: FeatureBank, base: FeatureBank) -> None:
    """Refuse base classes that are not other classes, of other images, in the same features."""
    shared = sorted(set(base.classnames) & set(bank.classnames))
    if shared:
        raise FewshotError(
            "--base",
            f"expected other classes than those of the support, both have {', '.join(shared[:5])}",
            "An error on classes that were learned from is no guide to others.",
        )
    if base.dim != bank.dim:
        raise FewshotError("--base", f"expected {bank.dim}-d features, got {base.dim}-d ones")
    ours, theirs = (row_keys(np.asarray(one.features, np.float32)) for one in (bank, base))
    copies = len(np.intersect1d(ours, theirs))
    if copies:
        raise FewshotError(
            "--base",
            f"expected other images than those of the support, got {copies} that are in both",
            "An error on images that were learned from is no guide to others.",
        )


def _known(
    base: FeatureBank | None, support: Support, head: Head, episodes: int, seed: int
) -> BaseClasses:
    """What other labelled classes say, drawn like the support in ways and shots."""
    if base is None:
        return NO_BASE
    marked = replace(base, parts=("base",) * len(base.classnames))
    ways = support.counts.shape[1]
    # More than one image of any class is another kind of knowledge than one of each.
    least = 2 if bool((support.counts > 1).any()) else 1
    shots = max(least, round(float(support.typical_shots)))
    drawn = draw_base_episodes(marked, ways, shots, "all", episodes, seed)
    return known_of_base(marked, drawn, head, device=torch.device("cpu"))


def _ahead(
    general: General,
    head: str,
    support: Support,
    numbers: Sequence[float],
    more: int,
    level: float,
) -> Outlook:
    curve: Curve = general.curves[head]
    shots = float(support.typical_shots)
    z = float(ndtri(0.5 + level / 2))
    change, deviation = curve.step(shots, shots + more)
    error, lower, upper = (float(probit(one)) + change for one in numbers)
    # The interval of the error now, and how differently it may fall, added in quadrature.
    lower = error - float(np.hypot(error - lower, z * deviation))
    upper = error + float(np.hypot(upper - error, z * deviation))
    return Outlook(more, float(ndtr(error)), float(ndtr(lower)), float(ndtr(upper)))


def image_doubts(bank: FeatureBank, support: Support) -> Iterator[str]:
    """What about the images makes any prediction doubtful, whatever the head."""
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


def _calibration_doubts(
    auto: Auto, regime: str, support: Support, base: FeatureBank | None, known: BaseClasses
) -> Iterator[str]:
    """What the calibration rests on, and where these images are outside of that."""
    if base is not None and not known.has_episodes:
        yield f"base classes were not used: {known.reason}"
    elif base is None:
        yield (
            "no base classes: calibrated on other data sets, and as good as these resemble the "
            "images"
        )
    if regime in auto.fitted_:
        return  # on episodes of these ways and shots
    measured = auto.general().model(regime).shots
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


def classify(bank: FeatureBank, queries: FeatureBank, head: Head) -> list[dict[str, Any]]:
    """Label and runner-up of every query image, by a head fitted on all images of `bank`.

    Returns
    -------
    list of dict
        ``file``, ``label``, ``runner_up``, and ``lead``: by how much the label's score is ahead,
        in the head's own units.
    """
    support = one_support(bank)
    names = [bank.classnames[c] for c in bank.classes()]
    rows = torch.arange(len(queries))
    scores: Tensor = head.clone().fit(support).scores(Query.of(queries.take(rows).float()[None]))[0]
    best = scores.topk(2, -1)
    lead = (best.values[:, 0] - best.values[:, 1]).tolist()
    paths = queries.paths or tuple(map(str, range(len(queries))))
    return [
        {
            "file": paths[i],
            "label": names[int(best.indices[i, 0])],
            "runner_up": names[int(best.indices[i, 1])],
            "lead": lead[i],
        }
        for i in range(len(queries))
    ]
