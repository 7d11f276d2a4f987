"""Folders of masks with faults: one line that names the file and says what to do."""

import numpy as np
import pytest
from PIL import Image

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.masks import load_masks


def error_of(folder, argument="dataset.root", **settings):
    """The message of a folder that cannot be loaded or counted."""
    with pytest.raises(FewshotError) as caught:
        folder.load(**settings).presence()
    text = str(caught.value)
    assert caught.value.argument == argument, text
    assert "\n" not in text
    assert caught.value.remedy, text
    return text


def test_mask_of_another_size(streets):
    streets.pair("b_1", streets.mask_of([0, 1], (14, 10)))
    text = error_of(streets)
    assert "image 'images/b_1.png' has 12 x 10 pixels, mask 'masks/b_1.png' 14 x 10" in text
    assert "interpolation" in text


def test_only_the_image_is_turned(folder):
    image = folder.picture(0, (10, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder.root / "images").mkdir()
    image.save(folder.root / "images" / "a.jpg", exif=exif)
    folder.save(folder.root / "masks" / "a.png", folder.mask_of([0, 1], (10, 12)).astype(np.uint8))
    text = error_of(folder)
    assert "EXIF" in text
    assert "'images/a.jpg'" in text


def test_image_without_a_mask(streets):
    (streets.root / "masks" / "b_2.png").unlink()
    text = error_of(streets)
    assert "b_2.png" in text
    assert "has no mask" in text
    assert "a list names" in text
    data = streets.load(on_error="skip")
    assert data.facts["skipped"] == [{"path": "b_2", "reason": "it has no mask"}]
    assert len(data) == 3
    for name in ("train.txt", "test.txt"):
        (streets.root / name).unlink()
    assert "b_2.png" in error_of(streets)
    assert len(streets.load(on_error="skip")) == 3


def test_mask_without_an_image(folder):
    for name in ("a", "b"):
        folder.pair(name, folder.mask_of([0, 1]))
    (folder.root / "images" / "a.png").unlink()
    text = error_of(folder)
    assert "masks/a.png" in text
    assert "no image" in text


def test_mask_of_an_image_that_is_not_read(folder):
    for name in ("a", "b"):
        folder.pair(name, folder.mask_of([0, 1]))
    (folder.root / "images" / "a.png").rename(folder.root / "images" / "a.cr2")
    text = error_of(folder)
    assert "masks/a.png" in text
    assert "1 .cr2 file ('a.cr2') there cannot be read" in text


def test_no_pairs_at_all(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    (folder.root / "masks" / "a.png").rename(folder.root / "masks" / "z9.png")
    assert "no image has a mask of its name" in error_of(folder)


def test_names_that_differ_in_case(folder):
    for name in ("a1", "b1"):
        folder.pair(name, folder.mask_of([0, 1]))
    (folder.root / "masks" / "a1.png").rename(folder.root / "masks" / "A1.png")
    assert "'A1.png' differs in case" in error_of(folder)


def test_two_masks_for_one_image(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    folder.save(folder.root / "masks" / "a_mask.png", folder.mask_of([0]).astype(np.uint8))
    text = error_of(folder)
    assert "'a.png' has two masks" in text
    assert "'a_mask.png'" in text


def test_two_images_of_one_name(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    folder.save(folder.root / "images" / "a.jpg", folder.picture(3))
    text = error_of(folder)
    assert "'a.jpg'" in text
    assert "same name" in text


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_lossy_masks(folder, kind, suffix):
    folder.pair("a", folder.mask_of([0, 1]))
    (folder.root / "masks" / "a.png").unlink()
    values = folder.mask_of([0, 1]).astype(np.uint8)
    Image.fromarray(values).save(folder.root / "masks" / f"a.{suffix}", kind)
    text = error_of(folder)
    assert f"mask 'masks/a.{suffix}' is a" in text
    assert "compression changes pixels" in text


@pytest.mark.parametrize("names", ["background\nnucleus\n", None])
def test_0_and_255_for_two_classes(folder, names):
    for name in ("a", "b"):
        folder.pair(name, folder.mask_of([0, 255, 255]))
    if names:
        folder.write("classes.txt", names)
    text = error_of(folder, "dataset.binary")
    assert "0 and 255" in text
    assert "masks/a.png" in text
    assert "dataset.binary=true" in text
    assert folder.load(binary=True).presence().tolist() == [[40, 80]] * 2
    for ignore in (None, [9, 255]):
        assert "dataset.binary=true" in error_of(folder, "dataset.binary", ignore_index=ignore)


@pytest.mark.parametrize("greys", [[0, 255, 128], [0, 1, 255]])
def test_binary_masks_with_greys(folder, greys):
    folder.pair("a", folder.mask_of(greys))
    text = error_of(folder, "dataset.binary", binary=True)
    assert "masks/a.png" in text
    assert "40 pixels" in text


def test_binary_masks_with_ignored_greys(folder):
    folder.pair("a", folder.mask_of([0, 255, 128]))
    assert folder.load(binary=True, ignore_index=128).presence().tolist() == [[40, 40]]


@pytest.mark.parametrize(("zero", "classes"), [(False, 256), (True, 255)])
def test_a_class_of_the_ignored_number(folder, zero, classes):
    folder.pair("a", folder.mask_of([1, 2, 255]).astype(np.uint16))
    folder.write("classes.txt", "".join(f"c{number:03d}x\n" for number in range(classes)))
    text = error_of(folder, "dataset.ignore_index", reduce_zero_label=zero)
    assert "255 of them is of no class" in text
    data = folder.load(ignore_index=None, reduce_zero_label=zero)
    assert data.presence()[0, 255 - zero] == 40


def test_binary_masks_with_three_names(folder):
    folder.pair("a", folder.mask_of([0, 255]))
    folder.write("classes.txt", "a\nb\nc\n")
    assert "two class names" in error_of(folder, "dataset.binary", binary=True)


def test_numbers_beyond_the_classes(streets):
    streets.pair("b_1", streets.mask_of([0, 7, 9, 9]))
    text = error_of(streets)
    assert "mask 'masks/b_1.png' has the value 7, 30 pixels" in text
    assert "1 other values up to 9, 60 pixels" in text
    assert "3 classes, 0 to 2" in text


def test_number_of_a_reduced_mask_is_that_of_the_file(folder):
    folder.pair("a", folder.mask_of([0, 1, 4]))
    folder.write("classes.txt", "wall\nfloor\n")
    text = error_of(folder, reduce_zero_label=True)
    assert "has the value 4, 40 pixels" in text
    assert "1 to 2" in text


@pytest.mark.parametrize("names", ["a\nb\n", None])
def test_numbers_of_instances(folder, names):
    folder.pair("a", folder.mask_of([0, 26001, 26002]).astype(np.uint16))
    if names:
        folder.write("classes.txt", names)
    text = error_of(folder)
    assert "numbers of instances" in text
    assert "masks/a.png" in text


def test_colours_without_a_table(folder):
    folder.pair("a", folder.picture(5))
    text = error_of(folder, "dataset.palette")
    assert "mask 'masks/a.png' is in colour" in text
    assert "classes.csv" in text


def test_unknown_colours(folder):
    folder.pair("a", np.tile(np.uint8([[[1, 2, 3]], [[9, 9, 9]]]), (5, 12, 1)))
    folder.write("classes.csv", "name,r,g,b\nroad,1,2,3\n")
    text = error_of(folder, "dataset.palette")
    assert "mask 'masks/a.png' has the colour (9, 9, 9), 60 pixels" in text
    assert "classes.csv" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,r,g,b\nroad,1,2,3\nsky,1,2,3\n", "'road' and 'sky' have the same colour, 1, 2, 3"),
        ("name,r,g,b\nroad,1,2,3\nRoad,1,2,4\n", "differ in spelling only"),
        ("name,r,g,b\nroad,1,2,300\n", "line 2: expected red, green and blue from 0 to 255"),
        ("name,r,g,b\nroad,1,2\n", "line 2"),
        ("name,r,g,b\n", "has no class"),
        ("", "is empty"),
        ("name,r,g,b\nvoid,0,0,0\n", "no class but void"),
    ],
)
def test_wrong_tables_of_colours(folder, text, message):
    folder.pair("a", folder.picture(5))
    folder.write("classes.csv", text)
    with pytest.raises(FewshotError, match="palette") as caught:
        folder.load()
    assert message in str(caught.value)


@pytest.mark.parametrize("palette", ["nothing.csv", {"road": "red"}, {}, 5, [1, 2]])
def test_wrong_palettes(folder, palette):
    folder.pair("a", folder.picture(5))
    with pytest.raises(FewshotError, match=r"dataset\.palette"):
        folder.load(palette=palette)


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_masks_with_an_alpha_channel(folder, mode, colours):
    image = Image.fromarray(folder.mask_of([0, 1]).astype(np.uint8)).convert(mode)
    image.putalpha(100)
    folder.pair("a", image)
    if colours:
        folder.write("classes.csv", "name,r,g,b\nroad,0,0,0\nsky,1,1,1\n")
    text = error_of(folder)
    assert "alpha channel" in text
    assert "masks/a.png" in text


def test_masks_with_fractions(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    (folder.root / "masks" / "a.png").unlink()
    image = Image.fromarray(np.full((10, 12), 0.5, np.float32))
    folder.save(folder.root / "masks" / "a.tif", image)
    assert "mask 'masks/a.tif' has numbers with fractions, 120 pixels" in error_of(folder)


def test_a_mask_without_any_class_is_counted(streets):
    streets.pair("b_1", streets.mask_of([255]))
    data = streets.load()
    assert data.presence()[2].tolist() == [0, 0, 0]
    assert data.facts["images_without_class"] == 1


def test_no_mask_has_any_class(folder):
    for name in ("a", "b"):
        folder.pair(name, folder.mask_of([255]))
    folder.write("classes.txt", "a\nb\nc\n")
    text = error_of(folder, "dataset.ignore_index")
    assert "all 2 masks are ignored" in text
    (folder.root / "classes.txt").unlink()
    error_of(folder, "dataset.ignore_index")


def test_class_that_cannot_be_learned(streets):
    for name in ("a_1", "a_2"):
        streets.pair(name, streets.mask_of([0, 1]))
    text = error_of(streets)
    assert "class 'car' has no pixel in the 2 images of the support part" in text
    assert "30 in mask 'masks/b_1.png'" in text
    (streets.root / "test.txt").rename(streets.root / "later.txt")  # all others are segmented
    assert error_of(streets) == text
    (streets.root / "later.txt").rename(streets.root / "test.txt")
    assert streets.load(ignore_index=[255, 2]).presence()[2].tolist() == [30, 30, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road\nsky\nroad\n", "two classes"),
        ("road\nsky\nSky\n", "differ in spelling only"),
        ("", "classes.txt is empty"),
        ("\n \n", "classes.txt is empty"),
        ("road\n\nsky\ncar\n", "line 2 is blank"),
    ],
)
def test_wrong_names_of_classes(streets, text, message):
    streets.write("classes.txt", text)
    assert message in error_of(streets)


def test_parts_that_share_an_image(streets):
    streets.write("test.txt", "b_1\na_2\n")
    text = error_of(streets)
    assert "'images/a_2.png' is in both parts" in text


def test_parts_that_share_the_content_of_an_image(streets):
    streets.pair("b_2", streets.mask_of([0, 1, 2]), Image.open(streets.root / "images" / "a_1.png"))
    text = error_of(streets)
    assert "'images/a_1.png' and 'images/b_2.png'" in text
    assert "same file" in text
    data = streets.load(on_error="skip")
    assert (data.support.tolist(), data.queries.tolist()) == ([1], [2, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b_1\nc_3\n", "1 of the 2 names"),
        ("B_1\n", "'b_1' differs in case"),
        ("b_1\nb_1\n", "names the image 'b_1' twice"),
        ("b_1\nimages/b_1.png\n", "twice, as 'b_1' too"),
        ("", "test.txt is empty"),
        ("\n\n", "test.txt is empty"),
    ],
)
def test_wrong_lists(streets, text, message):
    streets.write("test.txt", text)
    assert message in error_of(streets)


def test_a_list_to_test_and_none_to_learn_from(streets):
    (streets.root / "train.txt").unlink()
    assert "no part train" in error_of(streets)


def test_two_lists_of_one_part(streets):
    streets.write("training.txt", "a_1\n")
    assert "'train.txt' and 'training.txt'" in error_of(streets)


def test_tiny_images(folder):
    folder.pair("a", folder.mask_of([0, 1], (7, 9)), folder.picture(0, (7, 9)))
    text = error_of(folder)
    assert "'images/a.png' has 7 x 9 pixels, fewer than 8 x 8" in text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^c", "matches 0 of 4 names"),
        ("^a", "matches 2 of 4 names of images, and not 'b_1'"),
        ("(", "expected a regular expression"),
        ("", "expected a regular expression"),
        ("_", "one group, '_'"),
    ],
)
def test_wrong_groups(streets, pattern, message):
    with pytest.raises(FewshotError, match=r"dataset\.group") as caught:
        streets.load(group=pattern)
    assert message in str(caught.value)


