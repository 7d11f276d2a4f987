"""Context of a head beside the shots: text vectors, base classes, text Gaussians."""

from __future__ import annotations

from dataclasses import replace

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
    text = gaussians = None
    if "text" in uses and bank.text is not None:
        text = torch.from_numpy(bank.text)[torch.from_numpy(classes)].to(like)
    if "text_gaussians" in uses:
        gaussians = class_gaussians(bank)[torch.from_numpy(classes)].to(like)
    context = Context(text, bank.logit_scale, gaussians=gaussians)
    return with_moments(context, bank, like) if "base" in uses else context


def with_moments(context: Context, bank: FeatureBank, like: Tensor) -> Context:
    """The context with the moments of the base classes of a bank, if it has any."""
    if not has_moments(bank):
        return context
    moments = base_moments(bank)
    return replace(
        context,
        base_mean=moments.means.mean(0).to(like),
        base_covariance=moments.covariance_like(like),
        base_images=int(moments.counts.sum()),
    )
