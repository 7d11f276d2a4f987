"""Pixels counted without native scores, against an argmax of native scores; and the adjoint."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from fewshot.tasks.segmentation import cells, counting
from fewshot.tasks.segmentation.cells import Truth
from fewshot.tasks.segmentation.counting import confusions, segmented
from fewshot.tasks.segmentation.dense.bilinear import Placement, soft_labels, upsampled

# Native size, resized, stride and grid: enlarged, shrunk, padded, a single token, non-square.
PLACEMENTS = [
    Placement((64, 96), (64, 96), 16, (4, 6)),
    Placement((37, 53), (64, 92), 16, (4, 6)),
    Placement((100, 75), (50, 38), 16, (4, 3)),
    Placement((9, 9), (32, 32), 16, (2, 2)),
    Placement((20, 30), (10, 15), 16, (1, 1)),
    Placement((61, 40), (70, 46), 14, (5, 4)),
]
NAMES = [f"{p.native}-{p.grid}" for p in PLACEMENTS]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def native_confusion(scores, mask, ways, placement):
    """(N, N) by scikit-learn, from the scores (rows, columns, N) at every native pixel."""
    answer = upsampled(scores.permute(2, 0, 1), placement).argmax(0)
    known = (mask >= 0) & (mask < ways)
    return confusion_matrix(mask[known], answer[known], labels=range(ways))


@pytest.mark.parametrize("placement", PLACEMENTS, ids=NAMES)
@pytest.mark.parametrize("ways", [2, 5])
@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "rough"])
def test_confusions_are_those_of_an_argmax_at_every_native_pixel(placement, ways, smooth):
    scores = torch.randn(*placement.grid, 3, ways, generator=generator())
    if smooth:  # cells of one answer, and of two
        scores = scores.cumsum(0).cumsum(1)
    mask = torch.randint(-1, ways + 1, placement.native, generator=generator(1))
    counted = confusions(scores, Truth.of(mask, ways, placement)).numpy()
    for head in range(3):
        expected = native_confusion(scores[:, :, head], mask, ways, placement)
        assert (counted[head] == expected).all()


def test_confusions_of_many_classes_few_of_which_the_mask_shows():
    placement, ways = PLACEMENTS[1], 40
    scores = torch.randn(*placement.grid, 2, ways, generator=generator())
    mask = torch.where(torch.arange(53) < 20, 7, 33).expand(37, 53)
    counted = confusions(scores, Truth.of(mask, ways, placement)).numpy()
    assert (counted[0] == native_confusion(scores[:, :, 0], mask, ways, placement)).all()
    assert counted.sum() == 2 * mask.numel()


@pytest.mark.parametrize("ways", [3, 9, 15, 40])
def test_no_pixel_is_lost_where_several_classes_are_equal(ways):
    """As with votes of neighbours: at such pixels rounding decides, and against every class."""
    placement = Placement((57, 46), (57, 46), 2, (29, 23))
    scores = torch.randint(0, 4, (29, 23, 4000 // ways**2 + 10, ways), generator=generator())
    scores = scores.float() / 3
    mask = torch.randint(0, ways, placement.native, generator=generator(1))
    truth = Truth.of(mask, ways, placement)
    counted = confusions(scores, truth)
    assert (counted >= 0).all() and (counted.sum(2) == truth.totals()).all()


@pytest.mark.parametrize("spread", [0.02, 1.0], ids=["many near the best", "rough"])
def test_many_classes_are_compared_in_blocks(spread, monkeypatch):
    placement, ways = PLACEMENTS[5], 300
    scores = torch.randn(*placement.grid, 1, ways, generator=generator()) * spread
    scores += torch.randn(ways, generator=generator(1)) * 0.05
    mask = torch.randint(0, 5, placement.native, generator=generator(2)) * 60
    monkeypatch.setattr(counting, "BLOCK", 2**19)
    compared, beaten = [], counting._beaten

    def recorded(mixed, chosen, classes):
        compared.append(4 * classes.shape[1] ** 2 * len(chosen))
        return beaten(mixed, chosen, classes)

    monkeypatch.setattr(counting, "_beaten", recorded)
    found = confusions(scores, Truth.of(mask, ways, placement))[0].numpy()
    assert (found == native_confusion(scores[:, :, 0], mask, ways, placement)).all()
    assert compared and max(compared) <= 2**19


def test_sums_that_float32_would_round_are_those_of_float64(monkeypatch):
    placement, ways = PLACEMENTS[0], 3
    scores = torch.randn(*placement.grid, 2, ways, generator=generator())
    mask = torch.randint(-1, ways, placement.native, generator=generator(1))
    few = Truth.of(mask, ways, placement)
    expected = confusions(scores, few)
    monkeypatch.setattr(cells, "EXACT", mask.numel() - 1)
    many = Truth.of(mask, ways, placement)
    assert few.counts.dtype == torch.float32 and many.counts.dtype == torch.float64
    assert torch.equal(confusions(scores, many), expected)


@pytest.mark.parametrize("largest", [1, 300, 5000])
def test_large_images_are_counted_in_parts(monkeypatch, largest):
    placement, ways = PLACEMENTS[1], 5
    scores = torch.randn(*placement.grid, 3, ways, generator=generator())
    mask = torch.randint(-1, ways, placement.native, generator=generator(1))
    truth = Truth.of(mask, ways, placement)
    whole = confusions(scores, truth)
    monkeypatch.setattr("fewshot.tasks.segmentation.cells.LARGEST", largest)
    assert len(list(truth.bands())) > 1
    assert (confusions(scores, truth) == whole).all()


def test_equal_scores_go_to_the_first_class():
    placement = PLACEMENTS[0]
    mask = torch.zeros(placement.native, dtype=torch.int64)
    counted = confusions(torch.zeros(*placement.grid, 1, 3), Truth.of(mask, 3, placement))
    assert counted[0, 0].tolist() == [mask.numel(), 0, 0]


def test_an_ignored_mask_counts_nothing():
    placement = PLACEMENTS[1]
    truth = Truth.of(torch.full(placement.native, -1), 3, placement)
    assert confusions(torch.randn(*placement.grid, 2, 3), truth).sum() == 0
    assert truth.totals().tolist() == [0, 0, 0]


def test_segmented_is_the_argmax_at_every_native_pixel():
    placement = PLACEMENTS[5]
    scores = torch.randn(*placement.grid, 4, generator=generator())
    expected = upsampled(scores.permute(2, 0, 1), placement).argmax(0)
    assert (segmented(scores, placement) == expected).all()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsampling_is_that_of_torch_without_aligned_corners(factor):
    rows, columns = 5, 7
    native = (rows * 16 * factor, columns * 16 * factor)
    placement = Placement(native, (rows * 16, columns * 16), 16, (rows, columns))
    scores = torch.randn(1, 3, rows, columns, generator=generator())
    expected = torch.nn.functional.interpolate(scores, native, mode="bilinear")
    assert (upsampled(scores, placement) - expected).abs().max() < 1e-5


def test_upsampling_of_padded_images_is_that_of_torch_cut_off():
    whole = Placement((64, 96), (64, 96), 16, (4, 6))
    scores = torch.randn(4, 6, generator=generator())
    expected = torch.nn.functional.interpolate(scores[None, None], (64, 96), mode="bilinear")[0, 0]
    cut = Placement((57, 90), (57, 90), 16, (4, 6))
    assert torch.equal(upsampled(scores, cut), upsampled(scores, whole)[:57, :90])
    assert (upsampled(scores, cut) - expected[:57, :90]).abs().max() < 1e-5


@pytest.mark.parametrize("placement", PLACEMENTS, ids=NAMES)
def test_soft_labels_are_the_adjoint_of_upsampling(placement):
    ways, dim = 4, 3
    mask = torch.randint(-1, ways, placement.native, generator=generator())
    tokens = torch.randn(*placement.grid, dim, generator=generator(1)).double()
    labels = soft_labels(mask, ways, placement).double()
    native = upsampled(tokens.permute(2, 0, 1), placement).permute(1, 2, 0)
    for way in range(ways):
        chosen = native[mask == way]
        assert np.isclose(labels[:, way].sum(), len(chosen), rtol=1e-6)
        expected = chosen.sum(0)
        got = labels[:, way] @ tokens.flatten(0, 1)
        assert (got - expected).abs().max() < 1e-6 * max(1, len(chosen))
    assert (labels >= 0).all()
