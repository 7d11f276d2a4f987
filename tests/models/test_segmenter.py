"""Segmentation models: the same masks before and after saving, and what files are refused."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import fewshot
from fewshot.backbones.callable import CallableBackbone
from fewshot.exceptions import FewshotError
from fewshot.importing import origin_of
from fewshot.models.file import CHECKSUM_KEY, checksum
from fewshot.models.segmentation.note import KEY
from fewshot.tasks.segmentation.heads.base import DenseHead, DenseSupport, SupportImage
from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN
from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA
from fewshot.tasks.segmentation.heads.prototype import Prototype
from fewshot.tasks.segmentation.heads.repri import RePRI
from fewshot.tasks.segmentation.heads.state import (
    HeadState,
    class_of,
    restored,
    state_of,
)

SCENES = runpy.run_path(str(Path(__file__).parents[1] / "evaluation" / "conftest.py"))
scenes, at_scenes, BACKBONE = SCENES["scenes"], SCENES["at_scenes"], SCENES["BACKBONE"]
HOW = {"backbone": BACKBONE, "options": {"size": "native"}, "device": "cpu"}
NAMED = {"backbone": BACKBONE, "device": "cpu"}


def fitted(head="pixel_lda", **options):
    return fewshot.fit("annotated", task="segmentation", head=head, **HOW, **options)


def masks(segments):
    return [segments.mask(row) for row in range(len(segments.images))]


@pytest.mark.parametrize(
    "head", ["pixel_lda", "prototype", "ridge", "logistic", "dense_knn", "auto"]
)
def test_masks_are_the_same_after_loading(at_scenes, tmp_path, head):
    """And of `fewshot.segment` like the annotated images, to the last bit."""
    segmenter = fitted(head, prediction=False)
    segmenter.save(tmp_path / "m.fewshot")
    like = masks(fewshot.segment("new", "annotated", head, **HOW))
    loaded = fewshot.load(tmp_path / "m.fewshot", **NAMED)
    for model in (segmenter, loaded):
        for mask, expected in zip(masks(model.segment_all("new")), like, strict=True):
            np.testing.assert_array_equal(mask, expected)
            assert mask.dtype == expected.dtype == np.int16
    image = Image.open("new/a/1.jpg")
    tokens = segmenter.features.tokens(image)
    scores = [m.head.scores(tokens.features, tokens.grid) for m in (segmenter, loaded)]
    assert torch.equal(*scores)
    for entry in ("new/a/1.jpg", Path("new/a/1.jpg"), image, np.asarray(image)):
        np.testing.assert_array_equal(loaded.segment(entry), like[0])


def test_a_file_has_all_that_is_known(at_scenes, tmp_path):
    segmenter = fitted("auto")
    segmenter.save(tmp_path / "m.fewshot")
    loaded = fewshot.load(tmp_path / "m.fewshot", **NAMED)
    assert isinstance(loaded, fewshot.Segmenter) and loaded.annotated is None
    assert tuple(loaded.classes_) == at_scenes.dataset.classnames
    header, before = loaded.header_, segmenter.predicted
    assert header.task == "segmentation" and header.backbone.dim == 24
    assert header.backbone.weights.sha256 == segmenter.features.backbone.weights_digest
    assert header.images["cross"] == 1 and loaded.dense.annotated == 7
    assert loaded.name_of_head == "auto" and header.head["name"] != "auto"
    assert (loaded.dense.size, loaded.dense.stride) == ("native", 8)
    assert (loaded.predicted.miou, loaded.predicted.lower) == (before.miou, before.lower)
    np.testing.assert_array_equal(loaded.predicted.iou, before.iou)
    assert loaded.predicted.class_reservations == before.class_reservations
    assert loaded.predicted.reservations == before.reservations
    assert "8 classes by auto on callable:local_colours:network, fitted on 7" in repr(loaded)
    for words in ("| cross | 1 | - | - |", "Predicted mIoU", "fewshot segment model.fewshot"):
        assert words in header.card == loaded.card
    loaded.save(tmp_path / "again.fewshot")
    assert fewshot.load(tmp_path / "again.fewshot", **NAMED).header_ == header


def test_without_a_prediction(at_scenes, tmp_path):
    segmenter = fitted(prediction=False)
    segmenter.save(tmp_path / "m.fewshot")
    assert segmenter.predicted is fewshot.load(tmp_path / "m.fewshot").predicted is None
    assert "was not predicted" in fewshot.load(tmp_path / "m.fewshot").header_.card


def test_masks_are_written_by_a_model(at_scenes, tmp_path):
    """By a Segmenter or its file, with the same names as like annotated images."""
    segmenter = fitted(prediction=False)
    segmenter.save(tmp_path / "m.fewshot")
    fewshot.segment("new", "annotated", out=tmp_path / "like", overlay=True, **HOW)
    segmenter.segment_all("new", tmp_path / "all", overlay=True)
    fewshot.segment("new", tmp_path / "m.fewshot", out=tmp_path / "file", overlay=True, **NAMED)
    fewshot.segment("new", segmenter, out=tmp_path / "model", overlay=True)
    expected = files_of(tmp_path, "like")
    assert len(expected) == 7
    for folder in ("all", "file", "model"):
        assert files_of(tmp_path, folder) == expected


def files_of(place, folder):
    return {
        str(file.relative_to(place)).removeprefix(folder): file.read_bytes()
        for part in (folder, f"{folder}_overlays")
        for file in (place / part).rglob("*.*")
    }


def test_images_that_cannot_be_read(at_scenes, tmp_path):
    segmenter = fitted(prediction=False)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    Image.new("RGB", (64, 64)).save(tmp_path / "new" / "good.png")
    with pytest.raises(FewshotError, match=r"image: .*torn.png"):
        segmenter.segment(tmp_path / "new" / "torn.png")
    with pytest.raises(FewshotError, match=r"images: .*torn.png"):
        segmenter.segment_all(tmp_path / "new", tmp_path / "out")
    segments = segmenter.segment_all(tmp_path / "new", tmp_path / "skip", on_error="skip")
    assert [Path(entry["path"]).name for entry in segments.skipped] == ["torn.png"]
    assert (tmp_path / "skip" / "good.png").is_file()
    with pytest.raises(FewshotError, match="image: expected a single image, got several"):
        segmenter.segment(["new/a/1.jpg", "new/b/1.jpg"])


def test_masks_are_not_written_among_images(at_scenes, tmp_path):
    segmenter = fitted(prediction=False)
    for out in ("new", "new/deeper", "annotated/masks", "annotated/images"):
        with pytest.raises(FewshotError, match="out: expected a folder beside the images"):
            segmenter.segment_all("new", out)
        with pytest.raises(FewshotError, match="out: expected a folder beside the images"):
            fewshot.segment("new", segmenter, out=out)
    (tmp_path / "classes.txt").write_text("cell\nwall\n")
    with pytest.raises(FewshotError, match="names other classes"):
        segmenter.segment_all("new", tmp_path)


def test_a_model_has_its_head_and_its_settings(at_scenes, tmp_path):
    segmenter = fitted("ridge", prediction=False)
    segmenter.save(tmp_path / "m.fewshot")
    for like, arguments, words in (
        (segmenter, {"head": "ridge"}, "head: expected none with a fitted model"),
        (segmenter, {"backbone": BACKBONE}, "backbone: expected none with a fitted model"),
        (segmenter, {"options": {"size": "native"}}, "options: expected none with a fitted"),
        (tmp_path / "m.fewshot", {"settings": ["dataset.binary=true"]}, "settings: expected none"),
        (tmp_path / "m.fewshot", {"head": "pixel_lda"}, "head: expected 'ridge', which the model"),
        (tmp_path / "m.fewshot", {"backbone": "resnet18"}, "backbone: expected 'callable:local"),
        (tmp_path / "m.fewshot", {}, "backbone: .*a file does not make code run"),
        (tmp_path / "none.fewshot", {}, "like: expected a folder with images/ and masks/"),
    ):
        with pytest.raises(FewshotError, match=words):
            fewshot.segment("new", like, out=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_other_weights_are_refused(at_scenes, tmp_path, monkeypatch):
    segmenter = fitted(prediction=False)
    segmenter.save(tmp_path / "m.fewshot")
    loaded = fewshot.load(tmp_path / "m.fewshot", **NAMED)
    monkeypatch.setattr(CallableBackbone, "weights_digest", "0" * 64)
    with pytest.raises(FewshotError, match="with other weights of 'callable:local_colours"):
        loaded.segment("new/a/1.jpg")


def test_what_could_not_be_loaded_is_not_written(at_scenes, tmp_path):
    segmenter = fitted(prediction=False)
    header = replace(segmenter.header_, classes=("a",), images={"a": 7})
    with pytest.raises(FewshotError, match="it has 1 class name"):
        replace(segmenter, header_=header).save(tmp_path / "m.fewshot")
    assert not list(tmp_path.glob("*.fewshot"))


def test_options_that_there_are_not(at_scenes):
    with pytest.raises(FewshotError, match="task: expected one of 'classification', 'segment"):
        fewshot.fit("annotated", task="segmentatio")
    with pytest.raises(FewshotError, match=r"heads: fewshot\.fit has no such argument"):
        fewshot.fit("annotated", task="segmentation", heads="ridge")
    with pytest.raises(FewshotError, match="images: expected a folder with images/ and masks/"):
        fewshot.fit("nothing", task="segmentation")


class Nearest(DenseKNN):
    """A head of somebody's own."""


