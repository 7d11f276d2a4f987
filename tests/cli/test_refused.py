"""A command that is refused before anything was computed leaves nothing behind."""

import hashlib
from pathlib import Path

import pytest

from fewshot.files import atomic_path, new_folder

SWEEP = ("head=ncm", "estimator=margin")
IMPOSSIBLE = "episodes.ways=98,99"


def files():
    """Digests of everything below the working folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(Path().rglob("*"))
        if "__pycache__" not in path.parts
    }


@pytest.fixture
def leaves_nothing(fewshot):
    """Function that checks that a command is refused and changes no file."""

    def check(*arguments):
        before = files()
        done = fewshot(*arguments)
        assert done.code == 2, done.err
        assert files() == before

    return check


@pytest.mark.parametrize(
    "arguments",
    [
        ("episodes.ways=99",),
        ("episodes.ways=99", "paths.runs=a/b/c"),
        ("head=lda", "head.lda.shrinkage=3"),
        ("results.policy=never",),
        ("-m", "dataset=nope,features"),
        ("-m", IMPOSSIBLE),
        ("-m", IMPOSSIBLE, "hydra.sweep.dir=a/b"),
        ("-m", "tune=optuna", "head=lda", "head.lda.shrinkage=interval(0.1,0.5)"),
    ],
    ids=" ".join,
)
def test_runs_and_sweeps(leaves_nothing, feature_settings, arguments):
    multirun = [word for word in arguments if word == "-m"]
    leaves_nothing(*multirun, *feature_settings, *[a for a in arguments if a != "-m"])


def test_an_earlier_sweep_in_the_same_folder_stays(fewshot, leaves_nothing, feature_settings):
    settings = ("-m", *feature_settings, *SWEEP, "hydra.sweep.dir=runs/s")
    assert fewshot(*settings, "episodes.ways=5,99").code == 2  # with a record of failures
    assert Path("runs/s/failures.jsonl").is_file()
    assert len(list(Path("runs/s/jobs").glob("*.json"))) == 2
    leaves_nothing(*settings, IMPOSSIBLE)
    leaves_nothing(*settings, "dataset=nope,features")


def test_features(leaves_nothing, image_settings):
    settings = [*image_settings[:2], "backbone=callable", "backbone.size=16"]
    leaves_nothing("extract", *settings, "backbone.target=tiny_net:nothing")
    leaves_nothing(*settings, "backbone.target=tiny_net:network", "episodes.ways=99")


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "photos", "--backbone", "callable:tiny_net:network", "--head", "nope"),
        ("predict", "photos", "--query", "nothing", "--output", "new/labels.csv"),
        ("oneclass", "dog", "nothing"),
        ("report", "photos"),
        ("results", "export", "photos", "--output", "new/table.csv"),
        ("text", "describe", "dataset=folder", "dataset.root=photos", "--output", "new/d.json"),
        ("calibrate", "f.npz", "--output", "new/c.json"),
        ("bank", "export", "nothing", "--output", "new/a.npz"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_other_commands(leaves_nothing, photos, tiny_net, feature_file, arguments):
    leaves_nothing(*arguments)


def test_only_new_and_empty_folders_are_removed(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyError), atomic_path(tmp_path / "a/b/c/file"):
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]
    with pytest.raises(KeyError), new_folder(tmp_path / "a/b/c"):
        (tmp_path / "a/b/file").touch()
        raise KeyError
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["file"]
