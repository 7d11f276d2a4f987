"""Options and sections that are made from Python."""

import dataclasses

import pytest

from fewshot.config.compose import settings_from
from fewshot.config.nodes import GROUPS, all_sections, imported_defaults, options_of, sections
from fewshot.evaluation.named import create_objects
from fewshot.exceptions import FewshotError, UnknownNameError

NAMES = [(group, name) for group, registry in GROUPS.items() for name in registry]


def with_lists(value):
    """Tuples as lists, as settings have them."""
    return [with_lists(entry) for entry in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_an_option_creates_what_the_constructor_alone_does(group, name):
    settings = settings_from([f"{group}={name}"])[group]
    assert list(settings) == [name]
    (made,) = create_objects(GROUPS[group], settings).values()
    default = GROUPS[group].create(name)
    assert type(made) is type(default)
    assert {key: with_lists(value) for key, value in made.get_params().items()} == {
        key: with_lists(value) for key, value in default.get_params().items()
    }


@pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.name)
def test_a_section_is_its_dataclass(section):
    settings = settings_from([])
    for name in section.name.split("."):
        settings = settings[name]
    fields = {field.name for field in dataclasses.fields(section.load()) if field.init}
    assert set(settings) == fields


def test_sections_are_new_each_time():
    sections()["one_class"]["rules"].clear()
    assert sections()["one_class"]["rules"]


def test_defaults_that_yaml_cannot_hold():
    def made(required, number=1, pair=(1, (2, None)), names={"a": (1,)}, hook=print, *more, **rest):  # noqa: B006
        """Whatever it makes."""

    assert imported_defaults(made) == {
        "required": "???", "number": 1, "pair": [1, [2, None]], "names": {"a": [1]},
    }  # fmt: skip


@pytest.fixture
def plugin(monkeypatch):
    """A head of somebody else, registered as ``theirs`` for one test."""
    registry = GROUPS["head"]
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    registry.add("theirs", "fewshot.heads.ridge:Ridge", "ridge regression under another name")


def test_the_group_follows_the_registry(plugin):
    settings = settings_from(["head=[theirs,ncm]", "head.theirs.alpha=3"])["head"]["theirs"]
    assert settings == {"alpha": 3, "class_weight": "none"}
    assert "theirs" in options_of("head")
    with pytest.raises(UnknownNameError, match="Did you mean 'theirs'"):
        settings_from(["head=theits"])
    with pytest.raises(FewshotError, match=r"head\.theirs\.alfa: .* Did you mean 'head\.theirs"):
        settings_from(["head=theirs", "head.theirs.alfa=3"])


def test_a_name_that_is_not_registered_any_more():
    with pytest.raises(UnknownNameError, match="head: expected a registered name, got 'theirs'"):
        settings_from(["head=theirs"])


@pytest.mark.parametrize("value", ["auto", "0.1", "null", "[1,2]"])
def test_composing_accepts_any_type_as_constructors_check_it(value):
    assert "shrinkage" in settings_from([f"head.lda.shrinkage={value}"])["head"]["lda"]


def test_options_of_the_user(tmp_path, monkeypatch, capsys):
    from fewshot.cli.main import main

    folder = tmp_path / "mine" / "head"
    folder.mkdir(parents=True)
    (folder / "soft_lda.yaml").write_text(
        "defaults: [lda]\nlda:\n  # Chosen by me.\n  shrinkage: 0.7\n"
    )
    assert main(["--config-dir", "mine", "--cfg", "job", "-p", "head", "head=soft_lda"]) == 0
    printed = capsys.readouterr().out
    assert "  # Chosen by me.\n  shrinkage: 0.7\n" in printed
    assert "  # uniform | empirical. " in printed  # of the constructor that it is based on
