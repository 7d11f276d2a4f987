"""Fitted heads as operations that ONNX has."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.base import Head, Query
from fewshot.heads.qda import QDA, Gaussians


def exportable(head: Head) -> Head:
    """A fitted head with the same scores, without operations that ONNX lacks where that is known.

    QDA solves triangular systems for each query: here they are solved once, for the shots.
    """
    return SolvedQDA(head) if type(head) is QDA else head


class SolvedQDA(QDA):
    """A fitted QDA, of one episode, whose scores are matrix products.

    With the covariance ``d_c I + F_c'F_c`` of :class:`QDA` and ``L_c L_c' = d_c I + F_c F_c'``, the
    squared distance of x from the mean of class c is
    ``(|x - m_c|^2 - |L_c^-1 F_c (x - m_c)|^2) / d_c``, by Woodbury's identity.

    Parameters
    ----------
    head : QDA
        Fitted (E = 1).
    """

    def __init__(self, head: QDA) -> None:
        super().__init__(**head.get_params())
        self.dtype_, gaussians = head.dtype_, head.gaussians_
        self.centre_ = gaussians.means.mean(1, keepdim=True)
        self.means_ = gaussians.means - self.centre_
        self.diagonal_ = gaussians.diagonal
        self.solved_, self.constants_ = _solved(gaussians, head.log_priors_)

    def scores(self, query: Query) -> Tensor:
        """Log densities (1, T, N), up to what is common to all classes, plus log priors."""
        points = query.features.to(torch.float64) - self.centre_
        differences = points[:, None] - self.means_[:, :, None]  # (1, N, T, D)
        across = differences @ self.solved_.mT  # (1, N, T, R)
        squared = differences.square().sum(-1) - across.square().sum(-1)
        densities = self.constants_ - squared / self.diagonal_[..., None] / 2
        return densities.mT.to(self.dtype_)


def _solved(gaussians: Gaussians, log_priors: Tensor) -> tuple[Tensor, Tensor]:
    """``L_c^-1 F_c`` (1, N, R, D), and what does not depend on the query (1, N, 1)."""
    _, diagonal, rows, scale, gram = gaussians
    rank, dim = rows.shape[2:]
    inner = gram * scale[..., None] * scale[:, :, None] + torch.diag_embed(
        diagonal[..., None].expand(*diagonal.shape, rank)
    )
    factor = torch.linalg.cholesky(inner)
    solved = torch.linalg.solve_triangular(factor, scale[..., None] * rows, upper=False)
    pivots = factor.diagonal(dim1=-2, dim2=-1)
    log_det = (dim - rank) * diagonal.log() + 2 * pivots.log().sum(-1)
    return solved, (log_priors - log_det / 2)[..., None]