class Remembering(DenseHead):
    """A head that learns what no file can hold."""

    def fit(self, support, seed=0):
        self.images_, self.ways_ = [image.labels for image in support.images], support.ways
        return self

    def scores(self, tokens, grid):
        return tokens[:, : self.ways_]


def test_heads_of_ones_own(at_scenes, tmp_path):
    """One that is not linear is named again; one that cannot be saved still segments."""
    model = fitted(Nearest(k=3), prediction=False)
    model.save(tmp_path / "m.fewshot")
    with pytest.raises(FewshotError, match=r"head: .* 'nearest', which no installed package"):
        fewshot.load(tmp_path / "m.fewshot")
    loaded = fewshot.load(tmp_path / "m.fewshot", head=Nearest(), **NAMED)
    assert loaded.head.k == 3 and loaded.head is not model.head
    np.testing.assert_array_equal(loaded.segment("new/a/1.jpg"), model.segment("new/a/1.jpg"))

    other = fitted(Remembering(), prediction=False)
    assert other.segment("new/a/1.jpg").shape == Image.open("new/a/1.jpg").size[::-1]
    with pytest.raises(FewshotError, match=r"head: Remembering cannot be saved: .*'images_' is"):
        other.save(tmp_path / "other.fewshot")
    assert not (tmp_path / "other.fewshot").exists()


