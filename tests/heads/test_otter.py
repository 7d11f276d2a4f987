"""Class shares put right: against linear programming, one step at a time, and where they help."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import Context, Otter, Query, Support, ZeroShot
from fewshot.testing import check_head

N, K, D, SCALE = 4, 3, 12, 15.0


def draw(counts, seed=0, mask=None, noise=0.4):
    """Support and query of an episode with so many queries of each class, and their labels."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    means = normal(N, D)
    shots = means[None, :, None] + noise * normal(1, N, K, D)
    labels = torch.arange(N).repeat_interleave(torch.tensor(counts))
    query = (means[labels] + noise * normal(len(labels), D))[None]
    text = means + 1.5 * normal(N, D)
    return Support.of(shots, mask, Context(normalize(text, dim=-1)[None], SCALE)), query, labels


def logits(support, features):
    return SCALE * normalize(features, dim=-1) @ support.context.text.mT


def test_transport_fills_the_classes():
    support, query, _ = draw([6, 6, 6, 6])
    mask = torch.ones(1, N, K, dtype=torch.bool)
    mask[0, 1, 1:] = mask[0, 2, 2:] = False
    support = Support.of(support.features, mask, support.context)
    for prior, sizes in (("uniform", [6.0] * 4), ("support", [8.0, 24 / 9, 16 / 3, 8.0])):
        scores = Otter(prior).fit(support).scores(Query.of(query))
        filled = scores.softmax(-1).sum((0, 1))
        torch.testing.assert_close(filled, torch.tensor(sizes, dtype=torch.float64), atol=1e-5,
                                   rtol=0)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_sharp_transport_is_the_linear_programme(seed):
    """The authors solve ``min sum_tc P_tc (-log p_tc)`` over P with these margins exactly."""
    support, query, _ = draw([9, 2, 6, 7], seed)
    costs = -logits(support, query)[0].log_softmax(-1).numpy()
    T = len(costs)
    rows = np.kron(np.eye(T), np.ones(N))
    columns = np.kron(np.ones(T), np.eye(N))
    margins = np.concatenate([np.ones(T), np.full(N, T / N)])
    plan = linprog(costs.ravel(), A_eq=np.vstack([rows, columns]), b_eq=margins, method="highs").x
    answers = Otter("uniform", sharpness=100.0).fit(support).predict(Query.of(query))
    assert answers[0].tolist() == plan.reshape(T, N).argmax(1).tolist()


def test_names_are_measured_on_the_shots():
    mask = torch.ones(1, N, K, dtype=torch.bool)
    mask[0, 1, 1:] = False
    support, query, _ = draw([3, 3, 3, 3], mask=mask)
    expected = logits(support, query)[0].clone()
    means = []
    for c in range(N):
        kept = support.features[:, c, mask[0, c]]
        means.append(logits(support, kept)[0].softmax(-1).mean(0))
    shots = int(mask.sum())
    shares = (shots * torch.stack(means).mean(0) + 1) / (shots + N)
    expected -= (N * shares).log()
    torch.testing.assert_close(Otter().fit(support).scores(Query.of(query))[0], expected)


def test_expectation_maximisation_stands_still():
    support, query, _ = draw([20, 1, 4, 2])
    head = Otter("estimated").fit(support)
    scores = head.scores(Query.of(query))[0]
    posterior = scores.softmax(-1)
    shares = (posterior.sum(0) + 1) / (len(posterior) + N)
    again = logits(support, query)[0] - head.log_shares_[0] + (N * shares).log()
    torch.testing.assert_close(scores, again, atol=1e-4, rtol=0)


def test_shares_that_are_right_help_and_wrong_ones_hurt():
    def accuracy(head, counts):
        right = []
        for seed in range(12):
            support, query, labels = draw(counts, seed, noise=0.8)
            right.append((head.fit(support).predict(Query.of(query))[0] == labels).double().mean())
        return float(torch.stack(right).mean())

    balanced, skewed = [10, 10, 10, 10], [37, 1, 1, 1]
    assert accuracy(Otter("uniform"), balanced) > accuracy(ZeroShot(), balanced) + 0.02
    assert accuracy(Otter("uniform"), skewed) < accuracy(ZeroShot(), skewed) - 0.1
    assert accuracy(Otter(), balanced) > accuracy(ZeroShot(), balanced)
    assert accuracy(Otter("estimated"), skewed) > accuracy(ZeroShot(), skewed)


@pytest.mark.parametrize("prior", ["none", "estimated", "uniform"])
def test_without_shots(prior):
    support, query, _ = draw([4, 4, 4, 4])
    empty = Support.of(support.features[:, :, :0], None, support.context, 0)
    assert Otter(prior).least_shots == 0
    scores = Otter(prior).fit(empty).scores(Query.of(query))
    if prior == "none":
        torch.testing.assert_close(scores, logits(support, query))
    assert bool(scores.isfinite().all())
    assert Otter("support").least_shots == 1


@pytest.mark.parametrize("prior", ["estimated", "support", "uniform"])
def test_queries_set_apart_teach_nothing(prior):
    support, query, _ = draw([5, 5, 5, 5])
    learn = torch.arange(20)[None] % 2 == 0
    head = Otter(prior).fit(support)
    scores = head.scores(Query.of(query, learn_from=learn))
    changed = query.clone()
    changed[0, 1] = 5.0
    again = head.scores(Query.of(changed, learn_from=learn))
    kept = torch.arange(20) != 1
    torch.testing.assert_close(again[:, kept], scores[:, kept])
    alone = head.scores(Query.of(query[:, ::2]))
    torch.testing.assert_close(scores[:, ::2], alone)


def test_what_it_uses_follows_the_prior():
    assert Otter().uses == {"text"}
    assert Otter("estimated").uses == {"text", "queries"}
    for head in (Otter("uniform"), Otter("support"), Otter(preset="paper")):
        assert head.uses == {"text", "queries", "query_prior"}


@pytest.mark.parametrize("head", [Otter("estimated"), Otter(preset="paper")], ids=repr)
def test_conformance_of_every_prior(head):
    check_head(head)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"prior": "known"}, "prior: expected one of"), ({"sharpness": 0}, "sharpness: expected"),
     ({"preset": "authors"}, "preset: expected one of")],
)  # fmt: skip
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(FewshotError, match=rf"^head\.otter\.{message}"):
        Otter(**settings).fit(draw([2, 2, 2, 2])[0])
