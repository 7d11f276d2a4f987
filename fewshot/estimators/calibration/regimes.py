"""Regimes: the covariates that are defined for shots, head and base classes."""

from __future__ import annotations

import torch

from fewshot.estimators.base import BaseClasses
from fewshot.heads.base import Head, Support

# With fewer base classes the covariance between them is not reliable.
ENOUGH_CLASSES = 10
ONE_SHOT_ALONE = "one shot"

# `closed` regimes are for heads whose weights follow the class means (nearest class mean); the
# others for heads that are evaluated on held-out shots.
REGIMES: dict[str, tuple[str, ...]] = {
    "closed": ("ways", "risk", "overlap"),
    "closed, some base classes": ("ways", "risk_blended", "overlap"),
    "closed, base classes": ("ways", "risk_blended", "overlap", "risk_posterior"),
    "held out": ("ways", "risk", "overlap"),
    "held out, base classes": ("ways", "risk", "overlap", "risk_posterior"),
    "one shot, base classes": ("ways", "risk_base", "risk_posterior"),
    ONE_SHOT_ALONE: ("ways",),
}


def regime_of(support: Support, head: Head, base: BaseClasses) -> list[str]:
    """Return the regime of every episode."""
    form = head.linear()
    usable = form is not None and base.moments is not None
    closed = form is not None and form.response is not None
    means = closed or (form is not None and head.means_at_one_shot)
    one_shot = "one shot, base classes" if usable and means else ONE_SHOT_ALONE
    multi_shot = "closed" if closed else "held out"
    if usable:
        assert base.moments is not None
        if len(base.moments.means) >= ENOUGH_CLASSES:
            multi_shot += ", base classes"
        elif closed:
            multi_shot += ", some base classes"
    several_shots = (support.counts > 1).any(-1)
    if bool(several_shots.all()):
        return [multi_shot] * len(several_shots)
    if not bool(several_shots.any()):
        return [one_shot] * len(several_shots)
    return [
        multi_shot if has_variance else one_shot
        for has_variance in torch.Tensor.tolist(several_shots)
    ]
