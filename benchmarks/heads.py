"""Every registered head on the same episodes and features, beside its peer where there is one.

    pip install -e '.[bench]'
    python benchmarks/heads.py --heads bd_cspn pt_map
    python benchmarks/heads.py --shelf        # all heads, 1,000 episodes at 1 and at 5 shots

12,000 random rows of 640 dimensions, non-negative and of unit length like those of a ResNet, 20
base and 40 novel classes, a text vector per class. Times are taken in turns, head and peer, and the
ratio is that of the medians; other work on the machine then slows both. A peer runs few enough
episodes to take about as long as the head, with one thread or all, whichever is the faster: small
tensors often lose by being shared among cores. Accuracy is that of the default settings; time
and "same answers" (share of episodes) are those of the settings that make head and peer the same
method. Intervals are over episodes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import random_bank, write
from numpy.typing import NDArray
from peers import PEERS, Peer, peer_accuracy

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.features import FeatureBank, make_bank
from fewshot.hardware import available_cores, torch_threads
from fewshot.heads import heads
from fewshot.statistics import mean_interval
from fewshot.tasks import actual_errors

CPU = torch.device("cpu")
WAYS, QUERIES = 5, 15
CLASSES, IMAGES, BASE = 60, 200, 20
TEXT_NOISE = 3.0  # class names alone are then right less often than five shots


def bank_like_a_resnets(seed: int = 0) -> FeatureBank:
    """Non-negative rows of unit length, base and novel classes, and vectors of class names."""
    drawn = random_bank(CLASSES, IMAGES, spread=4.0, seed=seed)
    features = np.maximum(drawn.features, 0)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    means = features.reshape(CLASSES, IMAGES, -1).mean(1)
    noise = np.random.default_rng((seed, 1)).normal(size=means.shape).astype(np.float32)
    text = means + TEXT_NOISE * noise * (means - means.mean(0)).std()
    split = np.where(drawn.labels < BASE, "base", "novel")
    return make_bank(features, drawn.labels, split=split, text=text)


def draw(bank: FeatureBank, shots: int, count: int) -> EpisodeSet:
    """Episodes of the novel classes; the first of many are those of few."""
    novel = bank.classes("novel")
    return sample_episodes(bank.labels, WAYS, shots, QUERIES, count, classes=novel)


def accuracy(bank: FeatureBank, episodes: EpisodeSet, name: str, **settings: Any) -> NDArray:
    """Accuracy (E,) from the engine."""
    return 1 - actual_errors(bank, episodes, heads.create(name, **settings), device=CPU)[0].mean(-1)


def timed(work: Callable[[], NDArray]) -> tuple[NDArray, float]:
    """What `work` gives, and the seconds it took."""
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def row_of(bank: FeatureBank, name: str, shots: int, count: int, turns: int) -> dict[str, Any]:
    """Speed and accuracy of one head, and of its peer in turns with it."""
    episodes = draw(bank, shots, count)
    peer = PEERS.get(name)
    right = accuracy(bank, episodes, name)
    interval = mean_interval(right)
    row = {
        "head": name,
        "shots": shots,
        "episodes/s": "",
        "accuracy (%)": f"{100 * interval['mean']:.2f}",
        "95 % interval": f"{100 * interval['lower']:.2f} to {100 * interval['upper']:.2f}",
    } | dict.fromkeys(("peer", "peer's episodes/s", "ratio", "same answers (%)"), "")
    if peer is None:
        seconds = [timed(lambda: accuracy(bank, episodes, name))[1] for _ in range(turns)]
        return row | {"episodes/s": f"{count / statistics.median(seconds):,.0f}"}
    try:
        return row | in_turns(bank, name, episodes, peer, turns)
    except (ValueError, np.linalg.LinAlgError) as refusal:  # scikit-learn's QDA at one shot
        reason = str(refusal).splitlines()[0][:60]
        _, seconds = timed(lambda: accuracy(bank, episodes, name))
        return row | {"episodes/s": f"{count / seconds:,.0f}", "peer": f"{peer.name}: {reason}"}


def in_turns(
    bank: FeatureBank, name: str, episodes: EpisodeSet, peer: Peer, turns: int
) -> dict[str, Any]:
    """Time both, and compare their accuracies episode by episode on what both have done."""

    def ours() -> NDArray:
        return accuracy(bank, episodes, name, **peer.settings)

    def theirs_on(some: EpisodeSet, threads: int) -> tuple[NDArray, float]:
        with torch_threads(threads):
            return timed(lambda: peer_accuracy(peer, bank, some))

    right, mine = timed(ours)
    two = draw(bank, episodes.shots, 2)
    theirs_on(two, 1)  # warms up
    each, threads = min((theirs_on(two, t)[1] / 2, t) for t in {1, available_cores()})
    few = draw(bank, episodes.shots, int(np.clip(mine / each, 5, len(episodes))))
    own, theirs = [], []
    for _ in range(turns):
        own.append(timed(ours)[1] / len(episodes))
        reference, seconds = theirs_on(few, threads)
        theirs.append(seconds / len(few))
    same = np.abs(right[: len(few)] - reference) < 1e-6
    rate, peer_rate = 1 / statistics.median(own), 1 / statistics.median(theirs)
    return {
        "episodes/s": f"{rate:,.0f}",
        "peer": peer.name,
        "peer's episodes/s": f"{peer_rate:,.1f}",
        "ratio": f"{rate / peer_rate:.1f}",
        "same answers (%)": f"{100 * same.mean():.0f} of {len(few)}",
    }


def shelf(bank: FeatureBank, names: list[str], count: int) -> list[dict[str, Any]]:
    """Seconds of every head at one and at five shots, and of all together."""
    rows, total = [], 0.0
    for name in names:
        row: dict[str, Any] = {"head": name}
        for shots in (1, 5):
            episodes = draw(bank, shots, count)
            right, seconds = timed(lambda: accuracy(bank, episodes, name))  # noqa: B023
            row[f"{shots}-shot (%)"] = f"{100 * right.mean():.2f}"
            row[f"{shots}-shot (s)"] = f"{seconds:.2f}"
            total += seconds
        rows.append(row)
        print(row, flush=True)
    blank = dict.fromkeys(rows[0], "")
    return [*rows, blank | {"head": "all", "5-shot (s)": f"{total:.1f}"}]


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", nargs="+", choices=heads, default=list(heads), metavar="NAME")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--turns", type=int, default=3, help="times that each is timed")
    parser.add_argument("--shelf", action="store_true", help="total time, without peers")
    parser.add_argument("--json", metavar="FILE", help="keep the rows")
    given = parser.parse_args()
    bank = bank_like_a_resnets()
    if given.shelf:
        rows = shelf(bank, given.heads, given.episodes)
    else:
        rows = []
        for name in given.heads:
            for shots in given.shots:
                rows.append(row_of(bank, name, shots, given.episodes, given.turns))
                print(rows[-1], flush=True)
    write(given.json, rows)


if __name__ == "__main__":
    main()
