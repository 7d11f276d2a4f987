"""LDA against scikit-learn where that is defined, and its answers where it is not."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fewshot.estimators.held_out import leave_one_out_scores, refitted_scores
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM
from fewshot.heads.solvers.covariance import ledoit_wolf


def draw(episodes, ways, shots, dim, seed=0, queries=10):
    """Anisotropic classes with one constant feature: (E, N, K, D) and (E, N * Q, D)."""
    rng = np.random.default_rng(seed)
    scale = np.geomspace(1, 0.05, dim)
    means = rng.normal(size=(episodes, ways, 1, dim)) * scale
    support = means + rng.normal(size=(episodes, ways, shots, dim)) * scale
    query = means + rng.normal(size=(episodes, ways, queries, dim)) * scale
    support[..., 0] = query[..., 0] = 0.5
    return support, query.reshape(episodes, ways * queries, dim)


def relative(scores):
    return scores - scores.mean(-1, keepdims=True)


@pytest.mark.parametrize(
    ("ways", "shots", "dim"), [(5, 5, 64), (5, 3, 40), (2, 10, 30), (3, 30, 8), (4, 20, 20)]
)
@pytest.mark.parametrize("shrinkage", ["auto", 0.3])
def test_agrees_with_scikit_learn(ways, shots, dim, shrinkage):
    support, query = draw(6, ways, shots, dim)
    head = LDA(shrinkage).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    labels = np.repeat(np.arange(ways), shots)
    for e in range(6):
        reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
        reference.fit(support[e].reshape(ways * shots, dim), labels)
        expected = query[e] @ reference.coef_.T + reference.intercept_
        if ways == 2:  # scikit-learn keeps the difference only
            scores_e = scores[e][:, 1] - scores[e][:, 0]
            np.testing.assert_allclose(scores_e, expected[:, 0], rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_allclose(
                relative(scores[e]), relative(expected), rtol=1e-6, atol=1e-6
            )


def test_unequal_shots_agree_with_scikit_learn():
    support, query = draw(5, 3, 9, 25)
    mask = np.ones((5, 3, 9), dtype=bool)
    mask[:, 1, 5:] = mask[:, 2, 7:] = False
    labels = np.repeat(np.arange(3), 9)
    for priors, given in (("empirical", None), ("uniform", [1 / 3] * 3)):
        head = LDA(priors=priors).fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
        scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
        for e in range(5):
            kept = mask[e].ravel()
            reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=given)
            reference.fit(support[e].reshape(27, 25)[kept], labels[kept])
            expected = reference.decision_function(query[e])
            np.testing.assert_allclose(
                relative(scores[e]), relative(expected), rtol=1e-6, atol=1e-6
            )


def test_intensity_agrees_with_scikit_learn():
    x = np.random.default_rng(3).normal(size=(1, 1, 7, 12))
    z = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)
    tensor = torch.from_numpy(x)
    means = tensor.mean(2)
    deviations = tensor - means[:, :, None]
    variance = deviations.square().mean(2)
    intensity, _ = ledoit_wolf(deviations, means, variance, torch.full((1, 1), 7.0).double())
    assert float(intensity) == pytest.approx(sklearn_ledoit_wolf(z[0, 0])[1], rel=1e-9)


def test_one_shot_is_nearest_class_mean():
    support, query = (torch.from_numpy(a) for a in draw(8, 5, 1, 30))
    lda, ncm = LDA().fit(Support.of(support)), NCM().fit(Support.of(support))
    one, other = (relative(h.scores(Query.of(query)).numpy()) for h in (lda, ncm))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_class_with_one_shot_uses_the_covariance_of_the_others():
    support, query = (torch.from_numpy(a) for a in draw(8, 3, 6, 30))
    mask = torch.ones(8, 3, 6, dtype=torch.bool)
    mask[:, 0, 1:] = False
    scores = LDA().fit(Support.of(support, mask)).scores(Query.of(query))
    # The same covariance, and a first class that is the one shot repeated nowhere else.
    others = LDA().fit(Support.of(support[:, 1:])).scores(Query.of(query))
    gap = (scores[..., 2] - scores[..., 1]) - (others[..., 1] - others[..., 0])
    np.testing.assert_allclose(gap, 0, atol=1e-8)


def test_two_shots_beat_nearest_class_mean_where_scikit_learn_degenerates():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(64, 64)) / 8 * np.geomspace(1, 0.1, 64)
    means = rng.normal(size=(200, 5, 1, 64)) @ mixing * 0.7
    support = torch.from_numpy(means + rng.normal(size=(200, 5, 2, 64)) @ mixing)
    query = torch.from_numpy(means + rng.normal(size=(200, 5, 20, 64)) @ mixing).flatten(1, 2)
    truth = torch.arange(5).repeat_interleave(20)
    right = {
        type(head).__name__: float(
            (head.fit(Support.of(support)).predict(Query.of(query)) == truth).double().mean()
        )
        for head in (LDA(), NCM())
    }
    assert right["LDA"] > right["NCM"]


@pytest.mark.parametrize("shrinkage", ["auto", 0.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("dim", [5, 30])
@pytest.mark.parametrize("shots", [2, 3, 5, 7, 9])
def test_copies_of_one_shot_are_nearest_class_mean(shots, dim, offset, dtype, shrinkage):
    support, query = (torch.from_numpy(a + offset).to(dtype) for a in draw(6, 4, 1, dim))
    copies = Support.of(support.expand(-1, -1, shots, -1).clone())
    lda, ncm = LDA(shrinkage).fit(copies), NCM().fit(copies)
    one, other = (relative(h.scores(Query.of(query)).numpy()) for h in (lda, ncm))
    atol = (1e-5 if dtype == torch.float32 else 1e-12) * (1 + offset)
    np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("rounded", [False, True])
def test_a_class_of_copies_adds_nothing_to_the_covariance(rounded):
    support, query = (torch.from_numpy(a) for a in draw(6, 3, 5, 30))
    support[:, 0] = support[:, 0, :1]
    if rounded:  # a mean of five equal numbers that is off by its last digit
        assert bool((support[:, 0].mean(1) != support[:, 0, 0]).any())
    scores = LDA().fit(Support.of(support)).scores(Query.of(query))
    others = LDA().fit(Support.of(support[:, 1:])).scores(Query.of(query))
    gap = (scores[..., 2] - scores[..., 1]) * 2 / 3 - (others[..., 1] - others[..., 0])
    np.testing.assert_allclose(gap, 0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ways", [2, 4, 5])
@pytest.mark.parametrize("dim", [3, 20, 200])
def test_one_pair_of_shots_is_nearest_class_mean(dim, ways, dtype):
    """A pair has a Ledoit-Wolf intensity of 0, and copies of it in all classes no other."""
    support, query = (torch.from_numpy(a).to(dtype) for a in draw(6, ways, 2, dim))
    mask = torch.ones(6, ways, 2, dtype=torch.bool)
    mask[:, 1:, 1] = False
    pair = Support.of(support, mask)
    torch.testing.assert_close(LDA().fit(pair).weights_, NCM().fit(pair).weights_)
    same = Support.of(support[:, :1].expand_as(support))
    scores = LDA().fit(same).scores(Query.of(query))
    assert float((scores - scores[..., :1]).abs().max()) < 1e-5  # undecided, not undefined


@pytest.mark.parametrize("shots", [4, 6])
@pytest.mark.parametrize("dim", [5, 60])
def test_classes_of_two_places_give_numbers(shots, dim):
    """As many copies of one image as of another: intensity 0 for every class, S singular."""
    support, query = (torch.from_numpy(a) for a in draw(6, 4, 2, dim))
    support = support.repeat(1, 1, shots // 2, 1)
    for one in (support, support[:, :1].expand_as(support)):
        head = LDA().fit(Support.of(one))
        assert bool(head.scores(Query.of(query)).isfinite().all())
    right = LDA().fit(Support.of(support)).predict(Query.of(support.flatten(1, 2)))
    if dim == 60:
        assert bool((right == torch.arange(4).repeat_interleave(shots)).all())


@pytest.mark.parametrize(("ways", "shots", "dim"), [(6, 5, 20), (6, 5, 30), (3, 8, 7)])
def test_leave_one_out_with_more_shots_than_dimensions_equals_refits(ways, shots, dim):
    """A factorisation of S for each fold, and no refit."""
    support = Support.of(torch.from_numpy(draw(3, ways, shots, dim)[0]))
    head = LDA().fit(support)
    fast, slow = head.leave_one_out(support), refitted_scores(LDA(), support)
    np.testing.assert_allclose(relative(fast.numpy()), relative(slow.numpy()), atol=1e-8)


@pytest.mark.parametrize("dim", [8, 40])
def test_leave_one_out_of_copies_equals_refits(dim):
    rng = np.random.default_rng(0)
    support = torch.from_numpy(rng.normal(size=(5, 3, 4, dim)))
    support[0] = support[0, :, :1]
    support[1, 0] = support[1, 0, :1]
    support[2, :, 1:] = support[2, :, :1]  # copies once the first is left out
    support[2, :, 0] += 1
    for one in (support, support[:1], support[2:3]):
        given = Support.of(one)
        fast = leave_one_out_scores(LDA().fit(given), given)
        slow = refitted_scores(LDA(), given)  # the same up to what all classes have in common
        np.testing.assert_allclose(relative(fast.numpy()), relative(slow.numpy()), atol=1e-6)


@pytest.mark.parametrize("bad", [{"shrinkage": 0}, {"shrinkage": "some"}, {"priors": "best"}])
def test_bad_parameters(bad):
    with pytest.raises(FewshotError, match="expected"):
        LDA(**bad).fit(Support.of(torch.randn(1, 2, 3, 4)))
