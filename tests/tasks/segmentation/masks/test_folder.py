"""Folders of images and masks: layouts, parts, names, kinds of masks."""

import zlib

import numpy as np
import pytest
from PIL import Image

from fewshot.tasks.segmentation.masks import IGNORED, load_masks, write_folder


def paletted(values):
    image = Image.fromarray(values.astype(np.uint8))
    image.putpalette([7, 7, 7] * 256)
    return image


def test_parts_classes_and_pixels(streets):
    data = streets.load()
    assert data.name == "set"
    assert data.classnames == ("road", "sky", "car")
    assert [data.images.paths[row] for row in data.support] == ["images/a_1.png", "images/a_2.png"]
    assert [data.images.paths[row] for row in data.queries] == ["images/b_1.png", "images/b_2.png"]
    mask = data.read_mask(0)
    assert mask.dtype == np.int16
    assert mask[0, :5].tolist() == [0, 1, 2, IGNORED, 0]
    assert data.presence().tolist() == [[30, 30, 30]] * 4
    assert data.facts["pixels"] == 480
    assert data.facts["ignored_pixels"] == 120
    assert data.background is None
    assert data.images.read(1).size == (12, 10)


@pytest.mark.parametrize(
    "convert",
    [
        lambda values: Image.fromarray(values.astype(np.uint8)),
        lambda values: Image.fromarray(values.astype(np.uint16)),
        lambda values: Image.fromarray(np.stack([values.astype(np.uint8)] * 3, -1)),
        paletted,
    ],
    ids=["L", "I;16", "grey RGB", "P"],
)
def test_modes_of_masks(streets, convert):
    values = streets.mask_of([2, 1, 0, 255])
    streets.pair("a_1", convert(values))
    expected = np.where(values == 255, IGNORED, values)
    np.testing.assert_array_equal(streets.load().read_mask(0), expected)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_masks_of_wide_numbers(streets, kind):
    values = streets.mask_of([2, 1, 0]).astype(kind)
    (streets.root / "masks" / "a_1.png").unlink()
    streets.save(streets.root / "masks" / "a_1.tif", Image.fromarray(values))
    np.testing.assert_array_equal(streets.load().read_mask(0), values)


@pytest.mark.parametrize(("high", "mode"), [(255, np.uint8), (1, np.uint8), (1, bool)])
def test_masks_of_two_values(folder, high, mode):
    for name in "ab":
        folder.pair(name, (folder.mask_of([0, 0, 1]) * high).astype(mode))
    data = folder.load(binary=True)
    assert data.classnames == ("background", "foreground")
    assert data.background == 0
    assert data.presence().tolist() == [[80, 40]] * 2
    assert data.queries is None
    assert data.support.tolist() == [0, 1]


def test_one_bit_masks_need_no_setting(folder):
    folder.pair("a", folder.mask_of([0, 1]).astype(bool))
    assert folder.load().presence().tolist() == [[60, 60]]


def test_classes_without_names_are_as_many_as_there_are_numbers(folder, places):
    folder.pair("a", folder.mask_of([0, 3]))
    folder.pair("b", folder.mask_of([1, 255]))
    data = folder.load(places)
    assert data.classnames == ("0", "1", "2", "3")
    assert data.presence().tolist() == [[60, 0, 0, 60], [0, 60, 0, 0]]
    assert data.facts["absent_classes"] == ["2"]


def test_zero_is_of_no_class(folder):
    folder.pair("a", folder.mask_of([0, 1, 2, 255]))
    folder.write("classes.txt", "wall\nfloor\n")
    data = folder.load(reduce_zero_label=True)
    assert data.read_mask(0)[0, :4].tolist() == [IGNORED, 0, 1, IGNORED]
    assert data.presence().tolist() == [[30, 30]]
    # A list that names the value 0 as well means the same.
    folder.write("classes.txt", "other\nwall\nfloor\n")
    assert folder.load(reduce_zero_label=True).classnames == ("wall", "floor")


