"""Resize, crop, normalise: against the definition and against the libraries' own steps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from timm.data import create_transform
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize
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


def noise(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def as_pixels(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def sinc_window(x):
    return np.sinc(x) * np.sinc(x / 3)


def cubic(x):
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)


KERNELS = {"bilinear": (1, lambda x: 1 - x), "bicubic": (2, cubic), "lanczos": (3, sinc_window)}


def weights(length, resized, size, interpolation):
    """Matrix (size, length) that resizes a line to `resized` and cuts its centre."""
    reach, kernel = KERNELS[interpolation]
    scale = resized / length
    stretch = max(1.0, 1 / scale)  # antialiasing
    centres = (np.arange(size) + 0.5 + round((resized - size) / 2)) / scale
    distance = np.abs(np.arange(length) + 0.5 - centres[:, None]) / stretch
    values = np.where(distance < reach, kernel(distance), 0)
    return values / values.sum(1, keepdims=True)


HALF = (0.5, 0.5, 0.5)
SHAPES = [(500, 375), (375, 500), (300, 300), (601, 403), (64, 48), (20, 31)]
SIZES = [(96, 0.875), (64, 1.0), (65, 0.9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize(("size", "crop_pct"), SIZES)
def test_it_is_resampling_by_the_definition(shape, interpolation, size, crop_pct):
    image = photo(*shape, stripes=True)
    short = math.floor(size / crop_pct)
    resized = [int(short * side / min(shape)) for side in shape]
    across, down = (
        weights(side, after, size, interpolation)
        for side, after in zip(shape, resized, strict=True)
    )
    channels = np.asarray(image, dtype=float).transpose(2, 0, 1)
    lines = (channels @ across.T).round().clip(0, 255)  # what Pillow keeps between two passes
    expected = (down @ lines).clip(0, 255)
    pixels = Transform(size, crop_pct, interpolation).pixels(image)
    assert pixels.shape == (3, size, size)
    assert pixels.dtype == torch.uint8
    off = np.abs(pixels.numpy() - expected)
    assert off.mean() < 0.3
    assert off.max() < 1.6


def steps(transform):
    """torchvision's own steps, as timm, open_clip and torchvision itself compose them."""
    edge = math.floor(transform.size / transform.crop_pct)
    edges = [edge, edge] if transform.resize == "squash" else edge
    mode = InterpolationMode(transform.interpolation)
    return Compose([Resize(edges, mode), CenterCrop(transform.size), PILToTensor()])


sides = st.integers(1, 400)


@given(
    shape=st.tuples(sides, sides),
    size=st.integers(1, 64),
    crop_pct=st.sampled_from([1.0, 0.95, 0.9, 0.89, 0.875, 84 / 92, 0.5]),
    interpolation=st.sampled_from(sorted(INTERPOLATION)),
    resize=st.sampled_from(["shortest", "squash"]),
    seed=st.integers(0, 99),
)
def test_pixels_are_those_of_torchvision(shape, size, crop_pct, interpolation, resize, seed):
    """Bit for bit, whatever the sizes, on images in which every pixel counts."""
    image = noise(*shape, seed)
    transform = Transform(size, crop_pct, interpolation, resize=resize)
    assert torch.equal(transform.pixels(image), steps(transform)(image))


@given(
    shape=st.tuples(sides, sides),
    size=st.integers(8, 64),
    crop_pct=st.sampled_from([1.0, 0.9, 0.5]),
    seed=st.integers(0, 99),
)
def test_borders_are_those_of_timm(shape, size, crop_pct, seed):
    assume(max(shape) < size * min(shape))  # timm resizes other strips to no width at all
    image = noise(*shape, seed)
    transform = Transform(size, crop_pct, mean=HALF, std=HALF, resize="longest", fill=(128,) * 3)
    theirs = create_transform(
        size, crop_pct=crop_pct, crop_mode="border", interpolation="bicubic", mean=HALF, std=HALF,
        normalize=False,
    )  # fmt: skip
    assert torch.equal(transform.pixels(image), theirs(image))


def test_the_whole_image_is_kept_where_it_is_squashed_or_bordered():
    image = photo(96, 48)
    squash = Transform(48, 1.0, resize="squash").pixels(image)
    assert torch.equal(squash, as_pixels(image.resize((48, 48), Image.Resampling.BICUBIC)))
    border = Transform(48, 1.0, resize="longest", fill=(1, 2, 3)).pixels(image)
    assert torch.equal(
        border[:, 12:36], as_pixels(image.resize((48, 24), Image.Resampling.BICUBIC))
    )
    assert set(map(tuple, border[:, [0, 11, 36, 47]].flatten(1).T.tolist())) == {(1, 2, 3)}


@pytest.mark.parametrize("shape", [(500, 375), (375, 500), (40, 400), (33, 31)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_strips_without_their_ends_are_the_same_but_for_rounding(shape, interpolation, monkeypatch):
    image, transform = photo(*shape), Transform(48, 0.875, interpolation)
    whole = transform.pixels(image)
    monkeypatch.setattr("fewshot.backbones.transform.LARGEST", 0)
    assert (transform.pixels(image).int() - whole.int()).abs().max() <= 1


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
        ({"resize": "squish"}, r"backbone\.resize.*Did you mean 'squash'"),
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
