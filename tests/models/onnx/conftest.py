"""Classifiers of images and of features that are fitted once, and the folder of the images."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

NETWORK = """\
import torch
from torch import nn


class Colours(nn.Module):
    def __init__(self, dims=12):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("kernels", torch.randn(dims, 3, 4, 4, generator=generator))

    def forward(self, images):
        maps = torch.relu(nn.functional.conv2d(images, self.kernels, stride=4))
        return maps.mean((2, 3))


class Sorted(Colours):
    def forward(self, images):
        features = super().forward(images)
        return torch.linalg.lstsq(features.mT, features.mT).solution[:, :1] + features


def network():
    return Colours()


def untraceable():
    return Sorted()
"""


NETWORK_NAME = "callable:onnx_colours:network"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """``photos/`` with three classes of five images of several sizes, and a tiny network."""
    made = tmp_path_factory.mktemp("onnx")
    (made / "onnx_colours.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (40, 60, 190)), ("green", (50, 170, 60)), ("red", (190, 50, 40))):
        (made / "photos" / name).mkdir(parents=True)
        for number in range(5):
            shape = (*rng.integers(20, 90, 2), 3)
            pixels = np.array(colour) + rng.normal(0, 50, shape)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(made / "photos" / name / f"{number}.png")
    return made


@pytest.fixture(scope="session")
def of_images(folder):
    """A classifier of images, by a head that is linear."""
    from fewshot.models.fit import fit

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(folder / "cache"))
        patch.syspath_prepend(str(folder))
        classifier = fit(str(folder / "photos"), backbone=NETWORK_NAME, head="ridge", size=32)
    # As ONNX computes; some machines would take bfloat16.
    classifier.network_ = classifier.network_.at("float32")
    return classifier


@pytest.fixture(scope="session")
def of_image(of_images, folder):
    """The ONNX file of it, from images."""
    of_images.to_onnx(folder / "image.onnx")
    return folder / "image.onnx"


@pytest.fixture(scope="session")
def fit_head(make_bank_of):
    """Function that fits a head on features (15, 8) of three classes."""
    import fewshot

    def fit(head):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few shots
            return fewshot.fit(make_bank_of(), head=head)

    return fit


@pytest.fixture
def run():
    """Function that runs an ONNX file: probabilities, scores and labels."""
    import onnxruntime

    def run_file(path, inputs):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        outputs = session.run(["probabilities", "scores", "label"], {name: inputs})
        return SimpleNamespace(**dict(zip(("probabilities", "scores", "label"), outputs,
                                          strict=True)))  # fmt: skip

    return run_file
