"""Probability of the highest score beyond 32 ways: quadrature, Monte Carlo, memory."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from fewshot.estimators import estimators
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.moments import Moments
from fewshot.estimators.winning import (
    EXACT_WAYS,
    on_lines,
    principal_root,
    triangular_root,
    winning_probability,
)
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM


def scores_of(ways, dim=24, separation=0.35, seed=0):
    """Expected margins (1, N, N) and score covariance (1, N, N) of nearest class mean."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, dim + 1) ** -0.5
    means = rng.normal(size=(ways, dim)) * spectrum * separation * 2
    scores = means @ means.T - (means**2).sum(1) / 2
    margins = np.diag(scores)[:, None] - scores
    covariance = (means * spectrum**2) @ means.T
    return torch.from_numpy(margins)[None], torch.from_numpy(covariance)[None]


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_the_method_of_few_ways(seed):
    margins, scatter = scores_of(EXACT_WAYS, seed=seed)
    exact = winning_probability(margins, scatter, points=4096)[0]
    lines = on_lines(margins[0], principal_root(scatter)[0], range(EXACT_WAYS), 1024, np.inf)
    assert 0.3 < exact.mean() < 0.9
    assert abs(lines.mean() - exact.mean()) < 0.006
    np.testing.assert_allclose(lines, exact, atol=0.03)


@pytest.mark.parametrize("freedom", [np.inf, 4.0])
def test_agrees_with_monte_carlo(freedom):
    margins, scatter = scores_of(40)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20_000, 40)) @ principal_root(scatter)[0].numpy().T
    if np.isfinite(freedom):
        noise /= np.sqrt(rng.chisquare(freedom, size=(20_000, 1)) / (freedom - 2))
    means = margins[0].numpy()
    expected = [
        (noise[:, c, None] - noise + means[c] >= 0).all(1).mean() for c in range(len(means))
    ]
    probability = winning_probability(margins, scatter, freedom=freedom)[0].numpy()
    np.testing.assert_allclose(probability, expected, atol=0.04)
    assert abs(probability.mean() - np.mean(expected)) < 0.007


def test_independent_scores_are_a_quadrature_in_one_dimension():
    rng = np.random.default_rng(2)
    ways, deviation = 50, 0.7
    means = rng.normal(size=ways)
    margins = torch.from_numpy(np.tile(rng.normal(2.5, 0.4, size=(ways, 1)), ways) + 0 * means)[
        None
    ]
    scatter = torch.eye(ways, dtype=torch.float64)[None] * deviation**2
    t, weights = np.polynomial.hermite_e.hermegauss(80)
    expected = [
        np.sum(weights * stats.norm.cdf(t + m / deviation) ** (ways - 1)) / np.sqrt(2 * np.pi)
        for m in margins[0, :, 0].numpy()
    ]
    probability = winning_probability(margins, scatter)[0].numpy()
    np.testing.assert_allclose(probability, expected, atol=0.03)
    assert abs(probability.mean() - np.mean(expected)) < 0.004


def test_covariances_by_class_are_those_of_the_class():
    margins, scatter = scores_of(36)
    sizes = torch.linspace(0.5, 2, 36, dtype=torch.float64)
    by_class = winning_probability(
        margins,
        lambda part: sizes[part, None, None] * scatter[:, None].expand(-1, 36, -1, -1)[:, part],
    )[0]
    for c in (0, 17, 35):
        alone = winning_probability(margins, sizes[c] * scatter)[0, c]
        assert abs(by_class[c] - alone) < 0.03
    assert abs(by_class.mean() - winning_probability(margins, scatter)[0].mean()) < 0.1


def test_no_spread_decides_by_the_sign_and_nothing_known_is_nan():
    margins, scatter = scores_of(40)
    still = winning_probability(margins, torch.zeros_like(scatter))[0]
    off = ~torch.eye(40, dtype=torch.bool)
    assert torch.equal(still, ((margins[0] > 0) | ~off).all(1).double())
    both = winning_probability(
        margins.expand(2, -1, -1), torch.cat([scatter, torch.full_like(scatter, torch.nan)])
    )
    assert torch.equal(both[0], winning_probability(margins, scatter)[0])
    assert both[1].isnan().all()


def test_signs_of_eigenvectors_do_not_count():
    _, scatter = scores_of(40)
    root = principal_root(scatter)[0]
    torch.testing.assert_close(root @ root.T, scatter[0], atol=1e-9, rtol=0)
    assert (root.gather(0, root.abs().argmax(0, keepdim=True)) >= 0).all()
    triangular = triangular_root(scatter)[0]
    torch.testing.assert_close(triangular @ triangular.T, scatter[0], atol=1e-5, rtol=0)


class Largest(TorchDispatchMode):
    """Records the largest number of values of any tensor that is made."""

    values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                stored = tensor.untyped_storage().nbytes() // tensor.element_size()
                self.values = max(self.values, stored)
        return result


@pytest.mark.parametrize("head", [NCM(), LDA()])
@pytest.mark.parametrize("name", [n for n in estimators if not estimators[n].load().sees_queries])
def test_memory_grows_with_the_square_of_the_ways(name, head):
    ways, dim = 160 if name.startswith("auto") else 96, 8  # its parts have up to 2**20 values
    generator = torch.Generator().manual_seed(0)
    means = 2 * torch.randn(1, ways, 1, dim, generator=generator)
    support = Support.of(means + torch.randn(1, ways, 3, dim, generator=generator))
    moments = Moments(
        2 * torch.randn(50, dim, generator=generator).double(),
        torch.full((50,), 20.0).double(),
        torch.eye(dim).double(),
    )
    estimator = estimators.create(name)
    estimator.fit(BaseClasses(moments=lambda: moments))
    fitted = head.clone().fit(support)
    with Largest() as largest:
        error = estimator.predict(support, fitted).error
    assert error.shape == (1,)
    assert largest.values < ways**3 / 2
