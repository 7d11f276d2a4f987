"""Layouts of VOC, Cityscapes and ADE20K, and the sets of torchvision that have masks."""

import numpy as np
import pytest
from PIL import Image

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.masks import IGNORED, load_masks
from fewshot.tasks.segmentation.masks.names import ADE20K, CITYSCAPES, VOC

VOC_FOLDERS = {"images": "JPEGImages", "masks": "SegmentationClass"}


def voc(folder, names=("2007_1", "2007_2", "2008_1")):
    values = folder.mask_of([0, 15, 255])
    for name in names:
        image = Image.fromarray(values.astype(np.uint8))
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        folder.pair(name, image, **VOC_FOLDERS)
    folder.save(folder.root / "JPEGImages" / "2009_1.png", folder.picture(9))  # without a mask
    folder.write("ImageSets/Segmentation/train.txt", "2007_1\n2007_2\n")
    folder.write("ImageSets/Segmentation/val.txt", "2008_1\n")
    folder.write("ImageSets/Segmentation/test.txt", "2009_1\n")
    return folder


def test_names_are_complete_and_distinct():
    numbers = [len(set(names)) for names in (VOC, ADE20K, dict(CITYSCAPES).values())]
    assert numbers == [21, 150, 19]


def test_voc(folder):
    data = voc(folder).load()
    assert data.classnames == VOC
    assert data.background == 0
    assert (data.support.tolist(), data.queries.tolist()) == ([0, 1], [2])
    assert np.flatnonzero(data.presence().sum(0)).tolist() == [0, 15]
    assert data.read_mask(0)[0, :3].tolist() == [0, 15, IGNORED]


def test_voc_in_the_folder_of_its_archive(folder):
    inner = type(folder)(folder.root / "VOCdevkit" / "VOC2012")
    voc(inner)
    assert len(folder.load()) == 3


def test_voc_of_a_tool_with_classes_of_its_own(folder):
    voc(folder)
    colours = np.uint8([[0, 0, 0], [250, 0, 0]])
    for name in ("2007_1", "2007_2", "2008_1"):
        folder.pair(name, colours[folder.mask_of([0, 1])], **VOC_FOLDERS)
    folder.write("labelmap.txt", "# label:color_rgb:parts:actions\ncell:250,0,0::\n"
                 "background:0,0,0::\n")  # fmt: skip
    data = folder.load()
    assert data.classnames == ("cell", "background")
    assert data.background == 1
    assert data.read_mask(0)[0, :2].tolist() == [1, 0]


def test_voc_in_its_colours(folder):
    voc(folder)
    values = folder.mask_of([0, 15, 1])
    colours = np.zeros((21, 3), np.uint8)
    colours[[1, 15]] = [128, 0, 0], [192, 128, 128]  # as its development kit has them
    pixels = colours[values]
    pixels[0, 0] = 224, 224, 192  # the border
    folder.pair("2007_1", pixels, **VOC_FOLDERS)
    expected = values.copy()
    expected[0, 0] = IGNORED
    np.testing.assert_array_equal(folder.load().read_mask(0), expected)


@pytest.mark.parametrize(
    ("path", "message"),
    [("ImageSets/Segmentation/train.txt", "no train.txt"), ("ImageSets", "no ImageSets"),
     ("SegmentationClass/2008_1.png", "2008_1.png")],
)  # fmt: skip
def test_voc_with_parts_missing(folder, path, message):
    voc(folder)
    (folder.root / path).rename(folder.root / "elsewhere")
    with pytest.raises(FewshotError, match=r"dataset\.root") as caught:
        folder.load()
    assert message in str(caught.value)


def test_copies_in_published_sets_leave_the_support(folder):
    voc(folder)
    copy = folder.root / "JPEGImages" / "2007_1.png"
    copy.write_bytes((folder.root / "JPEGImages" / "2008_1.png").read_bytes())
    data = folder.load()
    assert (data.support.tolist(), data.queries.tolist()) == ([1], [2])
    assert data.facts["skipped"][0]["path"] == "JPEGImages/2007_1.png"


def cityscapes(folder):
    values = folder.mask_of([7, 26, 3])
    for part, city in (("train", "aachen"), ("train", "bochum"), ("val", "lindau")):
        stem = f"{city}_000000_000019"
        folder.save(
            folder.root / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png",
            folder.picture(len(part) + len(city) * ord(city[0])),
        )
        masks = folder.root / "gtFine" / part / city
        folder.save(masks / f"{stem}_gtFine_labelIds.png", values.astype(np.uint8))
        folder.save(masks / f"{stem}_gtFine_instanceIds.png", (values * 1000).astype(np.uint16))
    return folder


@pytest.mark.parametrize("kind", ["folder", "torchvision"])
def test_cityscapes(folder, kind):
    root = str(cityscapes(folder).root)
    data = load_masks({"kind": kind, "source": "Cityscapes", "root": root})
    assert len(data.classnames) == 19
    assert data.groups == ("aachen", "bochum", "lindau")
    assert (data.support.tolist(), data.queries.tolist()) == ([0, 1], [2])
    assert data.read_mask(2)[0, :3].tolist() == [0, 13, IGNORED]
    assert data.classnames[13] == "car"


