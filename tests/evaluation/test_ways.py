"""Several numbers of ways in one run, and those that the data set suggests."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fewshot
from fewshot.config.nodes import options_of
from fewshot.datasets.cards import card_names
from fewshot.evaluation.notices import Notices
from fewshot.evaluation.sampling import Sampling, sampling_of
from fewshot.evaluation.settings import evaluation_of
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.paths import card

IMAGES = 12


def bank_of(classes, dataset="mine", images=IMAGES):
    labels = np.repeat(np.arange(classes), images)
    means = np.random.default_rng(0).normal(size=(classes, 8))
    noise = np.random.default_rng(1).normal(size=(len(labels), 8))
    return make_bank(means[labels] + noise, labels, info={"dataset": dataset})


def sampling(sampler="balanced", **settings):
    queries = {} if sampler == "disjoint" else {"queries": 3, "count": 6}
    if sampler == "disjoint":
        queries = {"queries": 1}
    return sampling_of(options_of("episodes")[sampler] | {"shots": [1, 2]} | queries | settings)


def test_a_set_for_each_pair_of_ways_and_shots():
    bank = bank_of(6)
    drawn = sampling(ways=[2, 5]).draw(bank, 0)
    assert [(each.ways, each.shots) for each in drawn] == [(2, 1), (2, 2), (5, 1), (5, 2)]
    alone = [sampling(ways=ways).draw(bank, 0) for ways in (2, 5)]
    assert [each.hash() for each in drawn] == [each.hash() for sets in alone for each in sets]


@pytest.mark.parametrize("sampler", ["balanced", "imbalanced", "disjoint"])
def test_auto_is_five_or_all_classes(sampler):
    auto = sampling(sampler)
    assert auto.ways == "auto"
    assert auto.numbers_of_ways(bank_of(7)) == (5,) and auto.notice_on_ways(bank_of(7)) == ""
    five = sampling(sampler, ways=5)
    same = zip(auto.draw(bank_of(7), 0), five.draw(bank_of(7), 0), strict=True)
    assert all(one.hash() == other.hash() for one, other in same)
    few = bank_of(3)
    assert {drawn.ways for drawn in auto.draw(few, 0)} == {3}
    assert auto.notice_on_ways(few) == "episodes.ways: auto: the 3 classes, instead of 5"
    with pytest.raises(FewshotError, match="expected at most the 3 classes to draw from, got 5"):
        five.draw(few, 0)
    with pytest.raises(FewshotError, match="expected at most the 1 classes to draw from, got 2"):
        auto.draw(bank_of(1), 0)


def test_the_card_of_the_data_set_suggests_ways():
    assert {name: ways for name in card_names() if (ways := card(name).get("ways"))} == {
        "digits": [2, 5]
    }
    auto = sampling()
    assert auto.numbers_of_ways(bank_of(10, "digits")) == (2, 5)
    assert auto.numbers_of_ways(bank_of(3, "digits")) == (2, 3)
    assert auto.numbers_of_ways(bank_of(2, "digits")) == (2,)
    assert auto.numbers_of_ways(bank_of(10, "x" * 400)) == (5,)  # no name of a file


def test_classes_that_are_too_small_do_not_count():
    labels = np.repeat(np.arange(6), [12, 12, 12, 12, 3, 3])
    bank = make_bank(np.random.default_rng(0).normal(size=(len(labels), 4)), labels)
    with pytest.raises(FewshotError, match="class '4' has 3 images"):
        sampling().draw(bank, 0)
    dropping = sampling(min_images="drop")
    assert {drawn.ways for drawn in dropping.draw(bank, 0)} == {4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": []}, r"expected a number, a list of them, or auto, got \[\]"),
        ({"ways": None}, "expected a number, a list of them, or auto, got none"),
        ({"ways": "many"}, "expected a number, a list of them, or auto, got many"),
        ({"ways": [2, 1]}, "expected an integer >= 2, got 1"),
        ({"ways": [5, 2, 5]}, "expected different numbers, got 5 twice"),
        ({"sampler": "effective", "ways": "auto"}, "a list of them, or null, got auto"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(FewshotError, match=f"episodes.ways: .*{message}"):
        sampling(**settings)


def test_samplers_that_take_all_classes_have_no_number():
    assert sampling("all_way", ways=[2, 5]).numbers_of_ways(bank_of(6)) == (None,)
    assert sampling("effective").numbers_of_ways(bank_of(6)) == (None,)
    assert Sampling(sampler="all_way").numbers_of_ways(bank_of(6)) == (None,)


def test_from_python():
    results = fewshot.evaluate(bank_of(6), ways=[2, 4], shots=2, episodes=5, queries=3)
    assert results.table["ways"].tolist() == [2, 4]
    assert sorted(set(results.episodes["ways"])) == [2, 4]
    with pytest.warns(UserWarning, match="auto: the 3 classes, instead of 5"):
        few = fewshot.evaluate(bank_of(3), shots=2, episodes=5, queries=3)
    assert few.summary["ways"] == 3  # a single cell
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many = fewshot.evaluate(bank_of(10, "digits"), shots=2, episodes=5, queries=3)
    assert many.table["ways"].tolist() == [2, 5]


def test_the_estimate_counts_cells_of_all_ways(tmp_path):
    np.savez(tmp_path / "digits.npz", features=np.eye(60), labels=np.repeat(np.arange(10), 6))
    from fewshot.config.compose import settings_from

    words = ["dataset=features", f"dataset.path={tmp_path / 'digits.npz'}", "episodes.queries=3",
             "dataset.name=digits", "episodes.shots=1", f"paths.runs={tmp_path}"]  # fmt: skip
    evaluation = evaluation_of(settings_from(words), Notices())
    text = evaluation.task.estimate(evaluation)
    assert text.startswith("4 cells of 600 episodes: 2 heads, 2 numbers of ways, 1 number of shots")
