"""``fewshot segment``, ``fewshot predict --task segmentation``, and runs that are only planned."""

import csv
import json
import runpy
from pathlib import Path

import pytest
from PIL import Image

from fewshot.cli.main import main

SCENES = runpy.run_path(str(Path(__file__).parents[1] / "evaluation" / "conftest.py"))
scenes, at_scenes = SCENES["scenes"], SCENES["at_scenes"]  # fixtures
NATIVE = ["--backbone", SCENES["BACKBONE"], "--size", "native", "--device", "cpu"]
LIKE = ["new", "--like", "annotated", *NATIVE]
FOLDER = ["task=segmentation", "dataset=folder", "dataset.root=annotated", "backbone=callable",
          "backbone.target=local_colours:network", "segmentation.size=native"]  # fmt: skip


def printed(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr()


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("fewshot: error: ") and err.count("\n") == 1, err
    return err


def test_masks_a_table_and_what_is_predicted(at_scenes, capsys, tmp_path):
    out, shares = tmp_path / "masks", tmp_path / "shares.csv"
    done = printed(
        capsys, "segment", *LIKE, "--out", str(out), "--overlay", "--output", str(shares)
    )
    assert "pixel_lda, fitted on 7 annotated images of annotated, 8 classes" in done.out
    assert "new/a/1.jpg" in done.out and f"Masks: {out}" in done.out
    assert "Predicted mIoU of further images like the annotated ones: " in done.out
    assert (tmp_path / "masks_overlays" / "b" / "1.jpg").is_file()
    rows = list(csv.DictReader(shares.open()))
    assert [row["file"] for row in rows] == ["new/a/1.jpg", "new/a/2.bmp", "new/b/1.jpg"]
    for row in rows:
        values = [float(row[name]) for name in at_scenes.dataset.classnames]
        assert sum(values) == pytest.approx(1)


def test_as_json(at_scenes, capsys, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    Image.new("RGB", (80, 64)).save(tmp_path / "new" / "black.png")
    done = printed(
        capsys, "segment", str(tmp_path / "new"), *LIKE[1:], "--out", str(tmp_path / "out"),
        "--json", "--skip-unreadable", "--no-prediction",
    )  # fmt: skip
    content = json.loads(done.out)
    assert content["predicted"] is None and content["annotated"] == 7
    assert [Path(entry["file"]).name for entry in content["images"]] == ["black.png"]
    assert [Path(entry["path"]).name for entry in content["skipped"]] == ["torn.png"]
    assert sorted(content["images"][0]["shares"]) == sorted(at_scenes.dataset.classnames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "--like", "annotated", "--out", "new"], "--out: expected a folder beside"),
        (["new", "--like", "annotated", "--out", ""], "--out: expected a folder, got an empty"),
        (["new", "--like", "annotated", "--out", "annotated/."], "--out: expected another folder"),
        (["none", "--like", "annotated", "--out", "m"], "IMAGES: expected images or folders"),
        (["new", "--like", "none", "--out", "m"], "--like: expected a folder with images/"),
        (["new", "--like", "new", "--out", "m"], "--like: expected a folder with images/"),
        (["new", "--like", "annotated", "--out", "m", "--head", "ncm"], "--head: expected a reg"),
        (["new", "--like", "annotated", "--out", "m", "--size", "9"], "--size: expected native"),
        (["new", "--like", "annotated", "--out", "m", "--backbone", "x"], "--backbone: expected"),
        (["new", "--like", "annotated", "--out", "m", "--device", "x"], "--device: cannot use"),
        (["new", "--like", "annotated"], "fewshot segment: the following arguments are required"),
        (["new", "--like", "annotated", "--out", "m", "dataset.x=1"], "dataset.x: there is no"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(at_scenes, capsys, words, message):
    assert message in refused(capsys, "segment", *words)
    assert not Path("m").exists()


def test_unreadable_images_are_named(at_scenes, capsys, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    words = ["segment", str(tmp_path / "torn.png"), *LIKE[1:], "--out", str(tmp_path / "out")]
    message = refused(capsys, *words)
    assert "torn.png" in message and "or give --skip-unreadable" in message
    assert message.startswith("fewshot: error: IMAGES: ")
    none = refused(capsys, *words, "--skip-unreadable")
    assert "IMAGES: none of 1 can be read" in none and "torn.png" in none


def test_masks_of_other_classes_are_not_mixed(at_scenes, capsys, tmp_path):
    out = tmp_path / "masks"
    out.mkdir()
    (out / "classes.txt").write_text("cell\nwall\n")
    message = refused(capsys, "segment", *LIKE, "--out", str(out))
    assert "--out: " in message and "names other classes" in message
    assert [file.name for file in out.iterdir()] == ["classes.txt"]
    assert (out / "classes.txt").read_text() == "cell\nwall\n"
    (out / "classes.txt").unlink()
    printed(capsys, "segment", *LIKE, "--out", str(out), "--no-prediction")
    printed(capsys, "segment", *LIKE, "--out", str(out), "--no-prediction")  # the same ones again


def test_predict_masks(at_scenes, capsys):
    done = printed(capsys, "predict", "annotated", "--task", "segmentation", *NATIVE)
    assert "annotated: 7 annotated images, 8 classes" in done.out
    words = ["predict", "annotated", "--task", "segmentation", *NATIVE, "--head", "ridge", "--json"]
    content = json.loads(printed(capsys, *words).out)
    (forecast,) = content["forecasts"]
    assert forecast["head"] == content["best"]["head"] == "ridge"
    assert 0 <= forecast["lower"] <= forecast["miou"] <= forecast["upper"] <= 1
    assert [entry["class"] for entry in forecast["classes"]] == list(at_scenes.dataset.classnames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "--task", "segmentation"], "DIR: expected a folder with images/ and masks/"),
        (["annotated", "--task", "segmentation", "--query", "new"], "--query: expected none"),
        (["annotated", "--task", "segmentation", "--scores"], "--scores: expected none"),
        (["annotated", "--task", "segmentation", "--size", "9"], "--size: expected native"),
        (["annotated", "--task", "segmentation", "--level", "9"], "--level: expected a number"),
        (["annotated", "--task", "segmentation", "--head", "ncm"], "--head: expected a registered"),
        (["annotated", "--task", "verification"], "--task: nothing is predicted"),
        (["annotated", "--task", "segmentatio"], "Did you mean 'segmentation'"),
        (["annotated", "--size", "x"], "--size: expected a number of pixels"),
        (["annotated", "dataset.binary=true"], "classification takes options, and no settings"),
    ],
)
def test_mistakes_of_predict_are_one_line(at_scenes, capsys, words, message):
    assert message in refused(capsys, "predict", *words)


