"""The balanced sampler: frequencies, independence, disjointness, pairing, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fewshot.episodes import sample_episodes
from fewshot.exceptions import FewshotError

LABELS = np.repeat(np.arange(8), 20)


def test_classes_and_images_are_uniform():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(6), [12, 12, 12, 30, 30, 30]))
    drawn = sample_episodes(labels, 3, 2, 3, 20_000, seed=1)
    assert stats.chisquare(np.bincount(drawn.classes.ravel())).pvalue > 1e-3
    for rows in (drawn.support, drawn.query):
        for c in (0, 4):
            counts = np.bincount(rows.ravel(), minlength=len(labels))[labels == c]
            assert stats.chisquare(counts).pvalue > 1e-3


def test_order_of_classes_is_uniform_and_episodes_are_independent():
    drawn = sample_episodes(LABELS, 4, 1, 1, 20_000, seed=2)
    assert stats.chisquare(np.bincount(drawn.classes[:, 3])).pvalue > 1e-3
    table = np.zeros((8, 8))
    np.add.at(table, (drawn.classes[:-1, 0], drawn.classes[1:, 0]), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_shots_of_different_classes_are_independent():
    drawn = sample_episodes(LABELS, 2, 1, 1, 20_000, seed=3)
    place = drawn.support[:, :, 0] % 20
    table = np.zeros((20, 20))
    np.add.at(table, (place[:, 0], place[:, 1]), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(6, 15), min_size=3, max_size=9),
    ways=st.integers(2, 3),
    shots=st.integers(1, 3),
    queries=st.one_of(st.integers(1, 3), st.just("all")),
    seed=st.integers(0, 2**31),
)
def test_labels_fit_and_nothing_overlaps(sizes, ways, shots, queries, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    drawn = sample_episodes(labels, ways, shots, queries, 5, seed)
    query = drawn.query_rows(0, 5)
    for e in range(5):
        assert len(set(drawn.classes[e])) == ways
        seen = []
        for n, c in enumerate(drawn.classes[e]):
            own = query[e, n][query[e, n] >= 0]
            rows = np.concatenate([drawn.support[e, n], own])
            assert set(labels[rows]) == {c}
            assert len(own) == (sizes[c] - shots if queries == "all" else queries)
            seen += rows.tolist()
        assert len(seen) == len(set(seen))


def test_episode_seventeen_is_the_same_in_any_number():
    few, many = (sample_episodes(LABELS, 5, 2, 3, count, seed=9) for count in (18, 500))
    for one, other in zip(
        (few.classes, few.support, few.query), (many.classes, many.support, many.query), strict=True
    ):
        np.testing.assert_array_equal(one, other[:18])


def test_more_shots_keep_classes_and_first_shots():
    one, five = (sample_episodes(LABELS, 5, shots, "all", 50, seed=4) for shots in (1, 5))
    np.testing.assert_array_equal(one.classes, five.classes)
    np.testing.assert_array_equal(one.support, five.support[..., :1])


def test_queries_do_not_change_the_support():
    some, rest = (sample_episodes(LABELS, 5, 3, q, 50, seed=4) for q in (7, "all"))
    np.testing.assert_array_equal(some.support, rest.support)


def test_seed_and_stream_matter():
    drawn = [sample_episodes(LABELS, seed=s, stream=t).hash() for s in (0, 1) for t in (0, 1)]
    assert len(set(drawn)) == 4


def test_classes_restrict_the_pool():
    drawn = sample_episodes(LABELS, 3, 1, 1, 200, classes=[1, 2, 3])
    assert set(drawn.classes.ravel()) == {1, 2, 3}


def test_fewer_classes_than_ways():
    with pytest.raises(FewshotError, match=r"episodes\.ways: expected at most the 8 classes .* 9"):
        sample_episodes(LABELS, ways=9)


def test_small_class_is_named_and_can_be_dropped():
    labels = np.concatenate([LABELS, [8] * 9])
    names = [*"abcdefgh", "cat"]
    with pytest.raises(FewshotError) as caught:
        sample_episodes(labels, 5, 5, 15, classnames=names)
    assert str(caught.value) == (
        "episodes: class 'cat' has 9 images; 5 shots + 15 queries need 20. Lower episodes.shots "
        "or episodes.queries, or set episodes.min_images=drop."
    )
    drawn = sample_episodes(labels, 5, 5, 15, 200, classnames=names, min_images="drop")
    assert 8 not in drawn.classes


def test_class_without_any_image_is_named():
    with pytest.raises(FewshotError, match="class 'ghost' has 0 images"):
        sample_episodes(LABELS, classes=range(9), classnames=[*"abcdefgh", "ghost"])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ways", 1),
        ("ways", 2.5),
        ("shots", -1),
        ("queries", "some"),
        ("queries", 0),
        ("episodes", 0),
        ("seed", -1),
        ("seed", True),
        ("min_images", "ignore"),
    ],
)
def test_bad_parameters(setting, value):
    with pytest.raises(FewshotError, match="got"):
        sample_episodes(LABELS, **{setting: value})