def torn(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("break_it", [torn, lambda file: file.write_bytes(b"")])
def test_unreadable_masks(streets, break_it):
    break_it(streets.root / "masks" / "b_1.png")
    text = error_of(streets)
    assert "cannot read mask 'masks/b_1.png'" in text
    assert "dataset.on_error=skip" in text
    data = streets.load(on_error="skip")
    assert [entry["path"] for entry in data.facts["skipped"]] == ["masks/b_1.png"]
    assert data.images.paths == ("images/a_1.png", "images/a_2.png", "images/b_2.png")
    assert data.queries.tolist() == [2]
    assert data.presence().shape == (3, 3)


def test_unreadable_images(streets):
    torn(streets.root / "images" / "a_2.png")
    data = streets.load(on_error="skip", group="^[^_]+")
    assert [entry["path"] for entry in data.facts["skipped"]] == ["images/a_2.png"]
    assert (data.support.tolist(), data.queries.tolist()) == ([0], [1, 2])
    assert data.groups == ("a", "b", "b")


def test_an_image_that_is_none(streets):
    (streets.root / "images" / "a_2.png").write_text("<html>")
    assert "cannot read image 'images/a_2.png'" in error_of(streets, "dataset")


def test_all_images_are_unreadable(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    torn(folder.root / "images" / "a.png")
    assert "none of 1 images can be used" in error_of(folder, on_error="skip")


@pytest.mark.parametrize("which", ["images", "masks"])
def test_empty_folders(folder, which):
    folder.pair("a", folder.mask_of([0, 1]))
    (folder.root / which / "a.png").unlink()
    assert f"there are no {which} in" in error_of(folder)


def test_no_layout(folder):
    folder.save(folder.root / "cat" / "a.png", folder.picture(0))
    text = error_of(folder)
    assert "images/ and masks/" in text
    assert "has the folders cat" in text


def test_folder_above_or_below(folder):
    inner = type(folder)(folder.root / "inner")
    inner.pair("a", folder.mask_of([0, 1]))
    assert f"Did you mean dataset.root={inner.root}?" in error_of(folder)
    images = type(folder)(inner.root / "images")
    assert f"Did you mean dataset.root={inner.root}?" in error_of(images)


def test_number_beyond_a_table_of_colours(folder):
    folder.write("classes.csv", "name,r,g,b\nroad,1,2,3\nvoid,0,0,0\n")
    folder.pair("a", folder.mask_of([0, 2]))
    assert "has the value 2, 60 pixels" in error_of(folder)


def test_no_folder(tmp_path):
    for root, message in ((None, "got nothing"), ("nowhere", "nothing there: 'nowhere'")):
        with pytest.raises(FewshotError, match=r"dataset\.root") as caught:
            load_masks({"kind": "folder", "root": root})
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("binary", "yes"),
        ("reduce_zero_label", 1),
        ("ignore_index", "255"),
        ("ignore_index", 2.5),
        ("ignore_index", True),
        ("on_error", "ignore"),
        ("max_pixels", -1),
        ("classnames", "missing.txt"),
    ],
)
def test_wrong_settings(streets, setting, value):
    with pytest.raises(FewshotError, match=rf"dataset\.{setting}"):
        streets.load(**{setting: value})


