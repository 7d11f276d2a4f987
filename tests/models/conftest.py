"""Classifiers of features and of images, and a network that takes no time."""

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import fewshot
from fewshot.features import make_bank

TINY = "callable:tiny_net:network"
NAMES = ("a|b", "*c*", "d")
NETWORK = '''\
import torch


class Means(torch.nn.Module):
    """Means of 4 x 4 patches through a fixed linear map: (B, 3, 16, 16) to (B, 12)."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.map = torch.nn.Parameter(torch.randn(48, 12, generator=generator) / 7)

    def forward(self, images):
        return torch.nn.functional.avg_pool2d(images, 4).flatten(1) @ self.map


def network():
    return Means()
'''


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
    return fewshot.fit(photos, backbone=TINY, size=16, head="ncm")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A folder of 3 classes x 5 noisy images, and settings of a network that tells them apart."""
    folder = tmp_path_factory.mktemp("colours")
    (folder / "means_net.py").write_text(NETWORK)
    rng = np.random.default_rng(3)
    for name, colour in (("blue", (40, 60, 200)), ("green", (50, 190, 70)), ("red", (210, 50, 60))):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = (np.array(colour) + rng.normal(0, 25, (16, 16, 3))).clip(0, 255)
            file = folder / "images" / name / f"{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    paths = sorted((folder / "images").rglob("*.png"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("FEWSHOT_CACHE", str(folder / "cache"))
        yield SimpleNamespace(
            folder=folder / "images",
            paths=paths,
            labels=np.array([path.parent.name for path in paths]),
            network={"backbone": "callable:means_net:network", "size": 16},
            cache=folder / "cache",
        )
    sys.modules.pop("means_net", None)


@pytest.fixture
def kept(colours, monkeypatch):
    """The cache of the module, in place of that of the test."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(colours.cache))
