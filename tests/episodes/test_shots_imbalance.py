"""Unequal shots whose spread is one number."""

import numpy as np
import pytest
from scipy.stats import chisquare

from fewshot.episodes import EpisodeSet, sample_episodes, sample_imbalanced_episodes
from fewshot.episodes.shots import shots_of_ranks
from fewshot.exceptions import FewshotError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(9), 40))


@pytest.mark.parametrize(
    ("shots", "ways", "imbalance", "expected"),
    [
        (5, 5, 0.8, [1, 3, 5, 7, 9]),  # "1 to 9 shots" of the paper
        (5, 5, 0.0, [5] * 5),
        (15, 5, 0.8, [3, 9, 15, 21, 27]),
        (5, 4, 0.8, [1, 4, 6, 9]),
        (2, 3, 0.999, [1, 2, 3]),
        (10, 2, 0.5, [5, 15]),
    ],
)
def test_shots_by_rank(shots, ways, imbalance, expected):
    assert shots_of_ranks(shots, ways, imbalance).tolist() == expected


def test_mean_spread_and_order_of_shots_by_rank():
    for ways in (2, 5, 8, 21):
        for imbalance in np.linspace(0, 0.99, 12):
            before = np.zeros(ways)
            for shots in range(2, 30):
                counts = shots_of_ranks(shots, ways, imbalance)
                assert counts.sum() == shots * ways
                assert counts.min() >= 1
                assert (np.diff(counts) >= 0).all()
                assert (counts >= before).all()
                spread = (counts[-1] - counts[0]) / (counts[-1] + counts[0])
                assert abs(spread - imbalance) <= 0.5 / shots + 1e-9 or counts[0] == 1
                before = counts


def test_every_episode_has_all_ranks_in_random_order():
    drawn = sample_episodes(LABELS, 5, 5, 10, 800, shots_imbalance=0.8)
    assert (np.sort(drawn.shot_counts, 1) == [1, 3, 5, 7, 9]).all()
    most = np.bincount(drawn.shot_counts.argmax(1), minlength=5)
    assert chisquare(most).pvalue > 0.001
    assert (drawn.query_counts == 10).all()
    assert (drawn.nominal_ways, drawn.nominal_shots, drawn.shots) == (5, 5, 9)
    assert drawn.protocol == "balanced(shots_imbalance=0.8)"


@pytest.mark.parametrize("queries", [4, "all"])
def test_fewer_shots_are_among_more(queries):
    few, more = (
        sample_episodes(LABELS, 5, k, queries, 30, seed=1, shots_imbalance=0.6) for k in (4, 5)
    )
    np.testing.assert_array_equal(few.classes, more.classes)
    of_few, of_more = (drawn.support.reshape(-1, drawn.shots) for drawn in (few, more))
    for a, b in zip(of_few, of_more, strict=True):
        assert a[a >= 0].tolist() == b[: (a >= 0).sum()].tolist()


def test_equal_shots_are_those_of_before():
    usual = sample_episodes(LABELS, 5, 3, 4, 20, seed=2)
    zero = sample_episodes(LABELS, 5, 3, 4, 20, seed=2, shots_imbalance=0)
    assert zero.hash() == usual.hash()
    assert zero.protocol == ""
    unequal = sample_episodes(LABELS, 5, 3, 4, 20, seed=2, shots_imbalance=0.5)
    np.testing.assert_array_equal(unequal.classes, usual.classes)


def test_unlabelled_images_are_the_same_for_all_numbers_of_shots():
    sets = [
        sample_episodes(LABELS, 4, k, 3, 20, shots_imbalance=0.5, unlabelled=5, largest_shots=6)
        for k in (2, 6)
    ]
    np.testing.assert_array_equal(sets[0].unlabelled, sets[1].unlabelled)


def test_imbalanced_queries_too():
    drawn = sample_imbalanced_episodes(LABELS, 5, 4, 40, 30, shots_imbalance=0.7)
    assert (drawn.query_counts.sum(1) == 40).all()
    assert (np.sort(drawn.shot_counts, 1) == shots_of_ranks(4, 5, 0.7)).all()
    assert drawn.protocol == "imbalanced(alpha=2, shots_imbalance=0.7)"


def test_saved_and_loaded(tmp_path):
    drawn = sample_episodes(LABELS, 5, 5, 3, 10, shots_imbalance=0.8)
    again = EpisodeSet.load(drawn.save(tmp_path / "e.safetensors"))
    assert (again.hash(), again.nominal, again.protocol) == (
        drawn.hash(), (5, 5), drawn.protocol,
    )  # fmt: skip


@pytest.mark.parametrize("shots", [0, 1])
def test_shots_that_cannot_be_unequal(shots):
    with pytest.raises(FewshotError, match=r"episodes\.shots_imbalance: got 0.5 with"):
        sample_episodes(LABELS, 5, shots, 3, 10, shots_imbalance=0.5)


@pytest.mark.parametrize("imbalance", [-0.1, 1, 1.5, float("nan"), "much"])
def test_numbers_outside_of_their_range(imbalance):
    with pytest.raises(FewshotError, match=r"episodes\.shots_imbalance"):
        sample_episodes(LABELS, 5, 5, 3, 10, shots_imbalance=imbalance)


def test_every_class_has_images_for_the_most():
    with pytest.raises(FewshotError, match="38 shots"):
        sample_episodes(LABELS, 5, 20, 3, 10, shots_imbalance=0.9)
