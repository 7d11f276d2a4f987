"""What a segmentation head receives, what it gives, and what it must declare."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import add
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.exceptions import expect
from fewshot.registry import parameter_names, variant_text
from fewshot.tasks.segmentation.moments import Moments, moments_of

# Bias of a class that the support does not show. Finite, as scores are interpolated.
NEVER = -1e9


class SupportImage(NamedTuple):
    """An annotated image.

    Attributes
    ----------
    tokens : Tensor of shape (T, D), float32
        Features of the grid, row by row.
    labels : Tensor of shape (T, N), float32
        Native pixels of every class that a token stands for: the adjoint of bilinear upsampling
        applied to the mask. Rows of tokens whose pixels are ignored are zero.
    grid : (int, int)
        Rows and columns, T = rows * columns.
    """

    tokens: Tensor
    labels: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, eq=False)
class DenseSupport:
    """The annotated images of one draw.

    Attributes
    ----------
    images : sequence of S >= 1 SupportImage
    ways : int
        N classes, some of which may have no pixel.
    """

    images: Sequence[SupportImage]
    ways: int

    def moments(self, unit_length: bool = False, second: bool = True) -> Moments:
        """Moments of all images, of tokens at unit length if so asked."""
        return reduce(add, (image_moments(image, unit_length, second) for image in self.images))

    def counts(self) -> Tensor:
        """Pixels (N,) of every class, float64."""
        return torch.stack([image.labels.double().sum(0) for image in self.images]).sum(0)

    def annotated(self) -> tuple[Tensor, Tensor]:
        """Tokens (R, D) of all images that stand for annotated pixels, and their labels (R, N)."""
        tokens = torch.cat([image.tokens for image in self.images])
        labels = torch.cat([image.labels for image in self.images])
        known = labels.sum(1) > 0
        return tokens[known].float(), labels[known].float()

    def without(self, index: int) -> DenseSupport:
        """The support without one of its images, of which there are at least two."""
        return DenseSupport([*self.images[:index], *self.images[index + 1 :]], self.ways)


def image_moments(image: SupportImage, unit_length: bool, second: bool = True) -> Moments:
    """Moments of one image."""
    tokens = normalize(image.tokens, dim=-1) if unit_length else image.tokens
    return moments_of(tokens, image.labels, second)


class LinearMap(NamedTuple):
    """Scores ``weights . x + biases``: (N, D) and (N,), float32."""

    weights: Tensor
    biases: Tensor


def absent_never(weights: Tensor, biases: Tensor, counts: Tensor) -> LinearMap:
    """Scores that no class without pixels wins: (N, D), (N,) and pixels (N,) of the classes."""
    present = counts > 0
    weights = weights * present[:, None]
    return LinearMap(weights.float(), biases.masked_fill(~present, NEVER).float())


@dataclass(frozen=True)
class DenseHeadTags:
    """What a head promises beside its interface, for the checks of `fewshot.testing`.

    Attributes
    ----------
    tolerance : float
        Largest difference, relative to the largest score, of scores that should be equal.
    sees_ignored_tokens : bool
        Whether tokens without annotated pixels may change scores a little, as by normalisation.
    check_with : mapping
        Parameters to check the head with where the default ones take long.
    """

    tolerance: float = 1e-5
    sees_ignored_tokens: bool = False
    check_with: Mapping[str, Any] = field(default_factory=dict)


class DenseHead(ABC):
    """A classifier of the tokens of images, fitted on the annotated images of one draw.

    The constructor stores its arguments under their own names; ``fit`` learns attributes that end
    in ``_`` and returns self; ``scores`` changes nothing. No head sees the mask of a query.

    Attributes
    ----------
    unit_length : bool
        Whether tokens are divided by their length before anything else.
    is_linear : bool
        Whether the scores are linear in the token: those of many heads are then one product.
    cheap_to_refit : bool
        Whether leaving out every support image in turn takes no refit from scratch. Of others,
        images are left out in at most ten groups.
    only_ways : int, optional
        Number of classes that the head is defined for.
    tags : DenseHeadTags
        Tolerances for the checks of `fewshot.testing`.
    """

    unit_length: ClassVar[bool] = False
    is_linear: ClassVar[bool] = False
    cheap_to_refit: ClassVar[bool] = False
    only_ways: ClassVar[int | None] = None
    tags: ClassVar[DenseHeadTags] = DenseHeadTags()

    @abstractmethod
    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Learn from annotated images; `seed` decides what is random in it."""

    @abstractmethod
    def scores(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Scores (T, N) of the tokens (T, D) of one image of this grid; the largest wins.

        They are interpolated bilinearly to the native resolution.
        """

    def delegate(self) -> DenseHead:
        """The fitted head that scores in its place: itself, or the one that it chose."""
        return self

    @classmethod
    def check_ways(cls, ways: int) -> None:
        """Raise FewshotError unless the head is defined for so many classes."""
        expect(
            cls.only_ways in (None, ways),
            "head",
            f"expected {cls.only_ways} classes for {cls.__name__}, got {ways}",
            "It tells a class from the background: episodes.sampler=episodic with episodes.ways=1.",
        )

    def prepared(self, tokens: Tensor) -> Tensor:
        """Tokens as the head takes them: float32, at unit length where it says so."""
        tokens = tokens.float()
        return normalize(tokens, dim=-1) if self.unit_length else tokens

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def variant(self) -> str:
        """Parameters that differ from the defaults: ``shrinkage=0.3``; empty for the defaults."""
        return variant_text(self.get_params(), _defaults(type(self)))

    def clone(self) -> Self:
        """An unfitted head with the same parameters."""
        return type(self)(**self.get_params())

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({parameters})"


class LinearDenseHead(DenseHead):
    """A head whose scores are linear in the (prepared) token once it is fitted."""

    is_linear = True
    map_: LinearMap

    def scores(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """``weights . x + biases``: (T, N)."""
        return torch.addmm(self.map_.biases, self.prepared(tokens), self.map_.weights.mT)


class MomentHead(LinearDenseHead):
    """A linear head in closed form from moments: leaving an image out is a subtraction.

    Attributes
    ----------
    needs_second : bool
        Whether it takes the second moment.
    """

    cheap_to_refit = True
    needs_second: ClassVar[bool] = True

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Weights and biases from the moments of the support."""
        self.map_ = self.from_moments(support.moments(self.unit_length, self.needs_second))
        return self

    @abstractmethod
    def from_moments(self, moments: Moments) -> LinearMap:
        """Weights (N, D) and biases (N,); classes without pixels have the bias `NEVER`."""


@cache
def _defaults(cls: type) -> dict[str, Any]:
    accepted = inspect.signature(cls).parameters
    return {name: parameter.default for name, parameter in accepted.items()}
