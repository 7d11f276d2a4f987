"""Formulas that combine shots and text in one Gaussian per class, on batched tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pool:
    """Weights of the sources of evidence, fitted on base classes.

    Attributes
    ----------
    doubt : float
        Factor of the residual variance of predicted means. Below one, text counts for more than
        its squared errors say.
    temper : float
        Exponent of Gaussian likelihoods: below one, as dimensions are not independent and a
        product over them is too sure.
    names : float
        Factor of the cosine of image and class name; an encoder's own is its logit scale.
    regression : float
        Exponent of the Gaussian around the predicted mean, beside `temper`.
    """

    doubt: float
    temper: float
    names: float
    regression: float


def share_of_text(within: Tensor, doubt: Tensor, shots: Tensor) -> Tensor:
    r"""Weight of the prediction from text in the mean of a class, per dimension.

    ``alpha_d = (s_d^2 / K) / (s_d^2 / K + tau_d^2)``: the posterior mean of mu_d under
    N(g_d, tau_d^2) after K shots of variance s_d^2 is (1 - alpha_d) times their mean plus
    alpha_d g_d. One for K = 0, and decreasing in K.

    Parameters
    ----------
    within : Tensor of shape (..., D)
        s^2.
    doubt : Tensor of shape (..., D)
        tau^2, above zero.
    shots : Tensor of shape (..., 1)
        K >= 0.
    """
    return within / (within + shots * doubt)


def shrunk_variances(
    predicted: Tensor, measured: Tensor, counts: Tensor, freedom: float | Tensor
) -> Tensor:
    r"""Variances under an inverse-gamma prior: ``(nu p + (K - 1) m) / (nu + K - 1)``.

    Parameters
    ----------
    predicted, measured : Tensor of shape (..., D)
        p from text, and m, the unbiased variance of the shots (anything finite for one shot).
    counts : Tensor of shape (..., 1)
        K; below one counts as one.
    freedom : float > 0
        nu, how many degrees of freedom the prediction is worth.
    """
    measured_freedom = (counts - 1).clamp_min(0)
    return (freedom * predicted + measured_freedom * measured) / (freedom + measured_freedom)


def gaussian_form(means: Tensor, origin: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Log-ratio of N(x; mean, S) to N(x; origin, S), S = diag(variances), as a linear form in x.

    Parameters
    ----------
    means : Tensor of shape (..., N, D)
    origin : Tensor, broadcastable to means
    variances : Tensor, broadcastable to means

    Returns
    -------
    weights (..., N, D), biases (..., N)
    """
    weights = (means - origin) / variances
    return weights, -(weights * (means + origin)).sum(-1) / 2


def low_rank_form(
    means: Tensor, origin: Tensor, variances: Tensor, factor: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for S = diag(variances) + factor factor', by Woodbury's identity.

    Parameters
    ----------
    means : Tensor of shape (E, N, D)
    origin : Tensor of shape (D,)
    variances : Tensor of shape (E, 1, D)
        Above zero.
    factor : Tensor of shape (D, R)
    """
    scaled = factor / variances.mT  # (E, D, R)
    inner = factor.mT @ scaled
    inner.diagonal(dim1=-2, dim2=-1).add_(1.0)
    apart = means - origin
    weights = apart / variances
    # S^-1 = V^-1 - V^-1 F (I + F' V^-1 F)^-1 F' V^-1
    solved = torch.cholesky_solve((weights @ factor).mT, torch.linalg.cholesky(inner))
    weights = weights - (scaled @ solved).mT
    return weights, -(weights * (means + origin)).sum(-1) / 2


def posterior_means(shots: Tensor | None, predicted: Tensor, share: Tensor) -> Tensor:
    """``(1 - alpha) m + alpha g``; the prediction alone without shots."""
    return predicted if shots is None else shots + share * (predicted - shots)
