"""Supports and base classes for checks of estimators, and heads whose errors they predict."""

from __future__ import annotations

from functools import cache
from typing import Self

import torch
from torch import Tensor

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.moments import Moments
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.ncm import NCM
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.mixing import Pool

# Episodes, classes, shots, dimensions, and unlabelled images of every class.
E, N, K, D, U = 8, 4, 5, 20, 6
JUDGED = ("ncm", "lda", "text_gaussian")


def draw(
    shots: int = K,
    ways: int = N,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    spread: float | Tensor = 1.2,
    episodes: int = E,
    dim: int = D,
) -> Support:
    """Support of random classes; the larger the spread, the harder."""
    generator, means = _classes(seed, episodes, ways, dim)
    noise = _normal(generator, episodes, ways, shots, dim)
    context = _context_of(means[:, :, 0], generator).to(dtype)
    return Support.of((means + spread * noise).to(dtype), None, context)


def draw_images(
    ways: int = N,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    spread: float | Tensor = 1.2,
    episodes: int = E,
    dim: int = D,
) -> Tensor:
    """Other images (E, N, U, D) of the classes that `draw` draws with the same arguments."""
    _, means = _classes(seed, episodes, ways, dim)
    others = torch.Generator().manual_seed(1000 + seed)
    return (means + spread * _normal(others, episodes, ways, U, dim)).to(dtype)


def _classes(seed: int, episodes: int, ways: int, dim: int) -> tuple[torch.Generator, Tensor]:
    """Means (E, N, 1, D) of random classes, and the generator that goes on from there."""
    generator = torch.Generator().manual_seed(seed)
    return generator, _normal(generator, episodes, ways, 1, dim)


def unlabelled_of(images: Tensor) -> Unlabelled:
    """Images (E, N, U, D) without their labels, those of all classes in turn."""
    return Unlabelled.of(images.transpose(1, 2).flatten(1, 2))


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _context_of(means: Tensor, generator: torch.Generator) -> Context:
    """Text near the class means, and Gaussians as if they had been predicted from it."""
    near = means + torch.randn(means.shape, generator=generator, dtype=torch.float64)
    ones = torch.ones(means.shape[-1], dtype=torch.float64)
    pools = {(kind, prior): Pool(1.0, 0.3, 2.0, 1.0) for kind in COVARIANCES for prior in PRIORS}
    gaussians = ClassGaussians(
        near, 1.44 * torch.ones_like(means), 0 * ones, 1.44 * ones, ones, 20.0, ones[:, None], pools
    )
    return Context(torch.nn.functional.normalize(near, dim=-1), 10.0, gaussians=gaussians)


@cache
def base_classes(head: str, shots: int = K) -> BaseClasses:
    """Twelve base classes like those of `draw`, and 60 episodes that are easy to hard."""
    rng = torch.Generator().manual_seed(99)
    means = torch.randn(12, D, generator=rng, dtype=torch.float64)
    spread = torch.linspace(0.3, 4.0, 60, dtype=torch.float64)
    spreads = spread[:, None, None, None]
    support = draw(seed=98, episodes=60, spread=spreads, shots=shots)
    unlabelled = unlabelled_of(draw_images(seed=98, episodes=60, spread=spreads))
    noise = torch.rand(60, N, generator=rng, dtype=torch.float64)
    moments = Moments(
        means, torch.full((12,), 30.0).double(), 1.44 * torch.eye(D, dtype=torch.float64)
    )
    judged = heads.create(head).fit(support)
    return BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(support, judged),
        errors_by_class=0.1 * noise + 0.15 * spread[:, None],
        members=torch.stack([torch.randperm(12, generator=rng)[:N] for _ in range(60)]),
        map_unlabelled=lambda function: function(support, judged, unlabelled),
    )


class Lost(NCM):
    """Nearest class mean whose numbers left the range of floating point."""

    def fit(self, support: Support) -> Self:
        """Weights without a number."""
        super().fit(support)
        self.weights_ = torch.full_like(self.weights_, torch.inf)
        self.means_ = torch.full_like(self.means_, torch.nan)
        return self

    def scores(self, query: Query) -> Tensor:
        """NaN."""
        return torch.full((*query.features.shape[:2], self.means_.shape[1]), torch.nan)

    def leave_one_out(self, support: Support) -> Tensor:
        """NaN."""
        shape = (*support.mask.shape, support.mask.shape[1])
        return torch.full(shape, torch.nan, dtype=support.features.dtype)
