"""Ridge regression against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from fewshot.estimators.held_out import leave_one_out_scores, refitted_scores
from fewshot.exceptions import FewshotError
from fewshot.heads import ridge
from fewshot.heads.base import Query, Support
from fewshot.heads.ridge import GRID, Ridge


def draw(ways, shots, dim, episodes=4, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(episodes, ways, 1, dim)) + 2
    support = means + rng.normal(size=(episodes, ways, shots, dim))
    return support, rng.normal(size=(episodes, 12, dim)) + 2


def expected_scores(support, mask, query, alpha):
    """One episode: scikit-learn's decision function, (T, N)."""
    ways, shots, _ = support.shape
    kept = mask.ravel()
    labels = np.repeat(np.arange(ways), shots)[kept]
    reference = RidgeClassifier(alpha).fit(support.reshape(ways * shots, -1)[kept], labels)
    scores = reference.decision_function(query)
    return np.stack([-scores, scores], -1) if ways == 2 else scores  # one column for two classes


@pytest.mark.parametrize(
    ("ways", "shots", "dim"), [(5, 5, 64), (5, 1, 30), (2, 3, 20), (3, 20, 8), (2, 5, 10)]
)
@pytest.mark.parametrize("alpha", [0.1, 1, 30.0])
def test_agrees_with_scikit_learn(ways, shots, dim, alpha):
    support, query = draw(ways, shots, dim)
    head = Ridge(alpha).fit(Support.of(torch.from_numpy(support)))
    scores = head.scores(Query.of(torch.from_numpy(query)))
    mask = np.ones((ways, shots), dtype=bool)
    for e in range(4):
        expected = expected_scores(support[e], mask, query[e], alpha)
        np.testing.assert_allclose(scores[e], expected, rtol=1e-8, atol=1e-8)


def test_unequal_shots_agree_with_scikit_learn():
    support, query = draw(3, 6, 15)
    mask = np.ones((4, 3, 6), dtype=bool)
    mask[:, 0, 1:] = mask[:, 2, 4:] = False
    head = Ridge().fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    scores = head.scores(Query.of(torch.from_numpy(query)))
    for e in range(4):
        expected = expected_scores(support[e], mask[e], query[e], 1.0)
        np.testing.assert_allclose(scores[e], expected, rtol=1e-8, atol=1e-8)


def unequal(ways, most, seed=0):
    """Masks (4, N, K) of one to all shots of every class."""
    counts = np.random.default_rng(seed).integers(1, most + 1, (4, ways, 1))
    return np.arange(most) < counts


