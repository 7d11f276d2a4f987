"""Settings of masks are nothing to data sets of images with labels."""

import numpy as np
from PIL import Image

from fewshot.datasets import MASKS, load_dataset
from fewshot.paths import option


def test_folders_of_classes_stay_as_they_are(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / name / "a.png")
    plain = load_dataset({"kind": "folder", "name": "pets", "root": str(tmp_path)})
    settings = {**option("dataset", "folder"), "name": "pets", "root": str(tmp_path)}
    assert settings.keys() >= MASKS
    masked = settings | {"binary": True, "group": "^a", "ignore_index": 3}
    for data in (load_dataset(settings), load_dataset(masked)):
        assert data.fingerprint() == plain.fingerprint()
        assert data.classnames == plain.classnames
