"""Copies of images: the same, smaller and re-encoded; and images that are merely alike."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import fewshot
from fewshot.backbones.transform import Transform
from fewshot.datasets.digits import load_digits
from fewshot.features.bank import FeatureBank, make_bank
from fewshot.features.copies import copies_by_features, copies_by_pixels, with_copies
from fewshot.features.data_warnings import copies_warning, data_warnings
from fewshot.features.extraction import signatures as module
from fewshot.features.extraction.signatures import (
    FREQUENCIES,
    SIZE,
    groups_alike,
    signatures,
)
from fewshot.features.row_keys import row_keys

TRANSFORM = Transform(size=64)


def scene(seed, side=120):
    """Blurred noise with a spectrum about as that of photographs: 1 / f."""
    rng = np.random.default_rng(seed)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    shaped = np.fft.fft2(rng.normal(size=(3, side, side))) / np.maximum(f, 1 / side)
    pixels = np.real(np.fft.ifft2(shaped))
    pixels = 50 * pixels / pixels.std() + rng.integers(80, 180, (3, 1, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def jpeg(image, quality):
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def small(image, side):
    image = image.copy()
    image.thumbnail((side, side))
    return image


def signed(images, transform=TRANSFORM):
    return signatures(torch.stack([transform.pixels(image) for image in images])).numpy()


def noise(seed, level=40, side=40):
    rng = np.random.default_rng(seed)
    pixels = 120 + rng.normal(0, level, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_a_signature_is_the_cosine_transform_of_the_luminance():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 24, 24), dtype=np.uint8)
    luma = np.tensordot([0.299, 0.587, 0.114], image.astype(float), 1)
    x = (np.arange(24) + 0.5) / 24
    expected = [
        np.hypot(u, v)
        * np.mean(
            luma
            * np.outer(np.cos(np.pi * u * x), np.cos(np.pi * v * x))
            * (np.sqrt(2) if u else 1)
            * (np.sqrt(2) if v else 1)
        )
        for u in range(FREQUENCIES)
        for v in range(FREQUENCIES)
    ][1:]
    (made,) = signatures(torch.from_numpy(image)[None]).numpy().astype(float)
    np.testing.assert_allclose(made[:3], image.mean((1, 2)), atol=0.1)
    np.testing.assert_allclose(made[3:], expected, atol=0.05)
    assert made.shape == (SIZE,)


@pytest.mark.parametrize(
    "edit",
    [
        lambda image: image,
        lambda image: jpeg(image, 40),
        lambda image: small(image, 64),
        lambda image: jpeg(small(image, 48), 70),
        lambda image: image.resize((300, 300)),
        lambda image: image.point(lambda value: value * 0.96),
    ],
    ids=["same", "jpeg", "thumbnail", "jpeg thumbnail", "larger", "darker"],
)
def test_copies_of_every_kind_are_counted_and_nothing_else(edit):
    images = [scene(seed) for seed in range(12)]
    marks = signed([*images, *(edit(image) for image in images[3:7])])
    labels = np.repeat([0, 1, 2, 3, 0, 0], [3, 3, 3, 3, 3, 1])  # the copies are of class 0
    paths = [f"{i}.jpg" for i in range(16)]
    assert copies_by_pixels(marks, labels, paths) == {
        "by": "pixels", "images": 4, "sets": 4, "sets_in_several_classes": 4,
        "first": ["3.jpg", "12.jpg"],
    }  # fmt: skip
    assert copies_by_pixels(marks[:12], labels[:12], paths)["images"] == 0


def test_half_as_large_noise_is_a_copy_and_other_noise_is_not():
    images = [noise(seed) for seed in range(10)]
    halves = [image.resize((20, 20)) for image in images]
    assert len(set(groups_alike(signed(images)))) == 10
    groups = groups_alike(signed([*images, *halves]))
    assert len(set(groups)) == 10
    assert groups[:10].tolist() == groups[10:].tolist()


def test_a_few_images_with_many_copies_each():
    """The fifth neighbour of every image is then a copy."""
    images = [scene(seed) for seed in range(4)]
    copies = [jpeg(small(image, side), 80) for image in images for side in (110, 100, 90, 80, 70)]
    groups = groups_alike(signed([*images, *copies]))
    assert groups[4:].tolist() == np.repeat(groups[:4], 5).tolist()
    assert len(set(groups)) == 4


def test_plain_images_are_copies_where_their_colours_are_the_same():
    plain = [Image.new("RGB", (30, 30), colour) for colour in ("red", "tan", "red", "blue", "tan")]
    groups = groups_alike(signed(plain))
    assert len(set(groups)) == 3
    assert groups[0] == groups[2] and groups[1] == groups[4]


def test_another_colour_is_another_image():
    image = scene(0)
    red, green, blue = image.split()
    groups = groups_alike(signed([image, Image.merge("RGB", (blue, green, red))]))
    assert groups[0] != groups[1]


def test_scans_of_digits_are_alike_and_few_of_them_the_same():
    digits = load_digits("digits")
    marks = signed([digits.read(row) for row in range(len(digits))], Transform(**digits.input))
    assert copies_by_pixels(marks, digits.labels, digits.paths)["images"] <= 0.002 * len(digits)


def test_many_signatures_are_compared_by_hashes(monkeypatch):
    rng = np.random.default_rng(0)
    marks = rng.normal(0, 20, (3000, SIZE)).astype(np.float16)
    marks[:, :3] = 100
    copies = rng.permutation(3000)[:400].reshape(2, 200)
    marks[copies[1]] = marks[copies[0]] + rng.normal(0, 2, (200, SIZE)).astype(np.float16)
    marks[:50] = marks[0]
    exact = groups_alike(marks)
    monkeypatch.setattr(module, "EXHAUSTIVE", 100)
    hashed = groups_alike(marks)
    assert 3000 - len(set(exact)) >= 230
    assert len(set(hashed)) - len(set(exact)) <= 4  # of more than 200
    assert len(set(zip(exact, hashed, strict=True))) == len(set(hashed))  # none joined besides


def test_equal_rows_of_features():
    rng = np.random.default_rng(0)
    for dtype, dim in ((np.float32, 7), (np.float64, 3), (np.float16, 5), (np.float16, 4)):
        features = rng.normal(size=(9000, dim)).astype(dtype)
        features[[8999, 7]] = features[[4, 4]]
        features[5, 0], features[6] = 0.0, features[5]
        features[6, 0] = -0.0
        facts = copies_by_features(make_bank(features, np.arange(9000) % 2))
        assert (facts["by"], facts["first"]) == ("features", [4, 7])
        assert facts["images"] >= 3
        assert facts["images"] == 9000 - len(np.unique(features + dtype(0), axis=0))


def test_rows_that_differ_in_signs_only_are_not_equal():
    signs = np.sign(np.random.default_rng(0).normal(size=(4000, 24))).astype(np.float32)
    assert len(np.unique(row_keys(signs))) == len(np.unique(signs, axis=0))


def test_copies_are_noted_once_and_not_for_some_rows():
    bank = make_bank(np.eye(4)[[0, 1, 2, 0]], [0, 0, 1, 1])
    noted = with_copies(bank)
    assert noted.info["copies"]["sets_in_several_classes"] == 1
    assert with_copies(noted) is noted
    assert "copies" not in noted.take_rows(np.array([1, 2])).info


def test_arrays_warn_and_the_summary_counts():
    rng = np.random.default_rng(0)
    labels = np.repeat([-1, 0, 1, 2], 8)
    features = rng.normal(size=(32, 5))
    features[9], features[20] = features[8], features[2]
    settings = {"ways": 2, "shots": 1, "episodes": 5, "estimators": []}
    with pytest.warns(UserWarning) as caught:
        result = fewshot.evaluate(features, labels, **settings)
    labelled, copied = (str(warning.message) for warning in caught)
    assert "8 of 32 are -1" in labelled
    assert "2 of 32 rows have the same features as others, first rows 2 and 20" in copied
    assert "1 such set of rows is in several classes" in copied
    assert result.summary["data"]["labelled_minus_one"] == 8
    assert result.summary["data"]["copies"]["images"] == 2
    assert json.loads(json.dumps(result.summary["data"])) == result.summary["data"]


def test_nothing_is_said_where_there_is_nothing():
    bank = with_copies(make_bank(np.eye(4), [0, 0, 1, 1]))
    assert not list(data_warnings(bank))
    assert copies_warning(None, 4) is None
    assert not list(data_warnings(FeatureBank(np.eye(2), np.arange(2), ("a", "b"))))
