"""``fewshot predict``: the answer, targets, checks, lists of images, and what is refused."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fewshot as package
from fewshot.evaluation import forecasts as door
from fewshot.exceptions import FewshotError
from fewshot.heads import NCM
from fewshot.tasks.classification.forecast.next_labels import NextLabel, NextLabels
from fewshot.tasks.classification.forecast.suspects import Examined, Suspect

NETWORK = ("--backbone", "callable:tiny_net:network", "--size", "16", "--head", "ncm")


def clouds(folder, name, counts, spread=0.7, labelled=True, seed=0):
    """A file of features of classes that overlap."""
    labels = np.repeat(np.arange(len(counts)), counts)
    means = np.random.default_rng(7).normal(size=(9, 8))
    noise = np.random.default_rng(seed).normal(size=(len(labels), 8))
    arrays = {"features": (means[labels] + spread * noise).astype(np.float32)}
    path = str(folder / f"{name}.npz")
    np.savez(path, **arrays, **({"labels": labels} if labelled else {}))
    return path


@pytest.fixture
def shots(tmp_path):
    """A file of four classes with five images."""
    return clouds(tmp_path, "shots", [5] * 4, seed=1)


@pytest.fixture
def roll(tmp_path):
    """A file of forty unlabelled images of these."""
    return clouds(tmp_path, "roll", [10] * 4, labelled=False, seed=2)


def colours(folder, classes, images, seed=0):
    """Images of one colour per class."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).integers(40, 215, (9, 3))
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            pixels = np.clip(rng.normal(centres[c], 40, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return str(folder)


def predicted(fewshot, *arguments):
    done = fewshot("predict", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out, parse_constant=pytest.fail)  # neither NaN nor Infinity


def test_the_first_line_is_the_answer(fewshot, shots):
    words = fewshot("predict", shots, "--head", "ncm,lda").out
    content = predicted(fewshot, shots, "--head", "ncm,lda")
    taken = content["taken"]
    assert words.startswith(f"About {round(100 * taken['error'])} of 100 new images would be ")
    assert " ".join(words.split()).startswith(content["answer"]["headline"])
    assert taken["head"] == content["best"]["head"] == content["forecasts"][0]["head"]
    assert taken["level"] == 0.9
    for line in content["answer"]["lines"]:
        assert line in " ".join(words.split())


def test_json_has_all_parts(fewshot, shots):
    content = predicted(fewshot, shots, "--head", "ncm")
    assert {
        "answer",
        "taken",
        "target",
        "curve",
        "confusion",
        "suspects",
        "doubts",
        "next_labels",
    } <= set(content)
    assert content["curve"] == content["forecasts"][0]["outlook"]
    assert content["next_labels"] == []
    assert content["target"] is None


def test_the_label_in_the_greatest_doubt_is_first_whether_listed_or_not(fewshot, tmp_path):
    """Ten images of three clouds, one of which lies between the two others' means."""
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(3), 5)
    features = 4 * np.eye(12)[labels] + rng.normal(size=(15, 12))
    features[7] = 4 * np.eye(12)[[0, 1]].mean(0) + np.eye(12)[0]
    path = tmp_path / "between.npz"
    np.savez(path, features=features.astype("float32"), labels=labels)
    content = predicted(fewshot, str(path), "--head", "ncm")
    first, *others = content["doubts"]
    assert (first["file"], first["label"], first["other"]) == ("7", "1", "0")
    assert 0 < first["chance"] <= 1 and all(first["margin"] <= entry["margin"] for entry in others)
    words = " ".join(fewshot("predict", str(path), "--head", "ncm").out.split())
    listed = any(entry["kind"] == "mislabelled" for entry in content["suspects"])
    named = "No label stands out. Look at 7 (of 1) if at any: closer to 0" in words
    assert listed != named or (not named and first["chance"] >= 0.5)


def test_a_clean_task_names_no_label(fewshot, tmp_path):
    labels = np.repeat(np.arange(3), 5)
    features = 20 * np.eye(12)[labels] + np.random.default_rng(1).normal(size=(15, 12))
    path = tmp_path / "apart.npz"
    np.savez(path, features=features.astype("float32"), labels=labels)
    assert "No label stands out" not in fewshot("predict", str(path), "--head", "ncm").out


def test_json_is_valid_where_scores_are_undefined(fewshot, tmp_path):
    content = predicted(fewshot, clouds(tmp_path, "odd", [4, 1, 4]), "--head", "ncm")
    assert content["scores"][0]["gbc"] is None


def test_more(fewshot, shots):
    content = predicted(fewshot, shots, "--head", "ncm", "--more", "7,2,2")
    assert [point["more"] for point in content["curve"]] == [2, 7]
    default = predicted(fewshot, shots, "--head", "ncm")["curve"]
    assert [point["more"] for point in default] == [1, 5, 10, 20]
    assert package.predict(shots, head="ncm", more=3).curve["more"].tolist() == [3]


@pytest.mark.parametrize("written", ["10%", "10 %", "0.1", ".1"])
def test_shares_are_written_in_several_ways(fewshot, shots, written):
    words = fewshot("predict", shots, "--head", "ncm", "--target", written).out
    assert " 10 % " in words.split("\n\n")[1]


def test_fail_above(fewshot, shots):
    error = predicted(fewshot, shots, "--head", "ncm")["taken"]["error"]
    assert 0.02 < error < 0.5
    passed = fewshot("predict", shots, "--head", "ncm", "--fail-above", str(error + 0.01))
    assert (passed.code, passed.err) == (0, "")
    for extra in ((), ("--json",)):
        failed = fewshot("predict", shots, "--head", "ncm", "--fail-above", str(error / 2), *extra)
        assert failed.code == 3
        (line,) = failed.err.splitlines()
        assert line.startswith(
            f"fewshot: predicted error {100 * error:.{0 if error > 0.1 else 1}f} %"
        )
        assert "90 % interval" in line and "of ncm on these features is above" in line
        assert failed.out == fewshot("predict", shots, "--head", "ncm", *extra).out


def test_fail_above_is_in_the_help(fewshot, capfd):
    with pytest.raises(SystemExit):
        fewshot("predict", "--help")
    text = capfd.readouterr().out
    assert "3 the predicted error is above --fail-above" in text
    assert text.index("examples:") < text.index("options:")
    assert "--fail-above" in fewshot("--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--target", "0"), "--target: expected a share above 0 and below 100 %, got '0'"),
     (("--target", "abc"), "--target: expected a share above 0 and below 100 %, got 'abc'"),
     (("--target", "100%"), "--target: expected a share above 0 and below 100 %"),
     (("--target", "nan"), "--target: expected a share"),
     (("--target", "5"), "Did you mean 5%?"),
     (("--target=-5%",), "--target: expected a share"),
     (("--fail-above", "150%"), "--fail-above: expected a share above 0 and below 100 %"),
     (("--fail-above", "5,5%"), "--fail-above: expected a share"),
     (("--more", "0"), "--more: expected a positive integer, got '0'"),
     (("--more", "1,x"), "--more: expected a positive integer, got 'x'"),
     (("--more", ""), "--more: expected a positive integer, got ''"),
     (("--more", "2000000"), "--more: expected an integer <= 1000000, got 2000000"),
     (("--next", "5"), "--next: expected unlabelled or query images to choose from, got none"),
     (("--page", "."), "--page: expected a file, got a folder"),
     (("--page", ""), "--page: expected a path"),
     (("--output", "a.csv"), "--output: expected images to label, got none. Name them by --query."),
     (("--page", "a.csv", "--output", "./a.csv"), "--page: expected another file than --output"),
     (("--strict", "--skip-unreadable"), "--strict: expected it or --skip-unreadable"),
     (("--target", "x", "--more", "y", "--fail-above", "z"), "expected a share"),
     (("--size", "0"), "--size: expected a number of pixels")],
)  # fmt: skip
def test_refused_before_anything_is_read(refusal, shots, words, message):
    assert message in refusal("predict", shots, *words)
    assert message in refusal("predict", "no_such_folder", *words)