def test_settings_that_exclude_each_other(streets):
    with pytest.raises(FewshotError, match="reduce_zero_label"):
        streets.load(binary=True, reduce_zero_label=True)


def test_images_beyond_the_limit(streets):
    assert "more than the 50" in error_of(streets, max_pixels=50)


def turned(folder, name, orientation, size):
    """An image with an orientation in its EXIF data, and a mask of the size that viewers show."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    folder.pair(name, folder.mask_of([0, 1], size))
    stored = size if orientation < 5 else size[::-1]
    folder.picture(orientation, stored).save(folder.root / "images" / f"{name}.png", exif=exif)


@pytest.mark.parametrize(("orientation", "size"), [(3, (12, 10)), (2, (12, 10)), (6, (12, 12))])
def test_a_turn_that_keeps_the_size(folder, orientation, size):
    folder.pair("a", folder.mask_of([0, 1]))
    turned(folder, "b", orientation, size)
    text = error_of(folder)
    assert "'images/b.png' is turned by its EXIF orientation" in text
    turned(folder, "c", 6, (12, 10))  # masks are of images as viewers show them
    assert len(folder.load().presence()) == 3


def test_an_unknown_orientation_turns_nothing(folder):
    folder.pair("a", folder.mask_of([0, 1]))
    turned(folder, "b", 0, (12, 10))
    assert len(folder.load().presence()) == 2


def test_a_mask_with_sides_exchanged_without_exif(folder):
    folder.pair("a", folder.mask_of([0, 1], (10, 12)))
    text = error_of(folder)
    assert "12 x 10 pixels, mask 'masks/a.png' 10 x 12" in text
    assert "EXIF" not in text


def test_no_pixel_of_the_queries_has_a_class(streets):
    for name in ("b_1", "b_2"):
        streets.pair(name, streets.mask_of([255]))
    text = error_of(streets, "dataset.ignore_index")
    assert "all pixels of the 2 masks of the images to segment are ignored" in text
    assert "'masks/b_1.png'" in text


def test_mask_in_another_sub_folder(streets):
    inner = streets.root / "masks" / "more"
    inner.mkdir()
    (streets.root / "masks" / "a_1.png").rename(inner / "a_1.png")
    text = error_of(streets)
    assert "a_1.png' is in another sub-folder" in text
    assert "differs in case" not in text


@pytest.mark.parametrize("names", [None, "tissue\n"])
def test_a_single_class(folder, names):
    folder.pair("a", folder.mask_of([0]))
    if names:
        folder.write("classes.txt", names)
    text = error_of(folder)
    assert "expected two classes or more" in text
    assert "'masks/a.png'" in text
