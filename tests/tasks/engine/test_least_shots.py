"""Zero shots: heads that need none are evaluated, others refused; estimators predict NaN."""

import numpy as np
import pytest
import torch

import fewshot
from fewshot.episodes import sample_episodes
from fewshot.estimators import estimators as estimator_registry
from fewshot.estimators.calibration.calibrated import Calibrated
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head
from fewshot.heads.ncm import NCM
from fewshot.heads.zero_shot import ZeroShot
from fewshot.statistics.paired import compare_on_episodes
from fewshot.tasks.engine import linear_heads as linear_all
from fewshot.tasks.engine.episodes import actual_errors, predicted_errors
from fewshot.tasks.engine.least_shots import left_out, unequally_few

CPU = torch.device("cpu")
LABELS = np.repeat(np.arange(9), [9, 14, 20, 12, 16, 11, 9, 13, 10])
SPLIT = np.where(LABELS < 4, "base", "novel")
RNG = np.random.default_rng(0)
MEANS = RNG.normal(size=(9, 6))
FEATURES = MEANS[LABELS] + RNG.normal(size=(len(LABELS), 6))
TEXT = MEANS + 0.5 * RNG.normal(size=MEANS.shape)


def judged(shots, queries=4, **changes):
    settings = {"head": "zero_shot", "split": SPLIT, "text": TEXT, "ways": 3, "episodes": 25}
    settings |= {"shots": shots, "queries": queries, "threads": 1}
    return fewshot.evaluate(FEATURES, LABELS, **settings | changes)


class Scarce(NCM):
    """Nearest class mean that needs two shots."""

    @property
    def least_shots(self):
        return 2


class Text(Head):
    """Zero-shot without a linear form, so that the engine gathers queries."""

    uses = frozenset({"text"})
    least_shots = 0

    def fit(self, support):
        assert support.features.shape[2] == support.mask.shape[2] == 0
        self.text_ = support.context.text
        return self

    def scores(self, query):
        return query.features @ self.text_.mT


@pytest.mark.parametrize("sampler", ["balanced", "imbalanced"])
def test_zero_shot_is_the_same_at_no_shot_and_at_one(sampler):
    none, one_shot = (judged(shots, sampler=sampler) for shots in (0, 1))
    assert none.summary["shots"] == 0
    assert none.episodes["accuracy"].tolist() == one_shot.episodes["accuracy"].tolist()
    assert none.summary["accuracy_intervals"]["classes"]["upper"] is not None
    assert none.summary["hashes"]["features"] == one_shot.summary["hashes"]["features"]


@pytest.mark.parametrize("head", [ZeroShot(), Text()])
def test_all_queries_count_every_image(head, monkeypatch):
    monkeypatch.setattr(linear_all, "QUERY_BYTES", 1)  # an episode at a time
    bank = make_bank(FEATURES, LABELS, text=TEXT)
    drawn = sample_episodes(LABELS, 4, 0, "all", 12)
    errors, counts = actual_errors(bank, drawn, head, device=CPU, threads=1)
    lengths = np.linalg.norm(TEXT, axis=1)
    for e, classes in enumerate(drawn.classes):
        for n, c in enumerate(classes):
            scores = FEATURES[c == LABELS] @ (TEXT / lengths[:, None])[classes].T
            assert counts[e, n] == (c == LABELS).sum()
            assert errors[e, n] == pytest.approx((scores.argmax(1) != n).mean())


@pytest.mark.parametrize("calibration", ["none", "base", "datasets"])
def test_only_the_constant_predicts(calibration):
    names = list(estimator_registry)
    result = judged(0, estimators=names, calibration=calibration)
    rows = result.predictions.set_index("estimator")
    base = result.summary["base"]["actual_error"]
    assert rows.loc["constant", "predicted_error"].tolist() == pytest.approx([base] * 25)
    assert rows["predicted_error"].notna().groupby("estimator").any().sum() == 1
    others = rows.drop("constant")
    assert set(others["reason"]) == {"no shots to judge by"}
    assert set(others["calibration"]) == {"none"}
    assert result.calibrator is None
    assert "0-shot with zero_shot: no shots to judge by" in repr(result)


