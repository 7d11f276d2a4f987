"""Shots of one data set, queries of another: which rows, which classes, which message."""

import numpy as np
import pytest

import fewshot
from fewshot.episodes import UnlabelledSampling
from fewshot.evaluation.sampling import Sampling
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.features.two_sets import matched_classes, with_queries_of

NAMES = ["Sea_Horse", "owl", "cat", "dog"]
OTHERS = ["DOG", "bee", "sea horse", "Owl", "cat"]


def bank(name, names, images=6, **settings):
    labels = np.repeat(np.arange(len(names)), images)
    features = np.random.default_rng(len(name)).normal(size=(len(labels), 5))
    features[:, 0] = labels
    return make_bank(features, labels, names, info={"dataset": name}, **settings)


def test_classes_are_matched_by_name_and_rows_follow():
    first, second = bank("art", NAMES), bank("photos", OTHERS, 4)
    assert matched_classes(first, second).tolist() == [2, 3, 4, 0]
    both = with_queries_of(first, second)
    assert both.classnames == tuple(NAMES)
    assert both.info["dataset"] == "art -> photos"
    shots, queries = both.subset == "train", both.subset == "test"
    np.testing.assert_array_equal(both.features[shots], first.features)
    np.testing.assert_array_equal(both.labels[shots], first.labels)
    expected = np.array([3, -1, 0, 1, 2])[second.labels]
    np.testing.assert_array_equal(both.labels[queries], expected[expected >= 0])
    np.testing.assert_array_equal(both.features[queries], second.features[expected >= 0])


def test_identifiers_match_where_names_do_not():
    first = make_bank(np.eye(3), [0, 1, 2], ["tench", "goldfish", "shark"])
    first = fewshot.FeatureBank(**(vars_of(first) | {"ids": ("n1", "n2", "n3")}))
    second = make_bank(np.eye(3), [0, 1, 2], ["n2", "n3", "n1"])
    assert matched_classes(first, second).tolist() == [2, 0, 1]


def vars_of(bank):
    return {name: getattr(bank, name) for name in bank.__dataclass_fields__}


def test_classes_without_queries_are_named_or_left_out():
    first, second = bank("art", NAMES), bank("photos", ["owl", "DOG", "frog"])
    with pytest.raises(FewshotError, match=r"2 of 4 classes have no queries: 'Sea_Horse', 'cat'"):
        with_queries_of(first, second)
    both = with_queries_of(first, second, "drop")
    assert both.classnames == ("owl", "dog")
    assert sorted(set(both.labels)) == [0, 1]
    assert both.info["without_queries"] == ["Sea_Horse", "cat"]


def test_parts_and_subsets():
    """Base classes have images of the first set alone, whose training images are the shots."""
    labels = np.repeat(np.arange(4), 6)
    subset = np.tile(["train", "train", "train", "validation", "test", "test"], 4)
    parts = np.repeat(["base", "base", "novel", "novel"], 6)
    first = bank("art", NAMES, split=parts, subset=subset, text=np.eye(4, 5) + 0.1)
    second = bank("photos", OTHERS, subset=np.tile(["train", "test", "test"] * 2, 5))
    both = with_queries_of(first, second)
    assert both.parts == ("base", "base", "novel", "novel")
    counts = {
        (part, c): int(((both.subset == part) & (both.labels == c)).sum())
        for part in ("train", "test") for c in range(4)
    }  # fmt: skip
    base = {("train", 0): 6, ("train", 1): 6, ("test", 0): 0, ("test", 1): 0}
    novel = {("train", 2): 3, ("train", 3): 3, ("test", 2): 4, ("test", 3): 4}
    assert counts == base | novel
    np.testing.assert_array_equal(both.text, first.text)
    judged_base = with_queries_of(first, second, part="base")
    assert int((judged_base.labels[judged_base.subset == "test"] == 0).sum()) == 4
    assert labels.size == len(first)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (make_bank(np.ones((8, 3)), np.repeat(NAMES, 2)), "features of equal length, got 5 in art"),
        (bank("photos", NAMES, normalize="l2"), "equal normalisation, got none in art and l2"),
        (
            bank("photos", ["x", "y", "z"]),
            "4 of 4 classes have no queries.* photos has 'x', 'y', 'z'",
        ),
        (bank("photos", [*NAMES, "CAT"]), "'cat' and 'CAT' of photos differ in spelling only"),
    ],
)
def test_sets_that_do_not_go_together(second, message):
    with pytest.raises(FewshotError, match=rf"^episodes\.queries_from: .*{message}"):
        with_queries_of(bank("art", NAMES), second)
    with pytest.raises(FewshotError, match=r"^episodes\.queries_from: "):
        with_queries_of(bank("art", NAMES), second, "drop" if "4 of 4" in message else "raise")


