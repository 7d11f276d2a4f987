"""``fewshot classify`` on images and features, good and bad."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import fewshot as package

# Means of 4 x 4 patches, so that colours tell the classes.
NETWORK = """\
import torch


class Patches(torch.nn.Module):
    def forward(self, images):
        return torch.nn.functional.avg_pool2d(images, 4).flatten(1)


def network():
    return Patches()
"""
NAME = "callable:patches_of_labels:network"
COLOURS = {"blue": (30, 40, 220), "green": (40, 200, 60), "red": (210, 40, 30)}


def paint(target, colour, seed=0):
    """An image of noise around a colour."""
    target.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 12, (20, 24, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(target)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model of three colours, one of features, and images: four of each, and one of none."""
    folder = tmp_path_factory.mktemp("classify")
    (folder / "patches_of_labels.py").write_text(NETWORK)
    for c, (name, colour) in enumerate(COLOURS.items()):
        for n in range(5):
            paint(folder / "own" / name / f"{n}.png", colour, 10 * c + n)
        for n in range(4):
            paint(folder / "new" / "deep" / f"{name}{n}.png", colour, 100 + 10 * c + n)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("FEWSHOT_CACHE", str(folder / "cache"))
        model = package.fit(folder / "own", backbone=NAME, size=16, head="ncm")
    model.save(folder / "colours.fewshot")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 6)
    features = 3 * rng.normal(size=(4, 8))[labels] + rng.normal(size=(24, 8))
    np.savez(folder / "f.npz", features=features, labels=labels)
    package.fit(folder / "f.npz", head="ncm").save(folder / "features.fewshot")
    return SimpleNamespace(folder=folder, model=str(folder / "colours.fewshot"), features=features,
                           of_features=str(folder / "features.fewshot"))  # fmt: skip


@pytest.fixture
def here(made, monkeypatch):
    """The network can be imported, and the images are in the current folder."""
    monkeypatch.syspath_prepend(made.folder)
    Path("new").symlink_to(made.folder / "new")


@pytest.fixture
def run(made, fewshot, here):
    """Function that classifies images of the current folder."""
    return lambda *arguments: fewshot("classify", made.model, *arguments, "--backbone", NAME)


@pytest.fixture
def refused(made, refusal, here):
    """Function that returns the line of a refusal."""
    return lambda *arguments: refusal("classify", made.model, *arguments, "--backbone", NAME)


def table_of(path):
    """Rows of a CSV file."""
    return list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))


def test_words(run):
    done = run("new")
    assert done.code == 0, done.err
    assert done.out.startswith("12 images: blue 4, green 4, red 4.")
    assert "probability" in done.out
    assert "Its predicted error is" in done.out


def test_json_is_one_list_of_files_as_they_were_given(run):
    done = run("new", "--json")
    assert done.err == ""
    rows = json.loads(done.out)
    assert {row["file"] for row in rows} == {
        f"new/deep/{name}{n}.png" for name in COLOURS for n in range(4)
    }
    for row in rows:
        assert Path(row["file"]).name.startswith(row["label"])
        assert 0 <= row["runner_up_probability"] <= row["probability"] <= 1
        assert row["runner_up"] in {*COLOURS} - {row["label"]}
        assert isinstance(row["look"], bool)
        assert isinstance(row["none_of_these"], bool)
        assert row["classes"][0] == row["label"]
    chances = [row["probability"] for row in rows if not row["none_of_these"]]
    assert chances == sorted(chances)
    dotted = json.loads(run("./new", "--json").out)
    assert {row["file"] for row in dotted} == {f"./{row['file']}" for row in rows}


def test_given_order_is_kept_everywhere(run):
    files = [f"new/deep/{name}.png" for name in ("red3", "blue0", "green1")]
    done = run(*files, files[0], "--json", "--order", "given", "--output", "labels.csv")
    assert [row["file"] for row in json.loads(done.out)] == files  # the same file once
    assert [row["file"] for row in table_of("labels.csv")] == files
    words = run(*files, "--order", "given").out
    assert sorted(files, key=words.index) == files


