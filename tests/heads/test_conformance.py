"""What every registered head must do."""

import numpy as np
import pytest
import torch

from fewshot.errors.held_out import leave_one_out_scores, refitted_scores
from fewshot.heads import heads
from fewshot.heads.base import LinearHead, Query, Support, linear_scores

E, N, K, D, T = 6, 4, 5, 12, 10


@pytest.fixture(params=list(heads))
def head(request):
    return heads.create(request.param)


@pytest.fixture(params=["complete", "unequal", "one shot", "many dimensions", "many shots"])
def case(request):
    """Support and query of random classes, in float64."""
    generator = torch.Generator().manual_seed(len(request.param))
    shots = {"one shot": 1, "many shots": 20}.get(request.param, K)
    dim = 80 if request.param == "many dimensions" else D
    means = torch.randn(E, N, 1, dim, generator=generator, dtype=torch.float64)
    support = means + torch.randn(E, N, shots, dim, generator=generator, dtype=torch.float64)
    query = means + torch.randn(E, N, T, dim, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, shots, dtype=torch.bool)
    if request.param == "unequal":
        mask = torch.rand(E, N, shots, generator=generator) < 0.6
        mask[..., 0] = True
    return Support.of(support, mask), Query.of(query.flatten(1, 2))


def relative(scores):
    """Scores up to what is common to all classes of a query."""
    return scores - scores.mean(-1, keepdim=True)


def close(one, other, tolerance=1e-8):
    torch.testing.assert_close(relative(one), relative(other), rtol=tolerance, atol=tolerance)


def test_shapes_and_type(head, case):
    support, query = case
    assert head.fit(support) is head
    scores = head.scores(query)
    assert scores.shape == (E, N * T, N)
    assert scores.dtype == support.features.dtype
    assert bool(scores.isfinite().all())
    assert head.predict(query).shape == (E, N * T)


def test_better_than_chance(head, case):
    support, query = case
    truth = torch.arange(N).repeat_interleave(T)
    assert (head.fit(support).predict(query) == truth).double().mean() > 0.5


def test_scores_change_nothing(head, case):
    support, query = case
    head.fit(support)
    first = head.scores(query)
    head.scores(Query.of(query.features.flip(1)))
    assert torch.equal(first, head.scores(query))


def test_fit_forgets(head, case):
    support, query = case
    fresh = head.clone().fit(support).scores(query)
    head.fit(Support.of(support.features.roll(1, 0), support.mask.roll(1, 0)))
    assert torch.equal(head.fit(support).scores(query), fresh)


def test_batch_equals_loop(head, case):
    support, query = case
    whole = head.fit(support).scores(query)
    for e in range(E):
        one = head.clone().fit(support[e : e + 1])
        close(one.scores(Query.of(query.features[e : e + 1])), whole[e : e + 1])


def test_permutation_of_classes(head, case):
    support, query = case
    order = torch.tensor([2, 0, 3, 1])
    scores = head.fit(support).scores(query)
    close(head.fit(support[:, order]).scores(query), scores[..., order])


def test_permutation_of_queries_and_shots(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    close(head.scores(Query.of(query.features.flip(1))), scores.flip(1))
    shuffled = Support.of(support.features.flip(2), support.mask.flip(2))
    close(head.fit(shuffled).scores(query), scores)


def test_padding_is_ignored(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    rubbish = support.features.new_full((E, N, 2, support.features.shape[-1]), 1e3)
    features = torch.cat([support.features, rubbish], 2)
    mask = torch.cat([support.mask, torch.zeros(E, N, 2, dtype=torch.bool)], 2)
    close(head.fit(Support.of(features, mask)).scores(query), scores)


def test_shift_of_all_features_changes_nothing(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    shift = torch.linspace(-1, 1, query.features.shape[-1], dtype=torch.float64)
    moved = Support.of(support.features + shift, support.mask)
    close(head.fit(moved).scores(Query.of(query.features + shift)), scores, 1e-6)


def test_float32_agrees_with_float64(head, case):
    support, query = case
    exact = relative(head.fit(support).scores(query))
    single = Support.of(support.features.float(), support.mask)
    rough = relative(head.fit(single).scores(Query.of(query.features.float()))).double()
    assert (rough - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_deterministic(head, case):
    support, query = case
    assert torch.equal(head.fit(support).scores(query), head.clone().fit(support).scores(query))


def test_linear_form_gives_the_scores(head, case):
    if not isinstance(head, LinearHead):
        pytest.skip("not linear")
    support, query = case
    form = head.fit(support).linear()
    assert torch.equal(linear_scores(query.features, form.weights, form.biases), head.scores(query))


def test_leave_one_out_equals_refitting(head, case):
    support, _ = case
    if head.leave_one_out(support) is None:
        pytest.skip("no closed form here: it is refitted")
    fast, slow = leave_one_out_scores(head, support), refitted_scores(head, support)
    assert torch.equal(fast.isnan(), slow.isnan())
    close(fast.nan_to_num(), slow.nan_to_num())


def test_parameters_are_stored_under_their_names(head):
    assert head.clone().get_params() == head.get_params()
    assert type(head).__name__ in repr(head)


@pytest.mark.parametrize("kind", ["constant", "duplicates", "equal classes"])
def test_degenerate_supports_give_finite_scores(head, kind):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(E, N, K, D)))
    if kind == "constant":
        features[..., :3] = 2.0
    elif kind == "duplicates":
        features = features[:, :, :1].expand(E, N, K, D).clone()
    else:
        features = features[:, :1].expand(E, N, K, D).clone()
    query = Query.of(torch.from_numpy(rng.normal(size=(E, T, D))))
    for dtype in (torch.float32, torch.float64):
        fitted = head.fit(Support.of(features.to(dtype)))
        assert bool(fitted.scores(Query.of(query.features.to(dtype))).isfinite().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_same_on_an_accelerator(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    close(head.fit(moved).scores(Query.of(query.features.cuda())).cpu(), scores, 1e-6)
