"""Transport plans against the alternating normalisation that defines them."""

import pytest
import torch

from fewshot.heads.solvers.transport import sinkhorn, transport_plan

E, N, T = 5, 4, 24


def alternately(logits, sizes, rounds=10_000):
    """Normalise queries and classes in turns, in logarithms: (N, T) of (N, T)."""
    plan = logits
    for _ in range(rounds):
        plan = plan - plan.logsumexp(0, keepdim=True)
        filled = plan.logsumexp(1)
        if bool(((filled.exp() - sizes).abs() < 1e-9).all()):
            break
        plan = plan + (sizes.log() - filled)[:, None]
    return plan.exp()


def costs(sharpness, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sharpness * torch.randn(E, N, T, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("shares", [[6, 6, 6, 6], [1, 2, 3, 18], [0.3, 0.7, 22.5, 0.5]])
def test_the_plan_is_sinkhorns(sharpness, shares):
    logits, mask = costs(sharpness), torch.ones(E, T, dtype=torch.bool)
    sizes = torch.tensor(shares, dtype=torch.float64).expand(E, N)
    plan = transport_plan(logits, sinkhorn(logits, mask, sizes), mask)
    for e in range(E):
        torch.testing.assert_close(plan[e], alternately(logits[e], sizes[e]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sharpness", [100.0, 1e4])
def test_costs_that_leave_no_choice(sharpness):
    logits, mask = costs(sharpness), torch.ones(E, T, dtype=torch.bool)
    sizes = torch.full((E, N), T / N, dtype=torch.float64)
    plan = transport_plan(logits, sinkhorn(logits, mask, sizes), mask)
    torch.testing.assert_close(plan.sum(-1), sizes, rtol=0, atol=1e-4)


def test_padding_and_the_batch_do_not_matter():
    logits, mask = costs(5.0), torch.ones(E, T, dtype=torch.bool)
    mask[0, 12:] = mask[1] = False
    sizes = mask.sum(-1, keepdim=True).double().expand(E, N) / N
    together = sinkhorn(logits, mask, sizes)
    assert together[1].tolist() == [0.0] * N
    alone = sinkhorn(logits[:1, :, :12], mask[:1, :12], sizes[:1])
    torch.testing.assert_close(alone, together[:1], rtol=0, atol=1e-12)
    for e in range(E):
        one = sinkhorn(logits[e : e + 1], mask[e : e + 1], sizes[e : e + 1])
        torch.testing.assert_close(one, together[e : e + 1], rtol=0, atol=1e-12)


def test_potentials_to_begin_with():
    logits, mask = costs(3.0), torch.ones(E, T, dtype=torch.bool)
    sizes = torch.full((E, N), T / N, dtype=torch.float64)
    found = sinkhorn(logits, mask, sizes)
    assert torch.equal(sinkhorn(logits, mask, sizes, found), found)
    assert torch.equal(sinkhorn(logits, mask, sizes, iterations=0), torch.zeros(E, N).double())
