"""``fewshot predict`` and ``fewshot calibrate`` on images and features, good and bad."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fewshot as package
from fewshot.statistics import TRANSFER_SCORES

NETWORK = ("--backbone", "callable:tiny_net:network", "--size", "16")


@pytest.fixture
def support(photos, tiny_net):
    """Twelve classes of noise in colours of their own."""
    return "photos"


def hues(folder, classes, images, seed=0):
    """Plain images whose colour tells the class, more or less."""
    rng = np.random.default_rng(seed)
    for c, centre in enumerate(rng.integers(40, 215, (classes, 3))):
        (folder / f"class{seed}_{c}").mkdir(parents=True)
        for i in range(images):
            colour = np.clip(centre + rng.normal(0, 12, 3), 0, 255)
            pixels = np.clip(rng.normal(colour, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"class{seed}_{c}" / f"{i}.png")


def test_words(fewshot, support):
    done = fewshot("predict", support, *NETWORK, "--head", "ncm,lda")
    assert done.code == 0, done.err
    assert "90 % interval" in done.out
    assert "Take " in done.out
    assert "1 more image per class: about" in done.out
    assert "other data sets" in done.out


def test_json_is_json_and_agrees_with_python(fewshot, support):
    done = fewshot("predict", support, *NETWORK, "--json", "--head", "ncm")
    answer = json.loads(done.out)
    (row,) = answer["forecasts"]
    assert 0 <= row["lower"] <= row["error"] <= row["upper"] <= 1
    assert (row["head"], row["calibrated_on"], row["note"]) == ("ncm", "datasets", None)
    steps = [row["error"], *(entry["error"] for entry in row["outlook"])]
    assert steps == sorted(steps, reverse=True)
    assert answer["best"]["head"] == "ncm"
    assert sum(answer["images"].values()) == len(list(Path(support).rglob("*.png")))


def test_wider_level_is_wider(fewshot, support):
    def width(level):
        out = fewshot("predict", support, *NETWORK, "--json", "--level", level).out
        row = json.loads(out)["forecasts"][0]
        return row["upper"] - row["lower"]

    assert width("0.5") < width("90%") < width("0.95")


def test_queries_are_labelled(fewshot, tmp_path, tiny_net):
    hues(tmp_path / "own", 4, 5)
    hues(tmp_path / "new", 4, 3)
    target = tmp_path / "labels.csv"
    done = fewshot(
        "predict", str(tmp_path / "own"), *NETWORK, "--query", str(tmp_path / "new"),
        "--output", str(target),
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = list(csv.DictReader(target.open()))
    right = [Path(row["file"]).parent.name == row["label"] for row in rows]
    assert len(rows) == 12
    assert np.mean(right) > 0.8  # the same colours
    assert all(row["label"] != row["runner_up"] for row in rows)


def test_base_classes_give_an_answer_at_one_shot(fewshot, tmp_path, tiny_net):
    hues(tmp_path / "own", 3, 1, seed=1)
    hues(tmp_path / "others", 12, 8, seed=2)
    alone = fewshot("predict", str(tmp_path / "own"), *NETWORK)
    assert "no more than an average" in " ".join(alone.out.split())
    with_base = fewshot(
        "predict", str(tmp_path / "own"), *NETWORK, "--base", str(tmp_path / "others"), "--json"
    )
    row = json.loads(with_base.out)["forecasts"][0]
    assert (row["calibrated_on"], row["note"]) == ("base", None)


def test_features_instead_of_images(fewshot, feature_file):
    done = fewshot("predict", "f.npz", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["forecasts"]


def test_refusals(refusal, support, tmp_path):
    assert refusal("predict", "nowhere").startswith("DIR: expected a folder")
    assert refusal("predict", support, "--backbone", "resnet19").startswith("--backbone: ")
    assert refusal("predict", support, "--backbone", "jax:x").startswith("--backbone: ")
    assert refusal("predict", support, *NETWORK, "--head", "lad").endswith("Did you mean 'lda'?")
    assert "--head: expected at least one" in refusal("predict", support, "--head", ",")
    assert "level" in refusal("predict", support, *NETWORK, "--level", "1.5")
    assert "nothing at none.png" in refusal("predict", support, *NETWORK, "--query", "none.png")
    assert "cannot be read" in refusal("predict", support, *NETWORK, "--calibrator", "no.json")
    shutil.copytree(support, tmp_path / "again")
    both = refusal("predict", support, *NETWORK, "--base", str(tmp_path / "again"))
    assert "expected other classes" in both


def test_one_class_is_refused(refusal, tmp_path, tiny_net):
    hues(tmp_path / "own", 1, 5)
    assert "two classes or more" in refusal("predict", str(tmp_path / "own"), *NETWORK)


def test_damaged_image(fewshot, refusal, tmp_path, tiny_net):
    hues(tmp_path / "own", 2, 4)
    (tmp_path / "own" / "class0_0" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "torn.png" in refusal("predict", str(tmp_path / "own"), *NETWORK, "--strict")
    for passed_over in ((), ("--skip-unreadable",)):
        done = fewshot("predict", str(tmp_path / "own"), *NETWORK, *passed_over, "--json")
        assert [entry["path"] for entry in json.loads(done.out)["skipped"]] == ["class0_0/torn.png"]


def banks(folder, count=3):
    """Feature files of simulated data sets of unlike difficulty."""
    names = []
    for i in range(count):
        rng = np.random.default_rng(i)
        labels = np.repeat(np.arange(6), 9)
        means = rng.normal(size=(6, 30))
        features = means[labels] + (1 + 0.7 * i) * rng.standard_t(5, size=(54, 30))
        name = str(folder / f"set{i}.npz")
        np.savez(name, features=features, labels=labels)
        names.append(name)
    return names


def test_calibrate_and_use_it(fewshot, refusal, tmp_path, feature_file):
    target = str(tmp_path / "mine.json")
    done = fewshot(
        "calibrate", *banks(tmp_path), "--output", target, "--episodes", "30",
        "--backbone", "net_a",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Fitted on set0 (net_a), set1 (net_a), set2 (net_a)." in done.out
    assert "coverage" in fewshot("calibrate", "--show", target).out
    message = refusal(
        "dataset=features", "dataset.path=f.npz", "calibration.source=datasets",
        f"calibration.calibrator={target}", "estimator=[auto]", "episodes.ways=2",
        "episodes.shots=2", "episodes.count=10",
    )  # fmt: skip
    assert "backbone 'net_a', got" in message


def test_calibrate_refuses(refusal, tmp_path):
    two = banks(tmp_path, 2)
    target = str(tmp_path / "mine.json")
    assert "three data sets or more" in refusal("calibrate", *two, "--output", target)
    assert "expected files and --output" in refusal("calibrate", *two)
    before = Path(two[0]).read_bytes()
    message = refusal("calibrate", ",".join(two), "--output", two[0])
    assert message.startswith("--output: expected another file than those read")
    assert Path(two[0]).read_bytes() == before
    (tmp_path / "broken.json").write_text("{")
    assert "cannot be read" in refusal("calibrate", "--show", str(tmp_path / "broken.json"))


def test_show_describes_the_one_of_the_package(fewshot):
    out = fewshot("calibrate", "--show").out
    assert out.startswith("For any backbone. Fitted on ")
    assert "one shot, base classes" in out


def test_copies_are_told_and_leave_the_rest_of_the_answer(fewshot, tmp_path, tiny_net):
    hues(tmp_path / "own", 3, 4)
    shutil.copy(tmp_path / "own/class0_0/0.png", tmp_path / "own/class0_0/copy.png")
    done = fewshot("predict", str(tmp_path / "own"), *NETWORK, "--head", "ncm,lda")
    words = " ".join(done.out.split())
    assert "Note: an image is a copy of others" in words
    assert "Take " in words and "more images per class" in words
    assert "no more than an average" not in words


def forecast_of(fewshot, *arguments):
    """The words without line breaks, and the warnings of each head in the JSON of the same."""
    done = fewshot("predict", *arguments)
    assert done.code == 0, done.err
    rows = json.loads(fewshot("predict", *arguments, "--json").out)["forecasts"]
    return " ".join(done.out.split()), {row["head"]: row["warnings"] for row in rows}, rows


def unequal(folder, counts, copies=0, seed=5, dim=20):
    """A file of features with so many images of each class, of which some are copies."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(counts), dim))[labels] + 0.5 * rng.normal(
        size=(len(labels), dim)
    )
    if copies:
        most = np.flatnonzero(labels == int(np.argmax(counts)))
        features[most[1 : 1 + copies]] = features[most[0]]
    path = folder / f"own{len(labels)}_{copies}.npz"
    np.savez(path, features=features.astype("float32"), labels=labels)
    return str(path)


