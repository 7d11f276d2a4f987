"""Episodes without shots: the zero-shot end of a curve over shots."""

import numpy as np
import pytest

from fewshot.episodes import (
    EpisodeSet,
    sample_all_way,
    sample_episodes,
    sample_imbalanced_episodes,
)
from fewshot.exceptions import FewshotError

LABELS = np.repeat(np.arange(8), 20)
# Drawn before there were episodes without shots: rows of a seed are for ever.
HASHES = {
    (1, 3): "1f22dbb26cbfaedde092e1d2baa67eac6bc635693649fc4a5cf3599b9e8c9023",
    (2, 3): "fc559b6621427ba228c246195697073e5fd0d12eda607b1953a540c1557e4421",
    (1, "all"): "0e1a695d2254535af38c40f9e7db9fb621c6f0f1fd2243fc1703e83c363ab5a9",
    (2, "all"): "e92bba39733ff3f5ec70a1e9a2d2a337fa6c474f9fd22528f058dbe5ccf8a150",
}


def balanced(shots, queries=3):
    return sample_episodes(LABELS, 4, shots, queries, 30, seed=5)


def imbalanced(shots):
    return sample_imbalanced_episodes(LABELS, 4, shots, 12, 30, seed=5)


@pytest.mark.parametrize(("shots", "queries"), HASHES)
def test_episodes_with_shots_are_what_they_were(shots, queries):
    assert balanced(shots, queries).hash() == HASHES[shots, queries]


@pytest.mark.parametrize("sample", [balanced, imbalanced])
def test_classes_and_queries_are_those_of_one_shot(sample):
    none, one = sample(0), sample(1)
    assert none.support.shape == (30, 4, 0)
    assert (none.shots, none.fewest_shots, one.fewest_shots) == (0, 0, 1)
    np.testing.assert_array_equal(none.classes, one.classes)
    np.testing.assert_array_equal(none.query, one.query)
    assert none.hash() != one.hash()


def test_all_queries_are_all_images():
    drawn = balanced(0, "all")
    np.testing.assert_array_equal(drawn.classes, balanced(1, "all").classes)
    rows = drawn.query_rows(3, 5)
    assert drawn.largest_query == rows.shape[-1] == 20
    for e, classes in enumerate(drawn.classes[3:5]):
        for n, c in enumerate(classes):
            assert rows[e, n].tolist() == np.flatnonzero(c == LABELS).tolist()


@pytest.mark.parametrize("split", [False, True])
def test_all_classes_at_once(split):
    subset = np.where(np.arange(len(LABELS)) % 4 == 0, "test", "train") if split else None
    none, one = (sample_all_way(LABELS, shots, 3, 0, subset=subset) for shots in (0, 1))
    assert none.support.shape == (3, 8, 0)
    assert none.queries == one.queries
    assert (none.query_rows(0, 3) >= 0).sum() == 3 * (40 if split else 160)
    if split:
        np.testing.assert_array_equal(none.query, one.query)


@pytest.mark.parametrize("queries", [3, "all"])
def test_saved_and_loaded(queries, tmp_path):
    drawn = balanced(0, queries)
    again = EpisodeSet.load(drawn.save(tmp_path / "e.safetensors"))
    assert again.hash() == drawn.hash()
    assert (again.shots, again.queries) == (0, queries)
    np.testing.assert_array_equal(again.query_rows(1, 4), drawn.query_rows(1, 4))


def test_a_class_needs_an_image_for_all_queries_and_one_more_for_some():
    labels = np.repeat(np.arange(3), [1, 5, 6])
    assert len(sample_episodes(labels, 3, 0, "all", 2)) == 2
    with pytest.raises(FewshotError, match=r"'b' has 5 images; 0 shots \+ 5 queries .* need 6"):
        sample_episodes(labels, 2, 0, 5, 2, classes=[1, 2], classnames="abc")
    assert len(sample_episodes(labels, 2, 0, 4, 2, classes=[1, 2])) == 2


@pytest.mark.parametrize("sample", [balanced, imbalanced, lambda k: sample_all_way(LABELS, k)])
def test_fewer_shots_than_none(sample):
    with pytest.raises(FewshotError, match=r"episodes\.shots: expected an integer >= 0, got -1"):
        sample(-1)
