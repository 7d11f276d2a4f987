"""Matching networks against easyfsl's, without its context embeddings, and a slow loop."""

import numpy as np
import pytest
import torch
from torch import nn

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.matching import Matching
from fewshot.heads.solvers.transforms import unit_length

E, N, K, D, T = 4, 3, 5, 9, 13


@pytest.fixture(scope="module")
def drawn():
    generator = torch.Generator().manual_seed(0)
    shots = torch.randn(E, N, K, D, generator=generator, dtype=torch.float64) + 0.5
    mask = torch.rand(E, N, K, generator=generator) < 0.6
    mask[..., 0] = True
    return shots, mask, torch.randn(E, T, D, generator=generator, dtype=torch.float64) + 0.5


class NoContext(nn.Module):
    """In place of the recurrent networks: adds nothing to the features."""

    def forward(self, features, state=None):
        if state is None:
            return features.new_zeros(*features.shape[:-1], 2 * D), None
        return torch.zeros_like(state[0]), state[1]


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_agrees_with_easyfsl(drawn, temperature):
    made = pytest.importorskip("easyfsl.methods").MatchingNetworks(
        backbone=nn.Identity(),
        feature_dimension=D,
        support_encoder=NoContext(),
        query_encoder=NoContext(),
    )
    shots, _, queries = (one.float() for one in drawn)
    scores = Matching(temperature).fit(Support.of(shots)).scores(Query.of(queries))
    for e in range(E):
        made.process_support_set(shots[e].flatten(0, 1), torch.arange(N).repeat_interleave(K))
        # It leaves the length of the query in place of a temperature, and adds 1e-6.
        expected = made(unit_length(queries[e]) / temperature)
        torch.testing.assert_close(scores[e], (expected.exp() - 1e-6).log(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("priors", ["uniform", "empirical"])
def test_agrees_with_the_formula(drawn, priors):
    shots, mask, queries = drawn
    head = Matching(0.5, priors).fit(Support.of(shots, mask))
    scores = head.scores(Query.of(queries)).numpy()
    x, q = shots.numpy(), queries.numpy()
    for e in range(E):
        for t in range(T):
            total = np.zeros(N)
            for n in range(N):
                own = x[e, n][mask[e, n].numpy()]
                cosines = own @ q[e, t] / np.linalg.norm(own, axis=-1) / np.linalg.norm(q[e, t])
                attention = np.exp(cosines / 0.5)
                total[n] = attention.mean() if priors == "uniform" else attention.sum()
            np.testing.assert_allclose(scores[e, t], np.log(total / total.sum()), rtol=1e-9)


def test_a_small_temperature_is_the_nearest_neighbour(drawn):
    shots, _, queries = drawn
    answers = Matching(1e-4).fit(Support.of(shots)).predict(Query.of(queries))
    cosines = unit_length(queries) @ unit_length(shots).flatten(1, 2).mT
    assert torch.equal(answers, cosines.argmax(-1) // K)


def test_a_shot_of_zeros_gives_finite_scores():
    scores = (
        Matching().fit(Support.of(torch.zeros(1, 3, 1, 4))).scores(Query.of(torch.ones(1, 2, 4)))
    )
    torch.testing.assert_close(scores.exp(), torch.full((1, 2, 3), 1 / 3))


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (Matching(0), r"head\.matching\.temperature: expected a number > 0, got 0"),
        (Matching(priors="equal"), r"head\.matching\.priors: expected one of 'uniform'"),
    ],
)
def test_bad_parameters(head, match):
    with pytest.raises(FewshotError, match=match):
        head.fit(Support.of(torch.ones(1, 2, 1, 3)))
