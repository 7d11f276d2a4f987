"""Episodes of varying ways give each episode what it has alone, whatever is computed."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from fewshot.episodes import EpisodeSet, UnlabelledSampling, sample_episodes, sample_meta_dataset
from fewshot.estimators import estimators
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads
from fewshot.heads.base import Head
from fewshot.tasks.engine.episodes import actual_errors, predicted_errors
from fewshot.tasks.engine.equal_ways import groups_of
from fewshot.tasks.engine.scores import map_scores
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.engine.supports import map_supports
from fewshot.tasks.engine.unlabelled import map_unlabelled
from fewshot.tasks.verification.scores import verification_measures

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(14), RNG.integers(6, 30, 14))
FEATURES = (RNG.normal(size=(14, 6))[LABELS] + RNG.normal(size=(len(LABELS), 6))).astype("f4")
BANK = FeatureBank(FEATURES, LABELS, tuple(f"class {c}" for c in range(14)))
QUERIES = UnlabelledSampling("queries")


def drawn(query=True):
    varied = sample_meta_dataset(LABELS, 12, seed=1, unlabelled=QUERIES)
    return varied if query else replace(varied, query=None)


def alone(varied, e):
    """Episode e without any padding, as a set of its own."""
    ways = varied.way_counts[e]
    shots = varied.shot_counts[e].max()
    query = None
    if varied.query is not None:
        query = varied.query[e : e + 1, :ways]
    return EpisodeSet(
        varied.classes[e : e + 1, :ways],
        varied.support[e : e + 1, :ways, :shots],
        query,
        LABELS,
        varied.seed,
        unlabelled_sampling=varied.unlabelled_sampling,
        numbers=np.array([e]),
    )


class Watchful(Head):
    """Remembers what it is fitted on."""

    seen: ClassVar = []

    def fit(self, support):
        self.seen.append(support.mask)
        return self

    def scores(self, query):
        return torch.zeros(*query.mask.shape, self.seen[-1].shape[1])


def test_no_head_sees_padding_of_classes():
    Watchful.seen.clear()
    actual_errors(BANK, drawn(), Watchful(), device=CPU, threads=1)
    assert len(Watchful.seen) >= len(set(drawn().way_counts))
    for mask in Watchful.seen:
        assert bool(mask.any(-1).all())
        assert int(mask.sum(-1).amax()) * 2 > mask.shape[2]


@pytest.mark.parametrize("name", ["ncm", "lda", "soft_kmeans", "bd_cspn", "knn"])
@pytest.mark.parametrize("query", [True, False])
def test_errors_are_those_of_each_episode_alone(name, query):
    varied = drawn(query)
    head = heads[name].load()()
    errors, queries = actual_errors(BANK, varied, head, device=CPU, threads=1)
    assert np.isnan(errors[varied.classes < 0]).all()
    assert not queries[varied.classes < 0].any()
    for e in range(len(varied)):
        expected, counts = actual_errors(BANK, alone(varied, e), head, device=CPU, threads=1)
        ways = varied.way_counts[e]
        np.testing.assert_array_equal(counts[0], queries[e, :ways])
        np.testing.assert_allclose(errors[e, :ways], expected[0], atol=1e-6)


def test_predictions_are_those_of_each_episode_alone():
    varied = drawn()
    chosen = {name: estimators[name].load()() for name in ("gaussian", "auto", "oracle")}
    head = heads["ncm"].load()()
    predicted = predicted_errors(BANK, varied, head, chosen, device=CPU, threads=1)
    for e in (0, 3, 11):
        expected = predicted_errors(BANK, alone(varied, e), head, chosen, device=CPU, threads=1)
        for name in chosen:
            np.testing.assert_allclose(
                predicted[name].error[e], expected[name].error[0], atol=1e-4, err_msg=name
            )
            assert predicted[name].reasons[e] == expected[name].reasons[0]


def test_maps_are_in_the_order_of_the_episodes():
    varied = drawn()
    head = heads["ncm"].load()()
    ways = torch.from_numpy(varied.way_counts)

    def count(support, _fitted, *_):
        return torch.full((len(support.mask),), support.mask.shape[1])

    for mapped in (map_supports, map_unlabelled):
        pieces = mapped(BANK, varied, head, count, device=CPU, threads=1)
        assert torch.equal(torch.cat(list(pieces)), ways)
    settings = Settings(threads=1)
    scores = map_scores(BANK, varied, head, lambda s, mask: mask.sum((1, 2)), settings)
    assert torch.equal(scores, torch.from_numpy(varied.query_counts.sum(1)))


def test_ranking_measures_are_those_of_each_episode_alone():
    varied = drawn()
    named = ("ncm", heads["ncm"].load()())
    measures = verification_measures(BANK, varied, named, device=CPU, threads=1)
    for e in range(len(varied)):
        expected = verification_measures(BANK, alone(varied, e), named, device=CPU, threads=1)
        for whole, single in zip(measures, expected, strict=True):
            np.testing.assert_allclose(whole[e, : varied.way_counts[e]], single[0], atol=1e-6)
    assert np.isnan(measures.auroc[varied.classes < 0]).all()


def test_equal_ways_are_one_group_as_they_are():
    equal = sample_episodes(LABELS, 4, 2, 3, 10)
    (((chosen, part)),) = groups_of(equal)
    assert part is equal
    assert chosen.tolist() == list(range(10))
