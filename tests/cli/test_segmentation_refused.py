"""Settings of segmentation that are refused: one line, exit code 2, no folder of a run."""

import numpy as np
import pytest
from PIL import Image

NETWORK = """
from torch import nn

def network():
    return nn.Conv2d(3, 4, 8, stride=8)
"""
FOLDER = ("task=segmentation", "dataset=folder", "dataset.root=annotated", "backbone=callable",
          "backbone.target=tiny_dense:network", "segmentation.size=native", "episodes.shots=1",
          "episodes.count=2", "head=pixel_lda", "threads=1")  # fmt: skip


@pytest.fixture(autouse=True)
def annotated(tmp_path, monkeypatch):
    """Six images of two classes in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny_dense.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / "annotated" / name).mkdir(parents=True)
    for number in range(6):
        mask = (rng.random((24, 32)) < 0.3).astype(np.uint8)
        pixels = rng.integers(0, 200, (24, 32, 3), dtype=np.uint8) + 50 * mask[..., None]
        Image.fromarray(pixels.astype(np.uint8)).save(f"annotated/images/{number}.png")
        Image.fromarray(mask).save(f"annotated/masks/{number}.png")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("episodes.sampler=per_clas", ("episodes.sampler", "Did you mean 'per_class'")),
        ("episodes.sampler=null", ("episodes.sampler", "got None")),
        ("episodes.shots=[1,2,1]", ("episodes.shots", "1 twice")),
        ("+dataset.binry=true", ("dataset: 'folder' has no setting", "Did you mean 'binary'")),
        ("dataset.subset=train", ("dataset.subset: expected all", "train.txt")),
        ("dataset.palette=annotated", ("dataset.palette: expected a file, got a folder",)),
        ("dataset.classnames=annotated", ("dataset.classnames", "got a folder: 'annotated'")),
        ("episodes.path=nowhere", ("episodes.path: cannot use 'nowhere': No such file",)),
        ("episodes.path=annotated", ("episodes.path: expected a file, got a folder",)),
        ("episodes.path=tiny_dense.py", ("tiny_dense.py: cannot be read", "has in episodes/")),
    ],
)
def test_one_line(refusal, setting, words):
    line = refusal(*FOLDER, setting)
    assert all(word in line for word in words), line