def test_every_reservation_is_kept_and_said_of_whom_it_is(fewshot, tmp_path):
    words, warnings, rows = forecast_of(
        fewshot, unequal(tmp_path, [12, 1, 5], copies=3), "--head", "ncm,lda,qda,svm"
    )
    of_all = (
        "3 images are copies of others", "classes differ much in their number of images",
        "one image only of", "no base classes",
    )  # fmt: skip
    for text in of_all:
        assert words.count(f"Note: {text}") == 1
        assert all(any(entry.startswith(text) for entry in texts) for texts in warnings.values())
    strange = [row["head"] for row in rows if row["head"] in ("qda", "svm")]
    assert f"Note on {', '.join(strange)}: calibrated on nearest class mean, LDA" in words
    assert "and not on this head" in words
    told_so = {head for head, texts in warnings.items() if "not on this head" in " ".join(texts)}
    assert told_so == {"qda", "svm"}
    assert f"Note on {', '.join(strange)}: what more images would bring is not known" in words


def test_one_image_per_class_hides_no_other_reservation(fewshot, tmp_path):
    words, warnings, rows = forecast_of(
        fewshot, unequal(tmp_path, [1] * 24), "--head", "ncm,svm", "--level", "0.8"
    )
    assert all(row["note"].startswith("one shot and no base classes") for row in rows)
    assert "no more than an average" in words
    assert any("not on this head" in entry for entry in warnings["svm"])
    assert not any("not on this head" in entry for entry in warnings["ncm"])
    assert "Note on svm: calibrated on nearest class mean, LDA" in words
    assert "24 classes, where the calibration was measured on 2 to 20" in words


