"""Small annotated images with random tokens, for tests of segmentation heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fewshot.tasks.segmentation.heads.base import DenseSupport, SupportImage

D, N = 6, 3
GRID = (3, 4)
PIXELS = 16.0  # native pixels that a token stands for


def class_means(ways: int = N, dim: int = D) -> Tensor:
    """Means (N, D), well apart."""
    return 3 * torch.randn(ways, dim, generator=torch.Generator().manual_seed(7))


def annotated_image(
    seed: int,
    ways: int = N,
    grid: tuple[int, int] = GRID,
    present: Sequence[int] | None = None,
    soft: bool = True,
) -> SupportImage:
    """An image whose tokens lie around the mean of the class that most of their pixels have.

    Parameters
    ----------
    seed : int
    ways : int
    grid : (int, int)
    present : sequence of int, optional
        Classes in the image; all by default.
    soft : bool
        Whether tokens stand for some pixels of a second class too.
    """
    generator = torch.Generator().manual_seed(seed)
    shown = torch.arange(ways) if present is None else torch.tensor(present)
    count = grid[0] * grid[1]
    classes = shown[torch.arange(count) % len(shown)]
    classes = classes[torch.randperm(count, generator=generator)]
    noise = 0.5 * torch.randn(count, D, generator=generator)
    labels = PIXELS * one_hot(classes, ways).float()
    if soft:
        second = shown[torch.randint(len(shown), (count,), generator=generator)]
        labels[torch.arange(count), second] += 4 * torch.rand(count, generator=generator)
    return SupportImage(class_means(ways)[classes] + noise, labels, grid)


def dense_support(
    images: int = 3,
    ways: int = N,
    grid: tuple[int, int] = GRID,
    present: Sequence[int] | None = None,
    soft: bool = True,
) -> DenseSupport:
    """A draw of `images` annotated images."""
    drawn = [annotated_image(seed, ways, grid, present, soft) for seed in range(images)]
    return DenseSupport(drawn, ways)


def scaled(support: DenseSupport, factor: float) -> DenseSupport:
    """The support with tokens times a factor."""
    images = [image._replace(tokens=image.tokens * factor) for image in support.images]
    return DenseSupport(images, support.ways)
