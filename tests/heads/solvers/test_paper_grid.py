"""The paper's search against a double loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.heads.base import Context, Query, Support
from fewshot.heads.solvers import paper_grid
from fewshot.heads.text_gaussian import TextGaussian

E, N, D, T = 4, 3, 5, 30


@pytest.fixture
def draw(make_gaussians):
    """Function that draws support, Gaussians and queries, hard enough for mistakes."""

    def drawn(shots, seed=0):
        generator = torch.Generator().manual_seed(seed)
        means = torch.randn(E, N, D, generator=generator, dtype=torch.float64)
        most = max(shots)
        features = torch.randn(E, N, most, D, generator=generator, dtype=torch.float64)
        mask = torch.arange(most) < torch.tensor(shots)[:, None]
        gaussians = make_gaussians(means, generator)
        gaussians = replace(gaussians, variances=gaussians.variances**4)
        context = Context(means / means.norm(dim=-1, keepdim=True), gaussians=gaussians)
        query = torch.randn(E, T, D, generator=generator, dtype=torch.float64)
        features = means[:, :, None] + 1.5 * features
        return Support.of(features, mask.expand(E, N, most), context), Query.of(query)

    return drawn


def nearest(x, mean, deviation):
    return int(np.linalg.norm((x - mean) / deviation, axis=1).argmin())


def found_by_loops(support, e, mode):
    """Mean (N, D), deviation (D,) and alpha of one episode."""
    gaussians = support.context.gaussians
    g, sigma = gaussians.means[e].numpy(), gaussians.variances[e].numpy() ** 0.5
    plain = float(gaussians.within.mean()) ** 0.5
    train, held = [], []
    for features, mask in zip(support.features[e], support.mask[e], strict=True):
        own = features[mask].numpy()
        tuning = min(len(own) // 2, 4)
        train.append(own[: len(own) - tuning].mean(0))
        held.append(own[len(own) - tuning :])

    def mixed(alpha, beta):
        deviation = np.mean((1 - beta) * plain + beta * sigma, 0)
        return (1 - alpha) * np.stack(train) + alpha * g, deviation

    best = None
    for beta in np.linspace(1, 0, 21) if mode == "mean_std" else [0.0]:
        for alpha in np.linspace(1, 0, 21):
            at = mixed(alpha, beta)
            wrong = sum(nearest(x, *at) != n for n, own in enumerate(held) for x in own)
            if best is None or wrong < best[0]:
                best = wrong, alpha, beta
    if not any(map(len, held)):
        best = None, 0.5, 0.5 if mode == "mean_std" else 0.0
    return *mixed(*best[1:]), best[1]


@pytest.mark.parametrize("mode", ["mean_std", "mean"])
@pytest.mark.parametrize("shots", [(1, 1, 1), (5, 2, 1), (12, 12, 12)])
def test_the_same_as_a_double_loop(draw, mode, shots):
    support, query = draw(shots)
    head = TextGaussian(mode, "grid").fit(support)
    predicted = head.predict(query)
    for e in range(E):
        *at, alpha = found_by_loops(support, e, mode)
        assert float(head.share_[e, 0]) == pytest.approx(alpha)
        assert predicted[e].tolist() == [nearest(x, *at) for x in query.features[e].numpy()]
    if shots[0] > 1:
        assert head.share_.unique().numel() > 1


def test_zero_shots_are_text_alone(draw):
    support, query = draw((1, 1, 1))
    empty = Support.of(support.features[:, :, :0], None, support.context, least_shots=0)
    head = TextGaussian(mixing="grid").fit(empty)
    assert head.share_.tolist() == [[1.0]] * E
    g, variances = support.context.gaussians.means, support.context.gaussians.variances
    for e in range(E):
        deviation = variances[e].sqrt().mean(0).numpy()
        expected = [nearest(x, g[e].numpy(), deviation) for x in query.features[e].numpy()]
        assert head.predict(query)[e].tolist() == expected


@pytest.mark.parametrize("shots", [(2, 2, 2), (5, 4, 3), (20, 9, 1)])
def test_tuning_shots_are_no_part_of_the_means(draw, shots, monkeypatch):
    support, _ = draw(shots)
    numbers = torch.arange(support.mask.numel()).view(support.mask.shape) + 1.0
    marked = Support.of(numbers[..., None].expand_as(support.features).clone(), support.mask)
    train, held = paper_grid.split_shots(marked)
    used, tuned = (set(one.features[..., 0][one.mask].tolist()) for one in (train, held))
    assert not used & tuned
    assert used | tuned == set(numbers[support.mask].tolist())
    assert held.counts[0].tolist() == [min(count // 2, 4) for count in shots]
    # So that tuning shots move alpha at most: with alpha always 0.5, the weights are the same.
    half = torch.ones(E, 21, dtype=torch.long).index_fill(1, torch.tensor(10), 0)
    monkeypatch.setattr(paper_grid, "_mistakes", lambda *_: half)
    first = TextGaussian("mean", "grid").fit(support).weights_
    for place in range(shots[0]):
        moved = support.features.clone()
        moved[:, 0, place] += 50
        again = TextGaussian("mean", "grid").fit(Support.of(moved, support.mask, support.context))
        tuned = place >= shots[0] - min(shots[0] // 2, 4)
        assert torch.equal(again.weights_, first) == tuned


def test_leaving_a_shot_out_leaves_shots_for_the_means(draw):
    support, query = draw((2, 2, 2))
    mask = support.mask.clone()
    mask[:, 0, 0] = False
    scores = TextGaussian(mixing="grid").fit(
        Support.of(support.features, mask, support.context)
    ).scores(query)  # fmt: skip
    assert bool(scores.isfinite().all())
