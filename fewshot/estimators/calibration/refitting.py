"""Coefficients and residuals of ``auto``, fitted to episodes of base classes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.covariates import Evidence
from fewshot.estimators.calibration.intervals import Residuals, blended, new_classes
from fewshot.estimators.calibration.probit import fit_probit
from fewshot.estimators.calibration.regimes import REGIMES, regime_of
from fewshot.estimators.calibration.transferred import Model
from fewshot.estimators.calibration.unlabelled_covariates import UnlabelledEvidence
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Support

# Of the prior around the transferred coefficients: intercept, slopes of standardised covariates.
PRECISION = (0.3, 3.0)


def rows_of(base: BaseClasses, knowledge: BaseClasses) -> tuple[NDArray, str, float]:
    """Covariates (B, N, P) of the supports of base-class episodes, their regime, and shots."""
    regimes: dict[str, None] = {}

    def covariates(support: Support, head: Head) -> Tensor:
        regime = regime_of(support, head, knowledge)[0]
        regimes[regime] = None
        return _with_shots(Evidence(support, head, knowledge).stack(REGIMES[regime]), support)

    rows = base.map(covariates).numpy()
    (regime,) = regimes
    return rows[..., :-1], regime, round(float(rows[0, 0, -1]), 6)


def rows_with_unlabelled(base: BaseClasses) -> tuple[NDArray, str, float, float, bool]:
    """As `rows_of`, with unlabelled images: and how many of a class, and if they are measured."""
    facts: dict[tuple[str, bool], None] = {}

    def covariates(support: Support, head: Head, unlabelled: Unlabelled) -> Tensor:
        regime = regime_of(support, head, base, unlabelled=True)[0]
        facts[regime, unlabelled.measured] = None
        evidence = UnlabelledEvidence(support, head, base, unlabelled)
        x = _with_shots(evidence.stack(REGIMES[regime]), support)
        number = (unlabelled.counts / support.counts.shape[1])[:, None, None].double()
        return torch.cat([x, number.expand(-1, x.shape[1], 1)], -1)

    rows = base.map_unlabelled(covariates).numpy()
    ((regime, measured),) = facts
    shots, number = float(rows[0, 0, -2]), float(np.median(rows[:, 0, -1]))
    return rows[..., :-2], regime, round(shots, 6), number, measured


def _with_shots(x: Tensor, support: Support) -> Tensor:
    shots = support.typical_shots[:, None, None].expand(-1, x.shape[1], 1)
    return torch.cat([x, shots.double()], -1)


def refit(model: Model, x: NDArray, shots: float, actual: NDArray, members: NDArray) -> Model:
    """Fit coefficients and residuals to base-class episodes of one number of shots.

    Parameters
    ----------
    model : Model
        The transferred model: the mean of the prior.
    x : ndarray of shape (B, N, P)
    shots : float
    actual : ndarray of shape (B, N)
        Error of every class.
    members : ndarray of shape (B, N)
        Class numbers.
    """
    z = model.standardise(x)
    classes = len(np.unique(members))
    precision = np.full(z.shape[-1] + 1, PRECISION[1])
    precision[0] = PRECISION[0]
    coefficients = fit_probit(
        z.reshape(-1, z.shape[-1]),
        actual.reshape(-1),
        np.full(actual.size, classes / actual.size),
        model.coefficients_at(np.array([shots]))[0],
        precision,
    )
    by_class = ndtr(coefficients[0] + z @ coefficients[1:])
    predicted = by_class.mean(-1)
    inflation = new_classes(predicted, actual, members, by_class)
    residuals = Residuals.of(predicted, actual.mean(-1), inflation)
    quantiles = blended(residuals, model.residuals_at(shots), classes).quantiles
    return model.with_row(shots, coefficients, quantiles)
