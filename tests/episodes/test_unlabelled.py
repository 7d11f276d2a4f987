"""Unlabelled images of episodes: how they are drawn, kept apart, hashed and replayed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy import stats

from fewshot.episodes import (
    EpisodeSet,
    UnlabelledSampling,
    sample_all_way,
    sample_episodes,
    sample_imbalanced_episodes,
)
from fewshot.episodes.draws import first_distinct
from fewshot.episodes.unlabelled import NOWHERE, Reserved
from fewshot.exceptions import FewshotError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(9), 40))
KINDS = (
    {"unlabelled": 6},
    {"unlabelled": 6, "unlabelled_shares": "dirichlet", "strangers": 0.25},
    {"unlabelled": "queries", "strangers": 0.3},
    {"unlabelled": "queries"},
    {"unlabelled": UnlabelledSampling(6, "mixed", "mixed", queries_left=3)},
)
SAMPLERS = {
    "balanced": lambda shots, **how: sample_episodes(LABELS, 4, shots, 8, 30, 5, **how),
    "rest": lambda shots, **how: sample_episodes(LABELS, 4, shots, "all", 30, 5, **how),
    "imbalanced": lambda shots, **how: sample_imbalanced_episodes(
        LABELS, 4, shots, 32, 30, 5, **how
    ),
}


def real(rows):
    return rows[rows >= 0].tolist()


def draw(shots=2, sampler="rest", **how):
    return SAMPLERS[sampler](shots, **({"unlabelled": 6} | how))


@pytest.mark.parametrize("how", KINDS, ids=range(len(KINDS)))
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_roles_are_disjoint_and_complete(sampler, how):
    drawn = draw(3, sampler, **how)
    queries, unlabelled = drawn.query_rows(0, 30), drawn.unlabelled_rows(0, 30)
    np.testing.assert_array_equal(drawn.unlabelled_counts, (unlabelled >= 0).sum(1))
    np.testing.assert_array_equal(drawn.query_counts, (queries >= 0).sum(-1))
    assert unlabelled.shape[1] <= drawn.largest_unlabelled
    for e in range(30):
        shots, asked, extra = real(drawn.support[e]), real(queries[e]), real(unlabelled[e])
        strangers = [row for row in extra if LABELS[row] not in drawn.classes[e]]
        if drawn.queries_unlabelled:
            assert sorted(extra) == sorted(asked + strangers)
            extra = strangers
        rows = shots + asked + extra
        assert len(rows) == len(set(rows))
        of_classes = set(np.flatnonzero(np.isin(LABELS, drawn.classes[e])))
        if sampler == "rest":  # every image of the classes has a role
            assert set(rows) - set(strangers) == of_classes


@pytest.mark.parametrize("how", KINDS[:2], ids=range(2))
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_number_of_shots_has_the_same_unlabelled_images(sampler, how):
    zero, one, five = (draw(k, sampler, largest_shots=5, **how) for k in (0, 1, 5))
    np.testing.assert_array_equal(one.unlabelled, five.unlabelled)
    np.testing.assert_array_equal(zero.unlabelled, five.unlabelled)
    np.testing.assert_array_equal(one.classes, five.classes)
    np.testing.assert_array_equal(one.support, five.support[..., :1])


def test_dropping_small_classes_keeps_the_unlabelled_images_of_every_number_of_shots():
    labels = np.repeat(np.arange(8), [12, 40, 40, 14, 40, 40, 40, 15])
    one, five = (
        sample_episodes(labels, 4, k, "all", 40, unlabelled=8, largest_shots=5, min_images="drop")
        for k in (1, 5)
    )
    np.testing.assert_array_equal(one.unlabelled, five.unlabelled)
    assert 0 not in one.classes and {3, 7} <= set(one.classes.ravel())


def test_unlabelled_queries_change_neither_classes_nor_shots():
    labels = np.repeat(np.arange(8), [4, 40, 40, 14, 40, 40, 40, 15])
    for make in (sample_episodes, sample_imbalanced_episodes):
        how = {"seed": 3, "min_images": "drop", "episodes": 50}
        plain = make(labels, 4, 1, 3, **how)
        asked = make(labels, 4, 1, 3, unlabelled="queries", largest_shots=5, **how)
        np.testing.assert_array_equal(plain.classes, asked.classes)
        np.testing.assert_array_equal(plain.support, asked.support)
        np.testing.assert_array_equal(plain.query, asked.query)


def test_numbers_of_numpy_are_numbers(tmp_path):
    how = UnlabelledSampling(np.int64(3), strangers=np.float32(0.25))
    assert how.to_json() == UnlabelledSampling(3, strangers=0.25).to_json()
    assert draw(unlabelled=how).hash() == draw(unlabelled=3, strangers=0.25).hash()


def test_more_unlabelled_images_keep_the_first_ones():
    few, many = (draw(unlabelled=n) for n in (3, 9))
    for e in range(30):
        assert set(few.unlabelled[e]) < set(many.unlabelled[e])


@pytest.mark.parametrize("how", KINDS, ids=range(len(KINDS)))
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_episode_seventeen_is_the_same_in_any_number(sampler, how):
    make = {
        "balanced": lambda n: sample_episodes(LABELS, 4, 2, 8, n, 9, **how),
        "rest": lambda n: sample_episodes(LABELS, 4, 2, "all", n, 9, **how),
        "imbalanced": lambda n: sample_imbalanced_episodes(LABELS, 4, 2, 32, n, 9, **how),
    }[sampler]
    few, many = make(18), make(90)
    np.testing.assert_array_equal(few.support, many.support[:18])
    for e in range(18):
        alone = real(many.unlabelled_rows(e, e + 1))
        assert alone == real(few.unlabelled_rows(0, 18)[e]) == real(many.unlabelled_rows(0, 90)[e])


def test_shots_are_mapped_past_unlabelled_images_as_a_slow_loop_does():
    rng = np.random.default_rng(4)
    places = np.stack([np.sort(rng.permutation(12)[:4]) for _ in range(20)])[:, None]
    places[::3, :, 2:] = NOWHERE
    mapped = Reserved(places).past(np.tile(np.arange(8), (20, 1, 1)))
    for e in range(20):
        left = [place for place in range(12) if place not in places[e, 0]]
        assert mapped[e, 0].tolist() == left[:8]


def test_unlabelled_images_shots_and_queries_are_uniform():
    drawn = sample_episodes(LABELS, 3, 2, 4, 6000, 1, unlabelled=3, strangers=0.25)
    assert drawn.unlabelled.shape == (6000, 12)
    within = (LABELS[drawn.unlabelled][..., None] == drawn.classes[:, None]).any(-1)
    assert (within.sum(1) == 9).all()
    groups = (
        drawn.support, drawn.query, drawn.unlabelled[within], drawn.unlabelled[~within],
    )  # fmt: skip
    for rows in groups:
        counts = np.bincount(rows.ravel(), minlength=len(LABELS))
        assert stats.chisquare(counts).pvalue > 1e-3


def test_the_order_shows_nothing_of_classes_or_strangers():
    for how in (KINDS[1], KINDS[2]):
        drawn = sample_episodes(LABELS, 3, 1, 5, 4000, 2, **how)
        rows = drawn.unlabelled_rows(0, 4000)
        way = (LABELS[rows][..., None] == drawn.classes[:, None]) @ np.arange(1, 4)
        for label in range(4):  # 0: strangers
            assert stats.chisquare((way == label).sum(0)).pvalue > 1e-3
        together = (way[:, 1:] == way[:, :-1]).mean()
        shuffled = np.random.default_rng(0).permuted(way, axis=1)
        expected = (shuffled[:, 1:] == shuffled[:, :-1]).mean()
        assert together == pytest.approx(expected, abs=0.01)


def test_dirichlet_shares_have_their_mean_and_variance_and_leave_room():
    labels = np.repeat(np.arange(6), 300)
    drawn = sample_episodes(labels, 3, 1, 5, 3000, unlabelled=20, unlabelled_shares="dirichlet")
    assert (drawn.unlabelled_counts == 60).all()
    counts = (labels[drawn.unlabelled][..., None] == drawn.classes[:, None]).sum(1)
    share = counts / 60
    assert share.mean(0) == pytest.approx(np.full(3, 1 / 3), abs=0.01)
    # Variance of a symmetric Dirichlet share: (1/N)(1 - 1/N) / (N alpha + 1).
    assert share.var(0) == pytest.approx(np.full(3, 2 / 9 / 7), rel=0.08)
    tight = sample_episodes(
        LABELS, 3, 2, "all", 500, unlabelled=20, unlabelled_shares="dirichlet", largest_shots=9
    )
    counts = (LABELS[tight.unlabelled][..., None] == tight.classes[:, None]).sum(1)
    assert counts.sum(1).tolist() == [60] * 500 and counts.max() == 40 - 9 - 1


def test_strangers_are_their_share_of_all_unlabelled_images():
    for share in (0.1, 0.25, 0.6):
        drawn = draw(unlabelled=6, strangers=share)
        outside = ~(LABELS[drawn.unlabelled][..., None] == drawn.classes[:, None]).any(-1)
        assert (outside.sum(1) == round(24 * share / (1 - share))).all()
    some = sample_episodes(LABELS, 4, 1, "all", 60, classes=range(7), unlabelled=5, strangers=0.3)
    assert set(LABELS[some.unlabelled].ravel()) == set(range(7))


def test_mixed_episodes_are_of_all_kinds():
    how = UnlabelledSampling(10, "mixed", "mixed")
    labels = np.repeat(np.arange(12), 100)
    drawn = sample_episodes(labels, 4, 1, "all", 2000, unlabelled=how)
    there = drawn.unlabelled >= 0
    counts = (labels[drawn.unlabelled][..., None] == drawn.classes[:, None]) & there[..., None]
    counts = counts.sum(1)
    assert (counts.sum(1) == 40).all()
    equal = (counts == 10).all(1)
    share = 1 - 40 / there.sum(1)
    assert equal.mean() == pytest.approx(0.5, abs=0.04)
    assert (share == 0).mean() == pytest.approx(0.5, abs=0.05)  # very small shares round to none
    assert share.max() == pytest.approx(0.4, abs=0.02)
    assert share[share > 0].mean() == pytest.approx(0.2, abs=0.02)
    assert abs(np.corrcoef(equal, share)[0, 1]) < 0.08
    # No strangers where too few classes are outside of an episode.
    few = sample_episodes(labels, 4, 1, "all", 40, classes=range(6), unlabelled=how)
    assert (few.unlabelled_counts == 40).all()


def test_all_way_draws_apart_from_shots_and_test_images():
    subset = np.where(np.arange(len(LABELS)) % 3 == 0, "test", "train")
    one, four = (
        sample_all_way(LABELS, k, 3, 2, subset=subset, unlabelled=5, largest_shots=4)
        for k in (1, 4)
    )
    np.testing.assert_array_equal(one.unlabelled, four.unlabelled)
    np.testing.assert_array_equal(one.support, four.support[..., :1])
    assert set(subset[four.unlabelled].ravel()) == {"train"}
    for e in range(3):
        assert np.bincount(LABELS[four.unlabelled[e]]).tolist() == [5] * 9
        assert not set(four.unlabelled[e]) & set(four.support[e].ravel())
    rest = sample_all_way(LABELS, 2, 3, 2, unlabelled=5)
    assert (rest.query_counts == 40 - 2 - 5).all()
    asked = sample_all_way(LABELS, 2, 3, 2, subset=subset, unlabelled="queries")
    assert set(asked.unlabelled_rows(0, 1)[0]) == set(np.flatnonzero(subset == "test"))
    with pytest.raises(FewshotError, match="all_way: no class is outside"):
        sample_all_way(LABELS, unlabelled=5, strangers=0.1)
    with pytest.raises(FewshotError, match=r"16 shots \+ 1 query \+ 30 unlabelled images need 47"):
        sample_all_way(LABELS, 16, unlabelled=30)


@pytest.mark.parametrize("how", KINDS, ids=range(len(KINDS)))
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_saved_loaded_and_hashed(sampler, how, tmp_path):
    drawn = draw(2, sampler, **how)
    again = EpisodeSet.load(drawn.save(tmp_path / "e.safetensors"))
    assert again.hash() == drawn.hash()
    assert again.unlabelled_sampling == drawn.unlabelled_sampling
    for start, stop in ((0, 30), (11, 17)):
        np.testing.assert_array_equal(
            again.unlabelled_rows(start, stop), drawn.unlabelled_rows(start, stop)
        )


def test_without_unlabelled_images_hash_and_file_stay_as_they_were(tmp_path):
    labels = np.repeat(np.arange(4), 9)
    drawn = sample_episodes(labels, 3, 2, 2, 5, 7)
    sets = {
        "3c8ce8306624dead": drawn,
        "bfcbe9b167c2423b": sample_episodes(labels, 3, 2, "all", 5, 7),
        "b1bc20dbfeda9cf1": sample_imbalanced_episodes(labels, 3, 2, 6, 5, 7),
        "2836e06efb710400": sample_all_way(labels, 2, 5, 7),
    }  # as version 0.1 drew them
    assert [episodes.hash()[:16] for episodes in sets.values()] == list(sets)
    drawn.save(tmp_path / "e.safetensors")
    assert set(load_file(tmp_path / "e.safetensors")) == {"classes", "support", "labels", "query"}
    assert not drawn.has_unlabelled and drawn.unlabelled_rows(1, 4).shape == (3, 0)
    assert drawn.set_aside is drawn.support


def test_the_hash_follows_unlabelled_images_how_they_were_drawn_and_their_order():
    hashes = {draw(**how).hash() for how in KINDS}
    hashes |= {draw(unlabelled=5).hash(), sample_episodes(LABELS, 4, 2, "all", 30, 5).hash()}
    assert len(hashes) == len(KINDS) + 2
    drawn = draw(unlabelled="queries")
    other = EpisodeSet(
        drawn.classes, drawn.support, None, LABELS, 6, None, drawn.unlabelled_sampling
    )
    assert other.hash() != drawn.hash()  # the seed decides the order of the queries


def test_a_file_that_was_changed_is_refused(tmp_path):
    path = draw().save(tmp_path / "e.safetensors")
    arrays = load_file(path)
    arrays["unlabelled"] = arrays["unlabelled"][:, ::-1].copy()
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        note = file.metadata()
    save_file(arrays, path, note)
    with pytest.raises(FewshotError, match="does not match its own hash"):
        EpisodeSet.load(path)
    for text in ("{", '"queries"', '{"count": 0}', '{"count": 3, "colour": 1}'):
        save_file(load_file(path), path, note | {"unlabelled": text})
        with pytest.raises(FewshotError, match="how its unlabelled images were drawn"):
            EpisodeSet.load(path)


def make(unlabelled, query=((3,), (7,)), sampling=None):
    labels = np.repeat(np.arange(3), 5)
    query = None if query is None else np.array([query])
    return EpisodeSet(
        np.array([[0, 1]]), np.array([[[0], [5]]]), query, labels, 0, np.array(unlabelled), sampling
    )


QUERIES = UnlabelledSampling("queries")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 0]],), "is a shot or a query"),
        (([[1, 7]],), "is a shot or a query"),
        (([[1, 7]], ((3,), (7,)), QUERIES), "is a shot or a query"),
        (([[1, 0]], None), "is a shot or a query"),
        (([[11, 7]], None, QUERIES), "is a query"),
        (([[1, 2, 1]],), "stands twice among the unlabelled"),
        (([[1, 15]],), r"row numbers outside 0\.\.14"),
        (([[1, -2]],), "row numbers outside"),
        (([1, 2],), r"expected rows \(E, U\)"),
        (([[1], [2]],), r"expected rows \(E, U\)"),
    ],
)
def test_an_image_in_two_roles_is_refused(arguments, message):
    with pytest.raises(FewshotError, match=rf"episodes\.unlabelled: .*{message}"):
        make(*arguments)


def test_episodes_made_by_hand():
    some = make([[1, -1, 12, 6]], None)
    assert some.query_rows(0, 1).tolist() == [[[2, 3, 4], [7, 8, 9]]]
    assert some.unlabelled_counts.tolist() == [3]
    assert make([[-1, -1]]).unlabelled_counts.tolist() == [0]
    # With the queries: strangers beside them.
    both = make([[12, -1]], None, QUERIES)
    assert sorted(both.unlabelled_rows(0, 1)[0]) == [1, 2, 3, 4, 6, 7, 8, 9, 12]


@settings(max_examples=60)
@given(count=st.integers(0, 40), extra=st.integers(0, 300), seed=st.integers(0, 99))
def test_first_distinct_is_a_sample_and_fewer_are_its_beginning(count, extra, seed):
    population = count + extra
    sample = first_distinct(np.random.default_rng(seed), population, count)
    assert len(set(sample.tolist())) == len(sample) == count
    assert not count or (sample.min() >= 0 and sample.max() < population)
    fewer = first_distinct(np.random.default_rng(seed), population, count // 2)
    np.testing.assert_array_equal(fewer, sample[: count // 2])


def test_a_class_with_too_few_unlabelled_images_is_named():
    labels = np.concatenate([np.repeat(np.arange(8), 30), [8] * 20])
    names = [*"abcdefgh", "cat"]
    with pytest.raises(FewshotError) as caught:
        sample_episodes(labels, 5, 1, 5, classnames=names, unlabelled=15, largest_shots=3)
    assert str(caught.value) == (
        "episodes: class 'cat' has 20 images; 3 shots + 5 queries + 15 unlabelled images need 23. "
        "Lower episodes.unlabelled, episodes.shots or episodes.queries, or set "
        "episodes.min_images=drop."
    )
    drawn = sample_episodes(
        labels, 5, 1, 5, classnames=names, unlabelled=15, largest_shots=3, min_images="drop"
    )
    assert 8 not in drawn.classes


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"unlabelled": 0}, "unlabelled: expected an integer >= 1"),
        ({"unlabelled": 2.5}, "unlabelled: expected an integer"),
        ({"unlabelled": True}, "unlabelled: expected an integer"),
        ({"unlabelled": "all"}, "unlabelled: expected a number per class, 'queries' or null"),
        ({"unlabelled": 3, "unlabelled_shares": "mixed"}, "unlabelled_shares: expected one of"),
        ({"unlabelled": "queries", "unlabelled_shares": "dirichlet"}, "unlabelled_shares: got"),
        ({"unlabelled": 3, "strangers": 1}, r"strangers: expected a share .* in \[0, 1\)"),
        ({"unlabelled": 3, "strangers": -0.1}, "strangers: expected"),
        ({"unlabelled": 3, "strangers": "some"}, "strangers: expected"),
        ({"unlabelled": None, "strangers": 0.2}, "strangers: got 0.2 without unlabelled images"),
        ({"unlabelled": None, "unlabelled_shares": "dirichlet"}, "unlabelled_shares: got"),
        ({"unlabelled": 3, "strangers": 0.99}, "strangers: a share of 0.99 needs 1188 images"),
    ],
)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_bad_parameters(how, message, sampler):
    with pytest.raises(FewshotError, match=rf"episodes\.{message}"):
        draw(1, sampler, **how)


def test_strangers_need_classes_outside():
    with pytest.raises(FewshotError, match=r"strangers: a share of 0.2 .* there are 0"):
        sample_episodes(LABELS, 9, 1, 5, unlabelled=4, strangers=0.2)
