"""Gaussians of classes for heads that want them."""

import pytest

from fewshot.testing.gaussians import class_gaussians


@pytest.fixture(scope="session")
def make_gaussians():
    """Function that makes class Gaussians around means; see ``class_gaussians``."""
    return class_gaussians
