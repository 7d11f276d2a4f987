"""Davies-Bouldin index against scikit-learn, its regression against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import davies_bouldin_score

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.davies_bouldin import DaviesBouldin, davies_bouldin_index
from fewshot.heads.base import Support
from fewshot.heads.ncm import NCM

E, N, K, D = 6, 4, 5, 8


def draw(episodes=E, shots=K, ways=N, seed=0, spread=1.5):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(episodes, ways, 1, D, generator=generator, dtype=torch.float64)
    noise = torch.randn(episodes, ways, shots, D, generator=generator, dtype=torch.float64)
    return Support.of(means + spread * noise)


def base_of(support, errors):
    """Base classes whose episodes are `support`, two at a time."""

    def over_episodes(function):
        pairs = support.features.split(2), support.mask.split(2)
        pieces = [Support(x, mask) for x, mask in zip(*pairs, strict=True)]
        return torch.cat([function(piece, NCM().fit(piece)) for piece in pieces])

    return BaseClasses(errors=errors, map=over_episodes)


def predict(estimator, support):
    return estimator.predict(support, NCM().fit(support))


@pytest.mark.parametrize("ways", [2, 4, 30])
@pytest.mark.parametrize("unequal", [False, True])
def test_agrees_with_scikit_learn(ways, unequal):
    support = draw(ways=ways)
    if unequal:
        mask = torch.rand(E, ways, K, generator=torch.Generator().manual_seed(1)) < 0.6
        mask[..., 2] = True
        mask[:, 0] = True
        support = Support.of(support.features, mask)
    index = davies_bouldin_index(support)
    assert index.shape == (E,)
    for e in range(E):
        labels = np.broadcast_to(np.arange(ways)[:, None], (ways, K))
        valid = support.mask[e].numpy()
        expected = davies_bouldin_score(support.features[e].numpy()[valid], labels[valid])
        assert float(index[e]) == pytest.approx(expected)


def test_the_sum_of_both_spreads_is_divided():
    features = torch.tensor([[[0.0, 2.0], [10.0, 14.0]]])[..., None]  # S = 1 and 2, M = 11
    assert float(davies_bouldin_index(Support.of(features))) == pytest.approx(3 / 11)


def test_order_of_classes_and_shots_does_not_matter():
    support = draw()
    shuffled = Support.of(support.features[:, [2, 0, 3, 1]].flip(2))
    torch.testing.assert_close(davies_bouldin_index(shuffled), davies_bouldin_index(support))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ways", [3, 30])
def test_cases_without_a_finite_index(dtype, ways):
    support = draw(ways=ways)
    features = support.features.to(dtype)
    assert davies_bouldin_index(Support.of(features)).dtype == dtype
    same_means = features.clone()
    same_means[:, 1] = same_means[:, 0]
    assert bool(davies_bouldin_index(Support.of(same_means)).isposinf().all())
    assert bool(davies_bouldin_index(Support.of(features[:, :, :1])).isnan().all())
    for times in (2, 3, 5, 50):
        copies = features[:, :, :1].expand(-1, -1, times, -1)
        assert bool(davies_bouldin_index(Support.of(copies)).isnan().all())
    mask = support.mask.clone()
    mask[:, 1:, 1:] = False
    assert bool(davies_bouldin_index(Support.of(features, mask)).isfinite().all())


def test_predicts_on_the_least_squares_line():
    base = draw(40, seed=1)
    index = davies_bouldin_index(base)
    errors = 0.1 * index + 0.02 * torch.randn(40, generator=torch.Generator().manual_seed(2))
    estimator = DaviesBouldin().fit(base_of(base, errors))
    slope, offset = np.polyfit(index.numpy(), errors.numpy(), 1)
    assert estimator.slope_ == pytest.approx(slope)
    assert estimator.offset_ == pytest.approx(offset)
    support = draw()
    prediction = predict(estimator, support)
    expected = (slope * davies_bouldin_index(support) + offset).clamp(0, 1)
    torch.testing.assert_close(prediction.error, expected)
    assert prediction.reason is None
    each = [predict(estimator, support[e : e + 1]).error for e in range(E)]
    torch.testing.assert_close(torch.cat(each), prediction.error)
    hard = predict(estimator, draw(spread=3.0)).error
    assert hard.mean() > prediction.error.mean()


def test_clips_and_keeps_the_type():
    estimator = DaviesBouldin().fit(base_of(draw(3), torch.tensor([0.1, 0.5, 0.2])))
    for slope, offset, expected in ((0.0, 7.0, 1.0), (0.0, -7.0, 0.0)):
        estimator.slope_, estimator.offset_ = slope, offset
        support = Support.of(draw().features.float())
        error = predict(estimator, support).error
        assert error.dtype == torch.float32 and error.tolist() == [expected] * E


def test_episodes_without_an_index_or_error_are_not_learnt_from():
    base = draw(5, seed=1)
    features = base.features.clone()
    features[0, 1] = features[0, 0]
    errors = torch.tensor([0.9, 0.2, torch.nan, 0.3, 0.5])
    estimator = DaviesBouldin().fit(base_of(Support.of(features), errors))
    finite = [1, 3, 4]
    slope, offset = np.polyfit(
        davies_bouldin_index(base)[finite].numpy(), errors[finite].numpy(), 1
    )
    assert (estimator.slope_, estimator.offset_) == pytest.approx((slope, offset))


def test_one_index_teaches_the_mean():
    base = draw(1)
    estimator = DaviesBouldin().fit(base_of(base, torch.tensor([0.3])))
    assert (estimator.slope_, estimator.offset_) == pytest.approx((0.0, 0.3))


def test_refusals_have_their_reasons():
    support = draw()
    never_fitted = predict(DaviesBouldin(), support)
    only_errors = predict(DaviesBouldin().fit(BaseClasses(torch.tensor([0.1, 0.3]))), support)
    for prediction in (never_fitted, only_errors):
        assert bool(prediction.error.isnan().all()) and "no base classes" in prediction.reason
    one_shot = DaviesBouldin().fit(base_of(draw(3, shots=1), torch.tensor([0.1, 0.2, 0.3])))
    assert "no base-class episode" in predict(one_shot, draw(shots=1)).reason
    estimator = DaviesBouldin().fit(base_of(draw(3), torch.tensor([0.1, 0.5, 0.2])))
    features = support.features.clone()
    features[0, 1] = features[0, 0]
    features[1] = features[1, :, :1]
    prediction = predict(estimator, Support.of(features))
    assert prediction.error.isnan().tolist() == [True, True] + [False] * (E - 2)
    assert "different class means" in prediction.reason


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_same_on_an_accelerator():
    support = draw()
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    torch.testing.assert_close(davies_bouldin_index(moved).cpu(), davies_bouldin_index(support))
