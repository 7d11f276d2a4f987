"""All classes at once: the shots of a draw, and what is left to test on."""

import numpy as np
import pytest

import fewshot
from fewshot.episodes import sample_all_way
from fewshot.exceptions import FewshotError


@pytest.fixture
def labels():
    return np.random.default_rng(0).permutation(
        np.repeat(np.arange(7), [12, 20, 9, 15, 30, 10, 11])
    )


@pytest.fixture
def subset(labels):
    return np.random.default_rng(1).choice(["train", "train", "test", "validation"], len(labels))


def test_shots_are_training_images_and_every_test_image_is_a_query(labels, subset):
    drawn = sample_all_way(labels, 3, 4, 0, subset=subset)
    assert drawn.support.shape == (4, 7, 3)
    assert set(subset[drawn.support.ravel()]) == {"train"}
    for e in range(4):
        rows = drawn.query_rows(e, e + 1)[0]
        for c in range(7):
            assert (
                sorted(rows[c][rows[c] >= 0])
                == np.flatnonzero((labels == c) & (subset == "test")).tolist()
            )
            assert set(labels[drawn.support[e, c]]) == {c}
            assert len(set(drawn.support[e, c])) == 3


def test_without_a_split_by_image_all_others_are_queries(labels):
    drawn = sample_all_way(labels, 2, 3, 0)
    assert drawn.query is None
    rows = drawn.query_rows(0, 1)
    assert (rows >= 0).sum() == len(labels) - 14


def test_fewer_shots_and_fewer_draws_are_the_beginning(labels, subset):
    many = sample_all_way(labels, 4, 5, 3, subset=subset)
    few = sample_all_way(labels, 2, 2, 3, subset=subset)
    assert np.array_equal(many.support[:2, :, :2], few.support)
    assert not np.array_equal(many.support, sample_all_way(labels, 4, 5, 4, subset=subset).support)


def test_every_training_image_is_drawn_alike(labels, subset):
    drawn = sample_all_way(labels, 1, 4000, 0, subset=subset)
    for c in range(7):
        rows = np.flatnonzero((labels == c) & (subset == "train"))
        counts = np.array([(drawn.support[:, c, 0] == row).sum() for row in rows])
        expected = 4000 / len(rows)
        assert ((counts - expected) ** 2 / expected).sum() < 5 * len(rows) + 10
        assert counts.sum() == 4000


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"shots": 12},
            r"class 'zero' has 12 images; 12 shots \+ 1 query need 13",
        ),
        ({"shots": -1}, "episodes.shots"),
        ({"episodes": 0}, "episodes.count"),
        ({"min_images": "ask"}, "episodes.min_images"),
        ({"shots": 40, "min_images": "drop"}, "two classes or more, got 0"),
    ],
)
def test_what_cannot_be_drawn(labels, settings, words):
    names = ["zero", "one", "two", "three", "four", "five", "six"]
    with pytest.raises(FewshotError, match=words):
        sample_all_way(labels, **settings, classnames=names)


def test_classes_that_are_too_small_are_named_or_dropped(labels, subset):
    subset = np.where(labels == 2, "train", subset)
    with pytest.raises(FewshotError, match="class 2 has 9 training and 0 test images"):
        sample_all_way(labels, 1, 1, subset=subset)
    drawn = sample_all_way(labels, 1, 1, subset=subset, min_images="drop")
    assert drawn.classes.tolist() == [[0, 1, 3, 4, 5, 6]]


def test_accuracy_is_that_of_a_classifier_on_the_test_set(labels, subset):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(7, 16))[labels] + rng.normal(size=(len(labels), 16))
    result = fewshot.evaluate(
        features, labels, head="ncm", shots=3, episodes=2, sampler="all_way", subset=subset,
        estimators=["constant"],
    )  # fmt: skip
    drawn = sample_all_way(labels, 3, 2, 0, subset=subset)
    for e in range(2):
        means = np.stack([features[rows].mean(0) for rows in drawn.support[e]])
        test = subset == "test"
        distance = ((features[test][:, None] - means) ** 2).sum(-1)
        wrong = distance.argmin(1) != labels[test]
        assert result.episodes["query_error"][e] == pytest.approx(wrong.mean())
    assert result.summary["ways"] == 7
