"""Folds of the shots, the loss that chooses, and the span of vectors."""

import pytest
import torch

from fewshot.heads.base import Query, Support
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.solvers.selection import cautious, choose_on_base, folds, loss_of
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


def test_a_bold_setting_needs_evidence():
    safe = torch.tensor([1.0] * 8 + [0.0] * 32)
    nearly, better, best = safe.clone(), safe.clone(), safe.clone()
    nearly[:2], better[:6], best[:7] = 0, 0, 0
    for settings, expected in (
        ([safe, nearly], 0),  # two shots could be chance
        ([safe, nearly, better, best], 2),  # as good as the best, and nearer to the safe one
        ([better, safe], 0),
    ):
        assert int(cautious(torch.stack(settings))) == expected
    unknown = torch.zeros(40, dtype=torch.bool)
    assert int(cautious(torch.stack([safe, best]), unknown)) == 0
    episodes = torch.stack([torch.stack([safe, best]), torch.stack([best, safe])], 1)
    assert cautious(episodes, torch.ones(2, 40, dtype=torch.bool)).tolist() == [1, 0]
    hidden = torch.ones(2, 40, dtype=torch.bool)
    hidden[0, :5] = False  # where the bold setting is better
    assert cautious(episodes, hidden).tolist() == [0, 0]


def test_a_choice_on_base_classes_counts_classes_alike_and_leaves_padding_out():
    labels = torch.tensor([[0] * 30 + [1] * 2 + [1] * 50])
    mask = torch.arange(82)[None] < 32
    query = Query.of(torch.zeros(1, 82, 3), mask)
    batch = LabelledBatch(Support.of(torch.ones(1, 2, 1, 3)), query, labels)
    episodes = LabelledEpisodes(lambda: [batch] * 40)

    def wins(first, second):  # which class wins among queries of class 0, and of class 1
        answers = torch.tensor([first] * 30 + [second] * 52)
        return torch.nn.functional.one_hot(answers, 2)[None].double()

    def scores(_):
        return iter([wins(0, 0), wins(1, 1), wins(0, 1)])

    assert choose_on_base(episodes, "abc", scores) == "c"
    assert choose_on_base(episodes, "ab", lambda _: [wins(0, 0), wins(1, 1)]) == "a"
    right_in_the_padding = wins(0, 0)
    right_in_the_padding[:, 32:] = wins(0, 1)[:, 32:]
    assert choose_on_base(episodes, "ab", lambda _: [wins(0, 0), right_in_the_padding]) == "a"


def test_a_class_that_is_in_many_episodes_is_evidence_once():
    """The bold setting is better for one of four classes, however many episodes show it."""
    labels = torch.tensor([[0, 1]])
    query, support = Query.of(torch.zeros(1, 2, 3)), Support.of(torch.ones(1, 2, 1, 3))
    right = torch.eye(2)[None].double()
    first_is_wrong = torch.tensor([[[0, 1], [0, 1]]]).double()

    def episode(*classes):
        return LabelledBatch(support, query, labels, torch.tensor([classes]))

    def scores(batch):
        one_of_four = int(batch.classes[0, 0]) == 0
        return [first_is_wrong if one_of_four else right, right]

    drawn = [episode(0, 1)] * 50 + [episode(2, 3)]
    assert choose_on_base(LabelledEpisodes(lambda: drawn), ["safe", "bold"], scores) == "safe"
    apart = [batch._replace(classes=None) for batch in drawn]

    def by_batch(batch):
        return [first_is_wrong, right]

    assert choose_on_base(LabelledEpisodes(lambda: apart), ["safe", "bold"], by_batch) == "bold"


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
