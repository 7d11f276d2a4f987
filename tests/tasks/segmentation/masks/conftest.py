"""Small folders of images and masks."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.paths import Places
from fewshot.tasks.segmentation.masks import load_masks

SIZE = (12, 10)  # width and height


def picture(seed, size=SIZE):
    """An image of noise, its own for every seed."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def mask_of(values, size=SIZE):
    """Class numbers that fill a mask in stripes, every value as often as the others."""
    rows = np.resize(values, size[0])
    return np.tile(np.asarray(rows), (size[1], 1))


def save(path, image):
    """Save an image, or an array, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path)
    return path


class Folder:
    """A folder of images and masks under construction."""

    picture, mask_of, save = staticmethod(picture), staticmethod(mask_of), staticmethod(save)

    def __init__(self, root):
        self.root = Path(root)

    def pair(self, name, mask, image=None, images="images", masks="masks"):
        """An image, and its mask: an image, or class numbers."""
        save(self.root / images / f"{name}.png", image or picture(zlib.crc32(name.encode())))
        if isinstance(mask, np.ndarray) and mask.dtype == np.int64:
            mask = mask.astype(np.uint8)
        save(self.root / masks / f"{name}.png", mask)

    def write(self, name, text):
        """A file of text."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def load(self, places=None, **settings):
        """The data set of the folder."""
        return load_masks({"kind": "folder", "root": str(self.root), **settings}, places)


@pytest.fixture
def folder(tmp_path):
    """A folder without anything in it."""
    (tmp_path / "set").mkdir()
    return Folder(tmp_path / "set")


@pytest.fixture
def streets(folder):
    """Four images of three classes, of which two are learned from and two are segmented."""
    for name in ("a_1", "a_2", "b_1", "b_2"):
        folder.pair(name, mask_of([0, 1, 2, 255]))
    folder.write("classes.txt", "road\nsky\ncar\n")
    folder.write("train.txt", "a_1\na_2\n")
    folder.write("test.txt", "b_1\nb_2\n")
    return folder


@pytest.fixture
def places(tmp_path):
    """Folders of the test's own."""
    return Places(tmp_path / "cache", tmp_path / "weights", tmp_path / "data")
