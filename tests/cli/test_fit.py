"""``fewshot fit`` and ``fewshot card``: what they print and refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

import fewshot
from fewshot.cli.main import main

NETWORK = "callable:tiny_net:network"


@pytest.fixture
def run(capsys):
    """Function that runs a command line: exit code, output, errors."""

    def call(*arguments):
        code = main([*map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_folder_of_images(photos, tiny_net, run):
    code, out, err = run("fit", photos, "-b", NETWORK, "--size", 16, "--head", "ncm,lda",
                         "--output", "my model.fewshot")  # fmt: skip
    assert code == 0 and err == ""
    first, *_ = out.splitlines()
    model = fewshot.load("my model.fewshot", backbone=NETWORK)
    head = model.header_.head["name"]
    assert "of 1,000 new images" in first or "of 100 new images" in first
    assert "Model: my model.fewshot, " in out and f"{head} on {NETWORK}, 6 classes, 48" in out
    assert out.endswith("Next: fewshot classify 'my model.fewshot' IMAGES\n")
    assert model.predict(photos / "class_3").tolist() == ["class_3"] * 8


def test_json_has_what_the_words_say(photos, tiny_net, run):
    options = ("-b", NETWORK, "--size", 16, "--head", "ncm", "--json")
    code, out, _ = run("fit", photos, *options, "--output", "m.fewshot")
    content = json.loads(out)
    assert code == 0 and content["file"]["path"] == "m.fewshot"
    assert content["taken"]["head"] == content["model"]["head"]["name"] == "ncm"
    assert content["model"]["error"]["error"] == content["taken"]["error"]
    assert content["images"] == content["model"]["images"] == {f"class_{i}": 8 for i in range(6)}
    assert content["file"]["bytes"] == Path("m.fewshot").stat().st_size


def test_features_and_unreadable_images(feature_file, photos, tiny_net, run):
    code, out, _ = run("fit", feature_file, "--output", "f.fewshot", "--head", "knn")
    assert code == 0 and "It labels features" in " ".join(out.split()) and "Next:" not in out
    rows = np.load(feature_file)["features"]
    assert fewshot.load("f.fewshot").predict_proba(rows).shape == (60, 6)
    (photos / "class_1" / "9.png").write_bytes(b"no image")
    options = ("-b", NETWORK, "--size", 16, "--head", "ncm", "--output", "m.fewshot")
    code, out, _ = run("fit", photos, *options)
    assert code == 0 and "9.png: unreadable, and passed over" in out
    code, _, err = run("fit", photos, *options, "--strict")
    assert code == 2 and "9.png" in err and "leave out --strict" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["photos"], "fewshot fit: the following arguments are required: --output"),
        (["nowhere", "--output", "m.fewshot"], "DIR: expected a folder with one sub-folder"),
        (["photos", "--output", "photos/class_0/0.png"], "--output: expected a new file, or a mo"),
        (["photos", "--output", "photos"], "--output: expected a file, got a folder"),
        (["f.npz", "--output", "f.npz"], "--output: expected another file than those read"),
        (["photos", "--output", ""], "--output: expected a path, got ''"),
        (["photos", "--output", "m", "--head", "zero_shot"], "--head: zero_shot reads class names"),
        (["photos", "--output", "m", "--head", "nix"], "--head: expected a registered name"),
        (["photos", "--output", "m", "--size", "no"], "--size: expected a number of pixels"),
        (["photos", "--output", "m", "--level", "2"], "--level: expected a number in (0, 0.99]"),
        (["photos", "--output", "m", "--level", "200%"], "--level: expected a number in (0, 0.99]"),
        (["photos", "--output", "m", "--level", "high"],
         "fewshot fit: argument --level: expected a share, as 90% or 0.9, got 'high'"),
        (["photos", "--output", "m", "-b", "callable:nix:net"], "--backbone: cannot import 'nix'"),
        (["photos", "--output", "m", "--strict", "--skip-unreadable"], "--strict: expected it or"),
        (["f.npz", "--output", "m", "--with-weights"], "--with-weights: a model of features"),
        (["photos", "-b", NETWORK, "--size", "16", "--output", "m", "--with-weights"],
         "--with-weights: the weights of 'callable:tiny_net:network' cannot be packed"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, problem, photos, feature_file, tiny_net, run):
    before = sorted(photos.parent.rglob("*.*"))
    code, out, err = run("fit", *arguments)
    assert code == 2 and out == ""
    assert err.startswith(f"fewshot: error: {problem}") and err.count("\n") == 1
    after = [path for path in sorted(photos.parent.rglob("*.*")) if "cache" not in path.parts]
    assert [path.name for path in after if path.suffix != ".pyc"] == [
        path.name for path in before if path.suffix != ".pyc"
    ]


def test_the_card_and_the_header(feature_file, run):
    assert run("fit", feature_file, "--output", "m.fewshot", "--head", "lda")[0] == 0
    code, card, _ = run("card", "m.fewshot")
    assert code == 0 and card.startswith("# f\n\nTells 6 classes of feature vectors apart")
    assert card == fewshot.load("m.fewshot").card
    code, out, _ = run("card", "m.fewshot", "--json")
    header = json.loads(out)
    assert code == 0 and header["card"] == card and header["head"]["form"] == "linear"
    assert header["classes"] == [*header["images"]]


def test_a_card_of_others_cannot_steer_the_terminal(feature_file, run):
    from dataclasses import replace

    from fewshot.models.file import read_model, write_model

    run("fit", feature_file, "--output", "m.fewshot", "--head", "lda")
    header, tensors = read_model(Path("m.fewshot"))
    write_model(Path("m.fewshot"), replace(header, card="# x\x1b]0;title\x07\n\nmore\n"), tensors)
    assert run("card", "m.fewshot")[1] == "# x\ufffd]0;title\ufffd\n\nmore\n"


def test_a_card_of_something_else(photos, run):
    for name, problem in (
        ("nowhere", "MODEL: expected a model file, as `fewshot fit` writes them, got nothing"),
        ("photos", "MODEL: expected a file, got a folder"),
        ("photos/class_0/0.png", "MODEL: expected a model file, as `fewshot fit` writes them, got"),
    ):
        code, out, err = run("card", name)
        assert code == 2 and out == "" and err.startswith(f"fewshot: error: {problem}")
