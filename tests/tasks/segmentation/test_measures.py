"""Measures of segmentation against slow references."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from fewshot.tasks.segmentation.boundary import boundary_counts, boundary_width
from fewshot.tasks.segmentation.measures import (
    class_iou,
    counts_of,
    dice,
    fb_iou,
    miou,
    miou_by_class,
    pixel_accuracy,
)


def labels(seed=0, ways=4, size=2000):
    rng = np.random.default_rng(seed)
    truth = rng.integers(ways, size=size)
    predicted = np.where(rng.random(size) < 0.6, truth, rng.integers(ways, size=size))
    return truth, predicted


def counted(truth, predicted, ways):
    confusion = np.zeros((ways, ways), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    return counts_of(confusion)


def test_measures_are_those_of_scikit_learn():
    truth, predicted = labels()
    counts = counted(truth, predicted, 4)
    assert np.allclose(class_iou(counts), jaccard_score(truth, predicted, average=None))
    assert np.isclose(miou(counts), jaccard_score(truth, predicted, average="macro"))
    assert np.isclose(dice(counts), f1_score(truth, predicted, average="macro"))
    assert np.isclose(pixel_accuracy(counts), accuracy_score(truth, predicted))


def test_classes_that_the_truth_lacks_do_not_count():
    truth, predicted = labels(ways=3)
    predicted = np.where(predicted == 2, 4, predicted)  # predicted, never true
    iou = class_iou(counted(truth, predicted, 6))
    assert np.isnan(iou[3:]).all()
    assert iou[2] == 0
    assert np.isclose(miou(counted(truth, predicted, 6)), np.mean(iou[:3]))


def test_without_any_pixel_nothing_is_defined():
    counts = np.zeros((2, 3, 4), dtype=np.int64)
    for measure in (miou, dice, pixel_accuracy):
        assert np.isnan(measure(counts)).all()


def test_fb_iou_takes_all_other_classes_together():
    truth, predicted = labels()
    expected = jaccard_score(truth > 0, predicted > 0, average="macro")
    # Confusion among foreground classes is none of it.
    ways = counted(truth, predicted, 4)
    assert np.isclose(fb_iou(ways, 0), expected)


def test_the_two_definitions_of_episodic_miou():
    # Class 7 in two episodes, class 3 in one; the sums are over a class's episodes.
    counts = np.array(
        [
            [[90, 10], [95, 12], [92, 15]],
            [[50, 5], [60, 40], [85, 15]],
            [[10, 70], [20, 80], [10, 90]],
        ]
    )
    each = miou(counts)
    seven = (10 + 5) / (12 + 40 + 15 + 15 - 15)
    three = 70 / (80 + 90 - 70)
    assert np.isclose(miou_by_class(counts, np.array([[7], [7], [3]])), (seven + three) / 2)
    assert not np.isclose(each.mean(), (seven + three) / 2)


@pytest.mark.parametrize("shape", [(40, 60), (120, 33)])
def test_boundary_iou_is_that_of_masks_minus_their_erosion(shape):
    rng, ways = np.random.default_rng(0), 3
    blocks = rng.integers(ways, size=(shape[0] // 8 + 1, shape[1] // 8 + 1))
    truth = np.kron(blocks, np.ones((8, 8), dtype=int))[: shape[0], : shape[1]]
    predicted = np.roll(truth, 2, axis=1)
    distance = boundary_width(*shape)
    counts = boundary_counts(torch.from_numpy(predicted), torch.from_numpy(truth), ways).numpy()
    square = np.ones((3, 3), dtype=bool)
    for way in range(ways):
        near = [
            (mask == way) & ~binary_erosion(mask == way, square, iterations=distance)
            for mask in (truth, predicted)
        ]
        assert counts[0, way] == (near[0] & near[1]).sum()
        assert counts[1, way] == near[0].sum()
        assert counts[2, way] == near[1].sum()


def test_ignored_pixels_are_in_no_boundary():
    truth = torch.zeros(30, 30, dtype=torch.int64)
    truth[:, 15:] = -1
    predicted = torch.zeros(30, 30, dtype=torch.int64)
    predicted[:, 20:] = 1
    counts = boundary_counts(predicted, truth, 2)
    assert counts[2, 1] == 0
