"""Accuracy per class and confused pairs, against slow transcriptions of what they say."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t as student

import fewshot
from fewshot.episodes.balanced import sample_episodes
from fewshot.features.bank import make_bank
from fewshot.heads.ncm import NCM
from fewshot.results.cells import load_run
from fewshot.statistics.clustered import clustered_shares
from fewshot.tasks.engine import confusion
from fewshot.tasks.engine.confusion import ConfusionCounts, opportunities
from fewshot.tasks.engine.episodes import _gathered, actual_errors
from fewshot.tasks.engine.linear_heads import linear_errors_on_all

CPU = torch.device("cpu")
CLASSES = 7
NAMES = [f"class {c}" for c in range(CLASSES)]


@pytest.fixture(scope="module")
def bank():
    """Seven classes of 12 images, two of which look alike."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), 12)
    means = generator.normal(size=(CLASSES, 6))
    means[3] = means[5] + 0.1
    features = means[labels] + 0.7 * generator.normal(size=(len(labels), 6))
    return make_bank(features.astype(np.float32), labels, classnames=NAMES)


def episode_by_episode(bank, episodes):
    """(true, predicted) counts, opportunities and per class the (right, all) of every episode."""
    pairs, chances, shares = Counter(), Counter(), {c: [] for c in range(CLASSES)}
    features = np.asarray(bank.take(torch.arange(len(bank.labels))))
    for e in range(len(episodes)):
        classes = [int(c) for c in episodes.classes[e] if c >= 0]
        means = [features[[r for r in episodes.support[e, n] if r >= 0]].mean(0)
                 for n in range(len(classes))]  # fmt: skip
        for n, true in enumerate(classes):
            rows = [r for r in episodes.query_rows(e, e + 1)[0, n] if r >= 0]
            gaps = [[((features[r] - mean) ** 2).sum() for mean in means] for r in rows]
            guesses = [classes[int(np.argmin(gap))] for gap in gaps]
            pairs.update((true, guess) for guess in guesses if guess != true)
            chances.update({(true, other): len(rows) for other in classes})
            shares[true].append((guesses.count(true), len(rows)))
    return pairs, chances, shares


@pytest.mark.parametrize("queries", ["all", 4])
def test_counts_are_those_of_single_episodes(bank, queries, monkeypatch):
    monkeypatch.setattr(confusion, "KEPT", 20)  # added up several times
    monkeypatch.setattr(confusion, "BLOCK", 2 * CLASSES)
    episodes = sample_episodes(bank.labels, 3, 2, queries, 25, 0)
    pairs, chances, _ = episode_by_episode(bank, episodes)
    counts = ConfusionCounts(CLASSES)
    _, asked = actual_errors(bank, episodes, NCM(), device=CPU, threads=2, confused=counts)
    true, predicted, number = counts.pairs()
    assert dict(zip(zip(true, predicted, strict=True), number, strict=True)) == pairs
    expected = [chances[pair] for pair in zip(true, predicted, strict=True)]
    assert opportunities(episodes, asked, true, predicted, CLASSES).tolist() == expected
    assert len(pairs) > 10


def test_both_ways_of_counting_agree(bank):
    episodes = sample_episodes(bank.labels, 4, 2, "all", 20, 0, unlabelled=3)
    fast, slow = ConfusionCounts(CLASSES), ConfusionCounts(CLASSES)
    linear_errors_on_all(bank, episodes, NCM(), device=CPU, confused=fast)
    _gathered(bank, episodes, NCM(), device=CPU, threads=1, progress=None, confused=slow)
    for first, second in zip(fast.pairs(), slow.pairs(), strict=True):
        assert np.array_equal(first, second)


