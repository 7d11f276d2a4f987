"""Meta-Dataset's sampler: its published rules, statistically and episode by episode."""

import math

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from fewshot.episodes import EpisodeSet, MetaDatasetRules, Taxonomy, sample_meta_dataset
from fewshot.exceptions import FewshotError

SIZES = np.random.default_rng(0).integers(6, 60, 40)
LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(40), SIZES))


@pytest.fixture(scope="module")
def drawn():
    return sample_meta_dataset(LABELS, 1000, seed=3)


def test_rules_of_every_episode(drawn):
    query_counts = drawn.query_counts
    for e, ways in enumerate(drawn.way_counts):
        images = SIZES[drawn.classes[e, :ways]]
        shots, queries = drawn.shot_counts[e], query_counts[e]
        assert len(set(drawn.classes[e, :ways])) == ways
        assert set(queries[:ways]) == {min(10, images.min() // 2)}
        assert (shots[:ways] >= 1).all()
        assert (shots[:ways] <= images - queries[0]).all()
        assert ways <= shots.sum() <= 500
        assert not shots[ways:].any() and not queries[ways:].any()


def test_ways_are_uniform_and_capped_by_the_classes(drawn):
    counts = np.bincount(drawn.way_counts, minlength=41)
    assert counts[:5].sum() == 0
    assert chisquare(counts[5:]).pvalue > 0.001
    few = sample_meta_dataset(LABELS, 200, classes=np.arange(9))
    assert set(few.way_counts) == set(range(5, 10))


def test_classes_are_uniform(drawn):
    counts = np.bincount(drawn.classes[drawn.classes >= 0], minlength=40)
    expected = drawn.way_counts.sum() / 40
    assert abs(counts / expected - 1).max() < 0.15


def test_shots_follow_the_published_procedure(drawn):
    """Against a slow transcription that draws class sizes from the same episodes."""
    random = np.random.RandomState(0)
    totals, largest = [], []
    for e in range(len(drawn)):
        images = SIZES[drawn.classes[e, : drawn.way_counts[e]]]
        left = images - min(10, images.min() // 2)
        beta = 1 - random.uniform()  # in (0, 1]
        total = min(500, sum(math.ceil(beta * min(100, n)) for n in left))
        weights = [n * math.exp(random.uniform(math.log(0.5), math.log(2))) for n in images]
        shots = [
            min(n, int(w / sum(weights) * (total - len(left))) + 1)
            for n, w in zip(left, weights, strict=True)
        ]
        totals.append(sum(shots))
        largest.append(max(shots) / sum(shots))
    counts = drawn.shot_counts
    assert kstest(counts.sum(1), totals).pvalue > 0.001
    assert kstest(counts.max(1) / counts.sum(1), largest).pvalue > 0.001


def test_the_limits_bind_where_classes_are_large():
    labels = np.repeat(np.arange(12), 400)
    drawn = sample_meta_dataset(labels, 200)
    assert drawn.shot_counts.sum(1).max() <= 500
    assert drawn.shot_counts.max() > 100  # which counts towards the size of the support only
    assert (drawn.query_counts.max(1) == 10).all()
    narrow = MetaDatasetRules(max_support=60, max_queries=3, max_contribution=4)
    few = sample_meta_dataset(labels, 100, rules=narrow)
    assert few.shot_counts.sum(1).max() <= 4 * 12
    assert set(few.query_counts[few.classes >= 0]) == {3}
    equal = MetaDatasetRules(min_weight=1.0, max_weight=1.0)
    shots = sample_meta_dataset(labels, 50, rules=equal)
    for e in range(50):  # equal sizes and weights
        assert len(set(shots.shot_counts[e, : shots.way_counts[e]])) == 1


def test_an_episode_depends_on_its_number_alone(drawn):
    fewer = sample_meta_dataset(LABELS, 7, seed=3)
    for e in range(7):
        ways = fewer.way_counts[e]
        assert ways == drawn.way_counts[e]
        for few, many in ((fewer.support, drawn.support), (fewer.query, drawn.query)):
            for a, b in zip(few[e, :ways], many[e, :ways], strict=True):
                assert np.array_equal(a[a >= 0], b[b >= 0])
    assert sample_meta_dataset(LABELS, 7, seed=4).hash() != fewer.hash()
    assert fewer.nominal == drawn.nominal  # of runs with several seeds, of any length


def tree():
    """Classes 0 to 39: eight in a, of which six in b; ten in c; one in d; all in the root."""
    edges = [("a", "b"), ("root", "a"), ("root", "c"), ("root", "d"), ("e", "root")]
    edges += [("b", str(i)) for i in range(6)] + [("a", "6"), ("a", "7")]
    edges += [("c", str(i)) for i in range(8, 18)] + [("d", str(i)) for i in range(18, 20)]
    return edges + [("root", str(i)) for i in range(20, 40)]


def test_groups_of_a_graph_are_uniform_and_whole():
    drawn = sample_meta_dataset(LABELS, 400, taxonomy=Taxonomy(tree()))
    sets = [frozenset(row[row >= 0].tolist()) for row in drawn.classes]
    groups = {frozenset(range(n)) for n in (6, 8, 40)} | {frozenset(range(8, 18))}
    assert set(sets) == groups  # not d, too small, nor e, whose only child is the root
    assert chisquare([sets.count(group) for group in groups]).pvalue > 0.001


def test_large_groups_are_thinned_or_left_out():
    rules = MetaDatasetRules(max_ways=7, max_spanned=10)
    drawn = sample_meta_dataset(LABELS, 600, rules=rules, taxonomy=Taxonomy(tree()))
    assert set(drawn.way_counts) == {6, 7}
    assert drawn.classes.max() < 18
    eight = [row for row in drawn.classes if 7 in row or 6 in row]
    left_out = [min(set(range(8)) - set(row.tolist())) for row in eight]
    assert set(left_out) == set(range(8))


def test_two_levels_have_uniform_ways():
    edges = [("x", str(i)) for i in range(12)] + [("y", str(i)) for i in range(12, 40)]
    drawn = sample_meta_dataset(LABELS, 600, taxonomy=Taxonomy(edges))
    of_x = drawn.classes.max(1) < 12
    assert abs(of_x.mean() - 0.5) < 0.06
    assert chisquare(np.bincount(drawn.way_counts[of_x])[5:]).pvalue > 0.001
    assert drawn.way_counts[~of_x].max() == 28
    assert ((drawn.classes >= 12) | (drawn.classes < 0))[~of_x].all()
    whole = MetaDatasetRules(hierarchy="graph")
    graph = sample_meta_dataset(LABELS, 50, rules=whole, taxonomy=Taxonomy(edges))
    assert set(graph.way_counts) == {12, 28}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_ways": 1}, "episodes.min_ways"),
        ({"max_ways": 4}, "episodes.ways"),
        ({"max_support": 30}, "episodes.max_support"),
        ({"min_weight": 0}, "episodes.min_weight"),
        ({"max_weight": 0.2}, "episodes.max_weight"),
        ({"max_queries": "all"}, "episodes.queries"),
        ({"hierarchy": "tree"}, "episodes.hierarchy"),
        ({"max_contribution": 0}, "episodes.max_contribution"),
    ],
)
def test_rules_outside_of_their_range(change, message):
    with pytest.raises(FewshotError, match=message):
        MetaDatasetRules(**change)


def test_classes_that_do_not_do():
    labels = np.append(LABELS, 40)  # one image
    with pytest.raises(FewshotError, match=r"'40' has 1 images; a shot and a query need 2"):
        sample_meta_dataset(labels, 2)
    assert sample_meta_dataset(labels, 50, min_images="drop").classes.max() < 40
    with pytest.raises(FewshotError, match=r"at most the 3 classes to draw from, got 5"):
        sample_meta_dataset(labels, 2, classes=[1, 2, 3])
    with pytest.raises(FewshotError, match=r"a group of 5 to 392 of the 9 classes, got"):
        edges = [(str(i // 3 + 100), str(i)) for i in range(9)]
        sample_meta_dataset(labels, 2, classes=range(9), taxonomy=Taxonomy(edges))


def test_more_episodes_than_memory_are_not_composed():
    with pytest.raises(FewshotError, match=r"episodes\.count"):
        sample_meta_dataset(LABELS, 10**9)


def test_saved_and_loaded_with_padding(drawn, tmp_path):
    few = sample_meta_dataset(LABELS, 9, seed=3)
    again = EpisodeSet.load(few.save(tmp_path / "e.safetensors"))
    assert again.hash() == few.hash()
    assert again.nominal == few.nominal
    np.testing.assert_array_equal(again.classes, few.classes)
