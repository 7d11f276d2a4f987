"""What estimators that see unlabelled images get, and what they do not."""

import dataclasses

import numpy as np
import pytest
import torch

import fewshot
from fewshot.episodes import EpisodeSet, UnlabelledSampling, sample_episodes
from fewshot.estimators import estimators
from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import heads
from fewshot.heads.ncm import NCM
from fewshot.tasks.engine import episodes as engine
from fewshot.tasks.engine import unlabelled as with_unlabelled
from fewshot.tasks.engine.base_classes import evaluate_base_classes, fit_on_base_classes
from fewshot.tasks.engine.base_drawing import QUERIES_LEFT, draw_base_episodes, unlabelled_like
from fewshot.tasks.engine.batches import load_support
from fewshot.tasks.engine.linear_heads import linear_errors_on_all
from fewshot.tasks.engine.unlabelled import load_unlabelled, map_unlabelled

CPU = torch.device("cpu")
KINDS = (
    {"unlabelled": 4, "unlabelled_shares": "dirichlet", "strangers": 0.2},
    {"unlabelled": "queries", "strangers": 0.2},
    {"unlabelled": "queries"},
)


def make(classes=9, images=20, base=0, seed=0, dim=6, copies=()):
    """Features whose first entry is the number of the row, so that it is known who got which."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), images))
    features = rng.normal(size=(classes, dim))[labels] + rng.normal(size=(len(labels), dim))
    features[:, 0] = np.arange(len(labels)) / 4096
    for row, other in copies:
        features[row] = features[other]
    split = np.where(labels < base, "base", "novel") if base else None
    return make_bank(features.astype(np.float32), labels, split=split)


class Records(ErrorEstimator):
    """Keeps what it gets; predicts the mean number of the unlabelled rows."""

    unlabelled = "used"
    calibrates_itself = True

    def __init__(self):
        self.received = []

    def predict(self, support, head):
        return Prediction.undefined(support, "without unlabelled images")

    def predict_with(self, support, head, unlabelled):
        self.received.append((support, head, unlabelled))
        sums = (unlabelled.features[..., 0].double() * unlabelled.mask).sum(-1)
        return Prediction(sums / unlabelled.mask.sum(-1))

    def get_params(self):
        return {}


class Needs(Records):
    unlabelled = "needed"


def predict(bank, drawn, named, head=None, threads=1):
    head = NCM() if head is None else head
    return engine.predicted_errors(bank, drawn, head, named, device=CPU, threads=threads)


@pytest.mark.parametrize("how", KINDS, ids=range(3))
def test_estimators_get_the_drawn_images_in_their_order_and_no_labels(how):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 12, 3, **how)
    toy, same = Records(), Needs()
    predicted = predict(bank, drawn, {"toy": toy, "same": same, "loo": estimators.create("loo")})
    got = [
        torch.round(entry.features[e, entry.mask[e], 0] * 4096).long().tolist()
        for _, _, entry in toy.received
        for e in range(len(entry.features))
    ]
    expected = [rows[rows >= 0].tolist() for rows in drawn.unlabelled_rows(0, 12)]
    assert got == expected
    names = [row.name for row in dataclasses.fields(Unlabelled)]
    assert names == ["features", "mask", "measured"]
    assert {entry.measured for _, _, entry in toy.received} == {how["unlabelled"] == "queries"}
    # One object for all estimators, whose scores are computed once.
    assert all(a is b for (*_, a), (*_, b) in zip(toy.received, same.received, strict=True))
    np.testing.assert_allclose(predicted["toy"].error, [np.mean(r) / 4096 for r in expected])
    alone = predict(bank, drawn, {"loo": estimators.create("loo")})["loo"]
    np.testing.assert_array_equal(predicted["loo"].error, alone.error)


@pytest.mark.parametrize("how", KINDS, ids=range(3))
@pytest.mark.parametrize("queries", [5, "all"])
def test_rows_do_not_depend_on_chunks_or_threads(monkeypatch, how, queries):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, queries, 25, 3, **how)
    expected = predict(bank, drawn, {"toy": Records()})["toy"].error
    for limit in (100, 9000):
        monkeypatch.setattr(with_unlabelled, "QUERY_BYTES", limit)
        monkeypatch.setattr(engine, "SUPPORT_BYTES", 2 * limit)
        for threads in (1, 3):
            again = predict(bank, drawn, {"toy": Records()}, threads=threads)["toy"].error
            np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("name", list(heads))
def test_errors_leave_unlabelled_images_out(name):
    bank = make(14, base=5)
    head = heads.create(name)
    if not head.is_linear or "text" in "".join(head.uses):
        pytest.skip("not linear, or asks for texts")
    drawn = sample_episodes(
        bank.labels, 4, 2, "all", 15, classes=range(5, 14), unlabelled=6, strangers=0.2
    )
    fast = linear_errors_on_all(bank, drawn, head, device=CPU)
    slow = engine._gathered(bank, drawn, head, device=CPU, threads=None, progress=None)
    np.testing.assert_array_equal(fast[0], slow[0])
    np.testing.assert_array_equal(fast[1], slow[1])
    assert (fast[1] == 20 - 2 - 6).all()


def test_without_unlabelled_images():
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 6)
    predicted = predict(bank, drawn, {"toy": Records(), "needs": Needs()})
    assert set(predicted["toy"].reasons) == {"without unlabelled images"}
    assert set(predicted["needs"].reasons) == {"no unlabelled images (set episodes.unlabelled)"}
    assert np.isnan(predicted["needs"].error).all()


def test_an_episode_without_any_has_a_reason_and_the_others_a_number():
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 6, unlabelled=3)
    rows = drawn.unlabelled.copy()
    rows[[1, 4]] = -1
    some = EpisodeSet(drawn.classes, drawn.support, drawn.query, bank.labels, 0, rows)
    got = predict(bank, some, {"toy": Records()})["toy"]
    whole = predict(bank, drawn, {"toy": Records()})["toy"]
    there = [0, 2, 3, 5]
    np.testing.assert_allclose(got.error[there], whole.error[there])
    assert np.isnan(got.error[[1, 4]]).all()
    assert got.reasons.tolist() == [
        None, with_unlabelled.EMPTY, None, None, with_unlabelled.EMPTY, None,
    ]  # fmt: skip
    none = EpisodeSet(
        drawn.classes, drawn.support, drawn.query, bank.labels, 0, np.full_like(rows, -1)
    )
    assert np.isnan(predict(bank, none, {"toy": Records()})["toy"].error).all()


class Fussy(NCM):
    """Cannot score the image of one row."""

    row = 0

    def scores(self, query):
        scores = super().scores(query)
        hit = (torch.round(query.features[..., 0] * 4096) == self.row) & query.mask
        return scores.masked_fill(hit[..., None], torch.nan)


@pytest.mark.parametrize("limit", [100, 8 << 20])
def test_a_head_that_cannot_score_an_image_leaves_support_only_numbers(monkeypatch, limit):
    monkeypatch.setattr(with_unlabelled, "QUERY_BYTES", limit)
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, "all", 20, unlabelled=5)
    monkeypatch.setattr(Fussy, "row", int(drawn.unlabelled[7, 2]))
    hit = (drawn.unlabelled == Fussy.row).any(1)
    assert 0 < hit.sum() < 20
    named = {"toy": Records(), "margin": estimators.create("margin")}
    got = predict(bank, drawn, named, Fussy())
    np.testing.assert_array_equal(np.isnan(got["toy"].error), hit)
    assert all("expected finite scores" in reason for reason in got["toy"].reasons[hit])
    expected = predict(bank, drawn, {"margin": estimators.create("margin")})["margin"].error
    np.testing.assert_allclose(got["margin"].error, expected)


def test_a_transductive_head_gets_them_as_one_batch(monkeypatch):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 8, unlabelled=4, strangers=0.2)
    sizes = []

    class Transductive(NCM):
        uses = frozenset({"queries"})

        def scores(self, query):
            sizes.append(query.features.shape[1])
            return super().scores(query)

    predict(bank, drawn, {"toy": Records(), "other": Needs()}, Transductive())
    assert sizes == [20]  # once, for both estimators


def test_copies_of_shots_and_queries_are_reservations():
    plain = make()
    drawn = sample_episodes(plain.labels, 4, 2, 5, 8, unlabelled=4)
    shot, query = drawn.support[1, 2, 0], drawn.query[3, 1, 4]
    bank = make(copies=[(drawn.unlabelled[1, 5], shot), (drawn.unlabelled[3, 0], query)])
    named = {"toy": Records(), "loo": estimators.create("loo")}
    got = predict(bank, drawn, named)
    for e in range(8):
        roles = {
            with_unlabelled.COPIES_OF_SHOTS: drawn.support[e],
            with_unlabelled.COPIES_OF_QUERIES: drawn.query[e],
        }
        x = bank.features
        copied = [
            text
            for text, rows in roles.items()
            if (x[drawn.unlabelled[e]][:, None] == x[rows.ravel()]).all(-1).any()
        ]
        assert got["toy"].reasons[e] == ("; ".join(copied) or None)
        assert "unlabelled" not in str(got["loo"].reasons[e])
    assert got["toy"].reasons[1] == with_unlabelled.COPIES_OF_SHOTS
    assert got["toy"].reasons[3] == with_unlabelled.COPIES_OF_QUERIES


def test_queries_that_are_copies_of_shots_but_not_of_queries():
    plain = make()
    drawn = sample_episodes(plain.labels, 4, 2, 5, 8, unlabelled="queries")
    query = drawn.query
    bank = make(copies=[(query[2, 0, 0], query[2, 0, 1]), (query[5, 0, 0], drawn.support[5, 0, 0])])
    reasons = predict(bank, drawn, {"toy": Records()})["toy"].reasons
    assert reasons[2] in (None, with_unlabelled.COPIES_OF_SHOTS)
    assert reasons[5] == with_unlabelled.COPIES_OF_SHOTS
    assert with_unlabelled.COPIES_OF_QUERIES not in set(reasons)


def test_a_function_over_unlabelled_images_is_a_loop(monkeypatch):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 15, unlabelled=4, strangers=0.3)

    def function(support, head, unlabelled):
        return torch.cat([unlabelled.scores(head).sum((1, 2))[:, None], support.means()[:, 0]], -1)

    monkeypatch.setattr(with_unlabelled, "QUERY_BYTES", 3000)
    got = torch.cat(list(map_unlabelled(bank, drawn, NCM(), function, device=CPU, threads=2)))
    for e in range(15):
        support = load_support(bank, drawn, e, e + 1, CPU)
        unlabelled = load_unlabelled(bank, drawn, e, e + 1, CPU)
        torch.testing.assert_close(
            got[e : e + 1], function(support, NCM().fit(support), unlabelled)
        )


def base_of(images=30, base=8, shots=2, queries="all", **how):
    bank = make(base + 5, images, base)
    novel = range(base, base + 5)
    judged = sample_episodes(bank.labels, 3, 1, 6, 5, classes=novel, **({"unlabelled": 9} | how))
    drawn = draw_base_episodes(bank, 3, shots, queries, 60, 0, unlabelled_like(judged))
    return bank, drawn


@pytest.mark.parametrize("queries", ["all", 5])
def test_base_episodes_have_unlabelled_images_like_the_judged_ones(queries):
    bank, drawn = base_of(queries=queries)
    base = evaluate_base_classes(bank, drawn, NCM(), device=CPU)
    assert base.has_unlabelled and base.has_episodes
    episodes = drawn.episodes
    assert set(bank.labels[episodes.unlabelled[episodes.unlabelled >= 0]]) <= set(range(8))
    counts = base.map_unlabelled(lambda support, head, unlabelled: unlabelled.mask.sum(-1))
    np.testing.assert_array_equal(counts, episodes.unlabelled_counts)
    assert counts.min() == 27 and counts.max() > 30  # mixed strangers
    left = episodes.query_counts
    assert (left == 5).all() if queries == 5 else left.min() >= QUERIES_LEFT
    by_class, _ = engine.actual_errors(bank, episodes, NCM(), device=CPU)
    np.testing.assert_array_equal(base.errors_by_class, by_class)
    again = draw_base_episodes(
        bank, 3, 2, queries, 60, 0, UnlabelledSampling(9, "equal", 0.0, QUERIES_LEFT)
    )
    assert (again.episodes.unlabelled_counts == 27).all()


def test_base_classes_with_little_room_give_fewer_or_none():
    _, few = base_of(images=20, unlabelled=5)
    assert few.episodes.unlabelled_sampling.count == 5
    bank = make(13, 16, 8)
    like = UnlabelledSampling(15, "mixed", "mixed", QUERIES_LEFT)
    less = draw_base_episodes(bank, 3, 2, "all", 20, 0, like)
    assert less.episodes.unlabelled_sampling.count == 16 - 2 - QUERIES_LEFT
    assert less.episodes.query_counts.min() >= QUERIES_LEFT
    none = draw_base_episodes(make(13, 7, 8), 3, 2, "all", 20, 0, like)
    assert none.episodes is not None and not none.episodes.has_unlabelled
    assert not evaluate_base_classes(make(13, 7, 8), none, NCM(), device=CPU).has_unlabelled
    plain = draw_base_episodes(make(13, 7, 8), 3, 2, "all", 20, 0)
    assert plain.episodes.hash() == none.episodes.hash()


def test_base_episodes_of_heads_that_learn_from_the_images_have_them_as_drawn():
    """The errors of such a head are those of images that were drawn in the same way."""
    bank = make(13, 30, 8)
    for how in ({"unlabelled": 4}, {"unlabelled": 4, "strangers": 0.2}, {"unlabelled": "queries"}):
        judged = sample_episodes(bank.labels, 3, 1, 6, 5, classes=range(8, 13), **how)
        like = unlabelled_like(judged, frozenset({"queries"}))
        assert (like.shares, like.strangers) == ("equal", how.get("strangers", 0))
        drawn = draw_base_episodes(bank, 3, 2, 6, 20, 0, like).episodes
        assert drawn.unlabelled_sampling.strangers == how.get("strangers", 0)
    few = draw_base_episodes(make(6, 30, 3), 3, 2, 6, 20, 0, UnlabelledSampling(4, strangers=0.2))
    assert few.episodes.unlabelled_sampling.strangers == "mixed"  # none outside of three classes


def test_base_episodes_for_queries_have_their_queries():
    bank = make()
    queries = sample_episodes(bank.labels, 3, 2, 7, 5, unlabelled="queries", strangers=0.2)
    assert unlabelled_like(queries).count == "queries"
    assert unlabelled_like(sample_episodes(bank.labels, 3, 2, 7, 5)) is None
    made = sample_episodes(bank.labels, 3, 2, 7, 5, unlabelled=4)
    by_hand = EpisodeSet(made.classes, made.support, made.query, bank.labels, 0, made.unlabelled)
    assert unlabelled_like(by_hand).count == 4


def test_an_estimator_is_fitted_without_what_the_head_cannot_score():
    class Learns(Records):
        def fit(self, base):
            self.base_ = base
            if base.has_unlabelled:
                base.map_unlabelled(lambda support, head, images: images.scores(head).sum((1, 2)))
            return self

    class Broken(Learns):
        def fit(self, base):
            raise FewshotError("mine", "wrong")

    class Never(NCM):
        def scores(self, query):
            return super().scores(query) + torch.nan

    bank, drawn = base_of()
    base = evaluate_base_classes(bank, drawn, NCM(), device=CPU)
    spoiled = evaluate_base_classes(bank, drawn, NCM(), device=CPU)
    spoiled._map_unlabelled = lambda function: torch.cat(
        list(map_unlabelled(bank, drawn.episodes, Never(), function, device=CPU))
    )
    learner = Learns()
    fit_on_base_classes(learner, base)
    assert learner.base_ is base
    fit_on_base_classes(learner, spoiled)
    assert not learner.base_.has_unlabelled and learner.base_.has_episodes
    torch.testing.assert_close(learner.base_.errors, base.errors)
    with pytest.raises(FewshotError, match="mine: wrong"):
        fit_on_base_classes(Broken(), base)


def test_rows_and_summary_say_who_saw_how_many():
    bank = make(14, 24, 6)
    named = {"toy": Records(), "margin": estimators.create("margin")}
    result = fewshot.evaluate(
        bank, shots=2, ways=3, episodes=7, queries=6, estimators=named, unlabelled=5,
        unlabelled_shares="dirichlet", strangers=0.25,
    )  # fmt: skip
    assert set(result.episodes["unlabelled"]) == {20}
    seen = result.predictions.groupby("estimator")["sees_unlabelled"].unique()
    assert seen["toy"].tolist() == [True] and seen["margin"].tolist() == [False]
    summary = result.summary
    facts = [summary[key] for key in ("unlabelled", "unlabelled_shares", "strangers")]
    assert facts == [5, "dirichlet", 0.25]
    assert summary["estimators"]["toy"]["sees_unlabelled"]
    assert not summary["estimators"]["margin"]["sees_unlabelled"]
    assert "toy ‡" in str(result) and "‡ " in str(result)
    plain = fewshot.evaluate(bank, shots=2, ways=3, episodes=7, queries=6, estimators=named)
    assert set(plain.episodes["unlabelled"]) == {0}
    assert not plain.predictions["sees_unlabelled"].any()
    assert [plain.summary[key] for key in ("unlabelled", "unlabelled_shares")] == [None, None]
    assert "‡" not in str(plain)


def test_drawn_episodes_are_replayed_with_their_unlabelled_images():
    bank = make(14, 24, 6)
    drawn = sample_episodes(bank.labels, 3, 2, 6, 7, classes=range(6, 14), unlabelled="queries")
    named = {"toy": Records()}
    result = fewshot.evaluate(bank, episodes=drawn, estimators=named)
    assert set(result.episodes["unlabelled"]) == {18}
    assert result.summary["unlabelled"] == "queries"
    with pytest.raises(FewshotError, match="unlabelled: expected none with drawn episodes"):
        fewshot.evaluate(bank, episodes=drawn, estimators=named, unlabelled=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unlabelled": 0}, "episodes.unlabelled: expected an integer >= 1"),
        ({"strangers": 0.1}, "episodes.strangers: got 0.1 without"),
        ({"unlabelled": 2, "unlabelled_shares": "even"}, "episodes.unlabelled_shares: expected"),
        ({"unlabelled": 22}, r"unlabelled images need 25 .*Lower episodes\.unlabelled"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(FewshotError, match=message):
        fewshot.evaluate(make(14, 24, 6), ways=3, shots=2, episodes=3, **arguments)