@pytest.mark.parametrize(
    ("counts", "words"),
    [([30] * 4, "30 images per class, where the calibration was measured on 2 to 20"),
     ([2, 1, 1, 1], "1.14 images per class, where the calibration was measured on 2 to 20"),
     ([4] * 3, None)],
)  # fmt: skip
def test_outside_of_what_was_measured(fewshot, tmp_path, counts, words):
    text, warnings, _ = forecast_of(fewshot, unequal(tmp_path, counts), "--head", "ncm")
    outside = [entry for entry in warnings["ncm"] if "was measured on" in entry]
    assert (words is None) == (outside == [])
    assert words is None or (outside[0].startswith(words) and words in text)


def test_base_classes_take_reservations_away(fewshot, tmp_path, tiny_net):
    hues(tmp_path / "own", 3, 3, seed=1)
    hues(tmp_path / "others", 12, 8, seed=2)
    command = (str(tmp_path / "own"), *NETWORK, "--head", "svm")
    base = ("--base", str(tmp_path / "others"))
    _, alone, _ = forecast_of(fewshot, *command)
    _, helped, (row,) = forecast_of(fewshot, *command, *base)
    for text in ("no base classes", "not on this head"):
        assert any(text in entry for entry in alone["svm"])
        assert not any(text in entry for entry in helped["svm"])
    assert row["calibrated_on"] == "base"


def test_images_passed_over_are_named_in_words_too(fewshot, tmp_path, tiny_net):
    hues(tmp_path / "own", 2, 4)
    (tmp_path / "own" / "class0_0" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = fewshot("predict", str(tmp_path / "own"), *NETWORK, "--skip-unreadable")
    words = " ".join(done.out.split())
    assert "Note: passed over, as unreadable: class0_0/torn.png." in words


def broken(module, problem, remedy="Put them there."):
    """A network whose weights are not there."""
    Path(f"{module}.py").write_text(
        "from fewshot.exceptions import FewshotError\n"
        "def network():\n"
        f"    raise FewshotError('backbone', {problem!r}, {remedy!r})\n"
    )
    return f"callable:{module}:network"


def test_backbones_without_weights_are_left_out(fewshot, refusal, support):
    first, last = (broken(name, f"no weights of {name}") for name in ("net_1", "net_2"))
    names = f"{first},callable:tiny_net:network,resnet19,{last}"
    done = fewshot("predict", support, "-b", names, "--size", "16", "--json", "--head", "ncm")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)["forecasts"]
    assert row["backbone"] == "tiny_net:network"
    lines = done.err.splitlines()
    assert len(lines) == 3
    for name, line in zip(("resnet19", "net_1", "net_2"), lines, strict=True):
        assert line.startswith("fewshot: left out: ")
        assert name in line and "backbone:" not in line
    assert all(line.endswith("no weights of " + line.split(":")[3] + ". Put them there.")
               for line in lines[1:])  # fmt: skip
    message = refusal("predict", support, "--backbone", f"{first},{last}", "--size", "16")
    assert message.startswith("--backbone: none of callable:net_1:network, callable:net_2:network ")
    assert message.endswith("no weights of net_1. Put them there.")
    message = refusal("predict", support, "--backbone", first, "--size", "16")
    assert message == "--backbone: no weights of net_1. Put them there."


