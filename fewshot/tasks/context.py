"""What a head may know beside the shots, as far as it says that it uses it."""

from __future__ import annotations

import torch
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import NOTHING_MORE, Context
from fewshot.tasks.moments import base_moments, has_moments


def check_uses(bank: FeatureBank, name: str, uses: frozenset[str]) -> None:
    """Raise unless the bank has what a head cannot do without.

    Raises
    ------
    FewshotError
        A head that reads class names, and features without text vectors.
    """
    if "text" in uses and bank.text is None:
        raise FewshotError(
            f"head={name}",
            "this head reads class names, and these features come without text vectors",
            "Take a dual encoder (backbone=clip_vitb32, backbone=conse_lite0), or give features "
            "with an array `text` (C, D).",
        )


def context_of(
    bank: FeatureBank, classes: NDArray, uses: frozenset[str], device: torch.device
) -> Context:
    """Text vectors of `classes` (E, N) and moments of the base classes, where they are used."""
    if not uses & {"text", "base"}:
        return NOTHING_MORE
    text = mean = covariance = None
    images = 0
    if "text" in uses and bank.text is not None:
        text = torch.from_numpy(bank.text)[torch.from_numpy(classes)].to(device)
    if "base" in uses and has_moments(bank):
        moments = base_moments(bank)
        mean = moments.means.mean(0).float().to(device)
        covariance = moments.covariance.float().to(device)
        images = int(moments.counts.sum())
    return Context(text, bank.logit_scale, mean, covariance, images)
