"""Masks from JSON files in the format of COCO."""

import json
import sys
import zlib

import numpy as np
import pytest

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.masks import IGNORED
from fewshot.tasks.segmentation.masks.coco import coco_files

SIZE = (12, 10)


def box(left, top, right, bottom):
    """A polygon around whole pixels."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def run_lengths(area):
    """Uncompressed run lengths of a mask, by columns, beginning with what is outside."""
    flat = area.T.reshape(-1).astype(int)
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *borders, len(flat)]).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": list(area.shape)}


def table(annotations, names=("x.png",)):
    images = [
        {"id": 7 + n, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        for n, name in enumerate(names)
    ]
    categories = [{"id": 3, "name": "cell"}, {"id": 90, "name": "dirt"}]
    listed = [
        {"id": n, "image_id": 7, "category_id": 3, "iscrowd": 0, **annotation}
        for n, annotation in enumerate(annotations)
    ]
    return {"images": images, "annotations": listed, "categories": categories}


def write(folder, content, file="annotations.json", images="images"):
    for n, entry in enumerate(content["images"]):
        seed = n + zlib.crc32(file.encode())
        folder.save(folder.root / images / entry["file_name"], folder.picture(seed, SIZE))
    folder.write(file, json.dumps(content))
    return folder


@pytest.fixture
def _package():
    pytest.importorskip("pycocotools.mask", reason="the extra coco is not installed")


@pytest.mark.usefixtures("_package")
def test_polygons_run_lengths_and_crowds(folder):
    area = np.zeros((SIZE[1], SIZE[0]), bool)
    area[5:9, 0:4] = True
    crowd = np.zeros_like(area)
    crowd[:, 10:] = True
    content = table(
        [
            {"segmentation": box(0, 0, 4, 3)},
            {"segmentation": box(2, 0, 6, 3), "category_id": 90},
            {"segmentation": run_lengths(area), "category_id": 90},
            {"segmentation": run_lengths(crowd), "iscrowd": 1},
            {"segmentation": box(9, 0, 11, 3)},
            {"segmentation": [[1.0, 1.0, 2.0, 2.0]]},  # no area
        ]
    )
    data = write(folder, content).load()
    assert data.classnames == ("background", "cell", "dirt")
    assert data.background == 0
    mask = data.read_mask(0)
    expected = np.zeros((SIZE[1], SIZE[0]), int)
    expected[:3, :4] = expected[:3, 9:11] = 1
    expected[:3, 4:6] = expected[5:9, :4] = 2
    expected[:3, 2:4] = IGNORED  # of both
    expected[:, 10:] = IGNORED
    expected[:3, 10] = 1
    np.testing.assert_array_equal(mask, expected)
    assert data.presence().sum() == (expected >= 0).sum()


@pytest.mark.usefixtures("_package")
def test_a_category_called_background_is_the_background(folder):
    content = table([{"segmentation": box(0, 0, 4, 3), "category_id": 90}])
    content["categories"][0]["name"] = "Background"
    data = write(folder, content).load()
    assert data.classnames == ("Background", "dirt")
    assert data.presence().tolist() == [[108, 12]]


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
        ("annotations/instances_{}.json", "images"),
        ("{}/_annotations.coco.json", "{}"),
        ("{}.json", "images"),
    ],
)
def test_parts(folder, file, images):
    for part in ("train", "valid" if "coco" in file else "val"):
        names = tuple(f"{part}_{n}.png" for n in range(2))
        content = table([{"segmentation": box(0, 0, 4, 3)}], names)
        write(folder, content, file.format(part), images.format(part))
    folder.write("annotations/captions_train2017.json", "{}")
    data = folder.load()
    assert (data.support.tolist(), data.queries.tolist()) == ([0, 1], [2, 3])
    assert data.presence()[:, 1].tolist() == [12, 0, 12, 0]


@pytest.mark.usefixtures("_package")
def test_a_file_by_its_name(folder):
    write(folder, table([{"segmentation": box(0, 0, 4, 3)}]), "mine.json")
    assert len(folder.load(annotations="mine.json")) == 1
    with pytest.raises(FewshotError, match=r"dataset\.annotations"):
        folder.load(annotations="others.json")


def test_masks_that_are_files_come_first(folder):
    folder.pair("x", folder.mask_of([0, 1]))
    folder.write("annotations.json", "{}")
    assert coco_files(folder.root) == {}
    assert len(folder.load()) == 1


SHAPE = {"segmentation": box(0, 0, 4, 3)}
FAULTS = {
    "unknown category": (table([SHAPE | {"category_id": 5}]), "category 5, which is not listed"),
    "no category": (table([SHAPE | {"category_id": None}]), "category None"),
    "unknown image": (table([SHAPE | {"image_id": 99}]), "image 99, which is not listed"),
    "box": (table([{"segmentation": []}]), "has no area"),
    "no list": ({"images": [], "annotations": []}, "no list of 'categories'"),
    "no images": (table([]) | {"images": []}, "lists no image"),
    "no categories": (table([]) | {"categories": []}, "expected categories"),
    "same id": (table([]) | {"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]},
                "expected categories"),
    "same name": (table([]) | {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]},
                  "two classes"),
    "no size": (table([]) | {"images": [{"id": 1, "file_name": "x.png"}]}, "width and height"),
    "size": (table([SHAPE]) | {"images": [{"id": 7, "file_name": "x.png", "width": 9,
             "height": 9}]}, "9 x 9"),
    "runs": (table([{"segmentation": {"counts": [1, 2], "size": [3, 4]}}]), "in place of 12 x 10"),
    "no runs": (table([{"segmentation": {"counts": "?", "size": "?"}}]), "cannot be drawn"),
}  # fmt: skip


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(folder, fault):
    content, message = FAULTS[fault]
    with pytest.raises(FewshotError) as caught:
        write(folder, content).load().presence()
    text = str(caught.value)
    assert message in text
    assert "annotations.json" in text
    assert "\n" not in text


@pytest.mark.usefixtures("_package")
def test_text_that_is_no_json(folder):
    write(folder, table([]))
    for text in ("{", "[1, 2]", ""):
        folder.write("annotations.json", text)
        with pytest.raises(FewshotError, match=r"annotations\.json"):
            folder.load()


@pytest.mark.usefixtures("_package")
def test_missing_images(folder):
    write(folder, table([SHAPE], ("x.png", "y.png")))
    (folder.root / "images" / "y.png").unlink()
    with pytest.raises(FewshotError, match=r"1 of the 2 images .* 'y\.png'"):
        folder.load()
    data = folder.load(on_error="skip")
    assert (len(data), data.facts["skipped"][0]["path"]) == (1, "y")
    (folder.root / "images" / "x.png").unlink()
    with pytest.raises(FewshotError, match="none of the images"):
        folder.load(on_error="skip")


def test_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(FewshotError, match=r"pycocotools.*\.\[coco\]"):
        write(folder, table([])).load()
