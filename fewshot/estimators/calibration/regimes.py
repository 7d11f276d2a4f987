"""Regimes: the covariates that are defined for shots, head, base classes and unlabelled images."""

from __future__ import annotations

import re

import torch

from fewshot.estimators.base import ENOUGH_CLASSES, BaseClasses
from fewshot.heads.base import Head, Support

ONE_SHOT_ALONE = "one shot"

# Means over the classes of a task. What single classes show is so uncertain at two or three shots
# that coefficients of it alone would take hard and easy tasks for more alike than they are.
OF_TASK = ("risk_task", "overlap_task")

# `closed` regimes are for heads whose weights follow the class means (nearest class mean); the
# others for heads that are evaluated on held-out shots, linear ones and the rest.
SUPPORT_ALONE: dict[str, tuple[str, ...]] = {
    "closed": ("ways", "risk", "overlap", *OF_TASK),
    "closed, some base classes": ("ways", "risk_blended", "overlap"),
    "closed, base classes": ("ways", "risk_blended", "overlap", "risk_posterior"),
    "held out": ("ways", "risk", "overlap", "risk_means", *OF_TASK),
    "held out, base classes": ("ways", "risk", "overlap", "risk_posterior", "risk_means"),
    "not linear": ("ways", "risk", "overlap"),
    "one shot, base classes": ("ways", "risk_base", "risk_posterior"),
    ONE_SHOT_ALONE: ("ways",),
}
# What unlabelled images add, without a prior of the classes and with one from base classes; and the
# regimes in which there may be such a prior, or none.
UNLABELLED = ("disagreement",)
PRIOR = ("disagreement", "disagreement_prior")
_ALONE = (
    "closed",
    "closed, some base classes",
    "held out",
    "not linear",
    "one shot, base classes",
    ONE_SHOT_ALONE,
)
_WITH_PRIOR = (
    "closed, base classes",
    "held out, base classes",
    "not linear",
    "one shot, base classes",
    ONE_SHOT_ALONE,
)
# With unlabelled images the disagreement says more of a task than these covariates do.
_SEEN = {
    regime: tuple(name for name in names if name not in ("risk_means", *OF_TASK))
    for regime, names in SUPPORT_ALONE.items()
}
REGIMES: dict[str, tuple[str, ...]] = (
    SUPPORT_ALONE
    | {f"{regime}, unlabelled": _SEEN[regime] + UNLABELLED for regime in _ALONE}
    | {f"{regime}, unlabelled, prior": _SEEN[regime] + PRIOR for regime in _WITH_PRIOR}
)
# Unlabelled images per class that a calibrator is fitted for, and the case that they are the very
# images whose error is asked for.
NUMBERS = (5, 15, 50)
MEASURED = "measured"


def regime_of(
    support: Support, head: Head, base: BaseClasses, unlabelled: bool = False
) -> list[str]:
    """Return the regime of every episode.

    Parameters
    ----------
    support : Support
    head : Head
        Fitted on `support`.
    base : BaseClasses
    unlabelled : bool
        Whether there are unlabelled images.
    """
    form = head.linear()
    usable = form is not None and base.moments is not None
    closed = form is not None and form.response is not None
    means = closed or (form is not None and head.means_at_one_shot)
    one_shot = "one shot, base classes" if usable and means else ONE_SHOT_ALONE
    multi_shot = "closed" if closed else "held out" if form is not None else "not linear"
    if usable:
        if base.has_prior:
            multi_shot += ", base classes"
        elif closed:
            multi_shot += ", some base classes"
    if unlabelled:
        seen = ", unlabelled, prior" if base.has_prior else ", unlabelled"
        one_shot, multi_shot = one_shot + seen, multi_shot + seen
    several_shots = (support.counts > 1).any(-1)
    if bool(several_shots.all()):
        return [multi_shot] * len(several_shots)
    if not bool(several_shots.any()):
        return [one_shot] * len(several_shots)
    return [
        multi_shot if has_variance else one_shot
        for has_variance in torch.Tensor.tolist(several_shots)
    ]


def with_number(regime: str, number: int | str) -> str:
    """Name of the model of a regime for a number of unlabelled images per class."""
    return f"{regime} ({number})"


def with_head(regime: str, head: str) -> str:
    """Name of the model of a regime for one head, where heads of a regime differ."""
    return f"{regime} [{head}]"


def head_of_model(name: str) -> str | None:
    """The head of a model's name; None if the model is of all heads."""
    match = re.fullmatch(r".* \[(.+)\]", name)
    return match[1] if match else None


def regime_of_model(name: str) -> str:
    """The regime of a model's name."""
    return re.split(r" [(\[]", name)[0]


__all__ = [
    "ENOUGH_CLASSES",
    "MEASURED",
    "NUMBERS",
    "ONE_SHOT_ALONE",
    "REGIMES",
    "SUPPORT_ALONE",
    "head_of_model",
    "regime_of",
    "regime_of_model",
    "with_head",
    "with_number",
]
