"""Colours of classes, overlays, and triptychs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fewshot.tasks.segmentation.pictures import GAP, WIDTH, overlay, palette, triptych

# As the development kit of PASCAL VOC prints its colour map.
VOC = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 7: (128, 128, 128), 8: (64, 0, 0),
       15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}  # fmt: skip


def image_of(uri):
    kind, _, text = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.fixture
def gray():
    return Image.new("RGB", (30, 20), (100, 100, 100))


def test_palette_is_that_of_pascal_voc():
    colors = palette(256)
    assert colors.dtype == np.uint8 and colors.shape == (256, 3)
    assert {number: tuple(colors[number].tolist()) for number in VOC} == VOC
    assert len(np.unique(colors, axis=0)) == 256
    np.testing.assert_array_equal(palette(300)[256:], colors[:44])
    np.testing.assert_array_equal(palette(3), colors[:3])


def test_overlay_mixes_colors_and_leaves_the_background(gray):
    mask = np.zeros((20, 30), np.int16)
    mask[:, 10:20] = 1
    mask[:, 20:] = 2
    pixels = np.asarray(overlay(gray, mask, background=0, opacity=0.5))
    assert pixels.shape == (20, 30, 3)
    assert (pixels[:, :10] == 100).all()
    assert (pixels[:, 10:20] == (114, 50, 50)).all()
    assert (pixels[:, 20:] == (50, 114, 50)).all()
    assert (np.asarray(overlay(gray, mask, opacity=1.0))[:, :10] == 0).all()


def test_ignored_pixels_are_striped(gray):
    mask = np.ones((20, 30), np.int16)
    mask[:10] = -1
    pixels = np.asarray(overlay(gray, mask))
    colors = {tuple(color) for color in pixels[:10].reshape(-1, 3).tolist()}
    assert colors == {(100, 100, 100), (255, 255, 255)}
    assert not (pixels[10:] == 255).any()
    nothing = np.asarray(overlay(gray, np.full((20, 30), -1)))
    assert (nothing == 255).any()


def test_an_overlay_has_the_size_of_its_mask():
    image = Image.new("L", (64, 48), 7)
    assert overlay(image, np.zeros((12, 16), int)).size == (16, 12)


def test_triptych_has_three_parts():
    truth = np.zeros((300, 900), np.int16)
    truth[:, 450:] = 1
    picture = image_of(triptych(Image.new("RGB", (900, 300), "white"), truth, 1 - truth))
    assert picture.size == (
        WIDTH - (WIDTH - 2 * GAP) % 3,
        round(300 * ((WIDTH - 2 * GAP) // 3) / 900),
    )
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    part = (WIDTH - 2 * GAP) // 3
    starts = [place * (part + GAP) for place in range(3)]
    means = [
        [pixels[10:-10, start + a + 10 : start + b - 10].mean((0, 1)) for a, b in
         ((0, part // 2), (part // 2, part))]
        for start in starts
    ]  # fmt: skip
    assert np.allclose(means[0], 255, atol=4)  # the image as it is
    black, red = means[1]
    assert black.max() < 110 and red[0] > red[1] + 60
    assert np.allclose(means[2][::-1], means[1], atol=6)  # the prediction is the wrong way round


def test_small_images_are_not_enlarged_and_pictures_repeat():
    truth = np.zeros((20, 30), np.uint8)
    image = Image.new("RGBA", (30, 20))
    uri = triptych(image, truth, truth, background=0)
    assert image_of(uri).size == (90 + 2 * GAP, 20)
    assert uri == triptych(image, truth, truth, background=0)
    assert image_of(triptych(image, truth, truth, width=10)).size == (3 + 2 * GAP, 1)


def test_a_usual_picture_is_small():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((960, 720), Image.Resampling.BICUBIC)
    truth = np.kron(rng.integers(0, 11, (12, 16)), np.ones((60, 60), int))
    assert len(triptych(image, truth, np.roll(truth, 7, 1))) < 40_000
