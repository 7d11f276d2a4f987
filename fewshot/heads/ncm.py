"""Nearest class mean."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from fewshot.heads.base import LinearForm, LinearHead, Support


class NCM(LinearHead):
    """Nearest class mean in Euclidean distance.

    Mensink et al., "Distance-Based Image Classification", PAMI 2013; the classifier of
    Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017, on frozen
    features. The prototype of a class is the mean m_c of its shots and a query x goes to the
    nearest one. As |x|^2 is common to all classes, ``argmin |x - m_c|^2`` is the largest
    ``m_c . x - |m_c|^2 / 2``.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
        Class means less their average over the classes, which changes no decision and keeps
        the numbers small.
    biases_ : Tensor of shape (E, N)
    """

    def fit(self, support: Support) -> Self:
        """Average the shots of every class."""
        self.weights_, self.biases_ = ncm_weights(support.means())
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the class mean one to one."""
        return LinearForm(self.weights_, self.biases_, torch.ones_like(self.biases_))

    def leave_one_out(self, support: Support) -> Tensor:
        """Scores (E, N, K, N) of every shot under the means that leave it out.

        The other classes keep their means; the own one becomes ``(K m_c - x) / (K - 1)``, whose
        score follows from |x|^2, m_c . x and |m_c|^2. Undefined (NaN) where a class has one shot.
        """
        means, counts = support.means(), support.counts
        centre = means.mean(1, keepdim=True)
        shots, means = support.features - centre[:, :, None], means - centre
        dots = torch.einsum("enkd,emd->enkm", shots, means)
        scores = dots - means.square().sum(-1)[:, None, None] / 2
        k = counts[..., None]
        own_dot = torch.diagonal(dots, dim1=1, dim2=3).permute(0, 2, 1)  # (E, N, K): m_c . x
        length = shots.square().sum(-1)  # |x|^2
        mean_length = means.square().sum(-1)[..., None]
        left_dot = (k * own_dot - length) / (k - 1)
        left_length = (k.square() * mean_length - 2 * k * own_dot + length) / (k - 1).square()
        own = torch.where(k > 1, left_dot - left_length / 2, torch.nan)
        ways = torch.arange(means.shape[1], device=means.device)
        scores[:, ways, :, ways] = own.permute(1, 0, 2)
        return scores


def ncm_weights(means: Tensor) -> tuple[Tensor, Tensor]:
    """Linear form of nearest class mean: weights (E, N, D), biases (E, N) of means (E, N, D)."""
    centre = means.mean(1, keepdim=True)
    weights = means - centre
    # (|m|^2 - |centre|^2) / 2 without subtracting two large numbers
    biases = -(weights * (means + centre)).sum(-1) / 2
    return weights, biases