def test_a_linear_head_of_ones_own_needs_no_code(at_scenes, tmp_path):
    class Own(Prototype):
        pass

    model = fitted(Own(), prediction=False)
    model.save(tmp_path / "m.fewshot")
    loaded = fewshot.load(tmp_path / "m.fewshot", **NAMED)
    assert loaded.head.unit_length
    np.testing.assert_array_equal(loaded.segment("new/a/1.jpg"), model.segment("new/a/1.jpg"))


def changed(source, target, change):
    """A copy of a model file whose header and tensors were changed by a function."""
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = json.loads(metadata["fewshot"])
    change(header, tensors)
    text = json.dumps(header)
    whole = {"fewshot": text, CHECKSUM_KEY: checksum(text, tensors)}
    save_file(tensors, target, metadata | whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h, t: h["values"].pop(KEY), "segmentation: Input should be"),
        (lambda h, t: h["values"][KEY].pop("size"), "segmentation.size: Field required"),
        (lambda h, t: h["values"][KEY].update(size="huge"), "size: expected native, short:N"),
        (lambda h, t: h["values"][KEY].update(stride=-1), "stride: expected"),
        (lambda h, t: h["values"][KEY].update(layers="all"), "layers: expected"),
        (lambda h, t: h["values"][KEY].update(background=8), "background is none of 8 classes"),
        (lambda h, t: h["values"][KEY]["prediction"]["iou"].pop(), "prediction is of other"),
        (lambda h, t: h["values"][KEY]["state"].clear(), "the head lacks 'unit_length'"),
        (lambda h, t: h.update(backbone=None), "it names no backbone"),
        (lambda h, t: h["head"].update(form="attributes", target="os:system"), "head 'pixel_lda'"),
        (lambda h, t: t.pop("head.biases"), "the head lacks 'biases'"),
        (lambda h, t: t.update({"head.weights": torch.zeros(8, 5)}), "the head: "),
        (lambda h, t: t.update({"head.weights": torch.zeros(7, 24), "head.biases": torch.zeros(7)}),
         "the head scores 7 classes, and 8 are named"),
        (lambda h, t: t.update({"head.biases": torch.zeros(1)}), r"biases \(1,\) for 8 classes"),
        (lambda h, t: t.update({"head.more": torch.zeros(1)}), "a tensor too many, 'more'"),
        (lambda h, t: t.update(more=torch.zeros(1)), "a tensor too many, 'more'"),
        (lambda h, t: h["values"][KEY].update(level=1.5), "level of intervals, is out of range"),
        (lambda h, t: h["values"][KEY].update(annotated=-1), "annotated images, .* out of range"),
    ],
)  # fmt: skip
def test_damaged_files(whole, tmp_path, change, words):
    changed(whole, tmp_path / "m.fewshot", change)
    with pytest.raises(FewshotError, match=words) as refusal:
        fewshot.load(tmp_path / "m.fewshot", **NAMED)
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def whole(scenes, tmp_path_factory):
    """The file of a model with its prediction."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scenes.folder)
        patch.syspath_prepend(str(scenes.folder))
        patch.setenv("FEWSHOT_CACHE", str(place / "cache"))
        fitted().save(place / "m.fewshot")
    return place / "m.fewshot"


def test_a_torn_file(whole, tmp_path):
    content = whole.read_bytes()
    for length in (0, 4, 60, len(content) // 2, len(content) - 1):
        (tmp_path / "torn.fewshot").write_bytes(content[:length])
        with pytest.raises(FewshotError, match=r"torn\.fewshot"):
            fewshot.load(tmp_path / "torn.fewshot")


def test_states_of_heads():
    """What does not fit is refused, and no name of Python's own is set."""
    knn = DenseKNN(k=1)
    knn.keys_, knn.votes_ = torch.eye(3), torch.eye(3)
    knn.present_ = torch.ones(3, dtype=torch.bool)
    state = state_of(knn)
    repri = RePRI().fit(DenseSupport([SupportImage(torch.eye(3), torch.eye(3)[:, :2], (1, 3))], 2))
    other = restored(RePRI, repri.get_params(), state_of(repri), 2, 3)
    assert torch.equal(*(head.scores(torch.eye(3), (1, 3)) for head in (repri, other)))
    again = restored(DenseKNN, knn.get_params(), state, 3, 3)
    assert torch.equal(again.scores(torch.eye(3), (1, 3)), torch.eye(3))
    assert class_of("dense_knn", origin_of(type(knn))) is DenseKNN
    assert class_of("dense_knn", "os:system") is class_of("os:system", "os:system") is None
    hostile = HeadState("attributes", {"__class__": 1}, state.tensors)
    with pytest.raises(ValueError, match="no head learns '__class__'"):
        restored(DenseKNN, {}, hostile, 3, 3)
    with pytest.raises(ValueError, match="the head: "):
        restored(DenseKNN, {}, HeadState("attributes", {}, {}), 3, 3)
    with pytest.raises(ValueError, match="the head: "):
        restored(PixelLDA, {"sharpness": 1}, state, 3, 3)


