"""Heads and estimators by name, and which estimators are the default with unlabelled images."""

from __future__ import annotations

import numpy as np
import pytest

import fewshot
from fewshot.config.compose import settings_from
from fewshot.estimators import Auto
from fewshot.evaluation.named import (
    DEFAULT_ESTIMATORS,
    heads_of_classes_alike,
    named_estimators,
    with_support_alone,
)
from fewshot.evaluation.settings import evaluation_of
from fewshot.exceptions import FewshotError
from fewshot.heads import NCM, Ridge

WITH = ["auto", "auto_support", *DEFAULT_ESTIMATORS[1:]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], DEFAULT_ESTIMATORS),
        (["episodes.unlabelled=15"], WITH),
        (["episodes.unlabelled=queries"], WITH),
        (["episodes.unlabelled=15", "estimator=auto"], ["auto"]),
        (["episodes.unlabelled=15", "estimator=[auto,loo]"], ["auto", "loo"]),
    ],
)
def test_settings(settings, expected):
    assert list(evaluation_of(settings_from(settings)).estimators) == list(expected)


def test_python():
    labels = np.repeat(np.arange(6), 12)
    features = np.random.default_rng(0).normal(size=(72, 4)) + labels[:, None]

    def names(**settings):
        result = fewshot.evaluate(features, labels, ways=3, shots=2, episodes=2, **settings)
        return list(result.predictions["estimator"].unique())

    assert names(unlabelled=3) == WITH
    assert names() == list(DEFAULT_ESTIMATORS)
    assert names(unlabelled=3, estimators=["auto", "loo"]) == ["auto", "loo"]


def test_both_have_the_same_parameters():
    chosen = {**named_estimators(DEFAULT_ESTIMATORS), "auto": Auto(level=0.8)}
    completed = with_support_alone(chosen, True)
    assert completed["auto_support"].get_params() == completed["auto"].get_params()
    assert completed["auto_support"].level == 0.8
    assert with_support_alone(chosen, False) == chosen


def test_heads_that_are_named_count_classes_alike_and_objects_are_left_as_they_are():
    mine = Ridge(3.0)
    heads = heads_of_classes_alike(["ncm", "logistic", mine, "ncm"])
    assert list(heads) == ["ncm", "logistic", "ridge"]
    assert heads["logistic"].class_weight == "balanced"
    assert heads["ridge"] is mine and mine.class_weight == "none"
    assert heads_of_classes_alike("ridge")["ridge"].class_weight == "balanced"
    assert list(heads_of_classes_alike(mine)) == ["ridge"]


@pytest.mark.parametrize(
    "heads",
    [["ridge", Ridge(3.0)], [Ridge(), Ridge(3.0)], [NCM(), "ncm"]],
    ids=["name first", "objects", "object first"],
)
def test_two_heads_of_one_name_are_refused(heads):
    with pytest.raises(FewshotError, match=r"^head: expected heads of different names, got two of"):
        heads_of_classes_alike(heads)


@pytest.mark.parametrize("heads", [[], (), [["ncm"]], 3])
def test_what_is_no_head(heads):
    with pytest.raises(FewshotError, match=r"^head"):
        heads_of_classes_alike(heads)
