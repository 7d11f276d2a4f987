"""The subspace spanned by the class means, in which nearest class mean decides."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

RANK = 1e-13  # of the largest squared singular value; below is rounding


class DecisionSpace(NamedTuple):
    """Orthonormal basis of the differences of class means, on which all decisions depend.

    Attributes
    ----------
    points : Tensor of shape (E, N, P), float64
        The class means in the basis, centred; P = min(N - 1, D).
    basis : Tensor of shape (E, D, P)
        Orthonormal columns, dtype of the means. With coinciding means the unused columns are
        zero, and so are the coordinates along them.
    rank : Tensor of shape (E,), float64
        Columns that are not zero, 1 at least.
    """

    points: Tensor
    basis: Tensor
    rank: Tensor

    @classmethod
    def of(cls, means: Tensor) -> Self:
        """Create the space of class means (E, N, D)."""
        N, D = means.shape[1:]
        centred = means.double()
        centred = centred - centred.mean(1, keepdim=True)
        values, vectors = torch.linalg.eigh(centred @ centred.mT)
        spare = N - min(N - 1, D)
        used = values > RANK * values[:, -1:]
        lengths = torch.where(used, values, 0.0).sqrt()[:, None, spare:]
        inverse = torch.where(lengths > 0, 1 / lengths, 0.0)
        vectors = vectors[..., spare:]
        basis = centred.mT @ (vectors * inverse)
        rank = (lengths > 0).sum((1, 2)).clamp_min(1).double()
        return cls(vectors * lengths, basis.to(means.dtype), rank)

    def project(self, features: Tensor) -> Tensor:
        """Return features (E, N, K, D) in the basis: (E, N, K, P), float64."""
        flat = features.flatten(1, 2) @ self.basis
        return flat.unflatten(1, features.shape[1:3]).double()

    def restrict(self, covariance: Tensor) -> Tensor:
        """Return a covariance (D, D) in the basis: (E, P, P), float64."""
        rows = self.basis.mT.contiguous()
        inside = rows.flatten(0, 1) @ covariance.to(rows)  # one product for all episodes
        return (inside.view(rows.shape) @ self.basis).double()
