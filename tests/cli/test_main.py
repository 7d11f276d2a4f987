"""The commands, when all is well."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import fewshot as package
from fewshot.cli import listing
from fewshot.cli.arguments import print_json
from fewshot.features.extraction import extract
from fewshot.files import claimed

FILES = {
    "config.yaml", "episodes.parquet", "predictions.parquet", "classes.parquet",
    "confusion.parquet", "summary.json", "report.html",
}  # fmt: skip


def run_folders():
    return sorted(path.parent for path in Path("runs").rglob("summary.json"))


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["run", "--help"]])
def test_help_is_for_people(fewshot, arguments):
    done = fewshot(*arguments)
    assert (done.code, done.err) == (0, "")
    for words in ("fewshot list KIND", "fewshot report RUN", "Examples", "Exit codes"):
        assert words in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_version(fewshot):
    assert fewshot("--version").out == f"fewshot {package.__version__}\n"


def test_the_whole_configuration(fewshot):
    done = fewshot("--cfg", "job", "seed=3")
    settings = yaml.safe_load(done.out)
    assert done.code == 0
    assert settings["seed"] == 3
    assert settings["episodes"]["ways"] == "auto"
    assert not Path("runs").exists()


@pytest.mark.parametrize("kind", list(listing.KINDS))
def test_lists(fewshot, kind):
    done = fewshot("list", kind)
    assert done.code == 0
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names == sorted(names)
    assert len(names) >= 2
    assert all(len(line.split()) > 2 for line in done.out.splitlines())  # each says what it is


def test_lists_of_what_matches(fewshot):
    done = fewshot("list", "backbones", "*dinov2_vit?14")
    names = ["dinov2_vitb14", "dinov2_vitg14", "dinov2_vitl14", "dinov2_vits14"]
    assert [line.split()[0] for line in done.out.splitlines()] == names
    assert fewshot("list", "heads", "ncm").out.startswith("ncm ")


def test_a_run_writes_everything(fewshot, image_settings):
    done = fewshot(*image_settings, "dataset.split=random", "seed=4")
    assert done.code == 0
    (folder,) = run_folders()
    names = {path.name for path in folder.iterdir()}
    assert names == FILES | {"episodes", "images.parquet", "calibrators"}
    assert str(folder) in done.out
    assert {"ncm", "lda"} <= set(done.out.split())
    episodes = pd.read_parquet(folder / "episodes.parquet")
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert len(episodes) == 2 * 2 * 20
    assert set(predictions["estimator"]) == {"auto", "gaussian", "margin", "loo", "constant"}
    assert set(episodes["dataset"]) == {"photos"}
    assert set(episodes["backbone"]) == {"tiny_net:network"}
    assert set(episodes["seed"]) == {4}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"]["images"] == 48
    assert summary["data"]["feature_dim"] == 12
    assert summary["data"]["classes_by_part"] == {"base": 3, "validation": 0, "novel": 3}
    assert len(summary["cells"]) == 4
    assert "photos" in (folder / "report.html").read_text()


@pytest.fixture
def image_settings(image_settings):
    """Three ways are enough for a split of six classes."""
    return (*image_settings, "episodes.ways=3")


def test_figures_are_drawn_when_asked_for(fewshot, refusal, feature_settings):
    quick = (*feature_settings, "head=ncm", "estimator=margin", "episodes.shots=2")
    assert "Did you mean 'svg'" in refusal(*quick, "report.figures=[svgg]")
    assert fewshot(*quick, "report.figures=[svg,pdf]").code == 0
    (folder,) = run_folders()
    drawn = {path.suffix for path in folder.rglob("predicted_vs_actual*")}
    assert drawn == {".svg", ".pdf"}


def test_a_second_run_reuses_the_features_and_gives_the_same_rows(
    fewshot, image_settings, monkeypatch
):
    assert fewshot(*image_settings).code == 0
    (first,) = run_folders()

    def never(*_, **__):
        raise AssertionError("features were extracted again")

    monkeypatch.setattr(extract, "Extractor", never)
    assert fewshot("run", *image_settings).code == 0
    (second,) = set(run_folders()) - {first}
    for name in ("episodes", "predictions"):
        pd.testing.assert_frame_equal(
            *(pd.read_parquet(folder / f"{name}.parquet") for folder in (first, second))
        )


def test_saved_episodes_and_settings_repeat_the_run(fewshot, feature_settings):
    assert fewshot(*feature_settings, "seed=5", "episodes.shots=2", "head=lda").code == 0
    (first,) = run_folders()
    settings = yaml.safe_load((first / "config.yaml").read_text())
    assert settings["head"] == {"lda": {"shrinkage": "auto", "priors": "uniform"}}
    assert settings["seed"] == 5
    saved = first / "episodes" / "5way_2shot.safetensors"
    assert fewshot(*feature_settings, f"episodes.path={saved}", "head=lda").code == 0
    (again,) = set(run_folders()) - {first}
    child, repeated = (pd.read_parquet(f / "episodes.parquet") for f in (first, again))
    assert child["classes"].map(list).tolist() == repeated["classes"].map(list).tolist()
    assert np.array_equal(child["actual_error"], repeated["actual_error"])


def test_numbers_as_names_of_files_and_folders(
    fewshot, make_images, image_settings, feature_settings
):
    make_images("2024")
    done = fewshot(*image_settings, "dataset.root=2024", "paths.cache=7", "paths.runs=8")
    assert done.code == 0, done.err
    (summary,) = Path("8").glob("*/summary.json")
    assert json.loads(summary.read_text())["cells"][0]["dataset"] == "2024"
    assert list(Path("7").glob("features/*/bank.json"))


def test_class_names_that_are_not_utf8(fewshot, image_settings, photos):
    target = str(photos).encode() + b"/caf\xe9"
    (photos / "class_0").rename(target.decode("utf-8", "surrogateescape"))
    assert fewshot(*image_settings).code == 0
    episodes = pd.read_parquet(run_folders()[0] / "episodes.parquet")
    assert r"caf\xe9" in {name for names in episodes["classes"] for name in names}


def test_a_sweep_makes_a_folder_each_and_a_joint_report(fewshot, feature_settings):
    done = fewshot("-m", *feature_settings, "head=ncm,lda", "seed=0,1")
    assert done.code == 0, done.err
    (sweep,) = Path("runs").glob("*_sweep")
    folders = run_folders()
    assert len(folders) == 4
    assert all(folder.parent == sweep for folder in folders)
    assert [folder.name.split("_")[0] for folder in folders] == ["0", "1", "2", "3"]
    for folder in folders:
        assert {path.name for path in folder.iterdir()} >= FILES
    heads = {json.loads((f / "summary.json").read_text())["cells"][0]["head"] for f in folders}
    assert heads == {"ncm", "lda"}
    assert (sweep / "report.html").is_file()
    assert "Report over 4 runs" in done.out


def test_a_cell_that_fails_does_not_stop_the_others(fewshot, feature_settings):
    done = fewshot(*feature_settings, "-m", "episodes.ways=3,30,4")  # -m may stand anywhere
    assert done.code == 2
    (sweep,) = Path("runs").glob("*_sweep")
    assert len(run_folders()) == 2
    assert (sweep / "report.html").is_file()
    problem = "episodes.ways: expected at most the 6 classes to draw from, got 30"
    first, *lines = done.err.splitlines()
    assert first == "fewshot: 3 jobs"
    assert len(lines) == 4  # the last two: how to run just that, and only what is missing
    assert lines[0].startswith(f"fewshot: error: {problem}")
    assert re.match(rf"fewshot: failed: .*episodes\.ways=30.*: {problem}", lines[1])
    assert "Traceback" not in done.err
    assert not [path for path in sweep.iterdir() if path.name.startswith(".")]


def test_a_sweep_of_failures_has_no_report(fewshot, feature_settings):
    done = fewshot("-m", *feature_settings, "episodes.ways=30,40")
    assert done.code == 2
    assert run_folders() == []
    assert not list(Path("runs").rglob("report.html"))
    assert done.err.count("fewshot: failed: ") == 2
    assert fewshot(*feature_settings).code == 0  # what failed before is forgotten


def test_a_report_over_runs(fewshot, feature_settings):
    for seed in (0, 1):
        assert fewshot(*feature_settings, f"seed={seed}", "head=ncm").code == 0
    done = fewshot("report", *map(str, run_folders()), "--output", "out/joint.html")
    assert done.code == 0
    assert "Report over 2 runs: out/joint.html" in done.out
    assert "<html" in Path("out/joint.html").read_text()
    assert fewshot("report", "runs").code == 0
    assert Path("runs/report.html").is_file()


def test_runs_in_the_same_second_do_not_meet(workplace):
    target = workplace / "runs" / "now"
    with claimed(target) as child, claimed(target) as two:
        assert [path.name for path in (child, two)] == ["now", "now-2"]
        (child / "file").touch()
    assert (target / "file").exists()
    assert not two.exists()  # nothing was put there
    with pytest.raises(KeyError), claimed(target) as three:
        raise KeyError
    assert not three.exists()


def test_a_process_whose_reader_goes_away(process):
    child = process("list", "backbones")
    child.stdout.close()
    child.stdout = None
    assert child.wait(60) == 0
    assert "Traceback" not in child.stderr.read()


def test_json_cannot_steer_the_terminal(capsys):
    """JSON leaves the second half of the control characters as it is, and marks of direction."""
    content = {"größe\x9b31m": ["\x1b[2J", "\x7f", "a\u202eb", "\u2066"]}
    print_json(content)
    text = capsys.readouterr().out
    assert json.loads(text) == content
    assert text.replace("\n", "").isprintable() and "größe" in text