@pytest.mark.parametrize(("ignore", "pixels"), [([255, 2], [30, 30, 0]), (1, None), (None, None)])
def test_ignored_values(folder, ignore, pixels):
    folder.pair("a", folder.mask_of([0, 1, 2, 255]))
    folder.write("classes.txt", "wall\nfloor\nroof\n")
    data = folder.load(ignore_index=ignore)
    if pixels is None:  # 255 is a value as others then, and no class has it
        with pytest.raises(Exception, match=r"a\.png' has the value 255, 30 pixels"):
            data.presence()
    else:
        assert data.presence().tolist() == [pixels]


def test_more_names_than_numbers(streets):
    streets.write("classes.txt", "road\nsky\ncar\ntruck\n\n\n")
    data = streets.load()
    assert data.classnames[-1] == "truck"
    assert data.presence()[:, 3].tolist() == [0] * 4
    assert data.facts["absent_classes"] == ["truck"]


def test_numbers_before_names(streets):
    streets.write("classes.txt", "0: road\n1: sky\n2: car\n")
    assert streets.load().classnames == ("road", "sky", "car")


def test_validation_is_segmented_where_there_is_no_test(streets):
    (streets.root / "test.txt").rename(streets.root / "val.txt")
    assert streets.load().facts["parts"] == {"support": "train", "queries": "validation"}
    streets.write("test.txt", "b_2\n")
    data = streets.load()
    assert data.facts["parts"]["queries"] == "test"
    assert data.facts["unlisted"] == 1  # b_1, of val
    assert len(data) == 3


def test_a_test_whose_masks_are_not_public(streets):
    (streets.root / "masks" / "b_2.png").unlink()
    streets.write("val.txt", "b_1\n")
    streets.write("test.txt", "b_2\n")
    data = streets.load()
    assert data.facts["parts"]["queries"] == "validation"
    assert data.queries.tolist() == [2]
    streets.write("val.txt", "b_2\n")  # not needed where the test has masks
    streets.write("test.txt", "b_1\n")
    assert streets.load().facts["parts"]["queries"] == "test"


def test_sub_folders_that_are_no_parts(folder):
    for part in ("train", "night"):
        folder.pair(f"{part}_1", folder.mask_of([0, 1]), images=f"images/{part}",
                    masks=f"masks/{part}")  # fmt: skip
    data = folder.load()
    assert data.images.paths == ("images/night/night_1.png", "images/train/train_1.png")
    assert data.queries is None


def test_without_queries_all_images_stay(streets):
    (streets.root / "test.txt").unlink()
    data = streets.load()
    assert data.queries is None
    assert len(data) == 4
    assert data.support.tolist() == [0, 1]


@pytest.mark.parametrize(
    "line",
    ["a_1.png", "images/a_1", "images/a_1.jpg", "./a_1", "/data/set/images/a_1.png",
     "images/a_1.png masks/a_1.png", "images\\a_1.png"],
)  # fmt: skip
def test_lists_name_images_in_many_ways(streets, line):
    streets.write("train.txt", f"\n{line}\n\n  a_2  \n")
    assert streets.load().support.tolist() == [0, 1]


def test_names_with_dots_and_blanks(folder):
    folder.pair("run 1.2", folder.mask_of([0, 1]))
    folder.pair("run 1.3", folder.mask_of([0, 1]))
    folder.write("train.txt", "run 1.2\n")
    folder.write("test.txt", "run 1.3\n")
    data = folder.load()
    assert (data.support.tolist(), data.queries.tolist()) == ([0], [1])


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images/{}", "masks/{}"), ("{}/images", "{}/masks"), ("{}", "{}_labels"), ("{}", "{}annot"),
     ("Images/{}", "Labels/{}")],
)  # fmt: skip
def test_folders_for_the_parts(folder, images, masks):
    for part, names in (("train", ["x", "y"]), ("val", ["x"])):
        for name in names:
            mask = folder.mask_of([0, 1, 2])
            picture = folder.picture(len(part) + ord(name))
            folder.pair(name, mask, picture, images.format(part), masks.format(part))
    data = folder.load()
    assert (data.support.tolist(), data.queries.tolist()) == ([0, 1], [2])
    assert len(data) == 3