@pytest.mark.parametrize("count", ["0", "x", "-1", "1.5"])
def test_lists_of_no_length(refusal, shots, roll, count):
    message = refusal("predict", shots, "--unlabelled", roll, f"--next={count}")
    assert message.startswith("--next: expected a positive integer")


@pytest.mark.parametrize(
    "words",
    [("--target", "5%"), ("--fail-above", "5%"), ("--page", "a.html"), ("--more", "1"),
     ("--next", "3"), ("--strict",)],
)  # fmt: skip
def test_segmentation_has_none_of_it(refusal, shots, words):
    message = refusal("predict", shots, "--task", "segmentation", *words)
    assert message == f"{words[0]}: expected none with --task segmentation."


@pytest.mark.parametrize(
    ("settings", "argument"),
    [({"target": 0}, "target"), ({"target": 1.0}, "target"), ({"target": "5%"}, "target"),
     ({"target": math.nan}, "target"), ({"more": []}, "more"), ({"more": [0]}, "more"),
     ({"more": [1.5]}, "more"), ({"next_labels": 3}, "next_labels"),
     ({"on_error": "x"}, "on_error")],
)  # fmt: skip
def test_refused_in_python(shots, settings, argument):
    with pytest.raises(FewshotError, match=f"^{argument}: expected "):
        package.predict(shots, **settings)
    with pytest.raises(FewshotError, match="target: expected"):
        package.predict(shots, head="ncm").target(1.5)


