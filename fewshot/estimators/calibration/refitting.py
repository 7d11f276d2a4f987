"""Coefficients and residuals of ``auto``, fitted to episodes of base classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from fewshot.estimators.base import NO_BASE, BaseClasses
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


def rows_of(base: BaseClasses) -> tuple[dict[str, NDArray], float, Head]:
    """Covariates of the supports of base-class episodes, without and with base classes.

    Returns
    -------
    rows : dict of str to ndarray of shape (B, N, P)
        By regime, the one without base classes first; one entry if it is the same.
    shots : float
    head : Head
    """
    regimes: dict[str, int] = {}
    heads: list[Head] = []

    def covariates(support: Support, head: Head) -> Tensor:
        heads.append(head)
        pieces = []
        for knowledge in (NO_BASE, base):  # together, as both ask for scores of held-out shots
            regime = regime_of(support, head, knowledge)[0]
            x = Evidence(support, head, knowledge).stack(REGIMES[regime])
            regimes[regime] = x.shape[-1]
            pieces.append(x)
        shots = support.typical_shots[:, None, None].expand(-1, pieces[0].shape[1], 1)
        return torch.cat([*pieces, shots.double()], -1)

    every = base.map(covariates).numpy()
    rows, start = {}, 0
    for regime, width in regimes.items():
        rows[regime] = every[..., start : start + width]
        start += width
    return rows, round(float(every[0, 0, -1]), 6), heads[0]


@dataclass(frozen=True, eq=False)
class UnlabelledRows:
    """Base-class episodes with unlabelled images.

    Attributes
    ----------
    x : ndarray of shape (B, N, P)
        Covariates.
    regime : str
    shots, number : float
        Shots of a class, and unlabelled images over classes.
    measured : bool
        Whether the unlabelled images are the queries.
    outside, shift : ndarray of shape (B,)
        As of `UnlabelledEvidence`.
    """

    x: NDArray
    regime: str
    shots: float
    number: float
    measured: bool
    outside: NDArray
    shift: NDArray


def rows_with_unlabelled(base: BaseClasses) -> UnlabelledRows:
    """Covariates and facts of base-class episodes with unlabelled images."""
    facts: dict[tuple[str, bool], None] = {}

    def covariates(support: Support, head: Head, unlabelled: Unlabelled) -> Tensor:
        regime = regime_of(support, head, base, unlabelled=True)[0]
        facts[regime, unlabelled.measured] = None
        evidence = UnlabelledEvidence(support, head, base, unlabelled)
        x = evidence.stack(REGIMES[regime])
        number = unlabelled.counts / support.counts.shape[1]
        columns = [support.typical_shots, number, evidence.outside, evidence.shift]
        every = torch.stack([column.double() for column in columns], -1)
        return torch.cat([x, every[:, None].expand(-1, x.shape[1], -1)], -1)

    rows = base.map_unlabelled(covariates).numpy()
    ((regime, measured),) = facts
    shots, number, outside, shift = rows[:, 0, -4:].T
    return UnlabelledRows(
        rows[..., :-4],
        regime,
        round(float(shots[0]), 6),
        float(np.median(number)),
        measured,
        outside,
        shift,
    )


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
