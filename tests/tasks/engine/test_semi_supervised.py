"""Unlabelled images that heads learn from: apart from the queries, or strangers among them."""

import dataclasses

import numpy as np
import pytest
import torch

from fewshot.episodes import UnlabelledSampling, sample_episodes
from fewshot.features import make_bank
from fewshot.heads.base import Head, Query
from fewshot.heads.ncm import NCM
from fewshot.tasks import task_named
from fewshot.tasks.engine.batches import load_queries, load_support, query_images
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.keys import cell_key
from fewshot.tasks.engine.rows import learns_from
from fewshot.tasks.engine.scores import map_scores
from fewshot.tasks.engine.settings import Settings

CPU = torch.device("cpu")
TOGETHER = frozenset({"queries"})


class Shifted(Head):
    """Nearest class mean of shots that are moved to the mean of what may be learned from."""

    uses = TOGETHER

    def fit(self, support):
        self.support = support
        return self

    def scores(self, query):
        rows = query.learning_mask[..., None]
        centre = (query.features * rows).sum(1) / rows.sum(1).clamp_min(1)
        means = self.support.means()
        means = means - means.mean(1, keepdim=True) + centre[:, None]
        return -torch.cdist(query.features, means)


def make_features():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(8), 40))
    features = rng.normal(size=(8, 6))[labels] + rng.normal(size=(len(labels), 6))
    return make_bank(features.astype(np.float32), labels)


def draw(bank, queries, unlabelled, strangers=0.0, shares="equal", episodes=12):
    sampling = UnlabelledSampling(unlabelled, shares, strangers)
    return sample_episodes(bank.labels, 4, 2, queries, episodes, unlabelled=sampling)


@pytest.mark.parametrize("queries", [5, "all"])
@pytest.mark.parametrize("shares", ["equal", "dirichlet"])
def test_a_query_is_classified_by_itself_given_the_unlabelled_images(queries, shares):
    bank = make_features()
    episodes = draw(bank, queries, 6, strangers=0.3, shares=shares, episodes=4)
    errors, counts = actual_errors(bank, episodes, Shifted(), device=CPU, threads=1)
    rows = episodes.query_rows(0, len(episodes))
    wrong = np.zeros(rows.shape[:2])
    for e in range(len(episodes)):
        head = Shifted().fit(load_support(bank, episodes, e, e + 1, CPU))
        others = episodes.unlabelled[e][episodes.unlabelled[e] >= 0]
        for c in range(4):
            for row in rows[e, c][rows[e, c] >= 0]:
                features = bank.take(torch.from_numpy(np.append(others, row)))
                learn = torch.arange(len(others) + 1) < len(others)
                answer = head.predict(Query.of(features[None], None, learn[None]))[0, -1]
                wrong[e, c] += int(answer) != c
    np.testing.assert_array_equal(errors * counts, wrong)


def test_rows_of_an_episode_come_mixed_and_marked():
    bank = make_features()
    episodes = draw(bank, 5, 6)
    query, by_class = load_queries(bank, episodes, 2, 7, CPU, TOGETHER)
    assert query.features.shape == (5, 4 * 5 + 4 * 6, 6)
    assert query.learn_from.sum(1).tolist() == [24] * 5
    assert len({tuple(row) for row in query.learn_from.tolist()}) == 5
    expected = bank.take(torch.from_numpy(episodes.query_rows(2, 7).reshape(-1)))
    assert torch.equal(by_class(query.features).reshape(-1, 6), expected)
    assert not by_class(query.learn_from).any()
    learned = query.features[query.learn_from].reshape(5, 24, 6)
    for e in range(5):
        unlabelled = bank.take(torch.from_numpy(episodes.unlabelled[2 + e]))
        assert sorted(learned[e].tolist()) == sorted(unlabelled.tolist())


def test_other_heads_get_the_queries_alone():
    bank = make_features()
    episodes = draw(bank, 5, 6)
    query, _ = load_queries(bank, episodes, 0, 12, CPU)
    assert query.features.shape[1] == 20
    assert query.learn_from is None
    assert query_images(episodes, frozenset()) == 20
    assert query_images(episodes, TOGETHER) == 44  # what chunks are sized by


def test_strangers_are_learned_from_where_the_queries_are_the_unlabelled_images():
    bank = make_features()
    episodes = draw(bank, 5, "queries", strangers=0.5)
    query, by_class = load_queries(bank, episodes, 0, 12, CPU, TOGETHER)
    assert query.features.shape[1] == 40
    assert query.learn_from is None
    assert by_class(query.mask).shape[1] == 20
    alone = dataclasses.replace(episodes, unlabelled=None)
    with_strangers = actual_errors(bank, episodes, Shifted(), device=CPU)[0]
    assert not np.array_equal(with_strangers, actual_errors(bank, alone, Shifted(), device=CPU)[0])


def test_scores_are_those_of_the_queries():
    bank = make_features()
    episodes = draw(bank, 5, 6, strangers=0.2)
    settings = Settings(device=CPU)
    errors = actual_errors(bank, episodes, Shifted(), device=CPU)[0]

    def wrong(scores, mask):
        return ((scores.argmax(-1) != torch.arange(4)[:, None]) & mask).float().mean(-1)

    np.testing.assert_allclose(map_scores(bank, episodes, Shifted(), wrong, settings), errors)


def test_cells_say_what_a_head_learned_from_and_have_keys_of_their_own(monkeypatch):
    bank = make_features()
    drawn = {
        "apart": draw(bank, 5, 6),
        "strangers": draw(bank, 5, "queries", strangers=0.5),
        "queries": draw(bank, 5, "queries"),
        "none": sample_episodes(bank.labels, 4, 2, 5, 12),
    }
    said = {name: learns_from(episodes, TOGETHER) for name, episodes in drawn.items()}
    assert said == {
        "apart": "unlabelled",
        "strangers": "queries and strangers",
        "queries": "queries",
        "none": "queries",
    }
    assert learns_from(drawn["apart"], frozenset({"text"})) is None

    def keys(head):
        task = task_named("classification")
        return [cell_key(task, bank, episodes, head, 0) for episodes in drawn.values()]

    heads = [("shifted", Shifted()), ("ncm", NCM())]
    now = [keys(head) for head in heads]
    monkeypatch.setattr("fewshot.tasks.engine.keys.LEARNING_VERSION", 99)
    then = [keys(head) for head in heads]
    assert [a == b for a, b in zip(now[0], then[0], strict=True)] == [False, False, False, True]
    assert now[1] == then[1]
