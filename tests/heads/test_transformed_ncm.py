"""Nearest class mean by cosine and of transformed features against slow loops."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import (
    Context,
    LinearHead,
    Query,
    Support,
)
from fewshot.heads.ncm import NCM
from fewshot.heads.simpleshot import SimpleShot
from fewshot.heads.transformed_ncm import TransformedNCM, nearest_class_mean

E, N, K, D, T = 5, 4, 3, 8, 11


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(E, N, 1, D))
    shots, queries = means + rng.normal(size=(E, N, K, D)), rng.normal(size=(E, T, D))
    return shots + 1, queries + 1, rng.normal(size=D) + 1


def unit(x):
    return x / np.linalg.norm(x)


def slow(shots, query, base, metric, center, power, l2):
    """One query of one episode."""
    if power:
        shots = np.array([[unit(np.sign(x) * abs(x) ** power) for x in own] for own in shots])
        query = unit(np.sign(query) * abs(query) ** power)
    origin = {"none": 0 * base, "base": base, "support": shots.mean((0, 1))}[center]
    shots, query = shots - origin, query - origin
    if l2:
        shots, query = np.array([[unit(x) for x in own] for own in shots]), unit(query)
    means = shots.mean(1)
    if metric == "euclidean":
        return np.array([-((query - m) ** 2).sum() / 2 for m in means])
    return np.array([unit(query) @ unit(m) for m in means])


CASES = [
    case
    for case in itertools.product(
        ("euclidean", "cosine"), ("none", "base", "support"), (None, 0.5), (False, True)
    )
    if not (case[1] == "base" and case[2])
]


@pytest.mark.parametrize(("metric", "center", "power", "l2"), CASES)
def test_agrees_with_the_formula(drawn, metric, center, power, l2):
    shots, queries, base = drawn
    head = nearest_class_mean(metric, center, power, l2)
    assert isinstance(head, LinearHead) == (power is None and not l2)
    support = Support.of(torch.from_numpy(shots), None, Context(base_mean=torch.from_numpy(base)))
    scores = head.fit(support).scores(Query.of(torch.from_numpy(queries))).numpy()
    for e, t in itertools.product(range(E), range(T)):
        expected = slow(shots[e], queries[e, t], base, metric, center, power, l2)
        got = scores[e, t]
        if metric == "euclidean":
            expected, got = expected - expected.mean(), got - got.mean()
        else:  # up to a length that all classes share
            expected, got = unit(expected), unit(got)
        np.testing.assert_allclose(got, expected, atol=1e-10)


def test_cosine_agrees_with_easyfsl(drawn):
    simple_shot = pytest.importorskip("easyfsl.methods").SimpleShot(backbone=nn.Identity())
    shots, queries, base = (torch.from_numpy(one) for one in drawn)
    head = NCM("cosine", "base").fit(Support.of(shots, None, Context(base_mean=base)))
    scores = head.scores(Query.of(queries))
    for e in range(E):
        simple_shot.process_support_set(
            (shots[e] - base).flatten(0, 1), torch.arange(N).repeat_interleave(K)
        )
        expected = simple_shot(queries[e] - base)
        length = (queries[e] - base).norm(dim=-1, keepdim=True)
        torch.testing.assert_close(scores[e] / length, expected)


def test_simpleshot_is_centred_unit_length(drawn):
    shots, queries, base = (torch.from_numpy(one) for one in drawn)
    support = Support.of(shots, None, Context(base_mean=base))
    for center in ("base", "support", "none"):
        one, other = (
            SimpleShot(center).fit(support),
            TransformedNCM("euclidean", center, None, True),
        )
        assert torch.equal(
            one.scores(Query.of(queries)), other.fit(support).scores(Query.of(queries))
        )
    assert SimpleShot().uses == {"base"}
    assert SimpleShot("support").uses == frozenset()
    assert SimpleShot("none").get_params() == {"center": "none"}


def test_what_uses_base_classes():
    assert heads.create("ncm").uses == frozenset()
    assert NCM("euclidean", "base").uses == frozenset()
    assert NCM("cosine", "base").uses == {"base"}
    assert nearest_class_mean(center="base", l2=True).uses == {"base"}
    assert nearest_class_mean(center="support", l2=True).uses == frozenset()


def test_only_euclidean_means_have_a_closed_form_and_a_response(drawn):
    support = Support.of(torch.from_numpy(drawn[0]))
    for metric, closed in (("euclidean", True), ("cosine", False)):
        head = NCM(metric).fit(support)
        assert (head.leave_one_out(support) is not None) == closed
        assert (head.linear().response is not None) == closed
    assert nearest_class_mean(l2=True).leave_one_out(support) is None


def test_defaults_are_plain_nearest_class_mean():
    assert type(heads.create("ncm")) is NCM
    assert NCM().get_params() == {"metric": "euclidean", "center": "none"}


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (NCM("cosin"), r"head\.ncm\.metric: .* Did you mean 'cosine'"),
        (NCM(center="mean"), r"head\.ncm\.center: expected one of 'none', 'base', 'support'"),
        (NCM("cosine", "base"), r"head\.ncm\.center: expected base classes"),
        (TransformedNCM(power=2), r"head\.ncm\.power: expected a number in \(0, 1\], got 2"),
        (TransformedNCM(center="base", power=0.5), r"head\.ncm\.center: expected none or support"),
        (SimpleShot(), r"head\.simpleshot\.center: expected base classes .*=support or none\."),
        (SimpleShot("bas"), r"head\.simpleshot\.center: .* Did you mean 'base'"),
    ],
)
def test_bad_parameters(head, match):
    with pytest.raises(FewshotError, match=match):
        head.fit(Support.of(torch.ones(1, 2, 1, 3)))
