"""Annotated scenes and new images in folders, and a network without weights."""

from types import SimpleNamespace

import pytest

from fewshot.tasks.segmentation.masks.scenes import load_scenes
from fewshot.tasks.segmentation.masks.writing import write_folder

# Local colour at a stride of 8.
NETWORK = """\
import torch
from torch import nn


class Colours(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("kernels", torch.randn(24, 3, 4, 4, generator=generator))

    def forward(self, images):
        maps = torch.relu(nn.functional.conv2d(images, self.kernels, stride=4))
        return nn.functional.avg_pool2d(maps, 2)


def network():
    return Colours()
"""
BACKBONE = "callable:local_colours:network"


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder with ``annotated/`` (images/, masks/) and ``new/`` with images in two folders."""
    folder = tmp_path_factory.mktemp("segment")
    dataset = load_scenes(train=7, test=3, size=(96, 128), seed=1)
    (folder / "local_colours.py").write_text(NETWORK)
    write_folder(dataset, folder / "annotated")
    for row, name in zip(dataset.queries, ("a/1.jpg", "a/2.bmp", "b/1.jpg"), strict=True):
        file = folder / "new" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        dataset.images.read(int(row)).save(file)
    return SimpleNamespace(folder=folder, dataset=dataset)


@pytest.fixture
def at_scenes(scenes, tmp_path, monkeypatch):
    """`scenes`, with that folder as the current one, and the cache in a folder of its own."""
    monkeypatch.chdir(scenes.folder)
    monkeypatch.syspath_prepend(str(scenes.folder))
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    return scenes