def interval_of(shares):
    """Share and interval of one class from its (right, all) by episode, written out."""
    m, total = len(shares), sum(all_ for _, all_ in shares)
    p = sum(right for right, _ in shares) / total
    variance = m / (m - 1) * sum((right - p * all_) ** 2 for right, all_ in shares) / total**2
    n = p * (1 - p) / variance if variance else m
    t = student.ppf(0.975, m - 1)
    middle = (p + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * (p * (1 - p) / n + t * t / (4 * n * n)) ** 0.5
    return p, middle - half, middle + half


def test_a_run_has_them_as_tables(bank, tmp_path):
    results = fewshot.evaluate(bank, head=["ncm", "lda"], ways=3, shots=2, episodes=25, seed=1,
                               estimators=[])  # fmt: skip
    classes = results.classes[results.classes["head"] == "ncm"].set_index("class")
    confused = results.confusion[results.confusion["head"] == "ncm"]
    episodes = results.output.drawn[0]
    pairs, chances, shares = episode_by_episode(bank, episodes)
    for c, name in enumerate(NAMES):
        row = classes.loc[name]
        assert (row["episodes"], row["queries"]) == (len(shares[c]), sum(n for _, n in shares[c]))
        assert np.allclose(
            row[["accuracy", "lower", "upper"]].astype(float), interval_of(shares[c])
        )
    found = {
        (NAMES.index(row["class"]), NAMES.index(row.taken_for)): row
        for _, row in confused.iterrows()
    }
    assert {pair: row.queries for pair, row in found.items()} == pairs
    assert all(row.opportunities == chances[pair] for pair, row in found.items())
    # All mistakes are in both tables, and both survive the disk.
    mistakes = (classes["queries"] * (1 - classes["accuracy"])).sum()
    assert np.isclose(mistakes, confused["queries"].sum())
    folder = results.save(tmp_path)
    loaded = fewshot.Results.load(folder)
    pd.testing.assert_frame_equal(loaded.confusion, results.confusion)
    pd.testing.assert_frame_equal(loaded.classes, results.classes)


def test_a_run_from_before_has_none_and_is_read(bank, tmp_path):
    folder = fewshot.evaluate(bank, ways=3, shots=2, episodes=5, estimators=[]).save(tmp_path)
    summary = (folder / "summary.json").read_text()
    for name in ("classes", "confusion"):
        (folder / f"{name}.parquet").unlink()
        key = {"classes": "class_rows", "confusion": "confusion_rows"}[name]
        line = next(line for line in summary.splitlines() if f'"{key}"' in line)
        summary = summary.replace(line + "\n", "")
    (folder / "summary.json").write_text(summary)
    _, (cell,) = load_run(folder)
    assert len(cell.episodes) == 5
    assert len(cell.rows("classes")) == len(cell.rows("confusion")) == 0
    assert fewshot.Results.load(folder).confusion.empty


def test_an_interval_is_wider_where_the_queries_of_an_episode_go_together():
    generator = np.random.default_rng(0)
    totals, group = np.full(40, 15), np.zeros(40, dtype=int)
    together = generator.binomial(15, generator.choice([0.5, 0.9], 40))
    apart = generator.binomial(15, 0.7, 40)
    both = [clustered_shares(hits, totals, group, 1) for hits in (together, apart)]
    widths = [shares.upper[0] - shares.lower[0] for shares in both]
    assert widths[0] > 1.5 * widths[1]


def test_no_mistake_is_no_proof_and_one_episode_has_no_interval():
    shares = clustered_shares(np.array([9, 9, 4]), np.array([9, 9, 5]), np.array([0, 0, 1]), 3)
    assert (shares.share[0], shares.upper[0]) == (1, 1)
    assert shares.lower[0] < 0.5
    assert np.isnan(shares.lower[1])
    assert shares.share[1] == 0.8
    assert shares.clusters.tolist() == [2, 1, 0]
    assert np.isnan(shares.share[2])


def test_intervals_hold_what_they_promise():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        difficulty = generator.beta(8, 2, 30)
        totals = generator.integers(5, 15, 30)
        shares = clustered_shares(
            generator.binomial(totals, difficulty), totals, np.zeros(30, int), 1
        )
        held += shares.lower[0] <= 0.8 <= shares.upper[0]
    assert 0.91 < held / 400 < 0.98
