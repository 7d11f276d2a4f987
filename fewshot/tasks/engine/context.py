"""Context of a head beside the shots: text vectors, base-class moments, text Gaussians."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.features.bank import FeatureBank
from fewshot.heads.base import NOTHING_MORE, Context
from fewshot.heads.texts import no_text
from fewshot.tasks.engine.class_gaussians import class_gaussians
from fewshot.tasks.engine.moments import base_moments, has_moments


def check_uses(bank: FeatureBank, name: str, uses: frozenset[str]) -> None:
    """Raise unless the bank has the context that a head requires.

    Raises
    ------
    FewshotError
        A head that reads class names, and features without text vectors; or one that wants
        Gaussians predicted from them where there is nothing to learn that from.
    """
    if "text" in uses and bank.text is None:
        raise no_text(name)
    if "text_gaussians" in uses:
        class_gaussians(bank)  # fitted on the first call


def context_of(bank: FeatureBank, classes: NDArray, uses: frozenset[str], like: Tensor) -> Context:
    """Text vectors of `classes` (E, N) and moments of the base classes, where they are used.

    On the device and in the dtype of `like`; the covariance is converted once, not per chunk.
    """
    if not uses & {"text", "base"}:
        return NOTHING_MORE
    text = mean = covariance = None
    gaussians = None
    images = 0
    if "text" in uses and bank.text is not None:
        text = torch.from_numpy(bank.text)[torch.from_numpy(classes)].to(like)
    if "base" in uses and has_moments(bank):
        moments = base_moments(bank)
        mean = moments.means.mean(0).to(like)
        covariance = moments.covariance_like(like)
        images = int(moments.counts.sum())
    if "text_gaussians" in uses:
        gaussians = class_gaussians(bank)[torch.from_numpy(classes)].to(like)
    return Context(text, bank.logit_scale, mean, covariance, images, gaussians)
