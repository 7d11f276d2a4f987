"""The few dimensions in which shots lie."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Span(NamedTuple):
    """Vectors in coordinates of their own span, of which there are r = min(n, D).

    Weights that minimise a loss on n vectors plus their own squared length lie in the span of
    these vectors, so that a fit needs r numbers per class instead of D. Lengths and angles are
    kept, and the coordinates are uncorrelated: ``coordinates' coordinates = diag(spread)``.

    Attributes
    ----------
    coordinates : Tensor of shape (E, n, r)
    spread : Tensor of shape (E, r)
        Sum of the squares of every coordinate.
    back : Tensor of shape (E, r, n or D)
        From weights on coordinates to weights on vectors (n), or on features (D).
    vectors : Tensor of shape (E, n, D), or None
        What `back` combines; None where it gives weights on features.
    """

    coordinates: Tensor
    spread: Tensor
    back: Tensor
    vectors: Tensor | None

    def features_weights(self, weights: Tensor) -> Tensor:
        """Weights (E, N, D) on features from weights (E, N, r) on coordinates."""
        weights = weights @ self.back
        return weights if self.vectors is None else weights @ self.vectors


def span_of(vectors: Tensor) -> Span:
    """Coordinates of vectors (E, n, D) in their span; zero vectors have zero coordinates.

    By the eigenvectors of the Gram matrix, n x n or D x D, whichever is smaller:
    O(n D min(n, D)). Directions without any spread get the coordinate 0.
    """
    n, D = vectors.shape[1:]
    gram = vectors @ vectors.mT if n <= D else vectors.mT @ vectors
    spread, axes = torch.linalg.eigh(gram)
    least = spread[:, -1:] * (max(n, D) * torch.finfo(vectors.dtype).eps)
    there = (spread > least) & (spread > 0)
    spread = spread.masked_fill(~there, 0.0)
    axes = axes * there[:, None]
    if n > D:
        return Span(vectors @ axes, spread, axes.mT, None)
    length = spread.sqrt()[:, None]
    inverse = torch.where(there[:, None], 1 / length, 0.0)
    return Span(axes * length, spread, (axes * inverse).mT, vectors)
