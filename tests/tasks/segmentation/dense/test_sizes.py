"""Sizes of the network's input, and the grids of tokens that they give."""

import math

import pytest

from fewshot.backbones.transform import Transform
from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.dense import sizes
from fewshot.tasks.segmentation.dense.sizes import InputSize, check_memory, grid, padded

SHAPES = [(480, 360), (360, 480), (1, 1), (1, 700), (2048, 1024), (331, 333), (64, 64), (5000, 40)]


def test_native_images_are_not_resized():
    assert InputSize.of("native").resized(333, 21, 16, 32) == (333, 21)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_short_side_is_rounded_as_transforms_round_it(shape):
    expected = Transform(size=384, crop_pct=1.0).resized(*shape)
    assert InputSize.of("short:384").resized(*shape, 16, 32) == expected
    assert min(expected) == 384


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stride", [8, 14, 16])
@pytest.mark.parametrize("tokens", [1, 7, 100, 1369])
def test_tokens_come_near_to_the_number_and_keep_the_ratio(shape, stride, tokens):
    width, height = InputSize.of(f"tokens:{tokens}").resized(*shape, stride, stride)
    rows, columns = grid((width, height), stride)
    assert width >= 1
    assert height >= 1
    # A step of one column adds at most a row too.
    assert abs(rows * columns - tokens) <= max(rows, columns) + 1
    assert rows * columns > 0
    # The side that is whole tokens decides; the other is rounded down to a pixel, but not to none.
    wide = width % stride == 0 and height == max(1, width * shape[1] // shape[0])
    high = height % stride == 0 and width == max(1, height * shape[0] // shape[1])
    assert wide or high


def test_square_images_have_exactly_square_numbers_of_tokens():
    for side in (10, 37):
        resized = InputSize.of(f"tokens:{side**2}").resized(500, 500, 14, 14)
        assert resized == (14 * side, 14 * side)


@pytest.mark.parametrize(("multiple", "side"), [(32, 1024), (14, 1022), (16, 1024), (2000, 2000)])
def test_the_paper_s_images_are_squares_that_the_patch_divides(multiple, side):
    assert InputSize.of("paper").resized(480, 360, multiple, multiple) == (side, side)


def test_padding_and_the_grid_without_it():
    assert padded((512, 384), 32) == (512, 384)
    assert padded((513, 1), 32) == (544, 32)
    assert grid((513, 1), 16) == (1, 33)  # rows, columns


@pytest.mark.parametrize(
    "value",
    ["", "full", "short", "short:", "short:0", "tokens:-1", "tokens:1.5", "short:384px", 384, None,
     True, ["native"], "native:3", "paper:1024", "tokens:999999999", "tokens=1369", "Short:384",
     "short:٣٨٤"],
)  # fmt: skip
def test_other_values_are_refused(value):
    with pytest.raises(FewshotError, match=r"^segmentation\.size: expected native, short:N") as e:
        InputSize.of(value)
    assert "\n" not in str(e.value)
    assert "short:384" in str(e.value)


@pytest.mark.parametrize("value", ["native", "paper", "short:384", "tokens:1369"])
def test_settings_are_written_as_they_are_read(value):
    assert str(InputSize.of(value)) == value
    assert InputSize.of(InputSize.of(value)) == InputSize.of(value)


def test_inputs_beyond_the_memory_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(sizes, "available_memory", lambda: 10 << 20)
    check_memory(512, 512)  # fits anywhere
    with pytest.raises(FewshotError, match=r"segmentation\.size: an image of 4000 x 3000 pixels"):
        check_memory(4000, 3000)
    monkeypatch.setattr(sizes, "available_memory", lambda: None)
    check_memory(10**6, 10**6)


def test_numbers_of_tokens_grow_with_what_is_asked_for():
    counts = [
        math.prod(grid(InputSize.of(f"tokens:{n}").resized(480, 360, 16, 16), 16))
        for n in range(50, 2000, 50)
    ]
    assert counts == sorted(counts)
