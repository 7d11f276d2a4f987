"""Gaussians whose means and variances come from text and shots."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_choice
from fewshot.heads.base import (
    LinearForm,
    LinearHead,
    Query,
    Support,
    linear_scores,
)
from fewshot.heads.solvers.paper_grid import grid_form
from fewshot.heads.texts import class_text
from fewshot.heads.verifier import Verifier
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.mixing import posterior_means, share_of_text

MODES = ("mean_std", "mean", "std")
MIXINGS = ("pooled", "posterior", "grid")


class Mixed(NamedTuple):
    """Linear form of shots and text: weights (E, N, D), biases (E, N).

    Attributes
    ----------
    weights, biases : Tensor
    share : Tensor of shape (E, 1 or N)
        alpha.
    response : Tensor of shape (E, 1 or N), or None
        See :class:`~fewshot.heads.base.LinearForm`.
    """

    weights: Tensor
    biases: Tensor
    share: Tensor
    response: Tensor | None = None


class TextGaussian(LinearHead, Verifier):
    r"""A Gaussian per class, its mean and variances predicted from text and mixed with the shots.

    After Bendou et al., "Inferring Latent Class Statistics from Text for Robust Visual Few-Shot
    Learning", R0-FoMo at NeurIPS 2023 (arXiv 2311.14544), with closed forms in place of a search on
    further labelled images. docs/text-gaussians.md derives them.

    With t_c the unit text vector of a class, g_c the mean that is predicted from it, m_c the mean
    of its K shots and s*^2 variances that all classes share,

        score_c(x) = alpha (kappa t_c . x + eta L(x; g_c)) + (1 - alpha) L(x; m_c)
        L(x; mu)   = temper (log N(x; mu, s*^2) - log N(x; o, s*^2)),   o the mean of base classes
        alpha      = 1 / (1 + K rho tau^2 / s^2)

    alpha is the weight of a prior with variance tau^2 (the squared error of g, on base classes
    that were left out) against K shots of variance s^2; it is one without shots and falls with K.
    Four numbers (rho, temper, kappa, eta) are fitted on few-shot tasks of base classes with 0 to
    16 shots, once for all numbers of shots; no image of a novel class is spent on them.

    Parameters
    ----------
    mode : {"mean_std", "mean", "std"}
        Whether text says something of means, variances or both. "mean" has the identity for a
        covariance, scaled to the same trace; "std" takes means from the shots alone.
    mixing : {"pooled", "posterior", "grid"}
        How text and shots are mixed. "pooled" is a closed form with four numbers from base classes.
        "posterior" takes the mean ``(1 - alpha_d) m + alpha_d g`` per dimension, with rho = 1: what
        would be right if features were normal. "grid" is the paper's search: alpha and beta of 21 x
        21 values, on shots that are held out for that (half of them, at most four); these are lost
        to the means, so that the head gets as many labels as the others.
    prior : {"both", "names", "regression"}
        For "pooled": the text vectors themselves as prototypes (kappa), the predicted means (eta),
        or both.
    covariance : {"diagonal", "low_rank"}
        "low_rank" adds the main directions of the covariance of base classes.

    Notes
    -----
    Variances are ``(nu p + (K - 1) v) / (nu + K - 1)`` with p from text and v of the shots,
    averaged over classes, which keeps scores linear. Features of unit length are assumed where
    cosines are meant. O(N K D), and O(N D R) more for the low-rank part.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
    share_ : Tensor of shape (E, 1)
        alpha (its mean over dimensions for "posterior", the chosen one for "grid").
    """

    references = ("bendou2023inferring", "tipping1999probabilistic")

    def __init__(
        self,
        mode: Literal["mean_std", "mean", "std"] = "mean_std",
        mixing: Literal["pooled", "posterior", "grid"] = "pooled",
        prior: Literal["both", "names", "regression"] = "both",
        covariance: Literal["diagonal", "low_rank"] = "diagonal",
    ) -> None:
        self.mode = mode
        self.mixing = mixing
        self.prior = prior
        self.covariance = covariance

    @property
    def uses(self) -> frozenset[str]:
        """Class names, and base classes (or a predictor that was fitted on some)."""
        return frozenset({"text", "text_gaussians"})

    @property
    def least_shots(self) -> int:
        """None, unless the means are those of the shots."""
        return 1 if self.mode == "std" else 0

    def fit(self, support: Support) -> Self:
        """Mix the shots with what text says."""
        self._check_parameters()
        self._support, self._gaussians = support, _gaussians_of(support)
        variances = self._gaussians.common_variances(self._kind, *_measured(support))
        shots = support.typical_shots if support.features.shape[2] else support.counts[:, 0]
        mixed = self._form(variances, shots[:, None, None])
        self.weights_, self.biases_, self.share_, self._response = mixed
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the mean of the shots; that variances do too is left out.

        The response is the average over dimensions, weighted by their variances.
        """
        response = self._response
        if response is not None:
            response = response.expand_as(self.biases_)
        return LinearForm(self.weights_, self.biases_, response)

    def verify(self, query: Query) -> Tensor:
        """The same scores (E, T, N) with variances and shares of each class on its own.

        With "low_rank" the variances are those of base classes.

        Scores are log-ratios to a Gaussian around the mean of the base classes, which makes them
        comparable between queries.

        Raises
        ------
        FewshotError
            "grid", whose search looks at all classes together.
        """
        if self.mixing == "grid" and self.mode != "std":
            raise FewshotError(
                "head.text_gaussian.mixing",
                "expected pooled or posterior in verification, got 'grid'",
                "Its search needs shots of other classes.",
            )
        gaussians, support = self._gaussians, self._support
        if self._kind == "diagonal":
            variances = gaussians.own_variances(*_measured(support))
        else:
            variances = gaussians.common_variances(self._kind, None, None)
            if self._kind == "low_rank":
                variances = gaussians.within.expand_as(variances)
        mixed = self._form(variances, support.counts[..., None])
        return linear_scores(query.features, mixed.weights, mixed.biases)

    @property
    def _kind(self) -> str:
        return "identity" if self.mode == "mean" else self.covariance

    def _form(self, variances: Tensor, shots: Tensor) -> Mixed:
        """Linear form for variances (E, 1 or N, D) and numbers of shots (E, 1 or N, 1)."""
        own, support = self._gaussians, self._support
        means = support.means() if support.features.shape[2] else None
        if self.mode == "std":
            assert means is not None
            form = own.form(means, variances, self._kind)
            return Mixed(*form, torch.zeros_like(shots[..., 0]), 1 / variances.mean(-1))
        if self.mixing == "pooled":
            return self._pooled(means, variances, shots)
        if self.mixing == "grid":
            return Mixed(*grid_form(support, own, self.mode))
        share = share_of_text(own.within, own.doubt, shots)
        form = own.form(posterior_means(means, own.means, share), variances, self._kind)
        return Mixed(*form, share.mean(-1))

    def _pooled(self, means: Tensor | None, variances: Tensor, shots: Tensor) -> Mixed:
        own = self._gaussians
        pool = own.pools[self._kind, self.prior]
        share = share_of_text(shots.new_ones(()), shots.new_tensor(pool.doubt * own.ratio), shots)
        text = class_text(self._support, "text_gaussian")
        weights, biases = own.form(own.means, variances, self._kind)
        part = share * (pool.temper * pool.regression)
        weights, biases = part * weights + share * pool.names * text, part[..., 0] * biases
        part = (1 - share) * pool.temper
        if means is not None:
            ahead, bias = own.form(means, variances, self._kind)
            weights, biases = weights + part * ahead, biases + part[..., 0] * bias
        return Mixed(weights, biases, share[..., 0], part[..., 0] / variances.mean(-1))

    def _check_parameters(self) -> None:
        expect_choice("head.text_gaussian.mode", self.mode, MODES)
        expect_choice("head.text_gaussian.mixing", self.mixing, MIXINGS)
        expect_choice("head.text_gaussian.prior", self.prior, PRIORS)
        expect_choice("head.text_gaussian.covariance", self.covariance, COVARIANCES[1:])


def _gaussians_of(support: Support) -> ClassGaussians:
    if support.context.gaussians is None:
        raise FewshotError(
            "head=text_gaussian",
            "this head needs Gaussians predicted from text, and the support comes without",
            "Mark classes as base, or bring a predictor along: text.predictor=FILE.",
        )
    return support.context.gaussians


def _measured(support: Support) -> tuple[Tensor | None, Tensor | None]:
    """Unbiased variances (E, N, D) of the shots and their numbers (E, N); None without any."""
    if support.features.shape[2] < 2:
        return None, None
    freedom = (support.counts - 1).clamp_min(1)[..., None]
    return support.deviations().square().sum(2) / freedom, support.counts
