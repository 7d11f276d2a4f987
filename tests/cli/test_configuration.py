"""``fewshot --cfg``: the whole configuration, each setting with its comment."""

import itertools
import sys

import pytest
import yaml

from fewshot.cli import hydra
from fewshot.config.comments import settings_in
from fewshot.config.nodes import GROUPS
from fewshot.paths import options
from fewshot.tasks import task_named

segmentation = task_named("segmentation")

# Choices of every group, files that change other sections, and values that YAML has to quote.
COMBINATIONS = [
    [],
    ["head=[ncm,tip_adapter_f]", "estimator=stack", "episodes=all_way", "head.ncm.power=0.5"],
    ["sweep=clip_protocol", "logger=[mlflow,wandb]", "seed=3"],
    ["dataset=fgvc_aircraft", "backbone=clip_rn50", "launcher=joblib", "one_class.rules=[lme]"],
    ["dataset=folder", "dataset.name='a: b # c'", "text.templates=['a {}: #1','x\\\\n{}']"],
    ["episodes=imbalanced", "~llm", "report.figures=[svg]"],
    ["task=segmentation", "episodes=episodic", "head=[ridge,auto]", "head.ridge.tau=0.5"],
]
VIEWS = [
    ["job"], ["all"], ["hydra"], ["job", "--resolve"], ["job", "-p", "head"],
    ["job", "--package", "episodes.shots"], ["job", "-p", "paths", "--resolve"],
]  # fmt: skip
SAMPLE = [
    (combination, view)
    for number, (combination, view) in enumerate(itertools.product(COMBINATIONS, VIEWS))
    if view == ["job"] or number % 3 == 0
]


@pytest.mark.parametrize(("overrides", "view"), SAMPLE, ids=lambda words: " ".join(words) or "-")
def test_comments_change_nothing(fewshot, monkeypatch, overrides, view):
    compose, printed = hydra._run_hydra, []

    def recorded(arguments):
        code = compose(arguments)
        printed.append((arguments, sys.stdout.getvalue()))
        return code

    monkeypatch.setattr(hydra, "_run_hydra", recorded)
    arguments = ["--cfg", *view, *overrides]
    commented = fewshot(*arguments)
    assert (commented.code, commented.err) == (0, "")
    typed, plain = printed[-1]  # what Hydra itself prints
    assert typed == hydra.check_options(arguments)
    assert yaml.safe_load(commented.out) == yaml.safe_load(plain)
    assert max(map(len, commented.out.splitlines()), default=0) <= max(
        100, *map(len, plain.splitlines())
    )


def lacking(text):
    """Settings of a printed configuration without a comment of two words or more above them."""
    lines = [line.strip() for line in text.splitlines()]

    def words_above(number):
        above = itertools.takewhile(lambda line: line.startswith("#"), reversed(lines[:number]))
        return " ".join(above).replace("#", "").split()

    return [
        setting.key
        for setting in settings_in(text)
        if not setting.is_section and len(words_above(setting.line)) < 2
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [f"head=[{','.join(GROUPS['head'])}]", f"estimator=[{','.join(GROUPS['estimator'])}]"],
        *(
            [f"episodes={name}", f"logger=[{','.join(options('logger'))}]"]
            for name in options("episodes")
        ),
        *([f"dataset={name}"] for name in ("folder", "cub", "listed", "dtd", "features")),
        *([f"backbone={name}"] for name in ("callable", "resnet12", "timm", "conse_lite0")),
        ["sweep=error_prediction"],
        ["task=segmentation"],
        [
            "task=segmentation",
            f"head=[{','.join(segmentation.registry('head'))}]",
            f"estimator=[{','.join(segmentation.registry('estimator'))}]",
        ],
    ],
    ids=lambda words: " ".join(words)[:40] or "-",
)
def test_every_setting_has_a_comment(fewshot, overrides):
    assert lacking(fewshot("--cfg", "job", *overrides).out) == []


def test_settings_without_a_comment_are_seen():
    assert lacking("# Of a.\na: 1\nb: 2\n# A section.\nc:\n  d: 3\n") == ["b", "c.d"]


def test_comments_are_those_of_the_choice(fewshot):
    printed = fewshot("--cfg", "job", "episodes=imbalanced", "head=ridge", "dataset=folder").out
    for words in (
        "# Query images per class on average; ways * queries in every episode.\n  queries: 15\n",
        "# Ridge regression on class indicators.\n  ridge:\n",
        "# DIR/<class>/<image>, or DIR/<train, val, test>/<class>/<image>.\n  root: null\n",
        "# number in (0, 1). Share of the classes that are base",
    ):
        assert words in printed
    assert "lda:" not in printed


def test_comments_of_a_sweep_have_precedence(fewshot):
    printed = fewshot("--cfg", "job", "sweep=text_in_domain").out
    assert (
        "  # With the seed, so that every split has a name of its own in the report.\n" in printed
    )


def test_a_head_of_somebody_else(fewshot, monkeypatch):
    class Theirs:
        """A head that is registered, and nothing more.

        Parameters
        ----------
        strength : float in (0, 1], or "auto"
            How strongly shots of a class attract each other.
        """

        def __init__(self, strength="auto"):
            self.strength = strength

    registry = GROUPS["head"]
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    registry.add("theirs", Theirs, "attraction")
    assert fewshot("--cfg", "job", "-p", "head", "head=theirs").out == (
        "# @package head\n# Attraction.\ntheirs:\n"
        "  # number in (0, 1], or auto. How strongly shots of a class attract each other.\n"
        "  strength: auto\n"
    )


def test_a_part_that_is_a_value_or_nothing(fewshot, refusal):
    assert fewshot("--cfg", "job", "-p", "seed").out == "0\n"
    assert fewshot("-c", "job", "-p", "episodes.path").out == "null\n"
    message = refusal("--cfg", "job", "--package", "head.ldaa")
    assert message.startswith("--package: there is no setting 'head.ldaa'. Did you mean 'head.lda'")
    assert "Did you mean 'episodes'" in refusal("--cfg", "job", "-p", "episode")


def test_mistakes_are_refused_as_in_a_run(refusal):
    assert "Did you mean 'lda'" in refusal("--cfg", "job", "head=lad")
    assert "Did you mean 'head.lda.shrinkage'" in refusal("--cfg=job", "head.lda.shrinkag=1")
    assert "Only one of" in refusal("-m", "--cfg", "job")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--cfg",), "--cfg/-c: expected one argument"),
        (("--cfg", "nope"), "--cfg/-c: invalid choice: 'nope'"),
        (("--nope",), "--nope: there is no such option"),
        (("seed=3", "--mulitrun", "seed=4"), "Did you mean '--multirun'"),
        (("-x",), "-x: there is no such option"),
        (("--multirun=3",), "--multirun/-m: "),
        (("--conf", "x"), "ambiguous option: --conf"),
        (("--config-name", "nope"), "'nope'"),
        (("--config-dir", "nope"), "not found"),
        (("--experimental-rerun", "nope"), "nope"),
        (("--shell-completion",), "--shell-completion: expected install=SHELL"),
    ],
)
def test_options_of_hydra_are_refused_in_a_line(refusal, arguments, words):
    message = refusal(*arguments)
    assert words in message
    assert "usage" not in message.lower()


def test_settings_may_stand_around_options(fewshot):
    assert "seed: 3" in fewshot("--cfg", "job", "seed=3").out
    assert "seed: 3" in fewshot("head=lda", "--cfg", "job", "seed=3").out
