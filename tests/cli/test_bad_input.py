"""Every mistake gets one line: what was expected, what came, what to do."""

import functools
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from fewshot.evaluation.run import run
from fewshot.exceptions import FewshotError
from fewshot.features.extraction import extract
from fewshot.paths import resource_dir

PARTS = ["base"] * 30 + ["novel"] * 30


def features(**changes):
    rng = np.random.default_rng(0)
    arrays = {"features": rng.normal(size=(60, 8)), "labels": np.repeat(np.arange(6), 10)}
    np.savez("f.npz", **(arrays | changes))


@pytest.fixture(scope="module")
def composed():
    """Function that composes a configuration, each one once, as that takes longer than a run."""

    @functools.cache
    def compose_once(*overrides):
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            return compose("config", list(overrides))

    return compose_once


@pytest.fixture
def refused_run(composed):
    """Function that runs settings that have to be refused, with changes that Hydra has no part in.

    The first is an option of a group.
    """

    def refused(option, *changes):
        before = sorted(Path("runs").rglob("*"))
        whole = OmegaConf.to_container(composed(option, "threads=1"))
        changed = OmegaConf.merge(whole, OmegaConf.from_dotlist(list(changes)))
        with pytest.raises(FewshotError) as caught:
            run(changed, Path("runs"))
        assert "\n" not in str(caught.value)
        assert sorted(Path("runs").rglob("*")) == before  # nothing half-written
        return str(caught.value)

    Path("runs").mkdir()
    return refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("seed=null", "seed: expected an integer >= 0, got None."),
        ("episodes.ways=2.5", "episodes.ways: expected an integer >= 2, got 2.5."),
        ("episodes.shots=[]", "episodes.shots: expected a number or a list of them, got []."),
        ("episodes.shots=[1,x]", "episodes.shots: expected an integer >= 0, got 'x'."),
        ("episodes.queries=some", "episodes.queries: expected 'all' or an integer, got 'some'."),
        ("episodes.count=0", "episodes.count: expected an integer >= 1, got 0."),
        ("episodes.count=1e3", "episodes.count: expected an integer >= 1, got 1000.0."),
        ("episodes.min_images=keep", "episodes.min_images: expected one of 'raise', 'drop'"),
        ("threads=-1", "threads: expected an integer >= 1, got -1."),
        ("device=gpu", "device: cannot use 'gpu': "),
        (
            "task=segmentaton",
            "task: expected a registered name, got 'segmentaton'. D",
        ),
        (
            "task=verifcation",
            "task: expected a registered name, got 'verifcation'. D",
        ),
        ("features.dtype=int8", "features.dtype: expected one of 'float32', 'float16'"),
        ("features.normalize=l3", "features.normalize: expected one of 'auto', 'none', 'l2'"),
        ("features.batch_size=0", "features.batch_size: expected an integer >= 1, got 0."),
        (
            "calibration.source=bse",
            "one of 'none', 'base', 'datasets', got 'bse'. Did you mean 'base'",
        ),
        ("dataset.split=rnd", "dataset.split: expected auto, none, random or a readable file"),
        ("head.ncm.l2=abc", "head.ncm.l2: expected true or false, got 'abc'."),
        ("calibration.calibrator=[1,2]", "calibrator: [1, 2] cannot be read"),
        ("estimator.auto.calibrator=[1,2]", "calibrator: [1, 2] cannot be read"),
        ("head.ncm=5", "head.ncm: expected settings by name, got 5."),
        ("episodes.path=no.safetensors", "episodes.path: cannot read no.safetensors"),
        (
            "dataset.kind=foldr",
            "dataset.kind: expected a registered name, got 'foldr'. Did you",
        ),
    ],
)
def test_a_value_that_is_wrong(refused_run, feature_file, settings, message):
    assert message in refused_run("dataset=features", "dataset.path=f.npz", settings)


