"""A small folder of generated scenes, and a network without weights."""

import sys

import pytest

from fewshot.tasks.segmentation.masks import load_masks
from fewshot.tasks.segmentation.masks.writing import write_folder

# Random filters at a stride of 8: enough to tell textures apart, and fast.
NETWORK = """
import torch
from torch import nn


class Filters(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("kernels", torch.randn(24, 3, 4, 4, generator=generator))

    def forward(self, images):
        maps = torch.relu(nn.functional.conv2d(images, self.kernels, stride=4))
        return nn.functional.avg_pool2d(maps, 2)


def filters():
    return Filters()
"""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is left in, or taken from, the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory):
    """24 images to draw from and 12 to judge, as a user's folder."""
    folder = tmp_path_factory.mktemp("scenes") / "shapes"
    dataset = load_masks({"kind": "scenes", "train": 24, "test": 12, "size": [64, 80]})
    write_folder(dataset, folder)
    return folder


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Name of a backbone of a module of its own."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "segmentation_filters.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    yield "callable:segmentation_filters:filters"
    sys.path.remove(str(folder))