def test_unreadable_images_are_named_and_the_others_go_on(run, refused):
    Path("bad").mkdir()
    Path("bad/text.jpg").write_text("no image")
    whole = Path("new/deep/red0.png").read_bytes()
    Path("bad/torn.png").write_bytes(whole[: len(whole) // 2])
    Path("bad/.hidden.png").write_bytes(whole)
    Path("bad/notes.txt").write_text("not counted")
    done = run("new", "bad", "--json", "--page", "page.html")
    assert done.code == 0
    assert len(json.loads(done.out)) == 12
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("fewshot: not classified: bad/text.jpg (not a JPEG")
    assert lines[1].startswith("fewshot: not classified: bad/torn.png (")
    assert "bad/torn.png" in Path("page.html").read_text()
    assert "2 images could not be read" in " ".join(run("new", "bad").out.split())
    line = refused("new", "bad", "--strict")
    assert line.startswith("IMAGES: cannot read image 'bad/text.jpg'")
    assert line.endswith("or leave out --strict.")
    assert refused("bad").startswith("IMAGES: none of 2 images can be read; bad/text.jpg: not a")
    assert refused("bad/text.jpg").startswith("IMAGES: cannot read image bad/text.jpg: not a")


def test_images_that_are_too_large_are_named_with_the_variable_to_set(run, refused, monkeypatch):
    monkeypatch.setenv("FEWSHOT_MAX_PIXELS", "500")
    paint(Path("large.png"), COLOURS["red"])  # 480 pixels, and one of more
    Image.new("RGB", (30, 20)).save("larger.png")
    done = run("large.png", "larger.png")
    assert done.err == (
        "fewshot: not classified: larger.png (600 pixels (30 x 20), more than the 500 that "
        "FEWSHOT_MAX_PIXELS allows). Set FEWSHOT_MAX_PIXELS to 600 or more\n"
    )
    assert "Set FEWSHOT_MAX_PIXELS to 600 or more" in refused("larger.png")
    assert "dataset." not in refused("large.png", "larger.png", "--strict")


def test_kinds_that_are_not_read_are_counted(run):
    Path("more").mkdir()
    Path("more/a.png").write_bytes(Path("new/deep/red0.png").read_bytes())
    Path("more/b.cr2").write_bytes(b"II*\x00 raw")
    done = run("more", "--json")
    assert len(json.loads(done.out)) == 1
    assert "1 .cr2 file" in done.err


def test_a_larger_budget_asks_for_fewer_looks(run):
    for n, mix in enumerate((0.5, 0.4, 0.3)):
        colour = [mix * a + (1 - mix) * b for a, b in zip(COLOURS["red"], COLOURS["blue"],
                                                           strict=True)]  # fmt: skip
        paint(Path("new_ones") / f"{n}.png", colour, 50 + n)

    def looks(share):
        rows = json.loads(run("new", "new_ones", "--errors", share, "--json").out)
        return sum(row["look"] and not row["none_of_these"] for row in rows)

    assert looks("40%") <= looks("5%") <= looks("0.1%")
    assert looks("40%") < looks("0.1%")


def test_sets_of_classes_grow_with_the_level(run):
    def sizes(level):
        rows = json.loads(run("new", "--level", level, "--json", "--order", "given").out)
        return [len(row["classes"]) for row in rows]

    assert all(a <= b for a, b in zip(sizes("50%"), sizes("0.99"), strict=True))
    assert "99 % set" in run("new", "--level", "0.99").out


def test_all_rows_on_demand(run, made):
    files = [str(path) for path in (made.folder / "own").rglob("*.png")]
    assert "... and 7 more" in run("new", *files).out
    words = run("new", *files, "--all").out
    assert words.count(".png") == 27
    assert "more" not in words


def test_files_of_reports_never_replace_what_is_read(run, refused, made):
    assert "other file than" in refused("new", "--output", made.model).replace("another", "other")
    assert refused("new", "--page", "new/deep/red0.png").startswith("--page: expected a new file")
    assert refused("new", "--page", "x", "--output", "x").startswith("--page: expected another")
    Path("a file").write_text("text")
    assert refused("new", "--output", "a file/x.csv").startswith("--output: cannot write")
    done = run("new", "--page", "deep/page.html", "--output", "deep/labels.csv")
    assert done.out.endswith("Labels: deep/labels.csv\nPage: deep/page.html\n")
    assert len(table_of("deep/labels.csv")) == 12
    assert Path("deep/page.html").read_text().count("data:image/webp") == 12


def test_mistakes_are_one_line_about_what_was_typed(refused, refusal, made):
    assert refused("nowhere") == "IMAGES: expected images or folders, got nothing at nowhere."
    Path("empty").mkdir()
    assert refused("empty").startswith("IMAGES: no image in empty")
    assert refused("new", "--errors", "5").endswith("Did you mean 5%?")
    assert refused("new", "--level", "1.5").startswith("--level: ")
    assert refused("new", "--device", "abacus").startswith("--device: ")
    assert refused("").startswith("IMAGES: expected a path, got ''")  # not the current folder
    assert refused("new", "--head", "knn").startswith("--head: expected ")
    assert refusal("classify", "none.fewshot", "new").startswith("MODEL: ")
    assert refusal("classify", "new", "new").startswith("MODEL: ")
    line = refusal("classify", made.model, "new")  # code of others
    assert line.endswith(f"name it: --backbone '{NAME}'.")


def test_features_instead_of_images(fewshot, refusal, made):
    names = np.array([f"im/{n}.jpg" for n in range(24)])
    np.savez("query.npz", features=made.features, paths=names)
    done = fewshot("classify", made.of_features, "query.npz", "--json", "--page", "page.html")
    rows = json.loads(done.out)
    assert {row["file"] for row in rows} == {*names}
    assert "im/" in Path("page.html").read_text()
    np.save("bare.npy", made.features[:5].astype(np.float16))
    rows = json.loads(fewshot("classify", made.of_features, "bare.npy", "--json").out)
    assert sorted(row["file"] for row in rows) == ["0", "1", "2", "3", "4"]
    np.savez("short.npz", features=made.features[:, :5])
    assert refusal("classify", made.of_features, "short.npz") == (
        "IMAGES: expected 8-d features, as the classifier was fitted on, got 5-d ones."
    )
    paint(Path("a.png"), (0, 0, 0))
    assert "expected features" in refusal("classify", made.of_features, "a.png")
    assert "got both" in refusal("classify", made.of_features, "query.npz", "a.png")


def test_as_a_program_of_its_own(made):
    """JSON alone on standard output, also where that has no such characters."""
    paint(Path("bilder/größe.png"), COLOURS["red"], 3)
    done = subprocess.run(
        [sys.executable, "-m", "fewshot", "classify", made.model, "bilder", "--json",
         "--backbone", NAME],
        capture_output=True, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(made.folder), *sys.path]),
                          "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    (row,) = json.loads(done.stdout.decode("ascii"))
    assert (row["file"], row["label"]) == ("bilder/größe.png", "red")
    assert done.stderr == b""
