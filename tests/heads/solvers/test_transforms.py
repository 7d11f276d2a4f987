"""Feature transforms against their formulas."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.solvers.transforms import (
    centre_of,
    centred,
    check_power,
    check_query_center,
    power_transform,
    unit_length,
)


@pytest.fixture
def features():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_unit_length(features):
    torch.testing.assert_close(unit_length(features).norm(dim=-1), torch.ones(4).double())
    assert torch.equal(unit_length(torch.zeros(2, 3)), torch.zeros(2, 3))
    tiny = features * 1e-30
    torch.testing.assert_close(unit_length(tiny), unit_length(features))
    # Squares of these are lost, and with them the length: not huge vectors, of any dtype.
    for dtype, small in ((torch.float32, 1e-25), (torch.float64, 1e-180)):
        assert unit_length(features.to(dtype) * small).abs().max() < 1e-5


def test_power_of_features_above_zero_is_that_of_the_paper(features):
    x = features.abs().numpy()
    expected = x**0.5 / np.linalg.norm(x**0.5, axis=-1, keepdims=True)
    np.testing.assert_allclose(power_transform(features.abs(), 0.5), expected)
    # Negative features keep their sign; an exponent of one leaves the direction.
    assert torch.equal(power_transform(features, 0.5).sign(), features.sign())
    torch.testing.assert_close(power_transform(features, 1.0), unit_length(features))


def test_centres_weigh_classes_alike():
    shots = torch.randn(3, 2, 4, 5)
    mask = torch.ones(3, 2, 4, dtype=torch.bool)
    mask[:, 1, 1:] = False
    support = Support.of(shots, mask, Context(base_mean=torch.arange(5.0)))
    assert centre_of(support, "none", "head.x") is None
    expected = (shots[:, 0].mean(1) + shots[:, 1, 0]) / 2
    torch.testing.assert_close(centre_of(support, "support", "head.x")[:, 0], expected)
    assert torch.equal(centre_of(support, "base", "head.x")[0, 0], torch.arange(5.0))


def test_no_base_classes_to_take_the_mean_of():
    with pytest.raises(FewshotError, match=r"head\.x\.center: expected base classes .* none\."):
        centre_of(Support.of(torch.zeros(1, 2, 1, 3)), "base", "head.x")


@pytest.mark.parametrize("power", [0, 1.5, "half", True])
def test_exponents(power):
    with pytest.raises(FewshotError, match=r"head\.x\.power: expected a number in \(0, 1\]"):
        check_power(power, "none", "head.x")
    check_power(None, "base", "head.x")
    with pytest.raises(FewshotError, match=r"head\.x\.center: expected none or support together"):
        check_power(0.5, "base", "head.x")


def episode(base_mean=None):
    """Unequal shots and queries, one of each episode set apart and one that is not there."""
    rng = torch.Generator().manual_seed(1)
    shots = torch.randn(2, 3, 4, 5, generator=rng, dtype=torch.float64)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[:, 1, 2:] = False
    queries = torch.randn(2, 6, 5, generator=rng, dtype=torch.float64) + 1
    there, learn = torch.ones(2, 6, dtype=torch.bool), torch.ones(2, 6, dtype=torch.bool)
    there[0, 5] = learn[:, 2] = False
    context = Context(base_mean=base_mean)
    return Support.of(shots, mask, context), Query.of(queries, there, learn)


@pytest.mark.parametrize("center", ["base", "support", "all", "each"])
def test_centring_with_queries(center):
    base = torch.arange(5.0)
    support, query = episode(base)
    shots, queries = centred(support, query, center, "head.x")
    for e in range(2):
        points = [support.features[e, n][support.mask[e, n]] for n in range(3)]
        means = torch.stack([shot.mean(0) for shot in points]).mean(0)
        learned = query.features[e][query.learning_mask[e]]
        together = torch.cat([*points, learned]).mean(0)
        of_shots = {"base": base, "support": means, "all": together, "each": means}[center]
        of_queries = learned.mean(0) if center == "each" else of_shots
        for n in range(3):
            moved = points[n] - of_shots
            expected = moved / moved.norm(dim=-1, keepdim=True)
            torch.testing.assert_close(shots.features[e, n][support.mask[e, n]], expected)
        moved = query.features[e] - of_queries
        torch.testing.assert_close(queries.features[e], moved / moved.norm(dim=-1, keepdim=True))
    assert not bool(shots.features[~support.mask].any())
    assert torch.equal(queries.learning_mask, query.learning_mask)


def test_without_queries_the_shots_are_the_centre():
    support, query = episode()
    nothing = Query.of(query.features, None, torch.zeros(2, 6, dtype=torch.bool))
    expected = centred(support, query, "support", "head.x")[1].features
    torch.testing.assert_close(centred(support, nothing, "each", "head.x")[1].features, expected)
    assert bool(centred(support, nothing, "all", "head.x")[1].features.isfinite().all())
    empty = Query.of(query.features[:, :0])
    assert centred(support, empty, "all", "head.x")[1].features.shape == (2, 0, 5)


def test_without_a_centre_features_stay_as_they_are():
    support, query = episode()
    assert centred(support, query, "none", "head.x") == (support, query)


def test_centres_that_are_refused():
    support, _ = episode()
    with pytest.raises(FewshotError, match=r"head\.x\.center: expected one of .* got 'bases'"):
        check_query_center("bases", support, "head.x")
    with pytest.raises(FewshotError, match=r"head\.x\.center: expected base classes .*=support"):
        check_query_center("base", support, "head.x")
    check_query_center("base", episode(torch.zeros(5))[0], "head.x")
