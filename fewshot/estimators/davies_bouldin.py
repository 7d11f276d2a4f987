"""Error from the Davies-Bouldin index of the shots, by regression on base-class episodes."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor

from fewshot.estimators.base import BaseClasses, ErrorEstimator, Prediction
from fewshot.estimators.tags import EstimatorTags
from fewshot.heads.base import Head, Support


class DaviesBouldin(ErrorEstimator):
    """``slope * index + offset``, with the line fitted to base-class episodes of the same head.

    A baseline of Bendou et al., "A Statistical Model for Predicting Generalization in Few-Shot
    Classification", 2022: the index measures the overlap of the shots of different classes, and
    base-class episodes relate it to errors.

    Attributes
    ----------
    slope_, offset_ : float
        Least squares over the base-class episodes with a finite index and error; slope 0 and the
        mean error if their indices are all the same; NaN without any.

    Notes
    -----
    Undefined without base-class episodes and where the index is not finite: one shot of every
    class, or coinciding class means. Clipped to [0, 1].
    """

    references = ("davies1979cluster",)
    tags = EstimatorTags(at_one_shot=False, without_base=False)

    calibrates_itself = True

    def fit(self, base: BaseClasses) -> Self:
        """Regress the actual errors on the index."""
        super().fit(base)
        self.slope_ = self.offset_ = math.nan
        if base.has_episodes:
            assert base.errors is not None
            index = base.map(lambda support, head: davies_bouldin_index(support))
            self.slope_, self.offset_ = least_squares(index.cpu(), base.errors.cpu())
        return self

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return the errors (E,) predicted by the line, clipped to [0, 1]."""
        base = self.base_
        if not base.has_episodes:
            return Prediction.undefined(support, base.reason)
        index = davies_bouldin_index(support)
        if math.isnan(self.slope_):
            return Prediction.undefined(
                support, "no base-class episode has a Davies-Bouldin index to learn from"
            )
        error = (self.slope_ * index + self.offset_).clamp(0, 1)
        return Prediction.of(
            error,
            index.isfinite(),
            "the Davies-Bouldin index needs different class means and shots that differ from them",
        )


def davies_bouldin_index(support: Support) -> Tensor:
    """Mean over classes of the worst ratio of spread to distance from another class.

    Davies and Bouldin, "A Cluster Separation Measure", PAMI 1979. With S_i the mean distance of
    the shots of class i to their mean and M_ij the distance of two means,
    ``mean_i max_j (S_i + S_j) / M_ij``; ``sklearn.metrics.davies_bouldin_score`` without its
    special cases.

    Returns
    -------
    Tensor of shape (E,)
        Infinite where two class means coincide (scikit-learn ignores the pair); NaN where no shot
        differs from its class mean, for example with one shot of every class (scikit-learn
        returns 0, the best value).
    """
    means = support.means()
    spread = support.deviations(means).norm(dim=-1).sum(-1) / support.counts
    # The other mode subtracts squares: coinciding means would be a rounding error apart.
    apart = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    # The mean of equal shots may be a rounding error away from them.
    largest = support.features.norm(dim=-1).amax((1, 2))
    rounding = support.counts.amax(-1) * torch.finfo(largest.dtype).eps * largest
    ratio = (spread[:, :, None] + spread[:, None]) / apart
    ratio = ratio.masked_fill(apart <= rounding[:, None, None], torch.inf)
    ratio.diagonal(dim1=-2, dim2=-1).fill_(-torch.inf)  # not a class with itself
    index = ratio.amax(-1).mean(-1)
    return torch.where(spread.amax(-1) > rounding, index, torch.nan)


def least_squares(index: Tensor, errors: Tensor) -> tuple[float, float]:
    """Slope and offset of `errors` (B,) over `index` (B,), finite pairs only; NaN without any."""
    index, errors = index.double(), errors.double()
    defined = index.isfinite() & errors.isfinite()
    if not bool(defined.any()):
        return math.nan, math.nan
    index, errors = index[defined], errors[defined]
    centred = index - index.mean()
    spread = centred.square().sum()
    slope = float(centred @ errors / spread) if bool(spread > 0) else 0.0
    return slope, float(errors.mean() - slope * index.mean())
