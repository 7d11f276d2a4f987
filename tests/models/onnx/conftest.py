"""Classifiers of images and of features that are fitted once, and the folder of the images."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)

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
        return fit(
            str(folder / "photos"), backbone="callable:onnx_colours:network", head="ridge", size=32
        )


@pytest.fixture(scope="session")
def samples():
    """Features (18, 6) of three classes, with labels."""
    rng = np.random.default_rng(1)
    labels = np.repeat(["a", "b", "c"], 6)
    centres = np.repeat(rng.normal(size=(3, 6)), 6, 0)
    features = (centres + rng.normal(size=(18, 6)) / 2).astype(np.float32)
    return SimpleNamespace(features=features, labels=labels)


@pytest.fixture(scope="session")
def fit_head(samples):
    """Function that fits a head on features."""
    from fewshot.models.classifier import Classifier

    return lambda head: Classifier(None, head).fit(samples.features, samples.labels)


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