def test_class_without_an_image_that_can_be_read(refusal, tmp_path, tiny_net):
    place = colours(tmp_path / "shots", ["cup", "pot", "pan"], 3)
    for file in Path(place, "pot").iterdir():
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
    message = refusal("predict", place, *NETWORK)
    assert message.startswith(
        "DIR: expected an image of every class that can be read, got none of "
    )
    assert "pot (pot/0.png: " in message
    message = refusal("predict", place, *NETWORK, "--strict")
    assert message.startswith("DIR: cannot read image 'pot/0.png'")
    assert message.endswith("or leave out --strict.")
    for file in Path(place).rglob("*.png"):
        file.write_bytes(b"no image")
    message = refusal("predict", place, *NETWORK)
    assert message.startswith("DIR: cannot read image") and "--strict" not in message


def test_class_of_one_image_and_files_that_are_none(fewshot, tmp_path, tiny_net):
    place = colours(tmp_path / "shots", ["cup", "pot"], 3)
    for name in ("1.png", "2.png"):
        Path(place, "pot", name).write_bytes(b"")
    done = fewshot("predict", place, *NETWORK)
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert "cup 3, pot 1" in words
    assert "Note: passed over, as unreadable: pot/1.png, pot/2.png." in words
    assert "one image only of pot" in words


def test_no_backbone_is_one_line(refusal, tmp_path, tiny_net):
    place = colours(tmp_path / "shots", ["cup", "pot"], 2)
    Path("net_x.py").write_text(
        "from fewshot.exceptions import FewshotError\n"
        "def network():\n    raise FewshotError('backbone', 'no weights', 'Put them there.')\n"
    )
    message = refusal("predict", place, "-b", "resnet19,callable:net_x:network", "--size", "16")
    assert message.startswith("--backbone: none of resnet19, callable:net_x:network can be used")


@pytest.fixture
def parts(monkeypatch):
    """Suspects and images to label that are made up, and what they were asked with."""
    asked = {}

    def examined(bank, images, skipped=()):
        asked["suspects"] = (bank, images, skipped)
        return Examined([Suspect("a/1.png", "a", "mislabelled", "looks like b", 0.01, "b")], [])

    def next_labels(support, head, unlabelled, classes, files, *, error, count):
        asked["next"] = (unlabelled.features.shape[1], list(classes), list(files), error, count)
        return NextLabels([NextLabel(files[3], 3, classes[0], 0.5, error / 2, error / 2)])

    monkeypatch.setattr(door, "examined", examined)
    monkeypatch.setattr(door, "next_labels", next_labels)
    return asked


def test_parts_reach_words_json_and_data_frames(fewshot, parts, shots, roll):
    command = (shots, "--head", "ncm", "--unlabelled", roll, "--next", "4")
    content = predicted(fewshot, *command)
    assert content["suspects"][0]["file"] == "a/1.png"
    assert content["next_labels"][0]["file"] == "3"
    images, classes, files, error, count = parts["next"]
    assert (images, classes, count) == (40, ["0", "1", "2", "3"], 4)
    assert files == [str(row) for row in range(40)]
    assert error == content["taken"]["error"]
    words = fewshot("predict", *command).out
    assert "Look at a/1.png (of a): looks like b." in words
    assert "Label 3 next: the error should fall" in words
    made = package.predict(shots, head="ncm", unlabelled=roll)
    assert made.suspects.loc[0, "other"] == "b"
    assert made.next_labels.loc[0, "row"] == 3
    assert parts["next"][-1] == 10
    assert str(made.answer).startswith(made.answer.headline.split(",")[0])