@pytest.mark.parametrize(
    ("sampler", "settings", "message"),
    [
        ("effective", "episodes.k_eff=7", "episodes.k_eff: expected at most the 6 classes"),
        ("effective", "episodes.k_eff=[4,2]", "episodes.k_eff: expected a number, or the smallest"),
        ("effective", "episodes.query_shares=even", "episodes.query_shares: expected one of"),
        ("effective", "episodes.unlabelled=3", "episodes.unlabelled: expected queries or null"),
        ("effective", "episodes.strangers=0.5", "episodes.strangers: got 0.5 without unlabelled"),
        ("balanced", "episodes.sampler=effective", "episodes.sampler: got 'effective' with the "),
        ("disjoint", "episodes.unlabelled=3", "null with the sampler disjoint, got 3. Set"),
        ("disjoint", "episodes.count=999", "episodes.count: expected at most the "),
        ("disjoint", "episodes.count=most", "episodes.count: expected an integer >= 1, got 'most'"),
        ("disjoint", "episodes.queries=all", "episodes.queries: expected a number of queries"),
    ],
)
def test_what_a_sampler_cannot_draw(refused_run, feature_file, sampler, settings, message):
    data = ("dataset.kind=features", "dataset.path=f.npz", "episodes.queries=2")
    drawn = ("episodes.shots=1", "episodes.ways=3") if sampler == "disjoint" else ()
    changes = data if sampler == "disjoint" else data[:2]
    assert message in refused_run(f"episodes={sampler}", *changes, *drawn, settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("seed=x", "seed: expected an integer >= 0, got 'x'."),
        # Unknown names
        ("head=lad", "head: expected a registered name, got 'lad'. Did you mean 'lda'?"),
        ("head=[ncm,lad]", "head: expected a registered name, got 'lad'. Did you mean 'lda'?"),
        ("estimator=gausian", "estimator: expected a registered name, got 'gausian'. Did you mean"),
        (
            "dataset=digit",
            "dataset: expected a registered name, got 'digit'. Did you mean",
        ),
        ("backbone=resnet19", "backbone: expected a registered name, got 'resnet19'. Did you mean"),
        ("backbone=qqq", "backbone: expected a registered name, got 'qqq'. There are "),
        # Mistyped settings
        ("episodes.way=5", "episodes.way: there is no such setting. Did you mean 'episodes.ways'"),
        ("sead=5", "sead: there is no such setting. Did you mean 'seed'"),
        ("head.lda.shrink=1", "there is no such setting. Did you mean 'head.lda.shrinkage'"),
        ("dataset.root=x", "dataset.root: it is a setting of dataset=folder, dataset=listed"),
        ("+episodes.way=5", "episodes: there is no setting 'way'. Did you mean 'ways'?"),
        ("+sead=5", "settings: there is no setting 'sead'. Did you mean 'seed'"),
        ("+head.ncm.foo=l1", "head: 'ncm' has no setting 'foo'. Available: center, l2,"),
        ("+dataset.foo=1", "dataset: 'features' has no setting 'foo'"),
        # Settings of another shape
        ("head=[]", "head: expected at least one name, got none. See fewshot list heads."),
        ("estimator=[]", "estimator: expected at least one name, got none."),
        ("features=3", "features: expected settings by name, got 3."),
        ("calibration=base", "calibration: expected settings by name, got 'base'."),
        ("episodes=3", "settings: Config group override must be a string or a list."),
        ("~episodes.count", "episodes: expected a setting 'count', got none."),
        ("seed=${nowhere}", "settings: Interpolation key 'nowhere' not found."),
        ("paths.runs=null", "settings: "),
        ("head=ncm,lda", "add --multirun"),
        ("hydra.foo=1", "settings: Could not override 'hydra.foo'"),
        ("+x=[1", "settings: "),
    ],
)
def test_a_setting_that_is_wrong(refusal, feature_settings, settings, message):
    assert message in refusal(*feature_settings, settings)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("lits", "Did you mean 'list'"), ("xyz", "Available: bank, calibrate, card, cite, ")],
)
def test_a_command_that_does_not_exist(refusal, word, hint):
    message = refusal(word)
    assert message.startswith(f"command: expected a registered name, got {word!r}.")
    assert hint in message


def save(rows, path):
    save_file({name: np.zeros((4, 2)) for name in rows}, path)


