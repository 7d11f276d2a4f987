"""`fewshot.evaluate`: what is left at None is the default of the task."""

import inspect

import numpy as np
import pytest

import fewshot
from fewshot.config.nodes import options_of
from fewshot.evaluation.arguments import with_defaults
from fewshot.evaluation.sampling import sampling_of
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.tasks import known_tasks, task_named
from fewshot.tasks.base import Task
from fewshot.tasks.segmentation.draw_files import load_draws, save_draws
from fewshot.tasks.segmentation.heads.prototype import Prototype

QUICK = {"task": "segmentation", "options": {"size": "native", "pictures": 0}, "threads": 1,
         "backbone": "callable:local_colours:network", "min_images": "drop"}  # fmt: skip


def test_every_task_has_a_value_for_every_argument_that_is_none():
    parameters = inspect.signature(fewshot.evaluate).parameters
    assert all(parameters[name].default is None for name in Task.arguments)
    for task in known_tasks():
        assert set(task.arguments) == set(Task.arguments), task.name


def test_what_is_given_counts():
    task = task_named("classification")
    values = with_defaults(task, {"head": None, "ways": 3, "estimators": []})
    assert values == {"head": "ncm", "ways": 3, "estimators": []}


def test_defaults_of_classification_are_the_documented_ones():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 30)
    features = rng.normal(size=(8, 6))[labels] + rng.normal(size=(240, 6))
    implied = fewshot.evaluate(features, labels, episodes=5)
    stated = fewshot.evaluate(
        features, labels, head="ncm", ways=5, shots=5, episodes=5, queries="all",
        estimators=("auto", "margin", "gaussian", "loo", "constant"), sampler="balanced",
    )  # fmt: skip
    assert implied.episodes.equals(stated.episodes) and implied.single
    assert implied.predictions.equals(stated.predictions)


@pytest.fixture(scope="module")
def several(scenes):
    """Two heads on two draws of a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scenes.folder)
        patch.syspath_prepend(str(scenes.folder))
        patch.setenv("FEWSHOT_CACHE", str(scenes.folder / "cache"))
        return fewshot.evaluate(
            "annotated", head=["pixel_lda", Prototype()], shots=[1, 2], episodes=2, **QUICK
        )


def test_a_folder_of_masks_is_evaluated(several):
    assert list(several.table["head"]) == ["pixel_lda", "prototype"] * 2
    assert sorted(set(several.table["shots"])) == [1, 2]
    rows = several.rows("segmentation")
    assert len(rows) == 8 and rows["miou"].between(0, 1).all()
    assert "pixel_lda" in repr(several) and "mIoU" in repr(several)
    assert several.run["data"]["images"] == 10
    compared = several.compare("pixel_lda", "prototype")
    assert set(compared["shots"]) == {1, 2}


def test_it_is_saved_loaded_and_reported(several, tmp_path):
    folder = several.save(tmp_path, "run")
    assert len(list((folder / "episodes").iterdir())) == 2
    again = fewshot.Results.load(folder)
    rows = several.rows("segmentation")
    assert again.rows("segmentation")[list(rows)].equals(rows)
    assert again.report(tmp_path / "page.html").stat().st_size > 1000


def test_draws_are_replayed(several, at_scenes, tmp_path):
    (drawn,) = [drawn for _, drawn in several.output.bank.drawn if drawn.shots == 2]
    replayed = load_draws(save_draws(drawn, tmp_path / "drawn.safetensors"))
    assert replayed.hash() == drawn.hash()
    again = fewshot.evaluate("annotated", head="prototype", episodes=replayed, **QUICK)
    rows = several.rows("segmentation").query("head == 'prototype' and shots == 2")
    np.testing.assert_array_equal(again.rows("segmentation")["miou"], rows["miou"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": np.zeros((4, 2)), "labels": [0, 0, 1, 1]}, "labels: expected none with"),
        ({"features": np.zeros((4, 2))}, "features: expected images with masks, got ndarray"),
        ({"head": "ncm"}, "head: expected a registered name, got 'ncm'. Available: auto"),
        ({"head": fewshot.heads.NCM()}, "head: expected a name or a DenseHead"),
        ({"estimators": ["auto"]}, "estimator: expected a registered name, got 'auto'"),
        ({"sampler": "balanced"}, r"episodes\.sampler: expected one of 'per_class'"),
        ({"unlabelled": 3}, r"episodes\.unlabelled: draws of annotated images do not have it"),
        ({"part": "base"}, r"episodes\.part: draws of annotated images do not have it"),
        ({"normalize": "l2"}, "normalize: expected none with"),
        ({"split": "random"}, "split: expected none with"),
        ({"classnames": ["a"]}, "classnames: expected it with arrays only"),
        ({"options": {"sise": 3}}, r"segmentation\.sise: there is no such setting"),
    ],
)
def test_what_segmentation_does_not_take(at_scenes, arguments, words):
    with pytest.raises(FewshotError, match=words):
        fewshot.evaluate(**{"features": "annotated", **QUICK, **arguments})


def test_draws_are_not_episodes(several, at_scenes):
    (_, drawn), *_ = several.output.bank.drawn
    labels = np.repeat(np.arange(6), 10)
    with pytest.raises(FewshotError, match="episodes: expected a number or an EpisodeSet"):
        fewshot.evaluate(np.random.default_rng(0).normal(size=(60, 4)), labels, episodes=drawn)
    episodes = fewshot.sample_episodes(labels, 3, 2, 3, 2, seed=0)
    with pytest.raises(FewshotError, match="episodes: expected a number or a DrawSet"):
        fewshot.evaluate("annotated", episodes=episodes, **QUICK)


BLOBS = np.repeat(np.arange(6), 40)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (
            {"name": "balanced", "k_eff": 2},
            "'balanced' has no .*k_eff.* of effective",
        ),
        ({"name": "all_way", "alpha": 2}, "'all_way' has no .* of imbalanced or effective"),
        ({"name": "disjoint", "taxonomy": "names"}, "'disjoint' has no .* of meta_dataset"),
        ({"name": "effective", "k_ef": 2}, "Did you mean 'k_eff'"),
    ],
)
def test_a_sampler_has_its_own_settings(sampler, message):
    features = np.random.default_rng(0).normal(size=(len(BLOBS), 4))
    with pytest.raises(FewshotError, match=f"^sampler: .*{message}"):
        fewshot.evaluate(features, BLOBS, sampler=sampler, episodes=2)


@pytest.mark.parametrize(("sampler", "episodes"), [("imbalanced", 600), ("disjoint", 4)])
def test_samplers_have_the_defaults_of_their_files(sampler, episodes):
    features = np.random.default_rng(0).normal(size=(len(BLOBS), 4))
    drawn = fewshot.evaluate(features, BLOBS, sampler=sampler, shots=1, ways=3, estimators=[])
    assert len(drawn.episodes) == episodes
    from_file = sampling_of(options_of("episodes")[sampler] | {"shots": 1, "ways": 3})
    bank = make_bank(features, BLOBS)
    (expected,) = from_file.draw(bank, 0)
    replayed = fewshot.evaluate(features, BLOBS, episodes=expected, estimators=[])
    assert replayed.summary["accuracy"] == drawn.summary["accuracy"]