def test_remedies_name_no_settings_of_a_run(refusal, fewshot, support):
    """Which this command refuses."""
    text = "no weights. Put them there, or set backbone.weights=FILE"
    name = broken("net_4", *f"{text}.".split(". "))
    message = refusal("predict", support, "--backbone", name, "--size", "16")
    assert message == "--backbone: no weights. Put them there."
    names = f"{name},callable:tiny_net:network"
    done = fewshot("predict", support, "-b", names, "--size", "16", "--head", "ncm")
    assert done.err.endswith("no weights. Put them there.\n")


def test_left_out_backbones_are_warnings_in_python(support):
    names = [broken("net_3", "no weights"), "callable:tiny_net:network"]
    with pytest.warns(UserWarning, match="left out: .*net_3.*Put them there") as caught:
        forecasts = package.predict(support, backbone=names, size=16)
    assert Path(caught[0].filename).name == Path(__file__).name
    assert {row.backbone for row in forecasts.rows} == {"tiny_net:network"}


def test_scores_of_the_backbones(fewshot, tmp_path):
    """Printed with --scores, in JSON and the table of Python always, as the formulas have them."""
    path = unequal(tmp_path, [6, 4, 5])
    plain, scored = (fewshot("predict", path, *more).out for more in ((), ("--scores",)))
    assert scored.startswith(plain.rstrip("\n"))
    header, _, line = scored.split("\n\n")[-1].strip().splitlines()
    assert header.split() == ["backbone", "logme", "h_score", "transrate", "gbc"]
    (row,) = json.loads(fewshot("predict", path, "--json").out)["scores"]
    assert [f"{row[name]:.4g}" for name in header.split()[1:]] == line.split()[-4:]
    assert row["reasons"] == {}
    table = package.predict(path).table
    with np.load(path) as file:
        features = file["features"] / np.linalg.norm(file["features"], axis=1, keepdims=True)
        labels = file["labels"]
    images, mask = np.zeros((1, 3, 6, 20), np.float32), np.zeros((1, 3, 6), bool)
    for c in range(3):
        images[0, c, : (labels == c).sum()] = features[labels == c]
        mask[0, c, : (labels == c).sum()] = True
    for name, score in TRANSFER_SCORES.items():
        expected = float(score.function(torch.from_numpy(images), torch.from_numpy(mask)))
        assert row[name] == pytest.approx(expected, rel=1e-4)
        assert table[name].tolist() == [row[name]] * 4  # of all heads


def test_scores_that_are_undefined_have_a_reason(fewshot, tmp_path):
    path = unequal(tmp_path, [6, 1, 5])
    done = fewshot("predict", path, "--scores")
    assert "Note: no gbc: a class has one image only" in " ".join(done.out.split())
    (row,) = json.loads(fewshot("predict", path, "--json").out)["scores"]
    assert row["gbc"] is None and "one image" in row["reasons"]["gbc"]
    table = package.predict(path).table
    assert table.gbc.isna().all() and table.logme.notna().all()


def test_scores_of_several_backbones(fewshot, support):
    names = "callable:tiny_net:network,callable:tiny_net:other"
    source = Path("tiny_net.py").read_text()
    Path("tiny_net.py").write_text(source + "\n\ndef other():\n    return network()\n")
    done = fewshot("predict", support, "--backbone", names, "--size", "16", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["scores"]
    assert [row["backbone"] for row in rows] == ["tiny_net:network", "tiny_net:other"]
