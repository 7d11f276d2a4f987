"""Episodes per second beside easyfsl and scikit-learn, on the same episodes in the same run.

    pip install -e '.[bench]'
    python benchmarks/speed.py            # about two minutes on two cores

Every pair sees the same features and row numbers and must reach the same accuracy; the ratio is
that of median times, taken in turns. The sampler is timed alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from common import best_of, random_bank, write
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.features import FeatureBank
from fewshot.hardware import available_cores, torch_threads
from fewshot.heads import heads
from fewshot.tasks import actual_errors

CPU = torch.device("cpu")
WAYS, QUERIES = 5, 15


def easyfsl_accuracy(bank: FeatureBank, episodes: EpisodeSet) -> np.ndarray:
    """easyfsl's prototypical networks, its modules called as it documents: one episode a time."""
    from easyfsl.methods import PrototypicalNetworks

    model = PrototypicalNetworks(backbone=torch.nn.Identity()).eval()
    features = torch.from_numpy(bank.features)
    shots = episodes.shots
    support_labels = torch.arange(WAYS).repeat_interleave(shots)
    query_labels = torch.arange(WAYS).repeat_interleave(QUERIES)
    right = []
    with torch.no_grad():
        for e in range(len(episodes)):
            support = features[torch.from_numpy(episodes.support[e].reshape(-1))]
            query = features[torch.from_numpy(episodes.query[e].reshape(-1))]
            model.process_support_set(support, support_labels)
            answers = model(query).argmax(1)
            right.append((answers == query_labels).float().mean().item())
    return np.array(right)


def easyfsl_loader_seconds(bank: FeatureBank, shots: int, episodes: int) -> float:
    """Seconds for its sampler and data loader alone, as its README sets them up.

    On current torch its sampler passes ``data_source`` to a base class that takes none; giving
    the base class that argument back is the only change.
    """
    from easyfsl.datasets import FeaturesDataset
    from easyfsl.samplers import TaskSampler
    from torch.utils.data import DataLoader, Sampler

    dataset = FeaturesDataset(bank.labels.tolist(), torch.from_numpy(bank.features), ["c"] * 64)
    original = Sampler.__init__
    Sampler.__init__ = lambda self, data_source=None: None
    try:
        sampler = TaskSampler(dataset, WAYS, shots, QUERIES, episodes)
    finally:
        Sampler.__init__ = original
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
    begun = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - begun


def sklearn_lda_accuracy(bank: FeatureBank, episodes: EpisodeSet) -> np.ndarray:
    """scikit-learn's LDA with Ledoit-Wolf shrinkage, one episode after the other."""
    support_labels = np.repeat(np.arange(WAYS), episodes.shots)
    query_labels = np.repeat(np.arange(WAYS), QUERIES)
    right = []
    for e in range(len(episodes)):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(bank.features[episodes.support[e].reshape(-1)], support_labels)
        answers = model.predict(bank.features[episodes.query[e].reshape(-1)])
        right.append(np.mean(answers == query_labels))
    return np.array(right)


def ours(bank: FeatureBank, episodes: EpisodeSet, head: str) -> np.ndarray:
    """Accuracy per episode from the engine."""
    return 1 - actual_errors(bank, episodes, heads.create(head), device=CPU)[0].mean(-1)


def compare(
    bank: FeatureBank, shots: int, head: str, peer: str, peer_run: Any, counts: tuple[int, int]
) -> dict[str, Any]:
    """Time both in turns, three times each, on `counts` = (ours, theirs) episodes."""
    episodes = sample_episodes(bank.labels, WAYS, shots, QUERIES, max(counts))
    few = sample_episodes(bank.labels, WAYS, shots, QUERIES, counts[1])
    accuracy, reference = ours(bank, episodes, head)[: counts[1]], peer_run(bank, few)
    mine, theirs = [], []
    for _ in range(3):
        begun = time.perf_counter()
        ours(bank, episodes, head)
        middle = time.perf_counter()
        peer_run(bank, few)
        mine.append(len(episodes) / (middle - begun))
        theirs.append(len(few) / (time.perf_counter() - middle))
    rate, peer_rate = statistics.median(mine), statistics.median(theirs)
    return {
        "what": f"{head}, {shots}-shot",
        "episodes/s": f"{rate:,.0f}",
        "peer": peer,
        "peer's episodes/s": f"{peer_rate:,.1f}",
        "ratio": f"{rate / peer_rate:.1f}",
        "accuracy": f"{accuracy.mean():.4f} / {reference.mean():.4f}",
        "episodes that differ": int(np.sum(np.abs(accuracy - reference) > 1e-6)),
    }


def sampling(bank: FeatureBank, shots: int) -> dict[str, Any]:
    """Episodes drawn per second, checks of disjointness included."""
    count = 10_000
    _, seconds = best_of(lambda: sample_episodes(bank.labels, WAYS, shots, QUERIES, count))
    theirs = easyfsl_loader_seconds(bank, shots, 200) / 200
    return {
        "what": f"sampling alone, {shots}-shot",
        "episodes/s": f"{count / seconds:,.0f}",
        "peer": "easyfsl TaskSampler + DataLoader",
        "peer's episodes/s": f"{1 / theirs:,.1f}",
        "ratio": f"{count / seconds * theirs:.1f}",
        "accuracy": "",
        "episodes that differ": "",
    }


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    parser.add_argument("--threads", type=int, default=available_cores())
    given = parser.parse_args()
    bank = random_bank()
    rows = []
    with torch_threads(given.threads):
        for shots in (1, 5):
            rows.append(
                compare(
                    bank, shots, "ncm", "easyfsl PrototypicalNetworks", easyfsl_accuracy,
                    (5000, 1000),
                )
            )  # fmt: skip
        rows.append(
            compare(
                bank, 5, "lda", "scikit-learn LDA (lsqr, auto)", sklearn_lda_accuracy, (5000, 60)
            )
        )
        rows += [sampling(bank, shots) for shots in (1, 5)]
    write(given.json, rows)


if __name__ == "__main__":
    main()
