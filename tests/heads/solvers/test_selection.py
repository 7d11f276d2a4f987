"""Folds of the shots, the loss that chooses, and the span of vectors."""

import pytest
import torch

from fewshot.heads.base import Support
from fewshot.heads.solvers.selection import folds, loss_of
from fewshot.heads.solvers.span import span_of


def test_folds_hold_every_spare_shot_out_once_and_leave_a_shot_to_every_class():
    mask = torch.ones(3, 4, 7, dtype=torch.bool)
    mask[0, 1, 1:] = mask[1, 2, 2:] = mask[2, 0, :3] = False
    support = Support.of(torch.randn(3, 4, 7, 2), mask)
    times = torch.zeros(3, 4, 7)
    for rest, held in folds(support, 5):
        assert bool(rest.mask.any(-1).all())
        assert not bool((rest.mask & held).any())
        assert torch.equal(rest.mask | held, mask)
        times += held
    expected = mask.float()
    expected[0, 1] = 0
    assert torch.equal(times, expected)


def test_mistakes_come_before_cross_entropy():
    sure, unsure = torch.tensor([3.0, 0.0]), torch.tensor([0.1, 0.0])
    known = torch.ones(1, 2, 1, dtype=torch.bool)

    def loss(first, second):
        return float(loss_of(torch.stack([first, second.flip(0)]).view(1, 2, 1, 2), known))

    assert 0 < loss(sure, sure) < loss(unsure, sure) < loss(unsure, unsure) < 1
    assert 1 < loss(unsure.flip(0), sure) < 2  # one mistake, however slight
    assert loss(torch.zeros(2), sure) > 1  # nor is a tie right
    assert float(loss_of(torch.randn(1, 2, 1, 2), ~known)) == 0


@pytest.mark.parametrize("shape", [(2, 6, 20), (2, 20, 6), (2, 5, 5)])
def test_span_keeps_products_and_leads_back(shape):
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()
    vectors[:, 1] = vectors[:, 0]  # one direction less
    vectors[:, 2] = 0
    span = span_of(vectors)
    coordinates = span.coordinates
    assert coordinates.shape[-1] == min(shape[1:])
    torch.testing.assert_close(coordinates @ coordinates.mT, vectors @ vectors.mT)
    torch.testing.assert_close(coordinates.mT @ coordinates, torch.diag_embed(span.spread))
    weights = torch.randn(2, 3, coordinates.shape[-1]).double()
    weights = weights * (span.spread > 0)[:, None]
    full = span.features_weights(weights)
    torch.testing.assert_close(full @ vectors.mT, weights @ coordinates.mT)
    torch.testing.assert_close(full.square().sum(-1), weights.square().sum(-1))
