"""Transductive heads get the queries in random order; predictions return to their positions."""

import numpy as np
import torch

from fewshot.episodes import sample_episodes
from fewshot.features import make_bank
from fewshot.heads.base import Head
from fewshot.heads.ncm import NCM
from fewshot.tasks.engine.batches import random_order
from fewshot.tasks.engine.episodes import actual_errors

CPU = torch.device("cpu")


class Remembers(Head):
    """Nearest class mean that records its queries; `seen` is shared by its clones."""

    uses = frozenset({"queries"})
    seen: list = []  # noqa: RUF012

    def fit(self, support):
        self.ncm = NCM().fit(support)
        return self

    def scores(self, query):
        self.seen.append(query)
        return self.ncm.scores(query)


def make():
    rng = np.random.default_rng(0)
    sizes = (9, 14, 20, 12, 16, 11)
    labels = rng.permutation(np.repeat(np.arange(6), sizes))
    features = rng.normal(size=(6, 8))[labels] + rng.normal(size=(len(labels), 8))
    return make_bank(features.astype(np.float32), labels)


def test_errors_are_those_in_order_although_the_head_saw_another():
    bank = make()
    for queries in (4, "all"):
        drawn = sample_episodes(bank.labels, 4, 3, queries, 30)
        Remembers.seen.clear()
        errors, counts = actual_errors(bank, drawn, Remembers(), device=CPU, threads=1)
        expected = actual_errors(bank, drawn, NCM(), device=CPU)
        np.testing.assert_array_equal(errors, expected[0])
        np.testing.assert_array_equal(counts, expected[1])
        shown = torch.cat([query.features for query in Remembers.seen])
        rows = drawn.query_rows(0, 30).reshape(30, -1)
        ordered = bank.take(torch.from_numpy(rows.clip(0)).flatten()).view(*rows.shape, 8)
        ordered[rows < 0] = 0
        assert not torch.equal(shown, ordered)
        for e in range(30):
            assert sorted(shown[e].tolist()) == sorted(ordered[e].tolist())


def test_every_order_is_as_likely():
    order = random_order((4000, 5), 0, 0)
    assert (np.sort(order, 1) == np.arange(5)).all()
    counts = np.array([[(order[:, place] == q).sum() for q in range(5)] for place in range(5)])
    assert ((counts - 800) ** 2 / 800).sum() < 45  # chi-square, 16 degrees of freedom


def test_the_order_depends_on_seed_and_episode_alone():
    whole = random_order((20, 30), 5, 100)
    assert np.array_equal(whole[10:], random_order((10, 30), 5, 110))
    assert not np.array_equal(whole, random_order((20, 30), 6, 100))