def test_unlabelled_images_are_named_as_they_were_given(fewshot, parts, tmp_path, tiny_net):
    place = colours(tmp_path / "shots", ["cup", "pot"], 4)
    colours(tmp_path / "roll", ["x"], 4, seed=3)
    shutil.copy(Path(place, "cup/0.png"), tmp_path / "roll/x/00.png")  # a shot, the first of all
    (tmp_path / "roll/x/2.png").write_bytes(b"torn")
    colours(tmp_path / "ask", ["y"], 2, seed=4)
    predicted(fewshot, place, *NETWORK, "--unlabelled", "roll", "--query", "ask")
    read = [f"ask/y/{n}.png" for n in range(2)] + [f"roll/x/{n}.png" for n in (0, 1, 3)]
    assert parts["next"][2] == read
    bank, images, skipped = parts["suspects"]
    assert len(bank) == len(images) == 8 and list(skipped) == []


def test_why_no_image_is_listed(fewshot, shots, roll, monkeypatch):
    monkeypatch.setattr(door, "next_labels", lambda *_, **__: NextLabels(reason="all are odd"))
    content = predicted(fewshot, shots, "--head", "ncm", "--unlabelled", roll)
    assert content["notes"] == ["no image to label next is listed: all are odd"]
    words = fewshot("predict", shots, "--head", "ncm", "--unlabelled", roll).out
    assert "Note: no image to label next is listed: all are odd." in words


def test_no_unlabelled_images_no_list(shots, parts):
    made = package.predict(shots, head="ncm")
    assert made.next_labels.empty and "next" not in parts
    assert list(made.next_labels) == ["file", "row", "likely", "probability", "error", "gain"]


def test_page(fewshot, refusal, parts, tmp_path, shots, tiny_net):
    target = tmp_path / "new" / "folder" / "forecast.html"
    done = fewshot("predict", shots, "--head", "ncm", "--page", str(target), "--target", "1%")
    assert done.code == 0, done.err
    assert done.out.rstrip().splitlines()[-1] == f"Page: {target}"
    page = target.read_text(encoding="utf-8")
    content = predicted(
        fewshot, shots, "--head", "ncm", "--target", "1%", "--page", str(tmp_path / "2.html")
    )
    for line in (content["answer"]["headline"], *content["answer"]["lines"]):
        assert line in page
    assert (tmp_path / "2.html").exists()
    failed = fewshot("predict", shots, "--head", "ncm", "--page", "3.html", "--fail-above", "0.1%")
    assert failed.code == 3 and Path("3.html").exists()
    (tmp_path / "file").write_text("")
    message = refusal(
        "predict", shots, "--head", "ncm", "--page", str(tmp_path / "file" / "a.html")
    )
    assert message.startswith("--page: cannot write to ")
    package.predict(shots, head="ncm").page(tmp_path / "4.html")
    assert (tmp_path / "4.html").read_text(encoding="utf-8").startswith("<!")
    with pytest.raises(FewshotError, match="path: expected a file, got a folder"):
        package.predict(shots, head="ncm").page(tmp_path)


@pytest.mark.parametrize("option", ["--page", "--output"])
def test_nothing_that_is_read_is_replaced(refusal, fewshot, shots, roll, tmp_path, option):
    picture, link = tmp_path / "a.png", tmp_path / "link.html"
    Image.new("RGB", (4, 4)).save(picture)
    link.symlink_to(shots)
    before = {file: file.read_bytes() for file in (Path(shots), Path(roll), picture)}
    for target in (shots, roll, picture, link, Path(shots).parent / ".." / tmp_path.name / "a.png"):
        message = refusal("predict", shots, "--unlabelled", roll, option, str(target))
        assert message.startswith(f"{option}: expected "), message
    message = refusal("predict", shots, option, roll)
    assert message.startswith(f"{option}: expected a new file, or a text to replace, got a NumPy")
    assert {file: file.read_bytes() for file in before} == before
    with pytest.raises(FewshotError, match="path: expected a new file"):
        package.predict(shots, head="ncm").page(picture)
    page = tmp_path / "page.html"
    for _ in range(2):  # a page is replaced by a page
        assert fewshot("predict", shots, "--head", "ncm", "--page", str(page)).code == 0


@pytest.mark.parametrize("option", ["--page", "--output"])
def test_targets_are_refused_before_anything_is_read(refusal, tmp_path, option):
    (tmp_path / "file").write_text("")
    for target in ("", "a\0b", str(tmp_path), str(tmp_path / "file" / "a"), "/dev/null", "n" * 400):
        assert refusal("predict", "no_such_folder", option, target).startswith(f"{option}: ")


