"""Feature transforms against their formulas."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Support
from fewshot.heads.solvers.transforms import (
    centre_of,
    check_power,
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
