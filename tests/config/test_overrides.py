"""Values of texts and paths as people type them, and what Hydra makes of them."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fewshot.config.compose import combinations, settings_from
from fewshot.config.overrides import is_text, prepared
from fewshot.exceptions import FewshotError

NAMES = (
    "été.npz", "epoch=3.npz", "my data (1).npz", "a#b.npz", "it's.npz", 'a"b.npz', "a{b}.npz",
    "[1].npz", "[a]", "{a}", "a$b", "50%", "wow!.npz", "C:\\data\\", "my (\\", "\\\\srv\\x (1)\\",
    "😀(.npz", "007", "1e5", "2024_01", "true", "a;b&c", "a\nb", "`x`", "choice(a).npz",
    "it's, (x)", "a'b'c", "a'\\", "'unclosed", "a:b@c?|*", "(", ")", "'a' (1)",
)  # fmt: skip


def value_of(word):
    """What Hydra reads, with interpolations resolved."""
    value = OverridesParser.create().parse_override(word).value()
    return OmegaConf.to_container(OmegaConf.create({"x": value}), resolve=True)["x"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", ["dataset.path", "+paths.data", "calibration.calibrator"])
def test_what_is_behind_the_equals_sign_is_the_path(name, setting):
    (word,) = prepared([f"{setting}={name}"])
    assert prepared([word]) == [word]
    assert value_of(word) == name


def test_a_path_reaches_the_settings():
    settings = settings_from(["dataset=features", "dataset.path=it's (1).npz", "paths.data=#=1"])
    assert settings["dataset"]["path"] == "it's (1).npz"
    assert settings["paths"]["data"] == "#=1"


def test_home_null_quotes_and_interpolations(monkeypatch):
    monkeypatch.setenv("SOMEWHERE", "/data (1)")
    expected = {
        "~/b.npz": str(Path("~/b.npz").expanduser()),
        "~/a (1).npz": str(Path("~/a (1).npz").expanduser()),
        "null": None,
        "'a b.npz'": "a b.npz",
        '"a, (b)"': "a, (b)",
        "${oc.env:SOMEWHERE}/b": "/data (1)/b",
        "${oc.env:SOMEWHERE}/b (2)": "/data (1)/b (2)",
        r"a\ \(1\)": "a (1)",  # Hydra's way to write it
    }
    for typed, value in expected.items():
        assert value_of(prepared([f"dataset.path={typed}"])[0]) == value


def test_commas_sweep_unless_there_is_such_a_file(workplace):
    def paths(typed):
        made = [value_of(word) for (word,) in combinations([f"dataset.path={typed}"])]
        return made if len(made) > 1 else made[0]

    assert paths("a.npz,b.npz") == ["a.npz", "b.npz"]
    assert paths("a (1).npz, 007") == ["a (1).npz", "007"]
    assert paths("'a,b',it's.npz") == ["a,b", "it's.npz"]
    assert paths("choice(a, b)") == ["a", "b"]
    assert paths("a,#b,") == "a,#b,"
    (workplace / "a.npz,b.npz").touch()
    assert paths("a.npz,b.npz") == "a.npz,b.npz"
    (workplace / "x${y}.npz").touch()
    assert paths("x${y}.npz") == "x${y}.npz"


def test_lists_stay_lists_where_the_setting_takes_them():
    def templates(typed):
        return value_of(prepared([f"text.templates={typed}"])[0])

    assert templates("[name, photo]") == ["name", "photo"]
    assert templates("a photo of a {}.") == "a photo of a {}."
    assert templates("a {}, (drawn) #1") == "a {}, (drawn) #1"


def test_which_settings_are_texts():
    texts = ("dataset.root", "dataset.path", "dataset.split_file", "dataset.split", "dataset.name",
             "dataset.classnames", "episodes.path", "paths.runs", "paths.weights",
             "backbone.weights", "backbone.target", "calibration.calibrator", "text.descriptions",
             "text.learn_from", "text.predictor", "estimator.auto.calibrator",
             "one_class.confusers.file", "one_class.confusers.wordnet", "logger.wandb.folder",
             "llm.base_url")  # fmt: skip
    others = ("seed", "episodes.shots", "head.ncm.metric", "head.lda.shrinkage", "no.such",
              "features.batch_size", "one_class.rules", "dataset", "backbone.blocks")  # fmt: skip
    assert [name for name in texts if not is_text(name)] == []
    assert [name for name in others if is_text(name)] == []


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("seed=a#b", """seed: cannot read the value 'a#b'.* Say 'seed="a#b"'"""),
        ("episodes.shots=[1,2", "episodes.shots: .* a list ends in ]"),
        ("dataset.pth=a (1)", "dataset.pth: there is no such setting. Did you mean 'dataset.path'"),
        ("head=lda(", "head: expected a registered name.* Did you mean 'lda'"),
        ("dataset.name=A, B", """may be one text or 2 values. One text: 'dataset.name="A, B"'"""),
    ],
)
def test_what_cannot_be_read_is_shown_in_quotes(typed, message):
    with pytest.raises(FewshotError, match=message):
        settings_from([typed])


def test_a_path_in_place_of_a_data_set(workplace):
    (workplace / "my images").mkdir()
    with pytest.raises(FewshotError, match=r"dataset=folder 'dataset\.root=my images'"):
        settings_from(["dataset=my images"])
