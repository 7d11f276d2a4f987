"""A small folder of generated scenes, and a network without weights."""

import pytest
import torch
from torch import nn

from fewshot.tasks.segmentation.masks import load_masks
from fewshot.tasks.segmentation.masks.writing import write_folder


def colours():
    """Local colour at a stride of 8: enough to tell textures apart, and fast."""

    class Colours(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.register_buffer("kernels", torch.randn(24, 3, 4, 4, generator=generator))

        def forward(self, images):
            maps = torch.relu(nn.functional.conv2d(images, self.kernels, stride=4))
            return nn.functional.avg_pool2d(maps, 2)

    return Colours()


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory):
    """24 images to draw from and 12 to judge, as a user's folder."""
    folder = tmp_path_factory.mktemp("scenes") / "shapes"
    dataset = load_masks({"kind": "scenes", "train": 24, "test": 12})
    write_folder(dataset, folder)
    return folder
