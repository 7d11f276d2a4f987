"""Linear discriminant analysis with a shrunk shared covariance."""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_choice
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.solvers.covariance import shrunk_covariance, solve
from fewshot.heads.solvers.transforms import ncm_weights
from fewshot.heads.tags import HeadTags


class LDA(LinearHead):
    r"""Linear discriminant analysis, one covariance for all classes.

    Score of class c: ``m_c' S^-1 x - m_c' S^-1 m_c / 2 + log p_c``, with S the prior-weighted
    mean of the shrunk covariances of the classes. The covariance of K shots in D dimensions has
    rank K - 1, so that S is a diagonal plus a matrix of rank N (K - 1), and S^-1 m is found by
    Woodbury's identity without ever forming S; where N K >= D, S itself is factorised.

    Parameters
    ----------
    shrinkage : "auto" or float in (0, 1]
        "auto" is the Ledoit-Wolf intensity of every class on its standardised shots (Ledoit and
        Wolf, "Honey, I Shrunk the Sample Covariance Matrix", 2004), as scikit-learn's
        ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")`` has it. A number is the
        share of the average variance times the identity.
    priors : {"uniform", "empirical"}
        Shares p_c of the classes: 1 / N, or the share of the class in the support (scikit-learn's
        default). The same where all classes have K shots.

    Notes
    -----
    Few shots leave cases that scikit-learn refuses or answers degenerately:

    - A class with one shot has no covariance: the others, reweighted, make S. If no class has
      two shots, or no shot deviates from its class mean, S is the identity and LDA is nearest
      class mean (with the log priors).
    - Two standardised shots are +1 and -1 in every dimension, so that the Ledoit-Wolf intensity
      of a two-shot class is always 0, whatever the data, and S singular. Such a class takes the
      intensity of the deviations of all classes pooled, and as target their variances drawn
      towards the average over the dimensions: with so few degrees of freedom a small variance is
      often chance, and its inverse would decide alone. If the pooled deviations are a single pair
      of shots as well, or copies of it, S is the identity.

    The fit runs in float64 whatever the features are: a near-singular S costs float32 all its
    digits. Scores come in the features' dtype.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    """

    references = ("fisher1936use", "ledoit2004honey", "ledoit2004well")
    tags = HeadTags(shift_invariant=True, scale_invariant=True)

    means_at_one_shot = True

    def __init__(
        self,
        shrinkage: float | Literal["auto"] = "auto",
        priors: Literal["uniform", "empirical"] = "uniform",
    ) -> None:
        self.shrinkage = shrinkage
        self.priors = priors

    def fit(self, support: Support) -> Self:
        """Estimate means, shrunk covariance and the weights they give."""
        self._check_parameters()
        dtype = support.features.dtype
        support = support.to(torch.float64)
        means, counts = support.means(), support.counts
        if self.priors == "uniform":
            priors = torch.full_like(counts, 1 / counts.shape[1])
        else:
            priors = counts / counts.sum(1, keepdim=True)
        centre = means.mean(1, keepdim=True)
        covariance = shrunk_covariance(support, means, priors, self.shrinkage)
        weights = solve(covariance, means - centre)
        # m' S^-1 m / 2 up to what is common to all classes, with S^-1 centre left out of both
        biases = -(weights * (means + centre)).sum(-1) / 2
        plain = ~covariance.defined
        if bool(plain.any()):
            ncm = ncm_weights(means)
            weights = torch.where(plain[:, None, None], ncm[0], weights)
            biases = torch.where(plain[:, None], ncm[1], biases)
        # Up to what is common to all classes: equal priors are zero, and drown no small bias.
        biases = biases + (priors / priors.amax(1, keepdim=True)).log()
        self.weights_, self.biases_ = weights.to(dtype), biases.to(dtype)
        return self

    def linear(self) -> LinearForm:
        """Weights that depend on the shots through the covariance as well."""
        return LinearForm(self.weights_, self.biases_, None)

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of every shot by the head without it; None: refit instead."""
        from fewshot.heads.solvers.lda_leave_one_out import lda_leave_one_out

        if self.shrinkage != "auto" or self.priors != "uniform":
            return None
        scores = lda_leave_one_out(support)
        return None if scores is None else scores - math.log(scores.shape[1])

    def leave_one_of_each_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of the k-th shots by the head without them; None: refit instead."""
        from fewshot.heads.solvers.lda_stratified import lda_stratified

        self._check_parameters()
        return lda_stratified(support, self.shrinkage, self.priors)

    def _check_parameters(self) -> None:
        expect_choice("head.lda.priors", self.priors, ("uniform", "empirical"))
        if self.shrinkage != "auto" and not (
            isinstance(self.shrinkage, int | float) and 0 < self.shrinkage <= 1
        ):
            raise FewshotError(
                "head.lda.shrinkage",
                f"expected 'auto' or a number in (0, 1], got {self.shrinkage!r}",
                "0 would need more shots than dimensions to be invertible.",
            )
