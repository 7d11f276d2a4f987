"""LDA on many shots with one shot of every class left out at a time, without refitting it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fewshot.heads.base import Support
from fewshot.heads.solvers.covariance import rounding_variance
from fewshot.statistics.shrinkage import ledoit_wolf_intensity

LEAST_SHOTS = 8  # fewer refits are no more work than this
MOST_BYTES = 512 << 20  # of the scatter matrices of the classes
BLOCK_BYTES = 64 << 20  # of the covariances that are factorised together
# A variance that falls below this share of itself when a shot is left out has lost digits.
CANCELLED = 1e-6


def lda_stratified(
    support: Support,
    shrinkage: float | Literal["auto"],
    priors: Literal["uniform", "empirical"],
) -> Tensor | None:
    """Scores (E, N, K, N) of the k-th shots of all classes by the LDA fitted without them.

    Leaving the shot x out of a class of K shots with mean m and scatter S takes
    ``K / (K - 1) (x - m) (x - m)'`` from S. The scatters of the classes are therefore made once,
    and a fit without some shots costs D^2 for each class and one Cholesky factorisation, where
    refitting multiplies all N K shots with each other. The same up to the rounding of float64.

    Returns None where that is no gain or does not apply: few shots, more dimensions than shots,
    scatter matrices beyond `MOST_BYTES`, or shots without variance.
    """
    _, N, K, D = support.features.shape
    fewest = int(support.counts.min())
    if fewest < LEAST_SHOTS or N * K < D or N * D * D * 8 > MOST_BYTES:
        return None
    pieces = []
    for features, mask in zip(support.features.double(), support.mask, strict=True):
        folds = _Folds(features, mask)
        scores = folds.scores(shrinkage, priors)
        if scores is None:
            return None
        pieces.append(scores)
    return torch.stack(pieces).to(support.features.dtype)


class _Folds:
    """An episode and its folds: F = K, the f-th without the f-th shot of every class.

    Attributes
    ----------
    counts : Tensor of shape (N, F)
        Remaining shots.
    left : Tensor of shape (N, F, D)
        Deviations of the left-out shots from the mean of all shots; zero where none is left out.
    gain : Tensor of shape (N, F)
        ``K / (K - 1)``, with which the square of `left` leaves the scatter.
    scatter : Tensor of shape (N, D, D)
        Of all shots.
    means, variance : Tensor of shape (N, F, D)
        Of the remaining shots.
    """

    def __init__(self, features: Tensor, mask: Tensor) -> None:
        self.features, self.mask = features, mask
        whole = mask.sum(-1).to(features.dtype)
        mean = features.sum(1) / whole[:, None]
        self.left = (features - mean[:, None]) * mask[..., None]
        self.counts = whole[:, None] - mask.to(features.dtype)
        self.gain = whole[:, None] / self.counts
        self.scatter = self.left.mT @ self.left
        self.shift = self.left / self.counts[..., None]
        self.means = mean[:, None] - self.shift
        self.variance = self._variance()

    def _variance(self) -> Tensor:
        spread = self.left.square().sum(1)[:, None]
        variance = spread - self.gain[..., None] * self.left.square()
        cancelled = (variance <= CANCELLED * spread) & (spread > 0)
        variance = variance / self.counts[..., None]
        for n, f, d in cancelled.nonzero().tolist():
            kept = self.mask[n].clone()
            kept[f] = False
            variance[n, f, d] = self.features[n, kept, d].var(correction=0)
        noise = variance <= rounding_variance(self.means, self.counts)
        return variance.masked_fill(noise, 0.0)

    def scores(
        self, shrinkage: float | Literal["auto"], priors: Literal["uniform", "empirical"]
    ) -> Tensor | None:
        """Scores (N, K, N) of the left-out shots; None if a covariance cannot be factorised."""
        share = torch.full_like(self.counts, 1 / len(self.counts))
        if priors == "empirical":
            share = self.counts / self.counts.sum(0)
        if not bool(((share[..., None] * self.variance).sum((0, 2)) > 0).all()):
            return None
        intensity, target = self._shrunk(shrinkage)
        diagonal = torch.einsum("nf,nfd->fd", share * intensity, target)
        scale = (share * (1 - intensity) / self.counts).clamp_min(0)
        centre = self.means.mean(0)
        weights = self._solved(diagonal, scale, (self.means - centre).transpose(0, 1))
        if weights is None:
            return None
        biases = -(weights * (self.means + centre).transpose(0, 1)).sum(-1) / 2
        biases = biases + (share / share.amax(0)).log().T
        return torch.einsum("nfd,fcd->nfc", self.features, weights) + biases

    def _shrunk(self, shrinkage: float | Literal["auto"]) -> tuple[Tensor, Tensor]:
        """Intensity (N, F) and target (N, F, D), as `ledoit_wolf` has them."""
        if shrinkage != "auto":
            average = self.variance.mean(-1, keepdim=True).expand_as(self.variance)
            return torch.full_like(self.counts, float(shrinkage)), average
        squared_scale = self.variance.masked_fill(self.variance == 0, 1.0)
        inverse = 1 / squared_scale
        intensity, mu = ledoit_wolf_intensity(
            self._lengths(inverse), self._squared_norm(inverse), self.counts,
            self.features.shape[-1],
        )  # fmt: skip
        return intensity, mu[..., None] * squared_scale

    def _lengths(self, inverse: Tensor) -> Tensor:
        """Squared lengths (N, F, K) of the standardised remaining shots, zero for the others."""
        lengths = inverse @ self.left.square().mT
        lengths += 2 * (inverse * self.shift) @ self.left.mT
        lengths += (inverse * self.shift.square()).sum(-1, keepdim=True)
        others = ~torch.eye(len(self.mask[0]), dtype=torch.bool, device=self.mask.device)
        return lengths.clamp_min(0) * (self.mask[:, None] & others)

    def _squared_norm(self, inverse: Tensor) -> Tensor:
        """Squared Frobenius norms (N, F) of the scatters of standardised remaining shots."""
        scaled = inverse * self.left
        whole = (inverse @ self.scatter.square() * inverse).sum(-1)
        mixed = (scaled @ self.scatter * scaled).sum(-1)
        alone = (scaled * self.left).sum(-1).square()
        return whole - 2 * self.gain * mixed + self.gain.square() * alone

    def _solved(self, diagonal: Tensor, scale: Tensor, right: Tensor) -> Tensor | None:
        """``S^-1 right`` (F, N, D) for ``S = diag(diagonal) + sum_n scale_n scatter_n``."""
        _, K, D = self.left.shape
        rank, eps = self.mask.numel(), torch.finfo(diagonal.dtype).eps
        pieces = []
        for folds in torch.arange(K).split(max(1, BLOCK_BYTES // (D * D * 8))):
            weight = scale[:, folds]
            covariance = (weight.T @ self.scatter.flatten(1)).view(-1, D, D)
            removed = self.left[:, folds] * (weight * self.gain[:, folds]).sqrt()[..., None]
            removed = removed.transpose(0, 1)
            covariance.baddbmm_(removed.mT, removed, alpha=-1)
            added = covariance.diagonal(dim1=-2, dim2=-1)
            total = diagonal[folds] + added
            usable = total > 0
            floor = total * (10 * rank * D * eps)
            added += torch.maximum(diagonal[folds], floor).masked_fill(~usable, 1.0)
            triangle, failed = torch.linalg.cholesky_ex(covariance)
            if bool(failed.any()):
                return None
            solution = torch.cholesky_solve(right[folds].mT, triangle).mT
            pieces.append(solution * usable[:, None])
        return torch.cat(pieces)
