"""Labelled episodes of base classes for heads that choose a setting on them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.episodes import sample_episodes
from fewshot.estimators.held_out import refitted_scores
from fewshot.features.bank import make_bank
from fewshot.heads.ncm import NCM
from fewshot.tasks.classification.task import Classification
from fewshot.tasks.engine import labelled
from fewshot.tasks.engine.batches import load_support
from fewshot.tasks.engine.context import context_of
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.keys import cell_key
from fewshot.tasks.engine.labelled import labelled_episodes
from fewshot.tasks.engine.moments import base_moments

CPU = torch.device("cpu")
CLASSES, IMAGES, DIM = 40, 12, 8
ALL = frozenset({"text", "base", "queries", "base_episodes"})


COUNTED = []  # choices made in a test


class Chooser(NCM):
    """Nearest class mean that counts the queries of base classes, and how often it does."""

    @property
    def uses(self):
        return frozenset({"base_episodes"})

    def fit(self, support):
        self.labelled_ = support.context.base_episodes
        self.queries_ = self.labelled_ and self.labelled_.choose(self, self._count)
        return super().fit(support)

    def _count(self, episodes):
        COUNTED.append(len(COUNTED))
        return sum(batch.labels.numel() for batch in episodes)


@pytest.fixture(autouse=True)
def nothing_counted():
    COUNTED.clear()


def bank_of(base=25, images=IMAGES, classes=CLASSES):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), images)
    means = rng.normal(size=(classes, DIM))
    features = (means[labels] + rng.normal(size=(len(labels), DIM))).astype(np.float32)
    split = np.where(labels < base, "base", "novel")
    return make_bank(features, labels, split=split, text=means)


def novel(bank, ways=4, shots=3, episodes=50, seed=1, queries=1):
    classes = bank.classes("novel")
    return sample_episodes(bank.labels, ways, shots, queries, episodes, seed, classes=classes)


def class_of(bank, features):
    """Classes of features that are rows of a bank."""
    distance = torch.cdist(
        features.double().flatten(0, -2), torch.from_numpy(bank.features).double()
    )
    assert float(distance.amin(1).max()) < 1e-6
    return bank.labels[distance.argmin(1).numpy()].reshape(features.shape[:-1])


def test_ways_shots_and_labels():
    bank = bank_of()
    total = 0
    for support, query, labels, numbers in labelled_episodes(bank, novel(bank), ALL, CPU):
        assert support.features.shape[1:] == (4, 3, DIM)
        classes = class_of(bank, support.features)[:, :, 0]
        assert (numbers.numpy() == classes).all()
        assert (classes < 25).all()
        chosen = np.take_along_axis(classes, labels.numpy(), 1)
        assert (chosen == class_of(bank, query.features)).all()
        assert (labels[:, :-1] > labels[:, 1:]).any(), "queries are in no order of their classes"
        text = torch.from_numpy(bank.text)[torch.from_numpy(classes)]
        assert torch.equal(support.context.text, text)
        assert support.context.base_episodes is None
        total += len(labels)
    assert total == labelled.MOST_EPISODES


def test_moments_are_those_of_other_base_classes():
    bank = bank_of()
    whole = base_moments(bank)
    folds = set()
    for support, _, _, _ in labelled_episodes(bank, novel(bank), ALL, CPU):
        context, classes = support.context, set(class_of(bank, support.features).ravel().tolist())
        others = [c for c in range(25) if c % 5 not in {next(iter(classes)) % 5}]
        assert classes.isdisjoint(others)
        expected = whole.means[others].mean(0).float()
        assert torch.allclose(context.base_mean, expected, atol=1e-5)
        assert context.base_images == len(others) * IMAGES
        folds.add(next(iter(classes)) % 5)
    assert len(folds) == 5


def test_the_same_each_time_and_on_any_number_of_threads():
    bank = bank_of()
    episodes = labelled_episodes(bank, novel(bank), ALL, CPU)
    first, again = [*episodes], [*episodes]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.query.features, other.query.features)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_choice_is_made_once_in_a_run(monkeypatch, threads):
    monkeypatch.setattr("fewshot.tasks.engine.episodes.QUERY_BYTES", 8 << 10)
    bank = bank_of()
    actual_errors(bank, novel(bank), Chooser(), device=CPU, threads=threads)
    assert len(COUNTED) == 1


def test_threads_that_ask_at_once_share_a_choice():
    bank = bank_of()
    with ThreadPoolExecutor(8) as pool:
        made = [
            *pool.map(
                lambda start: load_support(
                    bank, novel(bank), start, start + 1, CPU, Chooser().uses
                ),
                range(8),
            )
        ]
        fitted = [*pool.map(lambda support: Chooser().fit(support), made)]
    assert len({id(head.labelled_) for head in fitted}) == 1
    assert len(COUNTED) == 1
    assert len({head.queries_ for head in fitted}) == 1


def test_refits_without_a_shot_draw_nothing_again():
    bank = bank_of()
    support = load_support(bank, novel(bank), 0, 2, CPU, Chooser().uses)
    refitted_scores(Chooser(), support)
    assert len(COUNTED) == 1


def test_other_settings_choose_for_themselves():
    class Weighted(Chooser):
        def __init__(self, weight=1.0):
            super().__init__()
            self.weight = weight

    bank = bank_of()
    support = load_support(bank, novel(bank), 0, 2, CPU, Chooser().uses)
    for weight in (1.0, 2.0, 1.0):
        Weighted(weight).fit(support)
    assert len(COUNTED) == 2


def test_more_ways_and_shots_than_base_classes_have():
    bank = bank_of()
    judged = novel(bank, ways=15, shots=11)
    assert {
        tuple(support.features.shape[1:3])
        for support, _, _, _ in labelled_episodes(bank, judged, frozenset({"base_episodes"}), CPU)
    } == {(15, 11)}
    folded = labelled_episodes(bank, judged, ALL, CPU)
    assert {tuple(support.features.shape[1:3]) for support, *_ in folded} == {(12, 11)}


def test_harmonic_shots_are_the_harmonic_mean():
    judged = novel(bank_of())
    unequal = judged.support.copy()
    unequal[:, ::2, 1:] = -1
    assert replace(judged, support=unequal).harmonic_shots == round(2 / (1 / 3 + 1 / 1))


def test_fewer_images_than_shots():
    few = bank_of(images=4)
    shapes = {
        (support.features.shape[2], query.features.shape[1])
        for support, query, _, _ in labelled_episodes(few, novel(bank_of(), shots=6), ALL, CPU)
    }
    assert shapes == {(3, 4)}


@pytest.mark.parametrize(
    ("base", "images", "uses"),
    [(0, 12, {"text"}), (1, 12, {"text"}), (12, 12, {"base"}), (25, 1, {"text"})],
)
def test_none_without_enough_base_classes(base, images, uses):
    bank = bank_of(base, images) if images > 1 else bank_of_single(base)
    assert labelled_episodes(bank, novel(bank_of(base)), frozenset(uses), CPU) is None


def bank_of_single(base):
    """Base classes of one image each, and novel ones of several."""
    bank = bank_of(base)
    first = np.r_[True, bank.labels[1:] != bank.labels[:-1]]
    return bank.take_rows(np.flatnonzero(first | (bank.labels >= base)))


def test_bounded_bytes(monkeypatch):
    monkeypatch.setattr(labelled, "MOST_BYTES", 7 * 4 * (3 + 9) * DIM * 4)
    bank = bank_of()
    judged = novel(bank, seed=5)
    episodes = labelled_episodes(bank, judged, frozenset({"base_episodes"}), CPU)
    assert sum(len(batch.labels) for batch in episodes) == 7


def test_only_where_they_are_declared():
    bank = bank_of()
    judged = novel(bank)
    support = load_support(bank, judged, 0, 2, CPU, frozenset({"text", "base"}))
    assert support.context.base_episodes is None
    like = support.features
    assert context_of(bank, judged.classes[:2], frozenset({"text"}), like).base_episodes is None


def test_without_shots():
    bank = bank_of()
    shapes = {
        tuple(batch.support.features.shape[1:3])
        for batch in labelled_episodes(bank, novel(bank, shots=0), frozenset({"text"}), CPU)
    }
    assert shapes == {(4, 0)}


def test_keys_of_cells_follow_the_way_they_are_drawn(monkeypatch):
    bank = bank_of()
    episodes = novel(bank)
    before = [cell_key(Classification(), bank, episodes, ("x", h), 0) for h in (Chooser(), NCM())]
    monkeypatch.setattr("fewshot.tasks.engine.keys.LABELLED_VERSION", -1)
    after = [cell_key(Classification(), bank, episodes, ("x", h), 0) for h in (Chooser(), NCM())]
    assert before[0] != after[0]
    assert before[1] == after[1]
