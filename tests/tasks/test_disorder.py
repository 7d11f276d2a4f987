"""Transductive heads get the queries in random order, and their answers come back in place."""

import torch

from fewshot.heads.base import Head, Query
from fewshot.tasks.disorder import answers_in_disorder


class Remembers(Head):
    """Answers with the sign of a query's first feature, and keeps what it was shown."""

    def __init__(self):
        self.seen = []

    def fit(self, support):
        return self

    def scores(self, query):
        self.seen.append(query)
        return torch.stack([query.features[..., 0], -query.features[..., 0]], -1)


def queries(episodes=40, count=30):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(episodes, count, 3, generator=generator)
    mask = torch.rand(episodes, count, generator=generator) < 0.8
    return Query(features, mask)


def test_answers_belong_to_their_queries():
    query = queries()
    answers = answers_in_disorder(Remembers(), query, 0, 0)
    assert torch.equal(answers, (query.features[..., 0] < 0).long())


def test_every_order_is_another_and_the_mask_goes_along():
    query, head = queries(), Remembers()
    answers_in_disorder(head, query, 0, 0)
    (shown,) = head.seen
    assert not torch.equal(shown.features, query.features)
    for e in range(len(query.features)):
        both = torch.cat([shown.features[e], shown.mask[e, :, None].float()], 1)
        given = torch.cat([query.features[e], query.mask[e, :, None].float()], 1)
        assert sorted(both.tolist()) == sorted(given.tolist())
    # Where the first query of an episode goes is uniform: mean and spread over episodes.
    first = (shown.features == query.features[:, :1]).all(-1).float().argmax(1).double()
    assert abs(first.mean() - 14.5) < 3 * 8.66 / 40**0.5
    assert 6 < first.std() < 11


def test_the_order_depends_on_seed_and_episode_alone():
    query = queries()
    whole, part, other = Remembers(), Remembers(), Remembers()
    answers_in_disorder(whole, query, 5, 100)
    answers_in_disorder(part, Query(query.features[10:20], query.mask[10:20]), 5, 110)
    answers_in_disorder(other, query, 6, 100)
    assert torch.equal(whole.seen[0].features[10:20], part.seen[0].features)
    assert not torch.equal(whole.seen[0].features, other.seen[0].features)
