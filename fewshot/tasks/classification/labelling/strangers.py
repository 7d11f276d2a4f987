"""Images of none of the classes (out-of-distribution detection): farther from all of them than
shots are that were left out.

The distance is Mahalanobis's under one covariance matrix within classes, shrunk towards a multiple
of the identity as in :mod:`fewshot.statistics.shrinkage` (Lee et al., "A Simple Unified Framework
for Detecting Out-of-Distribution Samples", NeurIPS 2018, who do not shrink). On other data sets it
told strangers from images of the classes better than distances without a covariance matrix, the
nearest shot, and scores of the head (largest score, energy, margin).

Its unit is the distance of shots to the means of other classes than theirs: strangers are mostly
about as far from all classes as images of one class are from the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.exceptions import expect
from fewshot.heads.base import Support
from fewshot.statistics.conformal import pooled_weights, weighted_tail
from fewshot.statistics.shrinkage import ledoit_wolf_intensity
from fewshot.tasks.classification.labelling.reference_quantiles import (
    atoms,
    check_quantiles,
    distances_like,
)

ALARM = 0.05  # share of images of the classes that are taken for strangers
# How many shots the images of other data sets count as.
PSEUDO_COUNT = 8.0
# Shots as near to another of their class, as a share of the median squared distance between shots
# of different classes, are copies: how near to a copy they are says nothing of new images.
COPIES = 0.02
MOST = 2000  # shots that are left out, at even distances in their order
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Strangers:
    """Class means to measure new images from, and distances of shots to compare them with.

    Attributes
    ----------
    means : Tensor of shape (N, D)
        Of the classes, where the covariance matrix is a multiple of the identity.
    directions : Tensor of shape (R, D)
        What takes images there: ``x - B'B x``. R = 0 where no class has two shots.
    counts : Tensor of shape (N,)
        Shots of the classes: means of few shots are farther from every image.
    unit : float
        Mean logarithm of the squared distance of shots to the means of other classes.
    logs : tuple of n float
        Logarithms of the squared distances of shots that were left out to the nearest class, less
        the unit; empty where there are none.
    others : tuple of float
        Quantiles of the same of images of other data sets
        (:data:`~fewshot.tasks.classification.labelling.reference_quantiles.QUANTILES`).

    Raises
    ------
    FewshotError
        Numbers that are not finite, as a damaged model file may have.
    """

    means: Tensor
    directions: Tensor
    counts: Tensor
    unit: float
    logs: tuple[float, ...]
    others: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.unit, *self.logs)))
        expect(finite, "strangers", "expected finite distances of left-out shots")
        check_quantiles("strangers.others", self.others)

    def distances(self, features: Tensor) -> Tensor:
        """Distance (M,), float64, of features (M, D) to the nearest class.

        As a multiple of the typical distance to other classes.
        """
        return (0.5 * self._logs(features)).exp()

    def chances(self, features: Tensor) -> Tensor:
        """How probable it is that an image of the classes is as far from them: (M,), in [0, 1].

        A p-value, small for strangers: the share of left-out shots and of images of other data sets
        that are as far, where the latter count as `PSEUDO_COUNT` shots.
        """
        own, others = torch.tensor(self.logs, dtype=torch.float64), atoms(self.others)
        weights = pooled_weights(torch.ones_like(own), len(others), PSEUDO_COUNT)
        return weighted_tail(torch.cat([own, others]), weights, self._logs(features))

    def are_strangers(self, features: Tensor, alarm: float = ALARM) -> Tensor:
        """Which of the images (M, D) look like none of the classes: (M,), bool.

        Of images of the classes the share `alarm` does, on average over tasks.
        """
        return self.chances(features) < alarm

    def _logs(self, features: Tensor) -> Tensor:
        """Logarithm of the squared distance to the nearest class, less the unit: (M,)."""
        moved = whitened(features.double(), self.directions.double())
        squared = torch.cdist(moved, self.means.double()).square() / (1 + 1 / self.counts.double())
        return squared.amin(-1).clamp_min(TINY).log() - self.unit


def fit_strangers(support: Support, error: float | None = None) -> Strangers:
    """Class means, covariance matrix and distances of left-out shots of one support (E = 1).

    Parameters
    ----------
    support : Support
    error : float in [0, 1], optional
        Predicted share of wrong labels: classes that overlap are near each other. By default that
        of other data sets.
    """
    features, mask = support.features[0].double(), support.mask[0]
    shots, labels = features[mask], mask.nonzero()[:, 0]
    counts = mask.sum(-1).double()
    means = features.sum(1) / counts[:, None]
    rows = torch.linspace(0, len(shots) - 1, min(MOST, len(shots))).long()
    genuine = _genuine(shots, labels, rows)
    scatter = None
    if bool(genuine.any()):
        scatter = _Scatter.of(shots - means[labels], int((counts - 1).sum()))
    logs = _left_out(shots[rows], labels[rows], means, counts, scatter).clamp_min(TINY).log()
    label = labels[rows, None] == torch.arange(len(counts))
    unit = float(logs[~label].mean())
    own = logs.masked_fill(label & (counts == 1), torch.inf).amin(-1)[genuine] - unit
    size = len(counts) if scatter is None else len(shots)
    others = distances_like(len(counts), size, error)
    directions = shots[:0] if scatter is None else scatter.directions()
    return Strangers(
        whitened(means, directions).float(),
        directions.float(),
        counts.float(),
        unit,
        tuple(own.tolist()),
        others,
    )


def whitened(x: Tensor, directions: Tensor) -> Tensor:
    """``x - B'B x`` of rows x (M, D) by directions B (R, D)."""
    return x - (x @ directions.mT) @ directions


