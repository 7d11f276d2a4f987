"""Generated scenes."""

import numpy as np
import pytest

from fewshot.datasets import PLUGGED, kinds, load_dataset
from fewshot.exceptions import FewshotError
from fewshot.paths import option
from fewshot.registry import Entry
from fewshot.tasks.segmentation.masks import load_masks
from fewshot.tasks.segmentation.masks.scenes import BACKGROUNDS, CLASSES, load_scenes

SMALL = {"kind": "scenes", "size": [64, 80]}


def test_the_defaults_are_those_of_the_configuration():
    data = load_masks(option("dataset", "scenes"))
    assert (len(data.support), len(data.queries)) == (80, 30)
    assert data.classnames == CLASSES
    assert len(set(data.images.paths)) == 110


def test_scenes_are_the_same_for_the_same_seed():
    first, again, other = (load_masks({**SMALL, "seed": seed}) for seed in (3, 3, 4))
    # In another order, as readers do, and whatever the numbers of images are.
    more = load_masks({**SMALL, "seed": 3, "train": 81, "test": 2})
    for row in (81, 0, 1):
        same = row + 1 if row >= 80 else row
        assert first.images.read(row).tobytes() == more.images.read(same).tobytes()
        np.testing.assert_array_equal(first.read_mask(row), again.read_mask(row))
        assert first.images.read(row).tobytes() != other.images.read(row).tobytes()
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()
    assert first.images.fingerprint() != other.images.fingerprint()


def test_every_image_differs_and_fits_its_mask():
    data = load_masks({**SMALL, "train": 6, "test": 4})
    pictures = set()
    for row in range(10):
        image, mask = data.images.read(row), data.read_mask(row)
        assert mask.shape == image.size[::-1]
        assert all(64 <= side <= 80 for side in image.size)
        assert 0 <= mask.min() <= mask.max() < len(CLASSES)
        pictures.add(image.tobytes())
    assert len(pictures) == 10
    assert len({data.images.read(row).size for row in range(10)}) > 1


def test_all_classes_are_there_and_some_are_rare():
    images = (load_masks({**SMALL, "train": 40}).presence() > 0).sum(0)
    assert images.min() >= 5  # of 70
    assert images[-1] < images[len(BACKGROUNDS)] / 1.5


@pytest.mark.parametrize(
    ("setting", "value"),
    [("seed", -1), ("train", 0), ("test", 0), ("size", 64), ("size", [80, 64]), ("size", [8, 9])],
)
def test_wrong_settings(setting, value):
    with pytest.raises(FewshotError, match=rf"dataset\.{setting}"):
        load_masks({**SMALL, setting: value})


def test_scenes_have_no_classes_of_whole_images():
    with pytest.raises(FewshotError, match="task=segmentation"):
        load_dataset(option("dataset", "scenes"))


def test_kinds_without_masks_are_named():
    with pytest.raises(FewshotError, match=r"'digits' has no masks.*folder, huggingface, scenes"):
        load_masks({"kind": "digits"})
    with pytest.raises(FewshotError, match=r"dataset\.kind.*'scene'"):
        load_masks({"kind": "scene"})


def masked_by_a_package(train=2, seed=0):
    """A loader of another package."""
    return load_scenes(train=train, seed=seed, test=1, size=(32, 40))


def test_data_sets_of_other_packages(monkeypatch):
    entry = Entry(
        "seen", masked_by_a_package, package="seen-package", kind="dataset.kind", summary=""
    )
    monkeypatch.setitem(kinds._entries, "seen", entry)
    settings = {"kind": "seen", "train": 3, **PLUGGED}
    assert len(load_masks(settings)) == 4
    with pytest.raises(FewshotError, match="ImageDataset"):
        load_dataset(settings)
