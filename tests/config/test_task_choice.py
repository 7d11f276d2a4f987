"""The task decides which heads, estimators and defaults there are."""

import pytest
import yaml

from fewshot.config.compose import combinations, settings_from
from fewshot.config.errors import task_with
from fewshot.config.overrides import declared_type
from fewshot.config.source import GeneratedSource, PrimarySource
from fewshot.config.task_choice import chosen_name, composed_name, composing
from fewshot.evaluation.named import create_objects
from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.heads.base import Head
from fewshot.registry import Registry
from fewshot.tasks import registered, task_named
from fewshot.tasks.base import Measure, Table, Task

TABLE = Table("sketches", {"value": "float64"})
shapes = Registry("head", "fewshot.shapes", base="fewshot.heads.base:Head")
shapes.add("oval", f"{__name__}:Oval", "round")
shapes.add("ncm", f"{__name__}:Oval", "a name that other tasks have, too")


class Oval(Head):
    """A head.

    Parameters
    ----------
    radius : float > 0
        Of the oval.
    label : str
        A text, in which a comma is one.
    """

    def __init__(self, radius: float = 2.0, label: str = "plain") -> None:
        self.radius, self.label = radius, label


class Sketch(Task):
    """A task with heads of its own."""

    name = "sketch"
    title = "Sketch"
    tables = (TABLE,)
    measures = (Measure("value", table=TABLE.name),)
    heads = f"{__name__}:shapes"
    defaults = {"dataset": "cub", "head": ["oval"], "results.policy": "always"}  # noqa: RUF012


@pytest.fixture(autouse=True)
def sketch():
    """The task, registered for one test."""
    with registered(Sketch):
        yield


def test_a_task_brings_its_defaults():
    settings = settings_from(["task=sketch"])
    assert settings["dataset"]["name"] == "cub"
    assert settings["head"] == {"oval": {"radius": 2.0, "label": "plain"}}
    assert settings["results"]["policy"] == "always"
    assert list(settings["estimator"]) == list(settings_from([])["estimator"])


def test_what_is_chosen_counts():
    settings = settings_from(["task=sketch", "dataset=digits", "results.policy=never", "head=ncm",
                              "head.ncm.radius=3"])  # fmt: skip
    assert settings["dataset"]["name"] == "digits" and settings["results"]["policy"] == "never"
    assert settings["head"] == {"ncm": {"radius": 3, "label": "plain"}}
    assert settings_from(["head=ncm"])["head"]["ncm"] != settings["head"]["ncm"]


def test_nothing_of_it_stays():
    before = settings_from([])
    settings_from(["task=sketch"])
    assert settings_from([]) == before and composed_name() is None


def test_heads_by_module_are_named_by_the_registry_of_the_task():
    """``ncm`` is taken in both; the object is that of neither."""
    settings = settings_from(["task=sketch", f"head={__name__}:Oval"])
    assert list(settings["head"]) == ["oval"]


def test_unknown_names_are_compared_with_those_of_the_task():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'oval'"):
        settings_from(["task=sketch", "head=ovel"])
    with pytest.raises(FewshotError, match=r"head: 'oval' is a name of task=sketch only\. Add"):
        settings_from(["head=oval"])
    with pytest.raises(FewshotError, match=r"head\.oval\.radios: .*'head\.oval\.radius'"):
        settings_from(["task=sketch", "head.oval.radios=1"])
    with pytest.raises(FewshotError, match=r"'lda' is .* or take one of .* heads --task sketch"):
        settings_from(["task=sketch", "head=lda"])
    assert task_with("head", "oval") == "sketch" and task_with("dataset", "digits") is None


def test_texts_are_declared_by_the_constructor_of_the_task():
    with composing(["task=sketch"]):
        assert declared_type("head.oval.label") == "str"
    assert declared_type("head.oval.label") == ""
    settings = settings_from(["task=sketch", "head.oval.label=f(x"])
    assert settings["head"]["oval"]["label"] == "f(x"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], None),
        (["task=sketch"], "sketch"),
        (["+task=sketch"], "sketch"),
        (["task='sketch'"], "sketch"),
        (["task=sketch", "task=verification"], "verification"),
        (["-m", "task=classification,verification"], "classification"),
        (["-m", "task=choice(verification,one_class)"], "verification"),
        (["sweep=text_verification"], "verification"),
        (["sweep=text_verification", "task=sketch"], "sketch"),
        (["head.lda.shrinkage=0.2", "dataset=digits"], None),
        (["task="], None),
    ],
)
def test_the_task_of_arguments(words, name):
    assert chosen_name(words) in ([name, ""] if words == ["task="] else [name])


@pytest.mark.parametrize(
    "content",
    [{"task": "sketch"}, {"hydra": {"sweeper": {"params": {"task": "sketch"}}}}],
    ids=["setting", "params"],
)
@pytest.mark.parametrize("option", [["--config-dir", "DIR"], ["--config-dir=DIR"], ["-cd", "DIR"]])
def test_sweeps_of_the_user(content, option, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "mine.yaml").write_text("# @package _global_\n" + yaml.dump(content))
    words = [word.replace("DIR", str(tmp_path)) for word in option]
    assert chosen_name([*words, "sweep=mine"]) == "sketch"
    assert chosen_name([*words, "sweep=other"]) is None


@pytest.mark.parametrize("words", [["task=sketch,verification"], ["task=choice(sketch,one_class)"]])
def test_a_sweep_over_tasks_of_different_heads_is_refused(words):
    with pytest.raises(FewshotError, match="expected tasks with the same heads"):
        combinations(words)


def test_unknown_tasks_are_left_to_the_run():
    assert chosen_name(["task=sketsh"]) == "sketsh"
    assert settings_from(["task=sketsh"])["task"] == "sketsh"


def test_every_default_is_an_option():
    """What a task names as defaults composes, and its registries have what its arguments name."""
    from fewshot.tasks import tasks

    for name in tasks:
        task = task_named(name)
        settings = settings_from([f"task={name}"])
        for group in ("head", "estimator"):
            assert set(settings[group]) <= set(task.registry(group))
        heads, estimators = task.arguments["head"], task.arguments["estimators"]
        assert heads in task.registry("head") and set(estimators) <= set(task.registry("estimator"))


def test_a_source_knows_its_task_wherever_it_composes():
    """Workers of launchers get the source, and not what this process composes for."""
    source = GeneratedSource("fewshot", "fewshot://sketch")
    assert source.load_config("head/oval").config == {"oval": {"radius": 2.0, "label": "plain"}}
    assert source.list("head", None) == ["ncm", "oval"]
    assert "lda" in GeneratedSource("fewshot", "fewshot://").list("head", None)
    primary = PrimarySource("fewshot-config", "fewshot-config://sketch")
    chosen = [entry for entry in primary.load_config("config").config.defaults if "head" in entry]
    assert chosen == [{"head": ["oval"]}] and not primary.is_config("head/oval")


def test_settings_of_the_constructor_are_named_in_full():
    with pytest.raises(FewshotError, match=r"head\.pixel_lda\.shrinkage: expected a number"):
        create_objects(task_named("segmentation").registry("head"), {"pixel_lda": {"shrinkage": 7}})
