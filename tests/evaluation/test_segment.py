"""Masks of further images, and what is predicted of them."""

import numpy as np
import pytest
import torch
from PIL import Image

import fewshot
from fewshot.evaluation.mask_files import checked_target, mask_names, write_mask
from fewshot.evaluation.predict_masks import predict_masks
from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.counting import segmented
from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA

from .conftest import BACKBONE

QUICK = {"backbone": BACKBONE, "options": {"size": "native"}, "device": "cpu", "threads": 1}


def test_masks_have_the_names_and_sizes_of_the_images(at_scenes, tmp_path):
    segments = fewshot.segment("new", "annotated", out=tmp_path / "masks", overlay=True, **QUICK)
    names = ["a/1", "a/2", "b/1"]
    written = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.glob("masks*/**/*.*"))
    assert written == [
        "masks/a/1.png", "masks/a/2.png", "masks/b/1.png", "masks/classes.txt",
        "masks_overlays/a/1.jpg", "masks_overlays/a/2.jpg", "masks_overlays/b/1.jpg",
    ]  # fmt: skip
    classes = (tmp_path / "masks" / "classes.txt").read_text().splitlines()
    assert tuple(classes) == at_scenes.dataset.classnames == segments.classnames
    assert repr(segments).startswith("<Segments of 3 images into 8 classes by pixel_lda, fitted on")
    table = segments.table.set_index("file")
    for row, name in enumerate(names):
        mask = Image.open(tmp_path / "masks" / f"{name}.png")
        image = segments.images.read(row)
        overlay = Image.open(tmp_path / "masks_overlays" / f"{name}.jpg")
        assert mask.mode == "P" and mask.size == image.size == overlay.size
        np.testing.assert_array_equal(np.asarray(mask), segments.mask(row))
        shares = np.bincount(np.asarray(mask).ravel(), minlength=8) / np.asarray(mask).size
        np.testing.assert_allclose(table.loc[segments.images.paths[row]], shares)


def test_annotated_images_are_segmented_as_they_are_annotated(at_scenes):
    """Better than by the largest class of each; the order is that of the files."""
    segments = fewshot.segment("annotated/images", "annotated", **QUICK)
    dataset = segments.annotated.dataset
    names = [file.rpartition("/")[2] for file in dataset.images.paths]
    correct, most = [], []
    for row, file in enumerate(segments.images.paths):
        truth = dataset.read_mask(names.index(file.rpartition("/")[2]))
        correct.append((segments.mask(row) == truth).mean())
        most.append(np.bincount(truth.ravel()).max() / truth.size)
    assert np.mean(correct) > np.mean(most) + 0.1


def test_written_masks_are_a_data_set_again(at_scenes, tmp_path):
    fewshot.segment("new/a", "annotated", out=tmp_path / "own" / "masks", **QUICK)
    (tmp_path / "own" / "images").symlink_to(at_scenes.folder / "new" / "a")
    (tmp_path / "own" / "masks" / "classes.txt").rename(tmp_path / "own" / "classes.txt")
    again = fewshot.segment("new/b", tmp_path / "own", **QUICK)
    assert again.classnames == at_scenes.dataset.classnames and len(again.annotated.rows) == 2


def test_the_predicted_miou_is_that_of_images_left_out(at_scenes):
    segments = fewshot.segment("new", "annotated", PixelLDA(), **QUICK)
    images = [segments.annotated.fit([PixelLDA()]).fits.images[i] for i in range(7)]
    support = segments.annotated.source
    confusion = np.zeros((8, 8))
    for place, row in enumerate(segments.annotated.rows):
        from fewshot.tasks.segmentation.heads.base import DenseSupport

        others = DenseSupport([*images[:place], *images[place + 1 :]], 8)
        tokens = support.bank.tokens(int(row))
        scores = PixelLDA().fit(others).scores(tokens.features, tokens.grid)
        mask = segmented(scores.view(*tokens.grid, -1), tokens.placement).numpy()
        truth = segments.annotated.dataset.read_mask(int(row))
        np.add.at(confusion, (truth[truth >= 0], mask[truth >= 0]), 1)
    hits = confusion.diagonal()
    iou = hits / (confusion.sum(0) + confusion.sum(1) - hits)
    shown = segments.annotated.images_by_class()
    np.testing.assert_allclose(segments.predicted.iou[shown > 1], iou[shown > 1], atol=2e-3)
    assert segments.predicted.miou == pytest.approx(iou[shown > 1].mean(), abs=2e-3)
    assert segments.predicted.lower <= segments.predicted.miou <= segments.predicted.upper


