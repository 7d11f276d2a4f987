"""Resize, crop, normalise: the fast way against the obvious one."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.transforms.v2 import functional as tv

from fewshot.backbones.transform import CLIP_MEAN, INTERPOLATION, Transform
from fewshot.exceptions import FewshotError


def photo(width, height, stripes=False):
    """Smooth shading, a disc and perhaps some thin stripes."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    shading = np.stack([255 * x, 255 * y, 127 + 127 * np.sin(9 * x * y)], axis=-1)
    image = Image.fromarray(shading.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.8), fill=(250, 240, 10))
    for i in range(0, width if stripes else 0, max(8, width // 12)):
        draw.line((i, 0, i + height // 3, height), fill=(10, 60, 90), width=3)
    return image


def obvious(image, size, crop_pct, interpolation):
    """Resize the whole image, then cut the centre, both by whole pixels."""
    short = math.floor(size / crop_pct)
    scale = short / min(image.size)
    whole = image.resize([round(side * scale) for side in image.size], INTERPOLATION[interpolation])
    left, top = ((side - size) / 2 for side in whole.size)
    cut = whole.crop((round(left), round(top), round(left) + size, round(top) + size))
    return np.asarray(cut).transpose(2, 0, 1).astype(float)


def sinc_window(x):
    return np.sinc(x) * np.sinc(x / 3)


def cubic(x):
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)


KERNELS = {"bilinear": (1, lambda x: 1 - x), "bicubic": (2, cubic), "lanczos": (3, sinc_window)}


def weights(length, size, scale, interpolation):
    """Matrix (size, length) that resizes a line by `scale` and cuts its centre."""
    reach, kernel = KERNELS[interpolation]
    stretch = max(1.0, 1 / scale)  # antialiasing
    centres = (np.arange(size) + 0.5 + (length * scale - size) / 2) / scale
    distance = np.abs(np.arange(length) + 0.5 - centres[:, None]) / stretch
    values = np.where(distance < reach, kernel(distance), 0)
    return values / values.sum(1, keepdims=True)


SHAPES = [(500, 375), (375, 500), (300, 300), (601, 403), (64, 48), (20, 31)]
SIZES = [(96, 0.875), (64, 1.0), (65, 0.9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize(("size", "crop_pct"), SIZES)
def test_it_is_resampling_by_the_definition(shape, interpolation, size, crop_pct):
    image = photo(*shape, stripes=True)
    scale = math.floor(size / crop_pct) / min(shape)
    across, down = (weights(side, size, scale, interpolation) for side in shape)
    channels = np.asarray(image, dtype=float).transpose(2, 0, 1)
    lines = (channels @ across.T).round().clip(0, 255)  # what Pillow keeps between two passes
    expected = (down @ lines).clip(0, 255)
    pixels = Transform(size, crop_pct, interpolation).pixels(image)
    assert pixels.shape == (3, size, size)
    assert pixels.dtype == torch.uint8
    off = np.abs(pixels.numpy() - expected)
    assert off.mean() < 0.3
    assert off.max() < 1.6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "crop_pct"), SIZES)
def test_it_is_the_centre_of_the_resized_image(shape, size, crop_pct):
    image = photo(*shape)
    pixels = Transform(size, crop_pct).pixels(image)
    off = np.abs(pixels.numpy() - obvious(image, size, crop_pct, "bicubic"))
    # Whole pixels move the edge of the disc by as much as half a pixel.
    assert off.mean() < 5


def test_it_is_the_obvious_way_exactly_where_nothing_is_rounded():
    image = photo(256, 192)
    fast = Transform(96, 1.0, "bicubic").pixels(image).numpy()
    assert np.abs(fast - obvious(image, 96, 1.0, "bicubic")).max() <= 1
    fast = Transform(64, 0.5, "bilinear").pixels(image.resize((256, 128))).numpy()
    assert np.abs(fast - obvious(image.resize((256, 128)), 64, 0.5, "bilinear")).max() <= 1


def test_the_image_itself_where_it_fits():
    image = photo(32, 32)
    assert np.array_equal(Transform(32, 1.0).pixels(image).permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 999), (1, 2), (7, 5)])
@pytest.mark.parametrize(("size", "crop_pct"), [(1, 1.0), (16, 0.875), (224, 0.95), (7, 0.01)])
@pytest.mark.parametrize("interpolation", INTERPOLATION)
def test_extreme_shapes(shape, size, crop_pct, interpolation):
    pixels = Transform(size, crop_pct, interpolation).pixels(Image.new("RGB", shape, (9, 8, 7)))
    assert pixels.shape == (3, size, size)
    assert torch.equal(pixels, torch.tensor([9, 8, 7]).view(3, 1, 1).expand_as(pixels))


def test_normalise_is_that_of_torchvision():
    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    transform = Transform(8, mean=CLIP_MEAN, std=(0.2, 0.3, 0.4))
    expected = tv.normalize(pixels.float() / 255, list(CLIP_MEAN), [0.2, 0.3, 0.4])
    assert torch.allclose(transform.normalise(pixels), expected, atol=1e-5)
    assert transform.normalise(pixels).dtype == torch.float32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 0}, r"backbone\.size: expected an integer >= 1, got 0"),
        ({"size": 22.4}, r"backbone\.size"),
        ({"size": "big"}, r"backbone\.size"),
        ({"crop_pct": 0}, r"backbone\.crop_pct: expected a number in \(0, 1\], got 0"),
        ({"crop_pct": 1.1}, r"backbone\.crop_pct"),
        ({"crop_pct": "x"}, r"backbone\.crop_pct"),
        ({"crop_pct": True}, r"backbone\.crop_pct"),
        ({"interpolation": "bicubc"}, r"backbone\.interpolation.*Did you mean 'bicubic'"),
        ({"mean": (0.5, 0.5)}, r"backbone\.mean: expected three numbers"),
        ({"mean": 0.5}, r"backbone\.mean"),
        ({"mean": ("a", "b", "c")}, r"backbone\.mean"),
        ({"std": (0.2, 0, 0.2)}, r"backbone\.std: expected three positive numbers"),
        ({"std": (0.2, float("nan"), 0.2)}, r"backbone\.std"),
        ({"std": (0.2, float("inf"), 0.2)}, r"backbone\.std"),
    ],
)
def test_settings_out_of_range(wrong, message):
    with pytest.raises(FewshotError, match=message):
        Transform(**wrong)


def test_lists_of_the_configuration_are_as_good_as_tuples():
    assert Transform(mean=[0.5, 0.5, 0.5]) == Transform(mean=(0.5, 0.5, 0.5))
