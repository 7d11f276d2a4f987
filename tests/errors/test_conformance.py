"""What every registered estimator must do, with every registered head."""

import inspect

import pytest
import torch

from fewshot.errors import estimators
from fewshot.errors.base import BaseClasses, ErrorEstimator, Moments
from fewshot.heads import heads
from fewshot.heads.base import Support

E, N, K, D = 8, 4, 5, 20


def draw(shots=K, ways=N, seed=0, dtype=torch.float64, spread=1.2, episodes=E):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(episodes, ways, 1, D, generator=generator, dtype=torch.float64)
    noise = torch.randn(episodes, ways, shots, D, generator=generator, dtype=torch.float64)
    return Support.of((means + spread * noise).to(dtype))


@pytest.fixture(params=["ncm", "lda"])
def head(request):
    return heads.create(request.param)


@pytest.fixture(params=list(estimators))
def estimator(request):
    return estimators.create(request.param).fit(base_classes())


def base_classes():
    """Twelve base classes like those of `draw`, 60 episodes of them and nearest class mean."""
    rng = torch.Generator().manual_seed(99)
    means = torch.randn(12, D, generator=rng, dtype=torch.float64)
    support = draw(seed=98, episodes=60)
    errors = torch.rand(60, N, generator=rng, dtype=torch.float64) / 3
    moments = Moments(
        means, torch.full((12,), 30.0).double(), 1.44 * torch.eye(D, dtype=torch.float64)
    )
    return BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(support, heads.create("ncm").fit(support)),
        errors_by_class=errors,
        members=torch.stack([torch.randperm(12, generator=rng)[:N] for _ in range(60)]),
    )


def predict(estimator, head, support):
    return estimator.predict(support, head.clone().fit(support))


def test_signature_has_no_room_for_queries(estimator):
    assert isinstance(estimator, ErrorEstimator)
    assert list(inspect.signature(estimator.predict).parameters) == ["support", "head"]


def test_shape_range_and_reason(estimator, head):
    prediction = predict(estimator, head, draw())
    assert prediction.error.shape == (E,)
    assert bool(((prediction.error >= 0) & (prediction.error <= 1)).all())
    assert prediction.reason is None


def test_batch_equals_loop(estimator, head):
    support = draw()
    whole = predict(estimator, head, support).error
    each = [predict(estimator, head, support[e : e + 1]).error for e in range(E)]
    torch.testing.assert_close(torch.cat(each), whole, rtol=1e-9, atol=1e-9)


def test_order_of_classes_and_shots_does_not_matter(estimator, head):
    support = draw()
    error = predict(estimator, head, support).error
    shuffled = Support.of(support.features[:, [2, 0, 3, 1]].flip(2))
    # Quadrature points meet the classes in another order.
    torch.testing.assert_close(predict(estimator, head, shuffled).error, error, rtol=0, atol=0.02)


def test_repeatable_and_stateless(estimator, head):
    support = draw()
    first = predict(estimator, head, support).error
    predict(estimator, head, draw(seed=5))
    assert torch.equal(predict(estimator, head, support).error, first)


def test_float32_agrees(estimator, head):
    exact = predict(estimator, head, draw()).error
    rough = predict(estimator, head, draw(dtype=torch.float32)).error
    torch.testing.assert_close(rough.double(), exact, rtol=1e-3, atol=2e-3)


def test_unequal_shots(estimator, head):
    support = draw()
    mask = support.mask.clone()
    mask[:, 0, 3:] = mask[:, 2, 2:] = False
    prediction = predict(estimator, head, Support.of(support.features, mask))
    assert bool(prediction.error.isfinite().all())
    padded = Support.of(
        torch.cat([support.features, torch.full_like(support.features, 9e3)], 2),
        torch.cat([mask, torch.zeros_like(mask)], 2),
    )
    torch.testing.assert_close(predict(estimator, head, padded).error, prediction.error)


def test_one_shot_is_a_number_or_a_reason(estimator, head):
    for fitted in (estimator, type(estimator)()):
        prediction = predict(fitted, head, draw(shots=1))
        finite = prediction.error.isfinite()
        assert bool(finite.all()) or (bool((~finite).all()) and prediction.reason)


def test_two_ways_and_many_ways(estimator, head):
    for ways in (2, 12):
        error = predict(estimator, head, draw(ways=ways)).error
        assert bool(((error >= 0) & (error <= 1)).all())


@pytest.mark.parametrize("kind", ["duplicates", "constant feature", "equal classes"])
def test_degenerate_supports_are_never_a_silent_number_outside_the_range(estimator, head, kind):
    support = draw()
    features = support.features.clone()
    if kind == "duplicates":
        features = features[:, :, :1].expand_as(features).clone()
    elif kind == "constant feature":
        features[..., 0] = 1.0
    else:
        features = features[:, :1].expand_as(features).clone()
    prediction = predict(estimator, head, Support.of(features))
    known = prediction.error[prediction.error.isfinite()]
    assert bool(((known >= 0) & (known <= 1)).all())
    assert len(known) == E or prediction.reason


def test_harder_episodes_get_larger_predictions(estimator, head):
    if type(estimator).__name__ == "Constant":
        pytest.skip("says the same to all")
    easy, hard = (predict(estimator, head, draw(spread=s)).error.mean() for s in (0.3, 4.0))
    assert hard > easy


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_same_on_an_accelerator(estimator, head):
    support = draw()
    error = predict(estimator, head, support).error
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    torch.testing.assert_close(predict(estimator, head, moved).error.cpu(), error)
