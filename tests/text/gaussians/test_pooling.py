"""Weights of the sources of evidence, planted and found again."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from fewshot.text.gaussians.mixing import Pool
from fewshot.text.gaussians.pooling import (
    START,
    TaskScores,
    fit_pool,
    pooled_scores,
)

RATIO, SCALE = 0.7, 6.0


def tasks_of(pool, ways=80, queries=600, seed=0):
    """Tasks whose labels are drawn from the probabilities that a pool gives."""
    rng = np.random.default_rng(seed)
    numbers, made = torch.tensor(astuple(pool)).double(), []
    for shots in (0, 0, 1, 1, 2, 4, 16):
        names, regression, gaussians = torch.from_numpy(rng.normal(size=(3, queries, ways)))
        blank = torch.zeros(queries, dtype=torch.long)
        scores = 8 * gaussians if shots else None
        task = TaskScores(shots, blank, names / 2, 4 * regression, scores)
        truth = torch.distributions.Categorical(
            logits=pooled_scores(task, numbers, RATIO)
        ).probs.cumsum(-1)
        drawn = (torch.from_numpy(rng.random((queries, 1))) > truth).sum(-1)
        made.append(task._replace(truth=drawn.clamp_max(ways - 1)))
    return made


@pytest.mark.parametrize("planted", [Pool(0.4, 0.3, 9.0, 1.7), Pool(3.0, 0.15, 4.0, 0.6)])
def test_planted_weights_are_found(planted):
    result = fit_pool(tasks_of(planted), RATIO, SCALE)
    for actual, expected in zip(astuple(result), astuple(planted), strict=True):
        assert actual == pytest.approx(expected, rel=0.15)


def test_sources_that_do_not_count_have_no_weight():
    tasks = tasks_of(Pool(0.5, 0.3, 9.0, 2.0), queries=50)
    assert fit_pool(tasks, RATIO, SCALE, frozenset({"names"})).names == 0
    pool = fit_pool(tasks, RATIO, SCALE, frozenset({"regression"}))
    assert pool.regression == 0
    assert pool.names > 4


def test_a_score_is_the_weighted_sum_of_its_sources():
    (task,) = tasks_of(START, ways=3, queries=2)[4:5]
    doubt, temper, names, regression = 0.5, 0.3, 9.0, 2.0
    result = pooled_scores(task, torch.tensor([doubt, temper, names, regression]), RATIO)
    share = 1 / (1 + task.shots * doubt * RATIO)
    for t, c in np.ndindex(2, 3):
        prior = names * task.names[t, c] + temper * regression * task.regression[t, c]
        expected = share * prior + (1 - share) * temper * task.gaussians[t, c]
        assert float(result[t, c]) == pytest.approx(float(expected))


def test_evidence_of_nothing_leaves_the_start():
    blank = torch.zeros(5, 3).double()
    pool = fit_pool([TaskScores(2, torch.arange(5) % 3, blank, blank, blank)], RATIO, SCALE)
    start = (START.doubt, START.temper, SCALE * START.names, START.regression)
    assert astuple(pool) == pytest.approx(start)


@pytest.mark.parametrize("ways", [2, 60])
def test_few_classes_stay_near_the_start(ways):
    # Names are wrong about every query, by one unit of cosine. The best weight would be zero.
    truth = torch.arange(10) % ways
    names = -torch.nn.functional.one_hot(truth, ways).double()
    task = TaskScores(0, truth, names, torch.zeros_like(names), None)
    pool = fit_pool([task], RATIO, SCALE, frozenset({"regression"}))

    def loss(move):
        wrong = math.exp(SCALE * math.exp(move))
        return math.log(1 + (ways - 1) * wrong) + (move / 2) ** 2 / 2 / ways

    expected = minimize_scalar(loss, bounds=(-20, 0), method="bounded", options={"xatol": 1e-9})
    assert math.log(pool.names / SCALE) == pytest.approx(expected.x, abs=1e-3)
    assert (pool.doubt, pool.temper) == pytest.approx((START.doubt, START.temper))
    assert (pool.names > SCALE / 20) == (ways == 2)