@pytest.mark.parametrize("masks", ["labels", "annotations", "SegmentationClass", "gt"])
def test_names_of_the_folder_of_masks(folder, masks):
    folder.pair("a", folder.mask_of([0, 1]), masks=masks)
    assert len(folder.load()) == 1


@pytest.mark.parametrize("suffix", ["_mask", "_labelIds", "_L", "-label", "_seg"])
def test_names_of_masks(folder, suffix):
    for name in ("a", "b"):
        folder.save(folder.root / "images" / f"{name}.jpg", folder.picture(ord(name)))
        values = folder.mask_of([0, 1]).astype(np.uint8)
        folder.save(folder.root / "masks" / f"{name}{suffix}.png", values)
    assert folder.load().masks == (f"masks/a{suffix}.png", f"masks/b{suffix}.png")


def test_masks_beside_their_images(folder):
    folder.save(folder.root / "a.jpg", folder.picture(0))
    folder.save(folder.root / "a_mask.png", folder.mask_of([0, 1]).astype(np.uint8))
    data = folder.load()
    assert data.images.paths == ("a.jpg",)
    assert data.presence().tolist() == [[60, 60]]


COLOURS = {0: (128, 64, 128), 1: (70, 130, 180), 2: (0, 0, 0)}


def in_colour(values):
    return np.array([COLOURS[value] for value in range(3)], np.uint8)[values]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.csv", "name,r,g,b\nroad,128,64,128\nsky,70,130,180\nvoid,0,0,0\n"),
        ("classes.csv", "R;G;B;Class\n128;64;128;road\n70;130;180;sky\n0;0;0;Void\n"),
        ("class_dict.csv", "name, red, green, blue\nroad, 128, 64, 128\nsky, 70, 130, 180\n"
         "Unlabelled, 0, 0, 0\n"),
        ("classes.csv", "road,128,64,128\nsky,70,130,180\nvoid,0,0,0\n"),
        ("label_colors.txt", "128 64 128\troad\n70 130 180\t\tsky\n0 0 0\tVoid\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nroad:128,64,128::\nsky:70,130,180::\n"
         "ignore:0,0,0::\n"),
    ],
)  # fmt: skip
def test_masks_in_colour(folder, file, text):
    folder.write(file, text)
    values = folder.mask_of([0, 1, 2])
    folder.pair("a", in_colour(values))
    folder.pair("b", Image.fromarray(in_colour(values)).quantize(8))
    data = folder.load()
    assert data.classnames == ("road", "sky")
    assert data.presence().tolist() == [[40, 40]] * 2
    np.testing.assert_array_equal(data.read_mask(0), np.where(values == 2, IGNORED, values))
    np.testing.assert_array_equal(data.read_mask(1), data.read_mask(0))


def test_colours_in_the_settings(folder):
    folder.pair("a", in_colour(folder.mask_of([0, 1])))
    data = folder.load(palette={"road": [128, 64, 128], "sky": [70, 130, 180]})
    assert data.presence().tolist() == [[60, 60]]


def test_order_of_classes_is_that_of_the_list(folder):
    folder.write("classes.csv", "name,r,g,b\nroad,128,64,128\nsky,70,130,180\nvoid,0,0,0\n")
    folder.write("classes.txt", "sky\nroad\n")
    folder.pair("a", in_colour(folder.mask_of([0, 0, 1])))
    data = folder.load()
    assert data.classnames == ("sky", "road")
    assert data.presence().tolist() == [[40, 80]]


@pytest.mark.parametrize("pattern", ["^[^_]+", "^(?:x|([ab]))_", "(a|b)"])
def test_groups(streets, pattern):
    assert streets.load(group=pattern).groups == ("a", "a", "b", "b")