def test_an_estimator_that_learned_before_says_nothing_either():
    mine = {"mine": Calibrated({"margin": estimator_registry.create("margin")})}
    assert judged(5, queries=3, estimators=mine).predictions["predicted_error"].notna().all()
    result = judged(0, estimators=mine)
    assert result.predictions["predicted_error"].isna().all()
    assert result.calibrator is None


def test_no_support_is_read_for_those_who_say_nothing(monkeypatch):
    monkeypatch.setattr("fewshot.tasks.engine.episodes.load_support", None)
    bank = make_bank(FEATURES, LABELS, text=TEXT)
    estimator = estimator_registry.create("margin")
    estimator.least_shots = 2
    for shots, reason in ((0, "no shots to judge by"), (1, "fewer shots than it needs")):
        drawn = sample_episodes(LABELS, 3, shots, 2, 7)
        said = predicted_errors(bank, drawn, ZeroShot(), {"margin": estimator}, device=CPU)[
            "margin"
        ]
        assert np.isnan([said.error, said.lower, said.upper]).all()
        assert said.reasons.tolist() == [reason] * 7


def test_paired_with_one_shot():
    bank = make_bank(FEATURES, LABELS, text=TEXT)
    none, one_shot = (sample_episodes(LABELS, 3, shots, 4, 25) for shots in (0, 1))
    first, _ = actual_errors(bank, none, ZeroShot(), device=CPU, threads=1)
    second, _ = actual_errors(bank, one_shot, NCM(), device=CPU, threads=1)
    both = compare_on_episodes(
        1 - first, 1 - second, none.classes, LABELS, none.support, none.query
    )
    assert both["intervals"]["images"]["upper"] > both["intervals"]["images"]["lower"]
    assert both["better"] > both["worse"]


def test_heads_that_need_shots_are_refused():
    words = "episodes.shots: expected 1 or more for head=ncm, got 0. Raise it, or take a head"
    with pytest.raises(FewshotError, match=words):
        judged(0, head="ncm")
    with pytest.raises(FewshotError, match="expected 2 or more for head=scarce, got 1"):
        judged(1, head=Scarce())
    assert len(judged(2, head=Scarce()).episodes) == 25


def test_what_a_run_leaves_out():
    heads = [("ncm", NCM()), ("zero_shot", ZeroShot()), ("scarce", Scarce())]
    assert left_out(heads, [0, 1, 2]) == [
        {"head": "ncm", "shots": 0, "reason": "needs 1 shot of every class"},
        {"head": "scarce", "shots": 0, "reason": "needs 2 shots of every class"},
        {"head": "scarce", "shots": 1, "reason": "needs 2 shots of every class"},
    ]
    assert left_out(heads, [2, 5]) == []
    del heads[1]
    with pytest.raises(FewshotError, match="expected 1 or more for head=ncm,scarce, got 0"):
        left_out(heads, [0])


def test_only_heads_that_read_names_need_no_shot():
    made = {name: head_registry.create(name) for name in head_registry}
    needless = {name for name, head in made.items() if head.least_shots == 0}
    assert "zero_shot" in needless
    assert all("text" in made[name].uses for name in needless)


class Pairs(NCM):
    """A head that needs two shots of every class."""

    least_shots = 2


def test_heads_that_need_more_shots_than_some_class_has():
    labels = np.repeat(np.arange(6), 30)
    unequal = sample_episodes(labels, 5, 5, 3, 4, shots_imbalance=0.8)
    entries = unequally_few([("ncm", NCM()), ("pairs", Pairs())], [unequal])
    reason = "needs 2 shots of every class; some have 1"
    assert entries == [{"head": "pairs", "shots": 5, "reason": reason}]
    with pytest.raises(FewshotError, match="expected 2 or more for head=pairs, got 1"):
        unequally_few([("pairs", Pairs())], [unequal])
