"""Class means and log-variances by ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from torch import Tensor

from fewshot.text.gaussians.predictors.base import BaseMoments, TextPredictor
from fewshot.text.gaussians.regression import RidgeFit, ridge

PARTS = ("weights", "inputs_mean", "targets_mean")


class RidgePredictor(TextPredictor):
    r"""Two ridge regressions, one of the means and one of the log-variances.

    In place of the networks of Bendou et al., "Inferring Latent Class Statistics from Text for
    Robust Visual Few-Shot Learning", 2023: in closed form, deterministic, and with predictions of
    the base classes that do not know them at no cost. Log-variances keep variances positive.

    Parameters
    ----------
    rank : int, optional
        Reduced-rank regression of both; full rank by default.

    Attributes
    ----------
    means_, log_variances_ : RidgeFit
    """

    name: ClassVar[str] = "ridge"

    def __init__(self, rank: int | None = None) -> None:
        self.rank = rank

    def fit(self, text: Tensor, moments: BaseMoments) -> Self:
        """Choose penalties by leaving one class out; errors of means count in units of spread."""
        text = text.double()
        self.means_ = ridge(text, moments.means, weights=1 / moments.pooled, rank=self.rank)
        self.log_variances_ = ridge(text, moments.log_variances(), rank=self.rank)
        self.held_out_means_ = self.means_.held_out
        self.held_out_log_variances_ = self.log_variances_.held_out
        return self

    def predict(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (M, D) of text vectors (M, P)."""
        text = text.double()
        return self.means_.predict(text), self.log_variances_.predict(text)

    def tensors(self) -> dict[str, Tensor]:
        """Coefficients and means of both regressions."""
        fits = {"means": self.means_, "log_variances": self.log_variances_}
        return {f"{key}.{part}": getattr(fit, part) for key, fit in fits.items() for part in PARTS}

    def load(self, tensors: Mapping[str, Tensor]) -> Self:
        """Restore the fitted tensors from ``tensors``."""
        made = []
        for key in ("means", "log_variances"):
            weights, inputs, targets = (tensors[f"{key}.{part}"] for part in PARTS)
            made.append(RidgeFit(weights, inputs, targets, float("nan"), targets[None][:0]))
        self.means_, self.log_variances_ = made
        return self