@pytest.mark.parametrize(
    ("word", "commands"),
    [
        ("my images", ["fewshot predict 'my images'", "dataset=folder 'dataset.root=my images'"]),
        ("my images/", ["fewshot predict 'my images/'"]),
        ("my images/class_0", ["fewshot oneclass CLASS", "--query 'my images/class_0'"]),
        ("my images/class_0/1.png", ["a PNG image", "--query 'my images/class_0/1.png'"]),
        ("f.npz", ["fewshot dataset=features dataset.path=f.npz", "fewshot predict f.npz"]),
        ("f.safetensors", ["fewshot dataset=features dataset.path=f.safetensors"]),
        ("w.safetensors", ["fewshot backbone=NAME backbone.weights=w.safetensors"]),
        ("e.safetensors", ["fewshot episodes.path=e.safetensors"]),
        ("split.csv", ["dataset=listed dataset.split_file=split.csv", "dataset.split=split.csv"]),
        ("runs", ["fewshot report runs"]),
        ("nothing/here", ["nothing is there"]),
        ("g.npz", ["nothing is there. Did you mean 'f.npz'?"]),
        ("dtd", ["fewshot dataset=dtd"]),
        ("simpleshot", ["fewshot head=simpleshot"]),
        ("clip_protocol", ["fewshot -m sweep=clip_protocol"]),
    ],
)
def test_a_path_or_a_name_in_place_of_a_command(refusal, make_images, feature_file, word, commands):
    make_images("my images", classes=1, images=2)
    Path("runs/1").mkdir(parents=True)
    Path("runs/1/summary.json").touch()
    Path("split.csv").write_text("class,part\n")
    save(["features", "labels"], "f.safetensors")
    save(["blocks.0.weight", "head.bias"], "w.safetensors")
    save(["classes", "support", "query"], "e.safetensors")
    message = refusal(word)
    assert repr(word) in message
    assert [command for command in commands if command not in message] == []


def test_a_path_among_the_settings(refusal, feature_file):
    typed = "dataset=features dataset.path=f.npz"
    assert typed in refusal("seed=1", "f.npz")
    assert typed in refusal("extract", "f.npz")
    assert typed in refusal("dataset=f.npz")
    assert "expected SETTING=VALUE, got 'zz'" in refusal("-m", "seed=1,2", "zz")


def test_fewer_classes_than_ways(refusal, feature_settings):
    message = refusal(*feature_settings, "episodes.ways=7")
    assert message.startswith("episodes.ways: expected at most the 6 classes to draw from, got 7")


def test_a_class_with_too_few_images(refusal, fewshot, feature_settings, image_settings, photos):
    message = refusal(*image_settings, "episodes.shots=3", "episodes.queries=6")
    assert "class 'class_0' has 8 images; 3 shots + 6 queries need 9" in message
    for file in list((photos / "class_2").iterdir())[:6]:
        file.unlink()
    message = refusal(*image_settings, "episodes.shots=3")
    assert "class 'class_2' has 2 images" in message
    assert "episodes.min_images=drop" in message
    assert fewshot(*image_settings, "episodes.shots=3", "episodes.min_images=drop").code == 0


def test_mistakes_about_episodes_are_found_before_features_are_extracted(
    refusal, image_settings, monkeypatch
):
    def never(*_, **__):
        raise AssertionError("features were extracted")

    monkeypatch.setattr(extract, "Extractor", never)
    assert "episodes.ways" in refusal(*image_settings, "episodes.ways=9")


def test_folders_without_images(refused_run, workplace):
    assert "dataset.root: expected a folder with one sub-folder" in refused_run("dataset=folder")
    assert "got nothing there: 'nowhere'" in refused_run("dataset=folder", "dataset.root=nowhere")
    (workplace / "empty").mkdir()
    assert "no class folders with images" in refused_run("dataset=folder", "dataset.root=empty")
    (workplace / "empty" / "x.jpg").touch()
    assert "images but no class folders" in refused_run("dataset=folder", "dataset.root=empty")
    (workplace / "empty" / "cat").mkdir()
    assert "images but no class folders" in refused_run("dataset=folder", "dataset.root=empty")
    assert "got a file" in refused_run("dataset=folder", "dataset.root=empty/x.jpg")
    (workplace / "empty" / "dog").mkdir()
    (workplace / "empty" / "x.jpg").rename(workplace / "empty" / "dog" / "x.jpg")
    assert "class folder 'empty/cat' has no image" in refused_run(
        "dataset=folder", "dataset.root=empty"
    )