def test_weights_by_reference_and_packed(at_scenes, tmp_path):
    """Packed ones are those of the file; without them the line says what is missing."""
    torch.manual_seed(0)
    network = timm.create_model("lcnet_050")
    (tmp_path / "w").mkdir()
    weights = {name: t.contiguous() for name, t in network.state_dict().items()}
    save_file(weights, tmp_path / "w" / "lcnet_050.safetensors")
    model = fewshot.fit(
        "annotated", task="segmentation", backbone="timm:lcnet_050", weights=tmp_path / "w",
        options={"size": "native"}, device="cpu", prediction=False,
    )  # fmt: skip
    model.save(tmp_path / "packed.fewshot", with_weights=True)
    model.save(tmp_path / "m.fewshot")
    expected = model.segment("new/a/1.jpg")
    packed = fewshot.load(tmp_path / "packed.fewshot", device="cpu")
    (tmp_path / "w" / "lcnet_050.safetensors").rename(tmp_path / "w" / "away")
    np.testing.assert_array_equal(packed.segment("new/a/1.jpg"), expected)
    with pytest.raises(FewshotError, match=r"weights: .*lcnet_050\.safetensors"):
        fewshot.load(tmp_path / "m.fewshot", device="cpu").segment("new/a/1.jpg")
    save_file({name: t + 1 for name, t in weights.items()}, tmp_path / "w/lcnet_050.safetensors")
    with pytest.raises(FewshotError, match="weights: the model was fitted with other weights"):
        fewshot.load(tmp_path / "m.fewshot", device="cpu", weights=tmp_path / "w").segment(
            "new/a/1.jpg"
        )
