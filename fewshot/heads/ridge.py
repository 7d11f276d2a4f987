"""Ridge regression on class indicators."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.tags import HeadTags
from fewshot.heads.weights import ClassWeight, shot_weights

# Regularisation that "auto" chooses from, in mean squared distances of shots from their mean.
GRID = tuple(10.0 ** (step / 2) for step in range(-6, 7))


class Ridge(LinearHead):
    """Least squares on +1 for the own class and -1 for the others, with a penalty on weights.

    Hoerl and Kennard, "Ridge Regression", Technometrics 1970; scikit-learn's
    ``RidgeClassifier``; the base learner of Bertinetto et al., "Meta-learning with Differentiable
    Closed-form Solvers" (R2-D2), ICLR 2019. With X the R = N K shots and Y their targets, both
    centred, ``W = (X'X + alpha I)^-1 X'Y = X' (XX' + alpha I)^-1 Y``: the second form is
    solved where R <= D. The intercept is not penalised.

    Parameters
    ----------
    alpha : float > 0, or "auto"
        Penalty. A number is scikit-learn's, whose default is 1. "auto" takes, for every episode,
        the one of 13 values between 1e-3 and 1e3 times the mean squared distance of the shots from
        their mean whose squared leave-one-out error is least (closed form, from the support only).
        Shots alone in their class are left out of that error; if all are, it is 1 times.
    class_weight : {"none", "balanced"}
        Whether shots count alike (scikit-learn's default), or classes: every shot by
        ``R / (N K_c)``, scikit-learn's ``class_weight="balanced"``. The same where all classes
        have K shots.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    alpha_ : Tensor of shape (E,)
    """

    references = ("hoerl1970ridge", "bertinetto2019meta")
    tags = HeadTags(shift_invariant=True)

    def __init__(
        self, alpha: float | Literal["auto"] = 1.0, class_weight: ClassWeight = "none"
    ) -> None:
        self.alpha = alpha
        self.class_weight = class_weight

    def fit(self, support: Support) -> Self:
        """Choose the penalty if it is to be chosen, and solve for the weights."""
        design = self._design(support)
        self.alpha_ = self._alphas(design, support)
        weights = ridge_weights(design.shots, design.targets, self.alpha_)
        biases = design.target_mean - (weights * design.shot_mean[:, None]).sum(-1)
        dtype = support.features.dtype
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on all shots."""
        return LinearForm(self.weights_, self.biases_, None)

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) by the hat matrix; None if penalty or weights change each time."""
        if self.alpha == "auto" or self.class_weight == "balanced":
            return None
        design = self._design(support)
        vectors, values = spectrum(design.shots)
        alpha = self._alphas(design, support)
        errors = left_out_errors(vectors, values, design, alpha)
        scores = design.targets + design.target_mean[:, None] - errors
        return scores.view(*support.mask.shape, -1).to(support.features.dtype)

    def _design(self, support: Support) -> Design:
        if self.alpha != "auto":
            remedy = "Or 'auto', chosen by leaving out one shot at a time."
            expect_number("head.ridge.alpha", self.alpha, 0, above=True, remedy=remedy)
        support = support.to(torch.float64)
        return centred_design(support, shot_weights(support, "ridge", self.class_weight))

    def _alphas(self, design: Design, support: Support) -> Tensor:
        if self.alpha == "auto":
            judged = support.mask & (support.counts > 1)[..., None]
            return chosen_alpha(design, judged.flatten(1))
        return torch.full_like(design.total, float(self.alpha))


class Design(NamedTuple):
    """Centred shots and targets, times the roots of their weights; zero in the padding.

    Attributes
    ----------
    shots : Tensor of shape (E, R, D)
    targets : Tensor of shape (E, R, N)
    share : Tensor of shape (E, R)
        Weights of the shots, with sum 1.
    shot_mean : Tensor of shape (E, D)
    target_mean : Tensor of shape (E, N)
    total : Tensor of shape (E,)
        Shots of an episode.
    """

    shots: Tensor
    targets: Tensor
    share: Tensor
    shot_mean: Tensor
    target_mean: Tensor
    total: Tensor


def centred_design(support: Support, weights: Tensor) -> Design:
    """Shots and +-1 targets of every episode, less their means, with weights (E, N, K)."""
    E, N, K, _ = support.features.shape
    total = support.counts.sum(-1)
    root = weights.flatten(1)[..., None].sqrt()
    shots = support.features.flatten(1, 2)
    shot_mean = (shots * root.square()).sum(1) / total[:, None]
    target_mean = 2 * weights.sum(-1) / total[:, None] - 1
    targets = 2 * torch.eye(N, dtype=shots.dtype, device=shots.device) - 1
    targets = targets.repeat_interleave(K, 0).expand(E, -1, -1) - target_mean[:, None]
    shots = (shots - shot_mean[:, None]) * root
    share = weights.flatten(1) / total[:, None]
    return Design(shots, targets * root, share, shot_mean, target_mean, total)


def ridge_weights(shots: Tensor, targets: Tensor, alpha: Tensor) -> Tensor:
    """Weights (E, N, D) for centred shots (E, R, D), targets (E, R, N) and alpha (E,)."""
    dual = shots.shape[1] <= shots.shape[2]
    gram = shots @ shots.mT if dual else shots.mT @ shots
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    # A smaller penalty would be lost in the rounding of large features, and the matrix singular.
    least = diagonal.sum(-1) * torch.finfo(gram.dtype).eps
    diagonal.add_(torch.maximum(alpha, least)[:, None])
    right = targets if dual else shots.mT @ targets
    solution = torch.cholesky_solve(right, torch.linalg.cholesky(gram))
    return solution.mT @ shots if dual else solution.mT


def spectrum(shots: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors (E, R, R) and eigenvalues (E, R) of the Gram matrix of shots (E, R, D)."""
    values, vectors = torch.linalg.eigh(shots @ shots.mT)
    return vectors, values.clamp_min(0.0)


def left_out_errors(vectors: Tensor, values: Tensor, design: Design, alpha: Tensor) -> Tensor:
    """Target minus prediction (E, R, N) of every shot by the fit without it.

    ``e_i / (1 - h_i)`` with e the residuals and h the diagonal of the hat matrix, of which the
    intercept's is 1 / R, or the shot's share of the weights. Errors are times the roots of the
    weights, which are taken as they are with all shots.
    """
    kept = alpha[:, None] / (values + alpha[:, None])
    residuals = vectors @ (kept[..., None] * (vectors.mT @ design.targets))
    free = (vectors.square() @ kept[..., None])[..., 0] - design.share
    return residuals / free.clamp_min(torch.finfo(free.dtype).eps)[..., None]


def chosen_alpha(design: Design, judged: Tensor) -> Tensor:
    """The penalty (E,) of least squared leave-one-out error over judged (E, R) shots."""
    scale = design.shots.square().sum((1, 2)) / design.total
    scale = torch.where(scale > 0, scale, 1.0)
    vectors, values = spectrum(design.shots)
    losses = []
    for share in GRID:
        errors = left_out_errors(vectors, values, design, share * scale).square().sum(-1)
        losses.append((errors * judged).sum(-1))
    best = torch.stack(losses).argmin(0)
    best = torch.where(judged.any(-1), best, len(GRID) // 2)
    return scale * scale.new_tensor(GRID)[best]
