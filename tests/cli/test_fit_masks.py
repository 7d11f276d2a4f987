"""``fewshot fit --task segmentation``, and ``fewshot segment`` by a model file."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

import fewshot
from fewshot.cli.main import main
from fewshot.report.wording import plain

SCENES = runpy.run_path(str(Path(__file__).parents[1] / "evaluation" / "conftest.py"))
scenes, at_scenes = SCENES["scenes"], SCENES["at_scenes"]  # fixtures
NAMED = ["--backbone", SCENES["BACKBONE"], "--device", "cpu"]
NATIVE = [*NAMED, "--size", "native"]
MASKS = ["annotated", "--task", "segmentation"]
IMAGES = (7, 7, 7, 7, 5, 5, 3, 1)  # annotated ones that show a class


def printed(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("fewshot: error: ") and err.count("\n") == 1, err
    return err


@pytest.fixture(scope="module")
def model(scenes, tmp_path_factory):
    """The file of a model of the annotated images, without a prediction."""
    place = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scenes.folder)
        patch.syspath_prepend(str(scenes.folder))
        patch.setenv("FEWSHOT_CACHE", str(place / "cache"))
        words = [*MASKS, "--output", str(place / "m.fewshot"), *NATIVE, "--no-prediction"]
        assert main(["fit", *words]) == 0
    return str(place / "m.fewshot")


def test_what_is_printed_of_a_model(at_scenes, capsys, tmp_path):
    path = tmp_path / "scenes.fewshot"
    done = printed(capsys, "fit", *MASKS, "--output", str(path), *NATIVE)
    title = "pixel_lda on callable:local_colours:network, fitted on 7 annotated images of annotated"
    assert done.startswith(title) and f"Model: {path}" in done
    assert " kB. The network is code of your own, which the" in " ".join(done.split())
    assert done.endswith(
        f"Its card: fewshot card {path}\nNext: fewshot segment {path} IMAGES --out FOLDER\n"
    )
    assert "Predicted mIoU of further images like the annotated ones: " in done
    lines = [line.split() for line in done.splitlines()]
    assert ["cross", "1", "-", "-"] in lines
    card = printed(capsys, "card", str(path))
    assert "fitted on 7 annotated images" in card and "Predicted mIoU" in card
    masks = tmp_path / "masks\x1b[32m"  # a name must not steer the terminal
    done = printed(capsys, "segment", str(path), "new", *NAMED, "--out", str(masks), "--overlay")
    assert f"Masks: {plain(masks)}" in done and "\x1b" not in done
    assert "Predicted mIoU of further images like the annotated ones: " in done


def test_a_model_needs_no_annotated_image(at_scenes, model, capsys, tmp_path):
    """The masks are those like the annotated images, byte by byte."""
    like = ["new", "--like", "annotated", *NATIVE, "--out", str(tmp_path / "like")]
    printed(capsys, "segment", *like, "--no-prediction")
    done = printed(capsys, "segment", model, "new", *NAMED, "--out", str(tmp_path / "first"))
    assert "pixel_lda, fitted on 7 annotated images of annotated, 8 classes" in done
    assert "Predicted" not in done
    printed(capsys, "segment", "new", "--like", model, *NAMED, "--out", str(tmp_path / "second"))
    expected = {file.name: file.read_bytes() for file in (tmp_path / "like" / "a").iterdir()}
    assert len(expected) == 2
    for folder in ("first", "second"):
        assert (tmp_path / folder / "classes.txt").is_file()
        written = (tmp_path / folder / "a").iterdir()
        assert {file.name: file.read_bytes() for file in written} == expected


def test_as_json(at_scenes, capsys, tmp_path):
    words = [*MASKS, "--output", str(tmp_path / "m"), *NATIVE, "--json"]
    words += ["--head", "ridge", "head.ridge.penalty=0.5"]
    content = json.loads(printed(capsys, "fit", *words))
    assert content["head"] == "ridge" and content["annotated"] == 7
    assert 0 <= content["predicted"]["lower"] <= content["predicted"]["miou"] <= 1
    assert content["images"] == dict(zip(at_scenes.dataset.classnames, IMAGES, strict=True))
    content = json.loads(printed(capsys, "fit", *words, "--no-prediction"))
    assert content["predicted"] is None
    card = json.loads(printed(capsys, "card", str(tmp_path / "m"), "--json"))
    assert card["head"]["parameters"]["penalty"] == 0.5
    words = ["segment", str(tmp_path / "m"), "new", *NAMED, "--out", str(tmp_path / "o"), "--json"]
    content = json.loads(printed(capsys, *words))
    assert content["predicted"] is None and content["head"] == "ridge"
    assert len(content["images"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new"], "fewshot segment: expected MODEL, a file of `fewshot fit`, before the images"),
        (["new/a/1.jpg", "new"], "fewshot segment: expected MODEL, a file of `fewshot fit`, bef"),
        (["none.fewshot", "new"], "MODEL: expected a file of `fewshot fit`, got nothing"),
        (["local_colours.py", "new"], "MODEL: expected a model file, as `fewshot fit` writes"),
        (["new", "--like", "local_colours.py"], "--like: expected a model file, as"),
        (["MODEL"], "IMAGES: expected images after the model"),
        (["MODEL", "none"], "IMAGES: expected images or folders"),
        (["MODEL", "new", "--out", "new"], "--out: expected a folder beside the images"),
        (["MODEL", "new", "--size", "native"], "--size: expected none with a fitted model"),
        (["MODEL", "new", "dataset.binary=true"], "dataset.binary=true: expected none with a"),
        (["MODEL", "new", "--head", "ridge"], "--head: expected 'pixel_lda', which the model"),
        (["MODEL", "new", "--backbone", "resnet18"], "--backbone: expected 'callable:local_col"),
        (["MODEL", "new"], "Where you trust it, name it: --backbone 'callable:local_colours"),
        (["MODEL", "new", "--device", "x"], "--device: cannot use"),
    ],
)
def test_mistakes_of_segment_are_one_line(at_scenes, model, capsys, words, message):
    words = [model if word == "MODEL" else word for word in words]
    assert message in refused(capsys, "segment", "--out", "m", *words)
    assert not Path("m").exists()


def test_a_model_of_another_task(at_scenes, model, capsys, tmp_path, monkeypatch):
    """The line names the right command."""
    message = refused(capsys, "classify", model, "new")
    assert "MODEL: expected a model for classification, got one for segmentation" in message
    assert f"fewshot segment {model} IMAGES" in message
    monkeypatch.setattr("fewshot.models.onnx.packages.expect_packages", lambda: None)
    message = refused(capsys, "export", model, "--output", "m")
    assert "Models for segmentation are not exported to ONNX." in message
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 4)
    features = rng.normal(size=(3, 8))[labels] + rng.normal(size=(12, 8))
    classifier = fewshot.Classifier(backbone=None, head="ncm").fit(features, labels)
    classifier.save(tmp_path / "c.fewshot")
    for words in (["new", "--like", str(tmp_path / "c.fewshot")], [tmp_path / "c.fewshot", "new"]):
        message = refused(capsys, "segment", *map(str, words), "--out", "m")
        assert "expected a model for segmentation, got one for classification" in message
        assert f"fewshot classify {tmp_path / 'c.fewshot'} IMAGES" in message


@pytest.mark.parametrize("command", [["fit", "--output", "m"], ["predict"]])
def test_masks_are_not_taken_for_a_class(at_scenes, capsys, command):
    """Of whoever forgets the task."""
    message = refused(capsys, *command, "annotated")
    assert "DIR: expected one sub-folder of images per class, got a folder of images wi" in message
    assert "--task segmentation" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["annotated", "--task", "segmentatio"], "Did you mean 'segmentation'"),
        (["none", "--task", "segmentation"], "DIR: expected a folder with images/ and masks/"),
        (["new", "--task", "segmentation"], "DIR: expected a folder with images/ and masks/"),
        ([*MASKS, "--output", "new"], "--output: expected a file, got a folder"),
        ([*MASKS, "--output", "local_colours.py"], "--output: expected a new file, or a model"),
        ([*MASKS, "--head", "ncm"], "--head: expected a registered name"),
        ([*MASKS, "--size", "9"], "--size: expected native"),
        ([*MASKS, "--backbone", "x"], "--backbone: expected a registered name"),
        ([*MASKS, "--base", "new"], "unrecognized arguments: --base"),
        ([*MASKS, *NATIVE, "--with-weights"], "--with-weights: the weights of 'callable:local"),
    ],
)
def test_mistakes_of_fit_are_one_line(at_scenes, capsys, words, message):
    assert message in refused(capsys, "fit", "--output", "m", *words)
    assert not Path("m").exists()
