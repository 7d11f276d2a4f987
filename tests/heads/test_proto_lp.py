"""protoLP against the formulas of the paper and its program, one episode at a time."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import NCM, ProtoLP
from fewshot.heads.base import Query, Support
from fewshot.heads.proto_lp import log_labels

E, N, K, D, T = 2, 3, 2, 14, 12


def draw(seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(E, N, 1, D))
    shots = abs(centres + rng.normal(size=(E, N, K, D)))
    queries = abs(centres + rng.normal(size=(E, N, T // N, D))).reshape(E, T, D)
    return shots, queries


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def balance(shares, sizes):
    """Rows that sum to 1 and columns that sum to `sizes`, by turns."""
    for _ in range(300):
        shares = shares / shares.sum(1, keepdims=True)
        if sizes is None:
            return shares
        shares = shares * (sizes / shares.sum(0))
    return shares


def prepare(shots, queries, power, dimensions):
    rows = unit(np.concatenate([shots.reshape(-1, D), queries]) ** power)
    _, _, axes = np.linalg.svd(rows, full_matrices=False)
    rows = rows @ axes[:dimensions].T
    return unit(rows - rows.mean(0))


def slowly(shots, queries, power, dimensions, steps, sizes, smoothness=1.0, mixture=0.6):
    """Shares of the queries of one episode."""
    rows = prepare(shots, queries, power, dimensions)
    labels = np.repeat(np.eye(N), K, 0)
    means = unit(rows[: N * K].reshape(N, K, -1).mean(1))
    for step in range(steps + 1):
        costs = ((rows[N * K :, None] - means) ** 2).sum(-1)
        shares = balance(np.exp(-3 * costs), sizes)
        if step == steps:
            return shares
        Z = np.concatenate([labels, shares])
        mass = Z.sum(0)
        laplacian = np.eye(N) - Z.T @ Z / np.sqrt(np.outer(mass, mass))
        answers = np.linalg.solve(labels.T @ labels + smoothness * laplacian, labels.T @ labels)
        spread = balance(shares @ answers, sizes)
        joined = np.concatenate([labels, mixture * spread + (1 - mixture) * shares])
        wanted = (joined.T @ rows) / joined.sum(0)[:, None]
        means = means + 0.2 * (wanted - means)


@pytest.mark.parametrize(
    ("power", "dimensions", "steps"), [(0.5, 40, 8), (0.5, 6, 30), (None, 10, 0)]
)
@pytest.mark.parametrize("prior", ["uniform", "none"])
def test_agrees_with_the_formulas(power, dimensions, steps, prior):
    shots, queries = draw()
    head = ProtoLP(power, dimensions, transport=3, steps=steps, prior=prior)
    scores = head.fit(Support.of(torch.tensor(shots))).scores(Query.of(torch.tensor(queries)))
    sizes = None if prior == "none" else np.full(N, T / N)
    for e in range(E):
        expected = slowly(shots[e], queries[e], power or 1.0, dimensions, steps, sizes)
        np.testing.assert_allclose(scores[e].softmax(-1).numpy(), expected, atol=1e-5)


def test_labels_of_samples_that_vary_little():
    """Anchor graph regularization: the sum over pairs of samples, joined by ``Z L^-1 Z'``."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(N), size=T)
    counts = np.array([2.0, 1.0, 3.0])
    got = log_labels(torch.tensor(shares.T[None]), torch.tensor(counts[None]), 0.05, "samples")
    Z = np.concatenate([np.repeat(np.eye(N), counts.astype(int), 0), shares])
    weights = Z @ np.diag(1 / Z.sum(0)) @ Z.T
    pairs = np.diag(weights.sum(1)) - weights
    answers = np.linalg.solve(np.diag(counts) + 0.05 * Z.T @ pairs @ Z, np.diag(counts))
    np.testing.assert_allclose(got[0].exp().T, shares @ answers, atol=1e-12)


def test_classes_take_their_sizes():
    shots, queries = draw()
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[:, 0, 1] = False
    support, query = Support.of(torch.tensor(shots), mask), Query.of(torch.tensor(queries))
    for prior, sizes in (("uniform", [4, 4, 4]), ("support", [12 / 5, 24 / 5, 24 / 5])):
        shares = ProtoLP(prior=prior, steps=5).fit(support).scores(query).softmax(-1).sum(1)
        np.testing.assert_allclose(shares, [sizes] * E, atol=1e-5)
    assert ProtoLP(prior="none").uses == {"queries"}
    assert ProtoLP(prior="support").uses == {"queries", "query_prior"}


def test_queries_move_prototypes_that_one_shot_misplaces():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(60, 5, 1, 30, generator=generator)
    images = (centres + torch.randn(60, 5, 16, 30, generator=generator)).exp()
    support, query = Support.of(images[:, :, :1]), Query.of(images[:, :, 1:].flatten(1, 2))
    truth = torch.arange(5).repeat_interleave(15)
    accuracy = [
        float((head.fit(support).predict(query) == truth).double().mean())
        for head in (ProtoLP(), ProtoLP(prior="none"), NCM())
    ]
    assert min(accuracy[:2]) > accuracy[2] + 0.05


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"power": 0}, "head.proto_lp.power"),
        ({"dimensions": 0}, "head.proto_lp.dimensions"),
        ({"center": "base"}, "head.proto_lp.center"),
        ({"transport": 0}, "head.proto_lp.transport"),
        ({"rate": 1.5}, "head.proto_lp.rate"),
        ({"smoothness": -1}, "head.proto_lp.smoothness"),
        ({"mixture": 2}, "head.proto_lp.mixture"),
        ({"steps": -1}, "head.proto_lp.steps"),
        ({"laplacian": "none"}, "head.proto_lp.laplacian"),
        ({"prior": "equal"}, "head.proto_lp.prior"),
    ],
)
def test_refuses_what_it_cannot_do(parameters, words):
    shots, _ = draw()
    with pytest.raises(FewshotError) as caught:
        ProtoLP(**parameters).fit(Support.of(torch.tensor(shots)))
    assert words in str(caught.value)