def test_a_run_that_is_only_planned(at_scenes, capsys, tmp_path):
    words = [*FOLDER, f"paths.runs={tmp_path / 'runs'}", "episodes.shots=[1]", "episodes.count=2",
             "episodes.min_images=drop"]  # fmt: skip
    done = printed(capsys, *words, "--dry-run")
    assert "2 cells of 2 draws: 2 heads, 1 number of shots, 1 seed." in done.out
    assert "3 queries; 8 classes" in done.out and "images/s" in done.out
    assert not list(tmp_path.glob("runs/*/summary.json"))
    done = printed(capsys, "--dry-run", "-m", *words, "seed=0,1")
    assert done.out.count("2 cells of 2 draws") == 2 and "seed=1" in done.out
    assert not list(tmp_path.rglob("summary.json"))


def test_features_at_hand_need_no_time(feature_file, capsys):
    done = printed(capsys, "--dry-run", "dataset=features", "dataset.path=f.npz", "head=ncm")
    assert "2 cells of 600 episodes: 1 head" in done.out and "Nothing to do" in done.out


def test_a_folder_of_masks_is_recognised(at_scenes, capsys):
    message = refused(capsys, "annotated")
    assert "a folder of images with masks" in message
    assert "fewshot task=segmentation dataset=folder dataset.root=annotated" in message


def test_planning_mistakes(at_scenes, capsys):
    assert "got sweep=offline" in refused(capsys, "-m", "sweep=offline", "--dry-run")
    assert "Did you mean '--dry-run'" in refused(capsys, "--dry-rum")
    assert "head: expected a registered" in refused(capsys, "--dry-run", "head=nmc")


def test_lists_name_the_task(capsys):
    own = printed(capsys, "list", "heads", "--task", "segmentation").out
    assert "pixel_lda" in own and "ncm" not in own
    everything = printed(capsys, "list", "heads", "ridge").out.splitlines()
    assert [line.split("  ")[0] for line in everything] == ["ridge", "segmentation: ridge"]
    assert "segmentation: loo_image" in printed(capsys, "list", "estimators").out
    assert "--task: expected it with heads or estimators" in refused(
        capsys, "list", "datasets", "--task", "segmentation"
    )