def test_cityscapes_without_a_mask(folder):
    cityscapes(folder)
    mask = next((folder.root / "gtFine" / "val").rglob("*labelIds.png"))
    mask.unlink()
    with pytest.raises(FewshotError, match="lindau"):
        folder.load()
    data = folder.load(on_error="skip")
    assert len(data.facts["skipped"]) == 1
    assert data.queries is None


def test_ade20k(folder):
    for part, name in (("training", "ADE_train_1"), ("validation", "ADE_val_1")):
        mask = folder.mask_of([0, 1, 150])
        folder.pair(name, mask, images=f"images/{part}", masks=f"annotations/{part}")
    data = folder.load()
    assert data.classnames == ADE20K
    assert data.facts["layout"] == "ade20k"
    assert (data.support.tolist(), data.queries.tolist()) == ([0], [1])
    assert data.read_mask(0)[0, :3].tolist() == [IGNORED, 0, 149]


def pets(root, folder):
    base = root / "oxford-iiit-pet"
    for seed, name in enumerate(("cat_1", "cat_2", "dog_1")):
        folder.save(base / "images" / f"{name}.jpg", folder.picture(seed))
        trimap = folder.mask_of([1, 2, 3]).astype(np.uint8)
        folder.save(base / "annotations" / "trimaps" / f"{name}.png", trimap)
    (base / "annotations" / "trainval.txt").write_text("cat_1 1 1 1\ncat_2 1 1 1\n")
    (base / "annotations" / "test.txt").write_text("dog_1 2 2 1\n")


def test_pets_of_torchvision(folder, places):
    pets(places.data / "oxford_pets", folder)
    settings = {"kind": "torchvision", "card": "oxford_pets", "name": "oxford_pets"}
    data = load_masks(settings, places)
    assert data.name == "oxford_pets"
    assert data.classnames == ("background", "pet")
    assert (len(data.support), len(data.queries), data.background) == (2, 1, 0)
    assert data.presence().tolist() == [[40, 40]] * 3
    assert data.read_mask(0)[0, :3].tolist() == [1, 0, IGNORED]


def test_voc_of_torchvision(folder):
    inner = type(folder)(folder.root / "VOCdevkit" / "VOC2012")
    voc(inner, ("2007_1", "2007_2", "2008_1"))
    for name in ("2007_1", "2007_2", "2008_1"):
        image = inner.root / "JPEGImages" / f"{name}.png"
        Image.open(image).save(image.with_suffix(".jpg"))
    settings = {"kind": "torchvision", "source": "VOCSegmentation", "root": str(folder.root)}
    data = load_masks(settings)
    assert data.classnames == VOC
    assert (len(data.support), len(data.queries)) == (2, 1)
    one = load_masks({**settings, "options": {"image_set": "val"}})
    assert (len(one), one.queries) == (1, None)


def test_boundaries_of_torchvision(folder):
    scipy_io = pytest.importorskip("scipy.io")
    for name, number in (("a", 1), ("b", 2)):
        folder.save(folder.root / "img" / f"{name}.jpg", folder.picture(number))
        values = folder.mask_of([0, 5]).astype(np.uint8)
        cell = np.zeros((1, 1), [("Segmentation", object)])
        cell["Segmentation"][0, 0] = values
        (folder.root / "cls").mkdir(exist_ok=True)
        scipy_io.savemat(folder.root / "cls" / f"{name}.mat", {"GTcls": cell})
    folder.write("train.txt", "a\n")
    folder.write("val.txt", "b\n")
    settings = {"kind": "torchvision", "source": "SBDataset", "root": str(folder.root)}
    data = load_masks(settings)
    assert data.presence()[:, [0, 5]].tolist() == [[60, 60]] * 2
    (folder.root / "cls" / "b.mat").write_bytes(b"MATLAB")
    with pytest.raises(FewshotError, match=r"cannot read mask 'cls/b\.mat'"):
        load_masks(settings).presence()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "CIFAR10"}, "with masks"),
        ({"source": "VOCSegmentatoin"}, "Did you mean"),
        ({}, "got nothing"),
        ({"source": "VOCSegmentation", "root": "nowhere"}, "no such folder"),
        ({"source": "Cityscapes", "root": "nowhere"}, "leftImg8bit"),
        ({"source": "OxfordIIITPet", "root": "nowhere", "download": "no"}, "true or false"),
        ({"source": "OxfordIIITPet", "root": ".", "options": {"colour": 1}}, "'colour'"),
    ],
)
def test_wrong_sets_of_torchvision(settings, message):
    with pytest.raises(FewshotError) as caught:
        load_masks({"kind": "torchvision", **settings})
    assert message in str(caught.value)