@pytest.mark.parametrize(
    ("sampler", "queries"),
    [("balanced", 3), ("balanced", "all"), ("imbalanced", 3), ("all_way", 0)],
)
@pytest.mark.parametrize("unlabelled", [None, 2])
def test_every_sampler_keeps_to_the_sets(sampler, queries, unlabelled):
    both = with_queries_of(bank("art", NAMES, 7), bank("photos", OTHERS, 4))
    drawn = {}
    for shots in (0, 1, 5):
        sampling = Sampling((3,), (0, 1, 5), queries, 9, sampler,
                            unlabelled=UnlabelledSampling.of(unlabelled, "equal", 0))  # fmt: skip
        drawn = dict(zip((0, 1, 5), sampling.draw(both, 0), strict=True))
        episodes = drawn[shots]
        query = episodes.query
        assert query is not None
        assert (both.subset[episodes.support] == "train").all()
        assert (both.subset[query[query >= 0]] == "test").all()
        per_class = (query >= 0).sum(-1)
        if sampler == "imbalanced":
            assert (per_class.sum(-1) == 9).all()
            assert per_class.max() == 4 > per_class.min()
        else:
            assert (
                per_class == (queries if sampler == "balanced" and queries != "all" else 4)
            ).all()
        if unlabelled is not None:
            assert (both.subset[episodes.unlabelled] == "train").all()
    np.testing.assert_array_equal(drawn[5].support[..., :1], drawn[1].support)
    np.testing.assert_array_equal(drawn[5].query, drawn[0].query)


def test_strangers_among_queries_are_of_their_set():
    both = with_queries_of(bank("art", NAMES, 9), bank("photos", OTHERS, 8))
    for sampler, queries in (("balanced", 4), ("imbalanced", 4)):
        sampling = Sampling((2,), (1,), queries, 5, sampler,
                            unlabelled=UnlabelledSampling.of("queries", "equal", 0.3))  # fmt: skip
        (episodes,) = sampling.draw(both, 0)
        strangers = episodes.unlabelled[episodes.unlabelled >= 0]
        assert (both.subset[strangers] == "test").all()


def test_rows_say_both_names_and_shots_are_of_the_first_set():
    first = bank("art", NAMES)
    results = fewshot.evaluate(first, queries_from=bank("photos", OTHERS), shots=6, ways=4,
                               episodes=2, estimators=[], head="ncm")  # fmt: skip
    assert set(results.episodes["dataset"]) == {"art -> photos"}
    # The first column is the number of a class in its own set: those of "photos" are wrong, but
    # for the cat.
    assert results.episodes["accuracy"].max() < 0.6


@pytest.mark.filterwarnings("ignore:dataset. .* same features")
def test_arrays_and_bad_arguments():
    first = bank("art", NAMES)
    pair = (first.features, np.array(NAMES)[first.labels])
    results = fewshot.evaluate(first.features, first.labels, classnames=NAMES, queries_from=pair,
                               ways=4, shots=1, episodes=3, estimators=[])  # fmt: skip
    assert set(results.episodes["dataset"]) == {"features -> queries"}
    with pytest.raises(FewshotError, match=r"^queries_from: expected a bank, a data set"):
        fewshot.evaluate(first, queries_from=3)
    with pytest.raises(FewshotError, match=r"6 images for shots and 6 for queries; 7 and 1 are"):
        fewshot.evaluate(first, queries_from=first, shots=7, ways=4)


@pytest.mark.filterwarnings("ignore:dataset. .* same features")
@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"task": "one_class"}, "task=one_class"),
        ({"task": "open_set", "ways": 2, "shots": 1, "queries": 2}, "task=open_set"),
        ({"sampler": "disjoint", "ways": 2, "shots": 1, "queries": 2}, "the sampler disjoint"),
        ({"sampler": "meta_dataset", "ways": 5}, "the sampler meta_dataset"),
        ({"sampler": "effective", "ways": 2, "shots": 1}, "the sampler effective and a number of"),
    ],
)
def test_what_draws_from_one_set_says_so(settings, where):
    texts = bank("art", NAMES, text=np.eye(4, 5) + 0.1)
    with pytest.raises(FewshotError, match=rf"^episodes\.queries_from: expected null with {where}"):
        fewshot.evaluate(texts, queries_from=bank("photos", OTHERS), **settings)


def test_too_few_unlabelled_images_are_told_from_too_few_shots():
    message = "has 6 images for shots and unlabelled images and 6 for queries; 8 and 2 are needed"
    with pytest.raises(FewshotError, match=message + ".*Lower episodes.unlabelled"):
        fewshot.evaluate(bank("art", NAMES), queries_from=bank("photos", NAMES), ways=2, shots=2,
                         queries=2, unlabelled=6, episodes=2, estimators=[])  # fmt: skip