def test_an_image_that_cannot_be_read(refusal, fewshot, image_settings, photos):
    whole = (photos / "class_3" / "5.png").read_bytes()
    (photos / "class_3" / "5.png").write_bytes(whole[:200])
    message = refusal(*image_settings)
    assert message.startswith("dataset: cannot read image 'class_3/5.png': ")
    assert message.endswith("Replace or remove it, or set dataset.on_error=skip.")
    done = fewshot(*image_settings, "dataset.on_error=skip")
    assert done.code == 0
    (summary,) = Path("runs").glob("*/summary.json")
    assert '"path": "class_3/5.png"' in summary.read_text()
    assert "class_3/5.png" in refusal(*image_settings)  # though there is a bank now


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.full((60, 8), np.nan)}, "features: expected finite numbers, got NaN or"),
        ({"features": np.full((60, 8), np.inf)}, "features: expected finite numbers, got NaN or"),
        ({"labels": np.arange(59)}, "labels: expected 60 labels, one per row of features, got"),
        ({"labels": np.array([object()] * 60)}, "holds pickled objects, which could run code"),
        ({"split": np.array(PARTS[::-1] + PARTS[:1])}, "split: expected 60 entries"),
        ({"split": np.roll(PARTS, 1)}, "is in base and in novel"),
        ({"split": np.array(["base"] * 60)}, "split: expected some classes to be novel, got none"),
    ],
)
def test_features_that_are_wrong(refused_run, changes, message):
    features(**changes)
    assert message in refused_run("dataset=features", "dataset.path=f.npz")


def test_feature_files_that_are_none(refused_run, workplace):
    assert "got nothing. Say for instance" in refused_run("dataset=features")
    assert "got nothing there: 'no.npz'" in refused_run("dataset=features", "dataset.path=no.npz")
    assert "got nothing there: '7'" in refused_run("dataset=features", "dataset.path=7")
    (workplace / "x.xyz").touch()
    assert "expected a .npz or .safetensors file" in refused_run(
        "dataset=features", "dataset.path=x.xyz"
    )
    features()
    content = (workplace / "f.npz").read_bytes()
    (workplace / "f.npz").write_bytes(content[: len(content) // 2])
    assert "dataset.path: cannot read f.npz" in refused_run(
        "dataset=features", "dataset.path=f.npz"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["backbone=timm"], "backbone.model: expected the name of a timm model, got nothing."),
        (["backbone=timm", "backbone.model=resnet1"], "Did you mean 'resnet18'"),
        (["backbone=open_clip"], "backbone.model: expected a model and the tag of its weights"),
        (["backbone=callable"], "backbone.target: expected module:factory, got None."),
        (["backbone=callable", "backbone.target=no_module:f"], "cannot import 'no_module'"),
        (
            ["backbone=efficientnet_lite0", "backbone.size=0"],
            "backbone.size: expected an integer >= 1, got 0.",
        ),
        (
            ["backbone=efficientnet_lite0", "backbone.size=big"],
            "backbone.size: expected an integer >= 1, got 'big'.",
        ),
        (
            ["backbone=efficientnet_lite0", "backbone.feature=cls"],
            "backbone.feature: expected one of 'pooled', got 'cls'",
        ),
        (
            ["backbone=efficientnet_lite0", "backbone.foo=1"],
            "backbone: 'packaged' has no setting 'foo'",
        ),
        (
            ["backbone=resnet18", "backbone.weights=no.pth"],
            "backbone.weights: expected a file",
        ),
    ],
)
def test_backbones_that_are_wrong(refused_run, settings, message):
    option, *changes = settings
    assert message in refused_run(option, *changes)


def test_weights_that_cannot_be_downloaded(refusal, monkeypatch, workplace):
    import socket

    from huggingface_hub import constants

    def refuse(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(workplace / "hub"))
    begun = time.perf_counter()
    message = refusal("backbone=resnet18")
    assert time.perf_counter() - begun < 10
    assert str(workplace / "cache" / "weights" / "resnet18.a1_in1k.safetensors") in message
    assert "cannot be downloaded" in message


