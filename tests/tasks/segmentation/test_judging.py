"""The pass over queries, and what it keeps on disk while it goes on."""

import os
import shutil
import time

import numpy as np
import pytest
import torch

import fewshot
from fewshot.tasks.segmentation import judging
from fewshot.tasks.segmentation.annotated import AnnotatedImages, DrawnImages
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.heads.base import DenseSupport
from fewshot.tasks.segmentation.heads.prototype import Prototype
from fewshot.tasks.segmentation.judging import FittedCell, QueryPass
from fewshot.tasks.segmentation.masks import load_masks
from fewshot.tasks.segmentation.sampling import DrawSampling

CPU = torch.device("cpu")


@pytest.fixture
def query_pass(scenes_folder, network, tmp_path, monkeypatch):
    """Makes passes of one fitted head over 12 queries, in files of 3 images."""
    monkeypatch.setattr(judging, "IMAGES_PER_FILE", 3)
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    features = DenseFeatures(fewshot.backbones.load(network), "short:64", 8)
    drawn = DrawSampling(shots=(1,), count=1).draw(dataset, 0)[0]
    source = AnnotatedImages(dataset, DenseBank(tmp_path / "banks", features, dataset.images), CPU)
    head = Prototype().fit(DenseSupport(DrawnImages(source, drawn, 0), drawn.ways))
    cells = [FittedCell(drawn, [head])]
    return lambda kept=None: QueryPass(dataset, features, cells, CPU, kept=kept)


def interrupted(query_pass, kept):
    """A folder of what a pass has kept before it was killed: 9 of 12 images."""
    images = query_pass(kept)._counted(1)
    for _ in range(7):
        next(images)
    images.close()
    assert len(list(kept.iterdir())) == 3


def test_images_that_another_process_has_removed_are_judged_again(query_pass, tmp_path):
    """Two runs of the same cells share the folder, and the first to finish removes it."""
    expected, kept = query_pass().run(1)[0].counts, tmp_path / "kept"
    interrupted(query_pass, kept)
    again = query_pass(kept)
    images = again._counted(1)
    rows = [next(images)]
    shutil.rmtree(kept)
    rows += list(images)
    assert [row for row, _ in rows] == again.rows
    counts = np.stack([judging.counts_of(counted.counts[0]) for _, counted in rows])
    assert (counts == expected[0]).all()


def test_a_folder_that_cannot_be_written_loses_no_row(query_pass, tmp_path):
    expected, kept = query_pass().run(1)[0].counts, tmp_path / "kept"
    kept.write_text("a file where the folder would be")
    assert (query_pass(kept).run(1)[0].counts == expected).all()


def test_kept_images_are_not_all_in_memory(query_pass, tmp_path, monkeypatch):
    kept, recalled, read = tmp_path / "kept", QueryPass._recalled, []
    interrupted(query_pass, kept)
    monkeypatch.setattr(
        QueryPass, "_recalled", lambda self, n, block: read.append(n) or recalled(self, n, block)
    )
    images = query_pass(kept)._counted(1)
    next(images)
    assert read == [0, 1, 2, 3, 0]  # looked for, and the first one read
    for _ in range(3):
        next(images)
    assert read[5:] == [1]


def test_what_nobody_has_gone_on_with_is_removed(tmp_path):
    for name, days in (("old", 8), ("new", 6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000.npz").write_bytes(b"counts")
        then = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (then, then))
    judging.forget_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    judging.forget_abandoned(tmp_path / "none")
