"""What every registered head must do."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.estimators.held_out import leave_one_out_scores, refitted_scores
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support, linear_scores
from fewshot.heads.ncm import NCM

E, N, K, D, T = 6, 4, 5, 12, 10

# Heads that stop at a tolerance of their own agree with themselves to that: {name: tolerance}.
ITERATIVE: dict[str, float] = {
    "alpha_tim": 1e-4,  # Adam divides tiny gradients, their rounding included, by their size
    "logistic": 1e-5,  # its own tolerance
}
# Heads that choose a number by folds of the shots: which shots share a fold depends on their order.
SEARCHED = {"gda"}
# Heads that look at directions or at moments of base classes: features may not be shifted.
NOT_SHIFTED: set[str] = {
    "tim",
    "alpha_tim",
    "em_dirichlet",
    "zero_shot",
    "gda",
    "tip_adapter",
    "tip_adapter_f",
    "svm",  # its intercept is penalised
    "bd_cspn",
    "laplacian_shot",
    "pt_map",
    "matching",
    "simpleshot",
    "lp_plus_plus",
    "clip_adapter",
    "taskres",
    "text_gaussian",
}
# Heads with a penalty, a temperature, a step or something learned in the units of the features.
IN_UNITS = {
    "alpha_tim",
    "bd_cspn",
    "em_dirichlet",
    "gda",
    "laplacian_shot",
    "logistic",
    "pt_map",
    "ridge",
    "soft_kmeans",
    "svm",
    "text_gaussian",
    "tim",
}


@pytest.fixture(params=list(heads))
def head(request):
    # Its 20 x 50 steps show no more than 10 x 10.
    few = {"steps": 10, "mm_steps": 10} if request.param == "em_dirichlet" else {}
    made = heads.create(request.param, **few)
    made.name, made.tolerance = request.param, ITERATIVE.get(request.param, 1e-8)
    return made


@pytest.fixture(params=["complete", "unequal", "one shot", "many dimensions", "many shots"])
def case(request, make_gaussians):
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
    context = context_of(means[:, :, 0], generator, make_gaussians)
    return Support.of(support, mask, context), Query.of(query.flatten(1, 2))


def context_of(means, generator, make_gaussians):
    """Everything that a head may know: text near the class means, moments of other classes."""
    dim = means.shape[-1]
    text = means + torch.randn(means.shape, generator=generator, dtype=torch.float64) / 2
    base = torch.randn(200, dim, generator=generator, dtype=torch.float64)
    text = torch.nn.functional.normalize(text, dim=-1)
    gaussians = make_gaussians(means, generator)
    return Context(text, 10.0, base.mean(0), base.T.cov(), len(base), gaussians)


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
    head.fit(Support.of(support.features.roll(1, 0), support.mask.roll(1, 0), support.context))
    assert torch.equal(head.fit(support).scores(query), fresh)


def test_batch_equals_loop(head, case):
    support, query = case
    whole = head.fit(support).scores(query)
    for e in range(E):
        one = head.clone().fit(support[e : e + 1])
        close(one.scores(Query.of(query.features[e : e + 1])), whole[e : e + 1], head.tolerance)


def test_permutation_of_classes(head, case):
    support, query = case
    order = torch.tensor([2, 0, 3, 1])
    scores = head.fit(support).scores(query)
    close(head.fit(support[:, order]).scores(query), scores[..., order], head.tolerance)


def test_permutation_of_queries_and_shots(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    close(head.scores(Query.of(query.features.flip(1))), scores.flip(1), head.tolerance)
    if head.name in SEARCHED and not support.complete:
        return
    shuffled = Support.of(support.features.flip(2), support.mask.flip(2), support.context)
    close(head.fit(shuffled).scores(query), scores, head.tolerance)


def test_padding_is_ignored(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    rubbish = support.features.new_full((E, N, 2, support.features.shape[-1]), 1e3)
    features = torch.cat([support.features, rubbish], 2)
    mask = torch.cat([support.mask, torch.zeros(E, N, 2, dtype=torch.bool)], 2)
    close(
        head.fit(Support.of(features, mask, support.context)).scores(query), scores, head.tolerance
    )


def test_padding_among_the_queries_is_ignored(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    rubbish = query.features.new_full((E, 3, query.features.shape[-1]), 1e3)
    mask = torch.cat([query.mask, torch.zeros(E, 3, dtype=torch.bool)], 1)
    padded = Query.of(torch.cat([query.features, rubbish], 1), mask)
    close(head.scores(padded)[:, : N * T], scores, head.tolerance)


def test_shift_of_all_features_changes_nothing(head, case):
    if head.name in NOT_SHIFTED:
        pytest.skip("looks at directions")
    support, query = case
    scores = head.fit(support).scores(query)
    shift = torch.linspace(-1, 1, query.features.shape[-1], dtype=torch.float64)
    moved = Support.of(support.features + shift, support.mask, support.context)
    tolerance = max(1e-6, head.tolerance)
    close(head.fit(moved).scores(Query.of(query.features + shift)), scores, tolerance)


@pytest.mark.parametrize(
    ("power", "dtype"),
    [(60, torch.float32), (-60, torch.float32), (490, torch.float64), (-490, torch.float64)],
)
def test_features_that_cannot_be_squared_are_refused(case, power, dtype):
    support, query = case
    with pytest.raises(FewshotError, match=r"^support: .* squares"):
        Support.of((support.features * 2.0**power).to(dtype), support.mask, support.context)
    if power > 0:
        with pytest.raises(FewshotError, match=r"^query: .* squares"):
            Query.of((query.features * 2.0**power).to(dtype))


@pytest.mark.parametrize(
    ("power", "dtype"),
    [(50, torch.float32), (-50, torch.float32), (60, torch.float64), (-60, torch.float64)],
)
def test_features_that_can_be_squared_are_answered_as_others(head, case, power, dtype):
    if head.name in IN_UNITS:
        pytest.skip("has a parameter in the units of the features")
    support, query = case
    expected = head.fit(support.to(dtype)).predict(Query.of(query.features.to(dtype)))
    factor = 2.0**power
    context = replace(
        support.context,
        base_mean=support.context.base_mean * factor,
        base_covariance=support.context.base_covariance * factor**2,
    )
    scaled = Support.of((support.features * factor).to(dtype), support.mask, context.to(dtype))
    answers = head.fit(scaled).predict(Query.of((query.features * factor).to(dtype)))
    assert (answers == expected).double().mean() > 0.98


@pytest.mark.parametrize("name", ["ridge", "svm", "logistic"])
def test_penalties_that_large_features_drown_leave_a_classifier(name, case):
    support, query = case
    truth = torch.arange(N).repeat_interleave(T)
    head = heads.create(name)
    for factor in (1.0, 2.0**24, 2.0**50):
        scaled = Support.of(support.features * factor, support.mask)
        answers = head.fit(scaled).predict(Query.of(query.features * factor))
        assert (answers == truth).double().mean() > 0.5


def test_float32_agrees_with_float64(head, case):
    support, query = case
    exact = relative(head.fit(support).scores(query))
    single = support.to(torch.float32)
    rough = relative(head.fit(single).scores(Query.of(query.features.float()))).double()
    assert (rough - exact).abs().max() <= max(1e-5, head.tolerance) * exact.abs().max()


def test_deterministic(head, case):
    support, query = case
    assert torch.equal(head.fit(support).scores(query), head.clone().fit(support).scores(query))


def test_linear_form_gives_the_scores(head, case):
    support, query = case
    form = head.fit(support).linear()
    assert head.is_linear == (form is not None)
    if form is None:
        pytest.skip("not linear")
    assert torch.equal(linear_scores(query.features, form.weights, form.biases), head.scores(query))


@pytest.mark.parametrize("name", [n for n in heads if heads.create(n).means_at_one_shot])
def test_means_at_one_shot_are_nearest_class_mean(name, case):
    head, (support, query) = heads.create(name), case
    single = Support.of(support.features[:, :, :1], None, support.context)
    answers = head.fit(single).predict(query)
    assert torch.equal(answers, NCM().fit(single).predict(query))


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
def test_degenerate_supports_give_finite_scores(head, kind, make_gaussians):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(E, N, K, D)))
    if kind == "constant":
        features[..., :3] = 2.0
    elif kind == "duplicates":
        features = features[:, :, :1].expand(E, N, K, D).clone()
    else:
        features = features[:, :1].expand(E, N, K, D).clone()
    query = Query.of(torch.from_numpy(rng.normal(size=(E, T, D))))
    means = torch.from_numpy(rng.normal(size=(E, N, D)))
    context = context_of(means, torch.Generator(), make_gaussians)
    for dtype in (torch.float32, torch.float64):
        fitted = head.fit(Support.of(features.to(dtype), None, context.to(dtype)))
        assert bool(fitted.scores(Query.of(query.features.to(dtype))).isfinite().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_same_on_an_accelerator(head, case):
    support, query = case
    scores = head.fit(support).scores(query)
    text, mean, covariance = (
        one.cuda()
        for one in (
            support.context.text, support.context.base_mean, support.context.base_covariance
        )
    )  # fmt: skip
    gaussians = support.context.gaussians.to("cuda")
    context = Context(text, support.context.logit_scale, mean, covariance, 200, gaussians)
    moved = Support.of(support.features.cuda(), support.mask.cuda(), context)
    close(head.fit(moved).scores(Query.of(query.features.cuda())).cpu(), scores, 1e-6)


def test_the_list_says_what_it_uses(head):
    said = heads[head.name].summary.rpartition(";")[2]
    assert ("transductive" in said) == ("queries" in head.uses)
    assert ("balanced" in said) == ("query_prior" in head.uses)
    assert ("text" in said) == ("text" in head.uses)


FLAGS = [
    (name, flag)
    for name in heads
    for flag, parameter in inspect.signature(heads[name].load()).parameters.items()
    if isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(("name", "flag"), FLAGS)
@pytest.mark.parametrize("value", ["no", [1], None, 1])
def test_a_flag_is_true_or_false(name, flag, value):
    """Other values would silently count as one of them: "no" as True."""
    with pytest.raises(FewshotError, match=rf"^head\.{name}\.{flag}: expected true or false, got"):
        heads.create(name, **{flag: value}).fit(Support.of(torch.eye(4).reshape(1, 2, 2, 4)))
