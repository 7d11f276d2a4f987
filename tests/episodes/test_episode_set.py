"""EpisodeSet: hash, files, validation, queries that are worked out."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.exceptions import FewshotError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 12))


@pytest.fixture(params=[3, "all"])
def episodes(request):
    return sample_episodes(LABELS, 4, 2, request.param, 30, seed=5)


def test_saved_and_loaded(episodes, tmp_path):
    again = EpisodeSet.load(episodes.save(tmp_path / "new" / "e.safetensors"))
    assert again.hash() == episodes.hash()
    assert (again.ways, again.shots, again.queries, again.seed) == (4, 2, episodes.queries, 5)
    np.testing.assert_array_equal(again.query_rows(3, 9), episodes.query_rows(3, 9))


def test_a_disk_that_takes_no_more(episodes, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):  # which callers know how to explain
            episodes.save(tmp_path / "e.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_hash_follows_content(episodes):
    support = episodes.support.copy()
    support[0, 0] = support[0, 0, ::-1]
    other = EpisodeSet(episodes.classes, support, episodes.query, LABELS)
    assert other.hash() != episodes.hash()


def test_all_queries_equal_a_slow_set_difference():
    drawn = sample_episodes(LABELS, 4, 3, "all", 30, seed=1)
    rows = drawn.query_rows(10, 30)
    for e in range(20):
        for n, c in enumerate(drawn.classes[10 + e]):
            rest = set(np.flatnonzero(c == LABELS)) - set(drawn.support[10 + e, n])
            assert set(rows[e, n][rows[e, n] >= 0]) == rest
    assert drawn.largest_query == rows.shape[-1] == 9


def test_overlap_is_refused():
    with pytest.raises(FewshotError, match="stands twice"):
        EpisodeSet(
            np.array([[0, 1]]),
            np.array([[[0], [2]]]),
            np.array([[[0], [3]]]),
            np.array([0, 0, 1, 1]),
        )


def test_wrong_labels_are_refused(episodes):
    with pytest.raises(FewshotError, match="does not carry the label"):
        EpisodeSet(episodes.classes, episodes.support, episodes.query, np.roll(LABELS, 1))


def test_rows_outside_are_refused(episodes):
    with pytest.raises(FewshotError, match="another data set"):
        EpisodeSet(episodes.classes, episodes.support + 90, None, LABELS)


def test_damaged_files(episodes, tmp_path):
    path = episodes.save(tmp_path / "e.safetensors")
    arrays = load_file(path)
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FewshotError, match="not an episode file"):
        EpisodeSet.load(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:200])
    with pytest.raises(FewshotError, match="cannot read"):
        EpisodeSet.load(tmp_path / "cut.safetensors")
    with pytest.raises(FewshotError, match="cannot read"):
        EpisodeSet.load(tmp_path / "absent.safetensors")
    note = {"format": "fewshot-episodes-1", "hash": episodes.hash()}
    arrays["support"] = arrays["support"][..., ::-1].copy()
    save_file(arrays, tmp_path / "edited.safetensors", metadata=note)
    with pytest.raises(FewshotError, match="its own hash"):
        EpisodeSet.load(tmp_path / "edited.safetensors")


VARIED = np.array([[0, 1, 2], [3, 4, -1]])
VARIED_SUPPORT = np.array([[[0, 1], [2, -1], [4, 5]], [[6, -1], [8, -1], [-1, -1]]])
PAIRS = np.repeat(np.arange(5), 2)


def test_varying_ways():
    drawn = EpisodeSet(VARIED, VARIED_SUPPORT, None, PAIRS)
    assert drawn.way_counts.tolist() == [3, 2]
    assert not drawn.equal_ways
    assert drawn.fewest_shots == 1
    assert drawn.query_counts.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert drawn.query_rows(0, 2)[..., 0].tolist() == [[-1, 3, -1], [7, 9, -1]]
    assert drawn.largest_query == 1


def test_a_subset_has_no_padding_of_its_own(tmp_path):
    queries = np.array([[[-1], [3], [-1]], [[7], [9], [-1]]])
    for query in (queries, None):
        whole = EpisodeSet(VARIED, VARIED_SUPPORT, query, PAIRS)
        part = whole.subset(np.array([1]))
        assert part.equal_ways
        assert (part.ways, part.shots) == (2, 1)
        assert part.query_rows(0, 1).tolist() == [[[7], [9]]]
        assert part.numbers_of(0, 1).tolist() == [1]
        assert part.query_counts.tolist() == [[1, 1]]
        assert whole.ways == 3


@pytest.mark.parametrize(
    ("classes", "support", "message"),
    [
        ([[0, -1, 2]], [[[0], [-1], [4]]], "-1 after its classes only"),
        ([[-1, -1]], [[[-1], [-1]]], "a class in every episode"),
        ([[0, -1]], [[[0], [2]]], "in the padding"),
        ([[0, 1]], [[[0], [-1]]], "has no image"),
    ],
)
def test_padding_elsewhere(classes, support, message):
    with pytest.raises(FewshotError, match=message):
        EpisodeSet(np.array(classes), np.array(support), None, PAIRS)


def test_equal_ways_have_the_hash_and_the_format_of_before():
    drawn = EpisodeSet(
        np.array([[0, 1], [3, 4]]), np.array([[[0], [2]], [[6], [8]]]), None, PAIRS, seed=0
    )
    assert drawn.hash().startswith("d60a03cb4fc1d733")
    assert EpisodeSet(VARIED, VARIED_SUPPORT, None, PAIRS).hash() != drawn.hash()
