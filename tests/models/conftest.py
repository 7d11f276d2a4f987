"""Features of three classes, and classifiers that are fitted on them and on images."""

import warnings

import numpy as np
import pytest

import fewshot
from fewshot.features import make_bank

NETWORK = "callable:tiny_net:network"
NAMES = ("a|b", "*c*", "d")


def bank_of(names=NAMES, counts=(5, 4, 6), dim=8, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(names)), counts)
    features = rng.normal(size=(len(names), dim))[labels] + 0.7 * rng.normal(
        size=(len(labels), dim)
    )
    return make_bank(features.astype(np.float32), labels, list(names))


@pytest.fixture(scope="session")
def make_bank_of():
    """Function that makes a bank; see ``bank_of``."""
    return bank_of


@pytest.fixture(scope="session")
def queries():
    """Features of nine new rows, of the dimensions of `bank_of`."""
    return np.random.default_rng(1).normal(size=(9, 8)).astype(np.float32)


@pytest.fixture(scope="session")
def fitted():
    """A classifier of features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fewshot.fit(bank_of(), head="lda")


@pytest.fixture
def on_images(make_images, tiny_net, workplace):
    """A classifier of images of 3 classes, by a network of the current folder."""
    photos = make_images(workplace / "coloured", classes=3, images=4)
    return fewshot.fit(photos, backbone=NETWORK, size=16, head="ncm")
