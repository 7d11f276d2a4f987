"""Fractional probit regression with a prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

LARGEST = 5.0
# Variance of an error that is not binomial: without it a class with an error far above its small
# prediction would outweigh all others.
EXTRA_VARIANCE = 0.004


def fit_probit(
    x: NDArray,
    y: NDArray,
    weight: NDArray,
    prior: NDArray,
    precision: NDArray,
    iterations: int = 100,
) -> NDArray:
    r"""Coefficients b of ``E y = Phi(b_0 + x b)`` by penalised quasi-likelihood.

    Papke and Wooldridge, "Econometric Methods for Fractional Response Variables", 1996, with
    variance ``p (1 - p) + EXTRA_VARIANCE`` and a Gaussian prior of the coefficients; Fisher
    scoring.

    Parameters
    ----------
    x : ndarray of shape (M, P)
    y : ndarray of shape (M,), in [0, 1]
    weight : ndarray of shape (M,)
        In units of a Bernoulli trial's information.
    prior, precision : ndarray of shape (P + 1,)
        Mean and inverse variance, the intercept first.

    Returns
    -------
    ndarray of shape (P + 1,)
    """
    design = np.column_stack([np.ones(len(x)), x])
    b = prior.astype(np.float64).copy()
    # Start from the mean of y: the gradient vanishes in the tails, where the prior may be.
    if weight.sum() > 0:
        average = np.clip(np.average(y, weights=weight), 0.01, 0.99)
        b[0] += ndtri(average) - np.average(design @ b, weights=weight)
    for _ in range(iterations):
        eta = np.clip(design @ b, -LARGEST, LARGEST)
        mean = ndtr(eta)
        density = np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi)
        share = weight * density / (mean * (1 - mean) + EXTRA_VARIANCE)
        gradient = design.T @ (share * (y - mean)) - precision * (b - prior)
        information = design.T @ (design * (share * density)[:, None]) + np.diag(precision)
        step = np.linalg.solve(information, gradient)
        size = float(np.abs(step).max())
        b = b + step * min(1.0, 0.5 / size if size > 0 else 1.0)
        if size < 1e-7:
            break
    return b