@pytest.mark.parametrize("name", ["callable:no_net:f", "callable:tiny_net:no", "resnet12:no.pth"])
def test_what_is_wrong_with_a_backbone_names_the_option(refusal, tmp_path, tiny_net, name):
    place = colours(tmp_path / "shots", ["cup", "pot"], 2)
    assert refusal("predict", place, "--backbone", name).startswith("--backbone: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("json_too", [(), pytest.param(("--json",), marks=pytest.mark.slow)])
def test_output_that_has_no_room_is_one_line(shots, json_too):
    words = [sys.executable, "-m", "fewshot", "predict", shots, "--head", "ncm", *json_too]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "so far" not in line]
    assert lines == ["fewshot: error: stdout: cannot write to standard output: the disk is full."]


@pytest.mark.slow
def test_output_that_is_closed(shots):
    words = [sys.executable, "-m", "fewshot", "predict", shots, "--head", "ncm"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_errors_name_options_and_no_settings_of_runs(refusal, shots, tmp_path):
    assert refusal("predict", shots, "--task", "x").startswith("--task: ")
    assert refusal("predict", shots, "--head", "").startswith("--head: expected at least one")
    twice = str(tmp_path / "twice.npz")
    labels = np.repeat([0, 1], 3)
    features = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    np.savez(twice, features=features, labels=labels, classnames=["cup", "cup"])
    assert "dataset." not in refusal("predict", twice)


class Broken(NCM):
    """A head of a user that cannot be fitted."""

    def fit(self, support):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("bad\nshape"), ZeroDivisionError(), TypeError("x")])
def test_what_a_head_of_a_user_raises_names_the_head(shots, monkeypatch, error):
    monkeypatch.setattr(Broken, "error", error, raising=False)
    with pytest.raises(
        FewshotError, match=rf"^head=\S*\bbroken\S*: it raised {type(error).__name__}\b"
    ) as seen:
        package.predict(shots, head=["ncm", Broken()])
    assert "\n" not in str(seen.value) and seen.value.__cause__ is error


def test_memory_that_runs_out_in_a_head_is_no_mistake_of_it(shots, monkeypatch):
    monkeypatch.setattr(Broken, "error", MemoryError(), raising=False)
    with pytest.raises(MemoryError):
        package.predict(shots, head=Broken())


def test_page_of_images(fewshot, tmp_path, tiny_net):
    place = colours(tmp_path / "shots", ["cup & <i>", "pot"], 3)
    colours(tmp_path / "ask", ["x"], 2, seed=3)
    done = fewshot("predict", place, *NETWORK, "--query", "ask", "--page", "a.html")
    assert done.code == 0, done.err
    page = Path("a.html").read_text(encoding="utf-8")
    assert "cup &amp; &lt;i&gt;" in page and "cup & <i>" not in page
    assert "0.png" in page and "data:image" in page


def test_targets_follow_the_curve(shots):
    made = package.predict(shots, head="ncm", target=0.02, more=[200])
    target = made.target(0.02)
    assert made.decision.target == target
    assert target.fewest <= (target.images or 10**9) <= (target.enough or 10**9)
    assert made.target(made.best.error + 0.01).reached


def test_results_in_a_notebook(tmp_path):
    names = np.array(["<b>cup</b>", "pot"])[np.repeat([0, 1], 4)]
    features = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    np.savez(tmp_path / "f.npz", features=features, labels=names)
    made = package.predict(str(tmp_path / "f.npz"), head=["ncm", "lda"])
    html = made._repr_html_()
    assert html.startswith(f"<p><strong>{made.answer.headline}</strong></p>")
    assert "<table" in html and "<b>" not in html


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_as_wide_as_the_terminal(fewshot, shots, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = fewshot("predict", shots, "--head", "ncm,lda").out.splitlines()
    assert max(map(len, lines)) <= min(max(columns, 40), 100)
    assert max(map(len, lines)) > min(columns, 100) - 20


@pytest.mark.slow
def test_output_that_has_ascii_alone(process, tmp_path):
    labels = np.array(["tässä", "日本"])[np.repeat([0, 1], 4)]
    features = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    np.savez(tmp_path / "f.npz", features=features, labels=labels)
    for extra in ((), ("--json",)):
        child = process("predict", str(tmp_path / "f.npz"), "--head", "ncm", *extra,
                        environment={"PYTHONIOENCODING": "ascii"})  # fmt: skip
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        assert out.isascii()
    assert json.loads(out)["images"] == {"tässä": 4, "日本": 4}
