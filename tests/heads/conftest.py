"""Gaussians of classes for heads that want them."""

import pytest
import torch

from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.mixing import Pool


def class_gaussians(means, generator):
    """Predictions near means (E, N, D), with pools that differ by covariance and prior."""

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    dim = means.shape[-1]
    pools = {
        (covariance, prior): Pool(
            doubt=0.5 + 0.2 * one,
            temper=0.1 + 0.1 * one,
            names=0.0 if prior == "regression" else 2.0 + one,
            regression=0.0 if prior == "names" else 0.7 + 0.3 * one,
        )
        for one, covariance in enumerate(COVARIANCES)
        for prior in PRIORS
    }
    return ClassGaussians(
        means=means + 0.7 * normal(*means.shape),
        variances=(0.3 * normal(*means.shape)).exp(),
        origin=0.2 * normal(dim),
        within=(0.2 * normal(dim)).exp(),
        doubt=0.5 * (0.2 * normal(dim)).exp(),
        freedom=6.0,
        factor=0.3 * normal(dim, 3),
        pools=pools,
    )


@pytest.fixture(scope="session")
def make_gaussians():
    """Function that makes class Gaussians around means; see ``class_gaussians``."""
    return class_gaussians