@pytest.mark.parametrize("dim", [15, 4])
def test_classes_that_count_alike_agree_with_scikit_learn(dim):
    support, query = draw(3, 6, dim)
    mask = unequal(3, 6)
    head = Ridge(0.7, class_weight="balanced")
    head.fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    scores = head.scores(Query.of(torch.from_numpy(query)))
    for e in range(4):
        kept = mask[e].ravel()
        labels = np.repeat(np.arange(3), 6)[kept]
        reference = RidgeClassifier(0.7, class_weight="balanced")
        reference.fit(support[e].reshape(18, -1)[kept], labels)
        expected = reference.decision_function(query[e])
        np.testing.assert_allclose(scores[e], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("alpha", [1.0, "auto"])
def test_with_equal_shots_classes_count_alike_anyhow(alpha):
    support = Support.of(torch.from_numpy(draw(4, 3, 12)[0]))
    alike, plain = Ridge(alpha, "balanced").fit(support), Ridge(alpha).fit(support)
    assert torch.equal(alike.weights_, plain.weights_)
    assert torch.equal(alike.biases_, plain.biases_)


def test_leaving_a_shot_out_changes_the_weights_of_its_class():
    support = Support.of(
        torch.from_numpy(draw(3, 4, 20)[0]), torch.from_numpy(unequal(3, 4, seed=2))
    )
    head = Ridge(class_weight="balanced").fit(support)
    scores, slow = leave_one_out_scores(head, support), refitted_scores(head, support)
    torch.testing.assert_close(scores, slow, equal_nan=True)
    other = leave_one_out_scores(Ridge().fit(support), support)
    assert not torch.allclose(scores.nan_to_num(), other.nan_to_num(), atol=1e-3)


def test_bad_weight():
    with pytest.raises(
        FewshotError, match=r"head\.ridge\.class_weight: expected one of 'none', 'balanced'"
    ):
        Ridge(class_weight="classes").fit(Support.of(torch.ones(1, 2, 1, 3)))


def test_auto_takes_the_penalty_of_least_left_out_error():
    support, query = draw(3, 4, 10, seed=3)
    mask = torch.ones(4, 3, 4, dtype=torch.bool)
    mask[1, 2, 1:] = False  # this shot is not judged
    given = Support.of(torch.from_numpy(support), mask)
    chosen = Ridge("auto").fit(given)
    assert Ridge("auto").leave_one_out(given) is None
    targets = (2 * torch.eye(3) - 1)[:, None].expand(3, 4, 3)
    for e in range(4):
        shots = given.features[e][mask[e]]
        scale = (shots - shots.mean(0)).square().sum(-1).mean()
        losses = []
        for share in GRID:
            left = refitted_scores(Ridge(float(share * scale)), given[e : e + 1])[0]
            losses.append(float((left - targets).square().nansum()))
        torch.testing.assert_close(chosen.alpha_[e], GRID[int(np.argmin(losses))] * scale)
    one = given[:1]
    fixed = Ridge(float(chosen.alpha_[0])).fit(one)
    torch.testing.assert_close(fixed.weights_, chosen.weights_[:1])
    assert chosen.scores(Query.of(torch.from_numpy(query))).isfinite().all()


def test_auto_adapts():
    rng = torch.Generator().manual_seed(0)
    means = torch.randn(30, 5, 1, 20, generator=rng)
    noise = torch.randn(30, 5, 5, 20, generator=rng)
    easy, hard = (Ridge("auto").fit(Support.of(means + s * noise)).alpha_ for s in (0.1, 3.0))
    assert hard.median() / 9 > 10 * easy.median()  # more than the scale of the features


def test_auto_at_one_shot_is_the_mean_squared_distance():
    support = Support.of(torch.from_numpy(draw(5, 1, 12)[0]))
    shots = support.features[:, :, 0]
    scale = (shots - shots.mean(1, keepdim=True)).square().sum(-1).mean(-1)
    torch.testing.assert_close(Ridge("auto").fit(support).alpha_, scale)
    same = Support.of(torch.ones(2, 3, 4, 5))
    assert bool(Ridge("auto").fit(same).scores(Query.of(torch.ones(2, 1, 5))).isfinite().all())


def test_leave_one_out_with_more_shots_than_dimensions():
    support = Support.of(torch.from_numpy(draw(3, 9, 5)[0]))
    fast, slow = leave_one_out_scores(Ridge(0.5), support), refitted_scores(Ridge(0.5), support)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)


def test_primal_and_dual_agree():
    generator = torch.Generator().manual_seed(0)
    shots, targets = (torch.randn(2, 9, n, generator=generator).double() for n in (9, 3))
    alpha = torch.tensor([0.3, 2.0]).double()
    dual = ridge.ridge_weights(shots, targets, alpha)
    wide = torch.cat([shots, shots.new_zeros(2, 1, 9)], 1)  # one more row than columns
    primal = ridge.ridge_weights(wide, torch.cat([targets, targets.new_zeros(2, 1, 3)], 1), alpha)
    torch.testing.assert_close(primal, dual)


@pytest.mark.parametrize("alpha", [0, -1.0, "Auto", None, float("nan")])
def test_bad_penalty(alpha):
    with pytest.raises(FewshotError, match=r"head\.ridge\.alpha: expected a number > 0, got"):
        Ridge(alpha).fit(Support.of(torch.ones(1, 2, 1, 3)))