def test_turned_photographs_fit_turned_masks(folder):
    image = folder.picture(0, (10, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder.root / "images").mkdir()
    image.save(folder.root / "images" / "a.jpg", exif=exif)
    folder.save(folder.root / "masks" / "a.png", folder.mask_of([0, 1]).astype(np.uint8))
    data = folder.load()
    assert data.images.read(0).size == (12, 10)
    assert data.read_mask(0).shape == (10, 12)


def test_presence_is_cached_and_follows_the_files(streets, places, monkeypatch):
    counts = streets.load(places).presence()
    monkeypatch.setattr(
        "fewshot.tasks.segmentation.masks.files.class_numbers", lambda *a: pytest.fail("read")
    )
    again = streets.load(places)
    np.testing.assert_array_equal(again.presence(), counts)
    assert again.facts["ignored_pixels"] == 120
    monkeypatch.undo()
    for cached in (places.cache / "masks").iterdir():
        cached.write_bytes(b"damaged")
    np.testing.assert_array_equal(streets.load(places).presence(), counts)
    before = streets.load(places).fingerprint()
    streets.pair("b_2", streets.mask_of([0, 0, 0, 1]), streets.picture(99))
    changed = streets.load(places)
    assert changed.fingerprint() != before
    assert changed.presence()[3].tolist() == [90, 30, 0]


def test_fingerprints_depend_on_what_pixels_mean(streets):
    plain = streets.load()
    assert streets.load().fingerprint() == plain.fingerprint()
    assert streets.load(ignore_index=[255, 2]).fingerprint() != plain.fingerprint()
    assert streets.load(ignore_index=[255, 2]).images.fingerprint() == plain.images.fingerprint()
    streets.write("classes.txt", "road\nsky\nvan\n")
    assert streets.load().fingerprint() != plain.fingerprint()


def test_written_folders_are_read_again(tmp_path):
    scenes = load_masks({"kind": "scenes", "train": 3, "test": 2, "size": [32, 40]})
    data = load_masks({"kind": "folder", "root": str(write_folder(scenes, tmp_path / "out"))})
    assert data.classnames == scenes.classnames
    assert (len(data.support), len(data.queries)) == (3, 2)
    by_name = {path.split("/")[1].removesuffix(".png"): row for row, path in
               enumerate(data.images.paths)}  # fmt: skip
    for row, path in enumerate(scenes.images.paths):
        other = by_name[path.replace("/", "_")]
        np.testing.assert_array_equal(data.read_mask(other), scenes.read_mask(row))
        assert data.images.read(other).tobytes() == scenes.images.read(row).tobytes()


def grey_png(values, bits):
    """A grey PNG of 2 or 4 bits a pixel with these very numbers, as other programs write it."""
    height, width = values.shape
    per_byte = 8 // bits
    wide = np.pad(values, ((0, 0), (0, -width % per_byte))).reshape(height, -1, per_byte)
    rows = (wide << (8 - bits * (np.arange(per_byte) + 1))).sum(-1).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, content):
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([bits, 0, 0, 0, 0])
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("bits", [2, 4])
def test_numbers_of_few_bits_are_not_scaled(streets, bits):
    values = streets.mask_of([2, 1, 0])
    (streets.root / "masks" / "a_1.png").write_bytes(grey_png(values, bits))
    np.testing.assert_array_equal(streets.load().read_mask(0), values)


def test_two_values_of_16_bits(folder):
    folder.pair("a", (folder.mask_of([0, 0, 1]) * 65535).astype(np.uint16))
    assert folder.load(binary=True).presence().tolist() == [[80, 40]]


def test_numbers_beside_a_table_of_colours_are_its_lines(folder):
    folder.write("classes.csv", "name,r,g,b\nroad,1,2,3\nvoid,0,0,0\nsky,4,5,6\n")
    folder.pair("a", folder.mask_of([0, 1, 2, 255]))
    data = folder.load()
    assert data.classnames == ("road", "sky")
    assert data.read_mask(0)[0, :4].tolist() == [0, IGNORED, 1, IGNORED]


def test_folders_of_parts_are_no_groups(folder):
    for part, name in (("train", "a_1"), ("train", "b_1"), ("val", "a_2")):
        folder.pair(name, folder.mask_of([0, 1]), images=f"images/{part}", masks=f"masks/{part}")
    assert folder.load(group="^[^_]+").groups == ("a", "b", "a")


def test_lists_in_any_case(streets):
    (streets.root / "test.txt").rename(streets.root / "Test.TXT")
    assert streets.load().queries.tolist() == [2, 3]
