"""QDA against scikit-learn, and against Friedman's formulas with matrices in full."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.ncm import NCM
from fewshot.heads.qda import QDA


def draw(ways, shots, dim, episodes=4, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.geomspace(2, 0.1, dim)
    widths = rng.uniform(0.5, 2, size=(episodes, ways, 1, 1))
    means = rng.normal(size=(episodes, ways, 1, dim)) * scale + 3
    support = means + widths * rng.normal(size=(episodes, ways, shots, dim)) * scale
    return support, rng.normal(size=(episodes, 12, dim)) * scale + 3


def relative(scores):
    return scores - scores.mean(-1, keepdims=True)


def slow(support, mask, query, pooling, shrinkage):
    """One episode, Gaussian log densities by inverse and determinant: (T, N)."""
    kept = [x[m] for x, m in zip(support, mask, strict=True)]
    scatter = [(x - x.mean(0)).T @ (x - x.mean(0)) for x in kept]
    freedom = [len(x) - 1 for x in kept]
    dim = support.shape[-1]
    scores = []
    for x, own, f in zip(kept, scatter, freedom, strict=True):
        share = pooling if f else 1.0
        covariance = (1 - share) * own + share * sum(scatter)
        covariance /= (1 - share) * f + share * sum(freedom)
        target = np.trace(covariance) / dim * np.eye(dim)
        covariance = (1 - shrinkage) * covariance + shrinkage * target
        away = query - x.mean(0)
        squared = np.einsum("td,de,te->t", away, np.linalg.inv(covariance), away)
        scores.append(-(squared + np.linalg.slogdet(covariance)[1]) / 2)
    return np.stack(scores, -1)


@pytest.mark.parametrize(("ways", "shots", "dim"), [(5, 5, 30), (2, 3, 12), (3, 20, 6)])
@pytest.mark.parametrize(("pooling", "shrinkage"), [(0, 0.3), (0.4, 0.1), (1, 0.5), (0.5, 1)])
def test_agrees_with_the_formula(ways, shots, dim, pooling, shrinkage):
    support, query = draw(ways, shots, dim)
    mask = np.ones(support.shape[:3], dtype=bool)
    mask[1:, 0, 2:] = False
    mask[2:, 1, 1:] = False  # this class has one shot
    head = QDA(pooling, shrinkage)
    head.fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    for e in range(4):
        expected = slow(support[e], mask[e], query[e], pooling, shrinkage)
        np.testing.assert_allclose(relative(scores[e]), relative(expected), rtol=1e-7, atol=1e-7)


class Shrunk:
    """Covariance of one class with K - 1 degrees of freedom, as scikit-learn asks for it."""

    def fit(self, x):
        covariance = np.cov(x.T)
        self.covariance_ = 0.8 * covariance + 0.2 * np.trace(covariance) / len(covariance) * np.eye(
            len(covariance)
        )
        return self


@pytest.mark.skipif(
    "covariance_estimator" not in inspect.signature(QuadraticDiscriminantAnalysis).parameters,
    reason="scikit-learn before 1.8",
)
def test_agrees_with_scikit_learn():
    support, query = draw(3, 6, 15)
    labels = np.repeat(np.arange(3), 6)
    head = QDA(0, 0.2).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    for e in range(4):
        reference = QuadraticDiscriminantAnalysis(solver="eigen", covariance_estimator=Shrunk())
        reference.fit(support[e].reshape(18, 15), labels)
        expected = reference.decision_function(query[e])
        np.testing.assert_allclose(relative(scores[e]), relative(expected), rtol=1e-7, atol=1e-7)


def test_pooling_and_one_shot_give_nearest_class_mean():
    support, query = (torch.from_numpy(one) for one in draw(4, 1, 10))
    copies = support.expand(-1, -1, 3, -1).clone() + 0.1
    for shots in (support, copies):
        qda, ncm = (head.fit(Support.of(shots)).scores(Query.of(query)) for head in (QDA(), NCM()))
        np.testing.assert_allclose(relative(qda.numpy()), relative(ncm.numpy()), atol=1e-9)


def test_empirical_priors_add_their_logarithm():
    support, query = (torch.from_numpy(one) for one in draw(2, 4, 10))
    mask = torch.ones(4, 2, 4, dtype=torch.bool)
    mask[:, 0, 2:] = False
    scores = [
        QDA(priors=priors).fit(Support.of(support, mask)).scores(Query.of(query))
        for priors in ("uniform", "empirical")
    ]
    gained = (scores[1] - scores[0]).diff(dim=-1)
    torch.testing.assert_close(gained, torch.full_like(gained, np.log(2)))


def test_knows_a_narrow_class_from_a_wide_one():
    rng = torch.Generator().manual_seed(0)
    widths = torch.tensor([0.3, 2.0]).view(1, 2, 1, 1)
    support, query = (widths * torch.randn(50, 2, n, 40, generator=rng) for n in (5, 20))
    query = Query.of(query.flatten(1, 2))
    truth = torch.arange(2).repeat_interleave(20)
    right = [
        (head.fit(Support.of(support)).predict(query) == truth).double().mean()
        for head in (QDA(0.0), NCM())
    ]
    assert right[0] > 0.99 > right[1]


def test_many_dimensions():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(2, 5, 1, 2048, generator=generator)
    support = means + torch.randn(2, 5, 5, 2048, generator=generator)
    head = QDA().fit(Support.of(support))
    assert head.gaussians_.gram.shape[-1] == 25
    answers = head.predict(Query.of(means.flatten(1, 2)))
    assert torch.equal(answers, torch.arange(5).expand(2, 5))


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (QDA(1.2), r"head\.qda\.pooling: expected a number in \[0, 1\], got 1\.2"),
        (QDA(shrinkage=0), r"head\.qda\.shrinkage: expected a number in \(0, 1\], got 0"),
        (QDA(priors="equal"), r"head\.qda\.priors: expected one of 'uniform', 'empirical'"),
    ],
)
def test_bad_parameters(head, match):
    with pytest.raises(FewshotError, match=match):
        head.fit(Support.of(torch.ones(1, 2, 1, 3)))
