"""`margin_t`: Student's t in place of the normal distribution."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.margin import Margin
from fewshot.estimators.margin_t import CHOICES, WITHOUT_BASE, MarginT
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM


def draw(episodes=30, ways=4, shots=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(episodes, ways, 1, 8)) + rng.normal(size=(episodes, ways, shots, 8))
    return Support.of(torch.from_numpy(x))


def test_two_ways_are_cdfs_of_students_t():
    support = draw(ways=2)
    head = NCM().fit(support)
    normal = Margin().predict(support, head).error.numpy()
    assert normal.std() > 0.05
    x = support.features.numpy()
    for freedom in (2.5, 6.0):
        error = MarginT(freedom, points=2048).predict(support, head).error
        for e in range(len(x)):
            m = x[e].mean(1)
            deviations = (x[e] - m[:, None]).reshape(-1, 8)
            w = m[0] - m[1]
            deviation = (((deviations @ w) ** 2).sum() / 8) ** 0.5
            margin = w @ w / 2 - (deviations**2).sum() / 8 / 5
            z = -margin / deviation * math.sqrt(freedom / (freedom - 2))
            assert float(error[e]) == pytest.approx(stats.t.cdf(z, freedom), abs=2e-3)


@pytest.mark.parametrize("head", [NCM(), LDA()])
def test_infinite_freedom_is_margin(head):
    support = draw()
    head.fit(support)
    normal = Margin().predict(support, head).error
    assert torch.equal(MarginT(math.inf).predict(support, head).error, normal)
    assert not torch.allclose(MarginT(4.0).predict(support, head).error, normal, atol=1e-3)


@pytest.mark.parametrize("freedom", CHOICES)
def test_auto_finds_the_freedom_that_made_the_errors(freedom):
    base = draw(episodes=60, seed=1)
    judged = NCM().fit(base)
    errors = MarginT(freedom).predict(base, judged).error
    base_classes = BaseClasses(errors, map=lambda function: function(base, judged))
    assert MarginT().fit(base_classes).freedom_ == freedom


def test_without_base_classes_and_with_a_number():
    support = draw()
    head = NCM().fit(support)
    expected = MarginT(WITHOUT_BASE).predict(support, head).error
    for estimator in (MarginT(), MarginT().fit(BaseClasses())):
        assert torch.equal(estimator.predict(support, head).error, expected)
    base_classes = BaseClasses(torch.zeros(30), map=lambda function: function(support, head))
    assert MarginT(6).fit(base_classes).freedom_ == 6.0
    one_shot = draw(shots=1)  # nothing to choose by
    unknown = BaseClasses(torch.zeros(30), map=lambda f: f(one_shot, NCM().fit(one_shot)))
    assert MarginT().fit(unknown).freedom_ == WITHOUT_BASE


@pytest.mark.parametrize("bad", [2, 1.0, "some", True, None, float("nan")])
def test_mistakes(bad):
    support = draw()
    with pytest.raises(FewshotError, match=r"margin_t\.freedom: expected 'auto' or a number abov"):
        MarginT(bad).fit(BaseClasses())
    with pytest.raises(FewshotError, match=r"margin_t\.freedom"):
        MarginT(bad).predict(support, NCM().fit(support))
    with pytest.raises(FewshotError, match=r"margin_t\.points"):
        MarginT(points=0).predict(support, NCM().fit(support))
