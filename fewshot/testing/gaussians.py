"""Supports, queries and contexts of classes that are Gaussians, for checks of heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fewshot.heads.base import Context, Query, Support
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.mixing import Pool

# Episodes, classes, shots, dimensions, and queries of every class.
E, N, K, D, T = 6, 4, 5, 12, 10
CASES = ("complete", "unequal", "one shot", "many dimensions", "many shots")


def support_and_query(case: str, least_shots: int = 1) -> tuple[Support, Query]:
    """Support and queries of random classes, in float64, with everything that a head may know.

    Parameters
    ----------
    case : str
        One of `CASES`.
    least_shots : int
        That every class has at least.
    """
    generator = torch.Generator().manual_seed(len(case))
    shots = max({"one shot": 1, "many shots": 20}.get(case, K), least_shots)
    dim = 80 if case == "many dimensions" else D
    means = _normal(generator, E, N, 1, dim)
    features = means + _normal(generator, E, N, shots, dim)
    query = means + _normal(generator, E, N, T, dim)
    mask = torch.ones(E, N, shots, dtype=torch.bool)
    if case == "unequal":
        mask = torch.rand(E, N, shots, generator=generator) < 0.6
        mask[..., : max(1, least_shots)] = True
    context = context_of(means[:, :, 0], generator)
    return Support.of(features, mask, context), Query.of(query.flatten(1, 2))


def truth() -> Tensor:
    """The right answers (N T,) to the queries."""
    return torch.arange(N).repeat_interleave(T)


def context_of(means: Tensor, generator: torch.Generator) -> Context:
    """Everything that a head may know: text near the class means, moments of other classes."""
    text = means + _normal(generator, *means.shape) / 2
    base = _normal(generator, 200, means.shape[-1])
    text = torch.nn.functional.normalize(text, dim=-1)
    gaussians = class_gaussians(means, generator)
    context = Context(text, 10.0, base.mean(0), base.T.cov(), len(base), gaussians)
    return replace(context, base_episodes=labelled_episodes(context))


def labelled_episodes(
    context: Context, factor: float = 1.0, device: str = "cpu"
) -> LabelledEpisodes:
    """Episodes of other classes, in float64, that come with the moments of a context.

    Parameters
    ----------
    context : Context
        With text; its `base_mean` and `base_covariance` are those of the episodes.
    factor : float
        Of all features.
    device : str
    """
    assert context.text is not None
    dim = context.text.shape[-1]

    def draw() -> Iterator[LabelledBatch]:
        generator = torch.Generator().manual_seed(dim)
        means = _normal(generator, E, N, 1, dim)
        shots, queries = (
            (factor * (means + _normal(generator, E, N, images, dim))).to(device)
            for images in (2, 3)
        )
        text = means[:, :, 0] + _normal(generator, E, N, dim) / 2
        known = replace(
            context,
            text=torch.nn.functional.normalize(text, dim=-1).to(device),
            gaussians=None,
            base_episodes=None,
        )
        ways = torch.arange(N, device=device).repeat_interleave(3).expand(E, -1)
        yield LabelledBatch(Support.of(shots, None, known), Query.of(queries.flatten(1, 2)), ways)

    return LabelledEpisodes(draw)


def declared(context: Context, uses: frozenset[str]) -> Context:
    """The context with nothing but what a head declares in ``uses``."""
    if "text" not in uses:
        context = replace(context, text=None, logit_scale=Context().logit_scale)
    if "base_episodes" not in uses:
        context = replace(context, base_episodes=None)
    if "base" not in uses:
        context = replace(context, base_mean=None, base_covariance=None, base_images=0)
    return context if "text_gaussians" in uses else replace(context, gaussians=None)


def class_gaussians(means: Tensor, generator: torch.Generator) -> ClassGaussians:
    """Predictions near means (E, N, D), with pools that differ by covariance and prior."""
    dim = means.shape[-1]
    pools = {
        (covariance, prior): Pool(
            doubt=0.5 + 0.2 * number,
            temper=0.1 + 0.1 * number,
            names=0.0 if prior == "regression" else 2.0 + number,
            regression=0.0 if prior == "names" else 0.7 + 0.3 * number,
        )
        for number, covariance in enumerate(COVARIANCES)
        for prior in PRIORS
    }
    return ClassGaussians(
        means=means + 0.7 * _normal(generator, *means.shape),
        variances=(0.3 * _normal(generator, *means.shape)).exp(),
        origin=0.2 * _normal(generator, dim),
        within=(0.2 * _normal(generator, dim)).exp(),
        doubt=0.5 * (0.2 * _normal(generator, dim)).exp(),
        freedom=6.0,
        factor=0.3 * _normal(generator, dim, 3),
        pools=pools,
    )


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)
