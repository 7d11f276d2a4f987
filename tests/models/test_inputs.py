"""Images as users of a classifier give them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import fewshot
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError, read_image
from fewshot.exceptions import FewshotError
from fewshot.models.inputs import image_dataset, images_to_label, is_feature_array

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
ORIENTATION = 0x0112


def rows(images, argument="X"):
    """Pixels of all images of a data set."""
    dataset = image_dataset(images, argument)
    return [np.asarray(dataset.read(row)) for row in range(len(dataset))]


@pytest.fixture
def files(tmp_path):
    """Two PNG files of `RGB`."""
    for number, pixels in enumerate(RGB):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [tmp_path / "0.png", tmp_path / "1.png"]


def forms(files):
    """The two images in every form that is read."""
    names = [str(file) for file in files]
    return {
        "paths": files,
        "texts": names,
        "array of texts": np.array(names),
        "array of objects": np.array(files, dtype=object),
        "column": np.array(names)[:, None],
        "series": pd.Series(names, index=[7, 3]),
        "frame": pd.DataFrame({"file": names}),
        "generator": (name for name in names),
        "opened": [Image.open(file) for file in files],
        "decoded": [Image.fromarray(pixels) for pixels in RGB],
        "arrays": [*RGB],
        "array": RGB,
        "strided": RGB[:, :, ::-1][:, :, ::-1],
        "tensor": torch.from_numpy(RGB),
        "channels first": torch.from_numpy(RGB).permute(0, 3, 1, 2),
        "tensors": [*torch.from_numpy(RGB).permute(0, 3, 1, 2)],
        "mixed": [names[0], Image.fromarray(RGB[1])],
        "data set": image_dataset(files),
    }


def test_every_form_gives_the_same_pixels_in_order(files):
    for name, images in forms(files).items():
        np.testing.assert_array_equal(rows(images), RGB, err_msg=name)


def test_a_single_image_is_one_row(files):
    for image in (files[0], str(files[0]), Image.open(files[0]), RGB[0], torch.from_numpy(RGB[0])):
        np.testing.assert_array_equal(rows(image), RGB[:1])


def test_a_folder_stands_for_its_images(files, tmp_path):
    (tmp_path / "deeper").mkdir()
    files[1].rename(tmp_path / "deeper" / "1.png")
    assert sorted(image_dataset(str(tmp_path)).paths) == sorted(
        [str(files[0]), str(tmp_path / "deeper" / "1.png")]
    )


def test_a_row_per_entry_also_of_the_same_image(files):
    picture = Image.open(files[0])
    images = [files[1], files[0], files[1], picture, picture]
    np.testing.assert_array_equal(rows(images), RGB[[1, 0, 1, 0, 0]])


def test_paths_in_the_home_folder(files, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(rows(["~/1.png"]), RGB[1:])


def test_threads_may_read_an_image_that_is_there_twice(tmp_path):
    large = Image.fromarray(RNG.integers(0, 256, (400, 400, 3), dtype=np.uint8))
    large.save(tmp_path / "large.png")
    opened = Image.open(tmp_path / "large.png")
    dataset = image_dataset([opened] * 8)
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(dataset.read, range(8)):
            np.testing.assert_array_equal(np.asarray(image), np.asarray(large))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_pictures_in_memory_are_brought_to_rgb_as_files_are(tmp_path, mode):
    gradient = np.linspace(0, 255, 48).reshape(6, 8)
    picture = {
        "I;16": lambda: Image.fromarray((gradient * 257).astype(np.uint16)),
        "F": lambda: Image.fromarray((gradient / 255).astype(np.float32)),
        "RGBA": lambda: Image.fromarray(RNG.integers(0, 256, (6, 8, 4), dtype=np.uint8)),
    }.get(mode, lambda: Image.fromarray(gradient.astype(np.uint8)).convert(mode))()
    file = tmp_path / ("a.png" if mode in ("1", "L", "LA", "P", "RGBA", "I;16") else "a.tiff")
    picture.save(file)
    expected = np.asarray(read_image(file))
    for images in ([picture], [Image.open(file)]):
        np.testing.assert_array_equal(rows(images)[0], expected)
    assert picture.mode == mode  # the user's image stays as it is


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_pictures_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(RGB[0]).save(tmp_path / "a.png", exif=exif)
    opened = Image.open(tmp_path / "a.png")
    np.testing.assert_array_equal(rows([opened])[0], np.asarray(read_image(tmp_path / "a.png")))
    assert opened.getexif()[ORIENTATION] == orientation


def test_arrays_of_greys_and_of_transparency():
    grey = np.concatenate([RGB, RGB])[:, :, :, 0]
    for count in range(1, 5):  # three or four of them are no channels
        assert len(rows(grey[:count])) == len(rows(torch.from_numpy(grey[:count]))) == count
    expected = np.repeat(grey[..., None], 3, -1)
    for images in ([*grey], grey, grey[..., None], [*grey[..., None]],
                   torch.from_numpy(grey), grey.astype(np.uint16) * 257):  # fmt: skip
        np.testing.assert_array_equal(rows(images), expected)
    clear = np.concatenate([RGB, np.zeros_like(RGB[..., :1])], -1)
    np.testing.assert_array_equal(rows(clear), np.full_like(RGB, 255))  # laid on white


def test_fingerprints_follow_pixels_labels_and_order(files):
    def key(images, labels=(0, 1), names=("a", "b")):
        return image_dataset(images, "X", np.array(labels), names).fingerprint()

    keys = [key([*RGB]), key([*RGB[::-1]]), key([*RGB], (1, 0)), key([*(RGB // 2)]), key(files)]
    assert len(set(keys)) == len(keys)
    assert key([*RGB]) == key(torch.from_numpy(RGB)) == key([Image.fromarray(p) for p in RGB])


def test_digests_find_copies(files):
    first, second = RGB
    digests = image_dataset([first, Image.fromarray(first), second, *files, files[0]]).digests()
    assert digests[0] == digests[1] != digests[2]
    assert digests[3] == digests[5] != digests[4]
    # The same bytes in another shape are another image.
    wide = image_dataset([first, first.reshape(5, 6, 3)]).digests()
    assert wide[0] != wide[1]


def test_images_that_cannot_be_read(tmp_path, files):
    whole = files[0].read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) * 2 // 3])
    closed = Image.open(files[0])
    closed.close()
    dataset = image_dataset([tmp_path / "none.png", Image.open(tmp_path / "torn.png"), closed])
    for row in range(3):
        with pytest.raises(UnreadableImageError):
            dataset.read(row)
    assert len(set(dataset.digests()[1:])) == 2
    assert dataset.paths[1] == str(tmp_path / "torn.png")


FLOATS = RGB / 255


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "got None"),
        (3, "got int"),
        (b"a.png", "got bytes"),
        ({"a": 1}, "got dict"),
        ({"a.png"}, "got set"),
        ([], "expected at least one image, got none"),
        (RGB[:0], "of shape (0, 6, 5, 3)"),
        ([None], "got None as X[0]"),
        ([RGB[0], float("nan")], "got nan as X[1]"),
        ([["a.png"]], "got list as X[0]"),
        (np.array([["a", "b"]]), "expected a column of paths"),
        (RGB[0, :, :, 0], "Of a single image give [X]"),
        (np.zeros((4, 7)), "Classifier(backbone=None)"),
        (FLOATS, "Give (255 * X).round().astype('uint8')."),
        (np.float32(RGB), "Give X.round().astype('uint8'), if 255 is white."),
        ([FLOATS[0]], "Give (255 * X[0]).round().astype('uint8')."),
        (torch.from_numpy(FLOATS), "Give (255 * X).round().to(torch.uint8)."),
        (FLOATS[..., 0], "got float64 of shape (2, 6, 5) as X"),
        (FLOATS - 0.5, "before they were normalised"),
        (RGB.astype(np.int64), "Give X.round().astype('uint8'), if 255 is white."),
        (RGB > 100, "Give 255 * X.astype('uint8')."),
        (RGB.astype(np.uint16) * 257, "Give (X / 257).round().astype('uint8')."),
        (RGB.transpose(0, 3, 1, 2), "Give X.transpose(0, 2, 3, 1)."),
        ([RGB[0].transpose(2, 0, 1)], "Give X[0].transpose(1, 2, 0)."),
        (RGB[..., :2], "of shape (2, 6, 5, 2)"),
        (RGB[None], "got an array (1, 2, 6, 5, 3)"),
        ([RGB], "of shape (2, 6, 5, 3) as X[0]"),
        ([np.zeros((0, 5, 3), np.uint8)], "of shape (0, 5, 3)"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_said_with_its_remedy(images, message):
    with pytest.raises(FewshotError) as raised:
        image_dataset(images)
    assert message in str(raised.value)
    assert raised.value.argument == "X"
    assert "\n" not in str(raised.value)


def test_a_folder_among_several_is_refused_but_not_for_labelling(files, tmp_path):
    with pytest.raises(FewshotError, match=r"got the folder .* as images\[1\]"):
        image_dataset([files[0], tmp_path], "images")
    assert len(images_to_label([str(files[0]), tmp_path])) == 2


def test_labels_are_one_per_image(files):
    with pytest.raises(FewshotError, match="y: expected a label per image, 2 of them, got 3"):
        image_dataset(files, "X", np.zeros(3, np.int64), ("a",))


@pytest.mark.parametrize(
    ("value", "features"),
    [
        (np.zeros((3, 4)), True),
        (torch.zeros(3, 4), True),
        (pd.DataFrame(np.zeros((3, 4))), True),
        (np.zeros((3, 4), np.uint8), False),
        (np.zeros((3, 4, 3)), False),
        (np.array([["a.png"]]), False),
        (pd.DataFrame({"file": ["a.png"]}), False),
        ([[0.0, 1.0]], False),
    ],
)
def test_features_are_matrices_of_floats(value, features):
    assert is_feature_array(value) is features


def test_a_listed_data_set_stays(files):
    dataset = image_dataset(files)
    assert image_dataset(dataset) is dataset
    assert isinstance(dataset, ImageDataset)
    assert dataset.paths == tuple(map(str, map(Path, files)))
    labels, names = np.array([1, 0]), ("a", "b")
    other = image_dataset(dataset, "X", labels, names)
    assert (other.labels.tolist(), other.classnames) == ([1, 0], names)
    assert other.fingerprint() != image_dataset(dataset, "X", 1 - labels, names).fingerprint()
    with pytest.raises(FewshotError, match="y: expected a label per image"):
        image_dataset(dataset, "X", labels[:1], names)


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "a\0b", "x" * 5000, ""])
def test_paths_that_no_file_can_have(path, fitted, on_images):
    """Of images, features, weights and models alike, alone and among others."""
    calls = (
        lambda: on_images.predict(path), lambda: on_images.predict([path]),
        lambda: on_images.classify(path), lambda: on_images.classify([path]),
        lambda: fitted.classify(path), lambda: fewshot.fit(path), lambda: fewshot.load(path),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(FewshotError):
            call()
    Path("loop").symlink_to("loop")
    with pytest.raises(FewshotError, match="images: expected a folder"):
        fewshot.fit("loop")


def test_other_things_than_names_and_folders(on_images, workplace):
    on_images.save("m.fewshot")
    for options, problem in (
        ({"weights": "~nobody-of-that-name/x"}, "weights: there is no home folder"),
        ({"weights": 3}, "weights: expected a path, got 3"),
        ({"backbone": 3}, "backbone: expected a name, got 3"),
        ({"head": "os:system"}, "head: "),
    ):
        with pytest.raises(FewshotError, match=problem):
            fewshot.load("m.fewshot", **options)
    for backbone in (3, [None]):
        with pytest.raises(FewshotError, match="backbone: expected "):
            fewshot.Classifier(backbone=backbone).fit(["a.png", "b.png"], ["a", "b"])
    with pytest.raises(FewshotError, match="X: expected finite numbers"):
        on_images.predict(np.full((2, on_images.header_.backbone.dim), np.nan))