def test_unreadable_images(at_scenes, tmp_path):
    (tmp_path / "some").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "some" / "good.png")
    (tmp_path / "some" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(FewshotError, match="torn"):
        fewshot.segment(tmp_path / "some", "annotated", out=tmp_path / "out", **QUICK)
    segments = fewshot.segment(tmp_path / "some", "annotated", on_error="skip", **QUICK)
    assert len(segments.table) == 1
    (skipped,) = segments.skipped
    assert skipped["path"].endswith("torn.png") and skipped["reason"]


def test_settings_of_heads_and_masks(at_scenes):
    settings = ["head.pixel_lda.shrinkage=0.7", "dataset.name=mine"]
    segments = fewshot.segment("new", "annotated", settings=settings, **QUICK)
    assert segments.fitted.fits.heads[0].shrinkage == 0.7
    assert segments.annotated.dataset.name == "mine"
    with pytest.raises(FewshotError, match="name of a head"):
        fewshot.segment("new", "annotated", PixelLDA(), settings=settings, **QUICK)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"out": "new"}, "out: expected a folder beside the images"),
        ({"out": "new/deeper"}, "out: expected a folder beside the images"),
        ({"out": "annotated/masks"}, "out: expected a folder beside the images"),
        ({"images": "new/a/2.bmp", "out": "local_colours.py"}, "out: expected a folder, got the"),
        ({"images": []}, "images: expected at least one"),
        ({"images": "nothing"}, "images: expected images or folders, got nothing at nothing"),
        ({"like": "nothing"}, "like: expected a folder with images/ and masks/"),
        ({"like": 3}, "like: expected a folder with images/ and masks/"),
        ({"like": "new"}, "dataset.root: expected a folder with images/ and masks/"),
        ({"head": "ncm"}, "head: expected a registered name, got 'ncm'. Available: auto"),
        ({"head": 3}, "head: expected a name or a DenseHead, got 3"),
        ({"head": "repri"}, "head: .*classes"),
        ({"on_error": "pass"}, "on_error: expected one of"),
        ({"options": {"sise": 1}}, "segmentation.sise: there is no such setting"),
        ({"settings": ["dataset.binery=true"]}, "dataset.binery: there is no such setting"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(at_scenes, arguments, words):
    before = sorted(at_scenes.folder.rglob("*.*"))
    with pytest.raises(FewshotError, match=words):
        fewshot.segment(**{"images": "new", "like": "annotated", **QUICK, **arguments})
    assert sorted(f for f in at_scenes.folder.rglob("*.*") if "pycache" not in str(f)) == [
        f for f in before if "pycache" not in str(f)
    ]


def test_names_of_masks():
    names = mask_names(["x/a/1.jpg", "x/b/1.jpg", "x/b/1.bmp", "x/b/2.png"])
    assert [str(name) for name in names] == ["a/1.png", "b/1.jpg.png", "b/1.bmp.png", "b/2.png"]
    assert [str(name) for name in mask_names(["x/a/1.jpg"])] == ["1.png"]


def test_images_are_never_written_over(tmp_path):
    image = tmp_path / "1.png"
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(FewshotError, match="is one of the images"):
        checked_target(tmp_path / "link", mask_names([str(image)]), [str(image)], [])
    assert checked_target(tmp_path / "new", [image], [], [tmp_path / "ne"]) == tmp_path / "new"


def test_masks_of_many_classes_keep_their_numbers(tmp_path):
    mask = np.array([[0, 255, 256, 999]], dtype=np.int16)
    write_mask(tmp_path / "many.png", mask, 1000)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "many.png")), mask)


def test_forecasts_of_heads(at_scenes):
    forecasts = predict_masks("annotated", head=["prototype", PixelLDA()], **QUICK)
    table = forecasts.table
    assert sorted(table["head"]) == ["pixel_lda", "prototype"]
    assert list(table["miou"]) == sorted(table["miou"], reverse=True)
    assert forecasts.best.head == table["head"][0]
    assert len(forecasts.classes) == 2 * 8
    shown = forecasts.classes[forecasts.classes["head"] == forecasts.best.head]
    assert list(shown["images"]) == forecasts.images
    known = shown["iou"].notna()
    assert forecasts.best.predicted.miou == pytest.approx(shown["iou"][known].mean())
    content = forecasts.as_json()
    assert content["best"]["head"] == forecasts.best.head
    text = str(forecasts)
    assert "annotated: 7 annotated images, 8 classes" in text and "prototype" in text


def test_a_single_annotated_image_predicts_nothing(at_scenes, tmp_path):
    for part in ("images", "masks"):
        (tmp_path / "one" / part).mkdir(parents=True)
        file = sorted((at_scenes.folder / "annotated" / part).iterdir())[-1]
        (tmp_path / "one" / part / file.name).write_bytes(file.read_bytes())
    (tmp_path / "one" / "classes.txt").write_bytes(
        (at_scenes.folder / "annotated" / "classes.txt").read_bytes()
    )
    forecasts = predict_masks(tmp_path / "one", **QUICK)
    assert np.isnan(forecasts.best.predicted.miou) and "nothing can be left out" in str(forecasts)
    assert forecasts.as_json()["forecasts"][0]["miou"] is None


def test_heads_see_tokens_on_their_device(at_scenes):
    fitted = fewshot.segment("new", "annotated", **QUICK).fitted
    assert fitted.segment(Image.new("RGB", (70, 50))).shape == (50, 70)
    assert torch.is_tensor(fitted.fits.heads[0].map_.weights)


def test_groups_are_predicted_as_well(at_scenes):
    settings = ["dataset.group='(.)$'"]
    forecasts = predict_masks("annotated", head="prototype", settings=settings, **QUICK)
    assert len(set(forecasts.best.new_groups.iou)) > 1
    assert forecasts.table["group_miou"][0] == forecasts.best.new_groups.miou
    assert "new groups" in str(forecasts) and "each group left out" in str(forecasts)
    without = predict_masks("annotated", head="prototype", **QUICK)
    assert without.best.new_groups is None and "group_miou" not in without.table