def _genuine(shots: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    """Which of the shots in `rows` have others in their class, and are copies of none of them."""
    squared = torch.cdist(shots[rows], shots).square()
    alike = labels[rows, None] == labels
    across = squared.masked_fill(alike, torch.inf).amin(-1).median()
    squared[torch.arange(len(rows)), rows] = torch.inf
    within = squared.masked_fill(~alike, torch.inf).amin(-1)
    return within.isfinite() & (within > COPIES * across)


class _Scatter(NamedTuple):
    """Shrunk covariance within classes: variances along `vectors` and `rest` in all other ones.

    Attributes
    ----------
    vectors : Tensor of shape (R, D)
        Orthonormal.
    sums : Tensor of shape (R,)
        Sums of squares of the deviations along them.
    intensity : float in (0, 1]
    rest : float
        Intensity times the mean variance.
    freedom : int
        Shots less classes.
    """

    vectors: Tensor
    sums: Tensor
    intensity: float
    rest: float
    freedom: int

    @classmethod
    def of(cls, deviations: Tensor, freedom: int) -> _Scatter:
        """Of deviations of shots from their class means (R, D)."""
        vectors, sums = _principal(deviations)
        lengths, norm = deviations.square().sum(-1), sums.square().sum()
        count = deviations.new_tensor(float(freedom))
        shrink, mean = ledoit_wolf_intensity(lengths, norm, count, deviations.shape[-1])
        # Of few shots the intensity itself is known badly: two of a class deviate alike.
        intensity = max(float(shrink.nan_to_num(1.0)), freedom**-0.5)
        return cls(vectors, sums, intensity, intensity * float(mean), freedom)

    def directions(self, freedom: int | None = None) -> Tensor:
        """B of `whitened` (R, D), after which the covariance is `rest` times the identity."""
        freedom = freedom or self.freedom
        variances = (1 - self.intensity) * self.sums / freedom + self.rest
        return self.vectors * (1 - (self.rest / variances).sqrt()).sqrt()[:, None]


def _principal(deviations: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (R, D) in which rows vary, orthonormal, and sums of squares along them (R,)."""
    wide = deviations.shape[0] <= deviations.shape[1]
    gram = deviations @ deviations.mT if wide else deviations.mT @ deviations
    sums, vectors = torch.linalg.eigh(gram)
    kept = sums > 1e-10 * sums.amax().clamp_min(TINY)
    sums, vectors = sums[kept], vectors[:, kept].mT
    return (vectors @ deviations / sums.sqrt()[:, None] if wide else vectors), sums


def _left_out(
    shots: Tensor, labels: Tensor, means: Tensor, counts: Tensor, scatter: _Scatter | None
) -> Tensor:
    r"""Squared distances (R, N) of shots to all classes, with mean and covariance without them.

    Leaving out a shot that deviates by d from the mean of its K takes
    :math:`\frac{K}{K - 1} d d^\top` from the scatter and moves the mean to a distance of
    :math:`\frac{K}{K - 1} d`. The inverse follows by Sherman and Morrison's formula. Any value for
    the class of a shot that is its only one.
    """
    if scatter is None:
        return torch.cdist(shots, means).square() / (1 + 1 / counts)
    k = counts[labels]
    grown = k / (k - 1).clamp_min(1)
    freedom = max(scatter.freedom - 1, 1)
    directions = scatter.directions(freedom)
    x, m = whitened(shots, directions), whitened(means, directions)
    d = x - m[labels]
    removed = (1 - scatter.intensity) / freedom * grown / scatter.rest
    lengths = d.square().sum(-1)
    left = (1 - removed * lengths).clamp_min(1e-6)
    across = (x * d).sum(-1)[:, None] - d @ m.mT
    squared = torch.cdist(x, m).square() + (removed / left)[:, None] * across.square()
    squared = squared / (1 + 1 / counts)
    mean = grown.square() * lengths / left / (1 + 1 / (k - 1).clamp_min(1))
    return squared.scatter(-1, labels[:, None], mean[:, None])