def test_runs_that_cannot_be_written(refusal, feature_settings, workplace):
    (workplace / "file").touch()
    message = refusal(*feature_settings, "paths.runs=file")
    assert "paths.runs: cannot write to file: a file of that name is in the way" in message
    message = refusal(*feature_settings, "paths.runs=file/deeper")
    assert "paths.runs: cannot write to file/deeper: a part of the path is a file" in message
    assert (workplace / "file").read_bytes() == b""


def test_a_disk_that_is_full_when_the_run_is_written(refusal, feature_settings, monkeypatch):
    from fewshot.results import store

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(store.pq, "write_table", full)
    assert ": the disk is full. Free some space" in refusal(*feature_settings)


def test_a_cache_that_cannot_be_written(refusal, image_settings, workplace):
    (workplace / "file").touch()
    assert "paths.cache: cannot write to file/features" in refusal(
        *image_settings, "paths.cache=file"
    )


def test_episodes_of_another_data_set(refusal, fewshot, feature_settings):
    assert fewshot(*feature_settings).code == 0
    (episodes,) = Path("runs").glob("*/episodes/5way_1shot.safetensors")
    shutil.copy(episodes, "kept.safetensors")
    shutil.rmtree("runs")
    features(labels=np.repeat(np.arange(6), 10)[::-1])
    message = refusal(*feature_settings, "episodes.path=kept.safetensors")
    assert "expected episodes that were drawn from these labels" in message


def test_reports_about_nothing(refusal, workplace):
    assert "the following arguments are required: RUN" in refusal("report")
    assert "report: expected folders of runs, got 'no'" in refusal("report", "no")
    (workplace / "empty").mkdir()
    assert "report: no run under 'empty'" in refusal("report", "empty")
    assert not list((workplace / "empty").iterdir())


def test_lists_of_nothing(refusal):
    assert "list: expected a registered name, got 'head'. Did you mean 'heads'" in refusal(
        "list", "head"
    )
    assert "heads: expected a registered name, got '*qq*'" in refusal("list", "heads", "*qq*")
    assert "required: KIND" in refusal("list")
    assert "unrecognized arguments: --foo" in refusal("list", "heads", "--foo")
    told = refusal("predict", "photos", "paths.runs=x")
    assert "unrecognized arguments: paths.runs=x. It takes options, and no SETTING=VALUE." in told
    assert "A setting has no dashes: episodes.shots=5." in refusal("--shots", "5")


def test_a_process_says_the_same_and_exits_with_2(process, feature_file):
    done = process("dataset=features", "dataset.path=f.npz", "episodes.way=3")
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (2, "")
    assert err == (
        "fewshot: error: episodes.way: there is no such setting. Did you mean 'episodes.ways' or "
        "'episodes.min_ways' or 'episodes.path'? See fewshot --cfg job.\n"
    )
    assert not Path("runs").exists()


def test_a_defect_is_not_taken_for_a_mistake(feature_settings, monkeypatch):
    """Only mistakes are told in one line; for a defect the traceback is wanted."""
    from fewshot.cli import main
    from fewshot.evaluation import sampling

    def broken(*_):
        raise ValueError("a defect")

    monkeypatch.setattr(sampling, "draw_episodes", broken)
    with pytest.raises(ValueError, match="a defect"):
        main.main(list(feature_settings))
    assert "fewshot.evaluation.run" in sys.modules


@pytest.mark.parametrize(
    "words",
    [
        ("card",), ("classify", "m\x1b[31m", "x\x1b[2J"), ("export", "--output", "x"),
        ("segment", "a.jpg", "--out", "x"), ("fit", "--output", "x.fewshot"), ("predict",),
    ],
)  # fmt: skip
def test_errors_do_not_steer_the_terminal(words, refusal, workplace):
    """Names of files are anybody's: colours, cursor moves, new lines, other directions."""
    command, *rest = words
    line = refusal(command, "red\x1b[31m\n\u202e\udce9", *rest)
    assert line.isprintable()
    assert "red" in line or "m\N{REPLACEMENT CHARACTER}[31m" in line


@pytest.mark.parametrize("group", ["head", "estimator"])
def test_an_empty_list_is_named(refusal, group):
    assert f"{group}: expected at least one name" in refusal(f"{group}=[]")
