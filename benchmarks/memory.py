"""Resident memory of 10,000 episodes on a bank of 1,000,000 x 768 float16.

    python benchmarks/memory.py           # writes 1.5 GB to a temporary folder, Linux only

The bank is mapped, so the pages of the file that were touched count as the file's (RssFile) and
the system may drop them at any time. What the evaluation needs for itself is anonymous memory
(RssAnon); its peak beyond that of the imported program is the figure.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from common import write

from fewshot.episodes import sample_episodes
from fewshot.errors import estimators
from fewshot.features import FeatureBank
from fewshot.heads import heads
from fewshot.tasks.judging import actual_errors, predicted_errors

CPU = torch.device("cpu")


def anonymous_bytes() -> int:
    """RssAnon of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


class Peak:
    """Highest anonymous memory while it is entered, looked at every 5 ms."""

    def __enter__(self) -> Peak:
        self.start = self.highest = anonymous_bytes()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.005):
            self.highest = max(self.highest, anonymous_bytes())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def beyond_start(self) -> int:
        """Bytes above the level at entry."""
        return self.highest - self.start


def make_file(path: Path, rows: int, dim: int) -> None:
    """Random rows, written a piece at a time."""
    rng = np.random.default_rng(0)
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(rows, dim))
    for start in range(0, rows, 10_000):
        block = rng.standard_normal((10_000, dim), dtype=np.float32)
        features[start : start + 10_000] = block
    features.flush()


def main() -> None:
    """Measure peak memory and time for 15 queries and for all queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--folder", help="where the 1.5 GB go; default: the system's temporary one")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder, "features.npy")
        make_file(path, 1_000_000, 768)
        labels = np.repeat(np.arange(1000), 1000)
        for queries in (15, "all"):
            with Peak() as peak:
                begun = time.perf_counter()
                features = np.load(path, mmap_mode="c")
                bank = FeatureBank(features, labels, tuple(map(str, range(1000))))
                opened = time.perf_counter() - begun
                episodes = sample_episodes(labels, 5, 5, queries, 10_000)
                head = heads.create("ncm")
                actual_errors(bank, episodes, head, device=CPU)
                named = {name: estimators.create(name) for name in ("gaussian", "margin", "loo")}
                predicted_errors(bank, episodes, head, named, device=CPU)
                seconds = time.perf_counter() - begun
            rows.append(
                {
                    "bank": "1,000,000 x 768 float16",
                    "episodes": "10,000, 5-way 5-shot",
                    "queries": queries,
                    "opened in (s)": f"{opened:.3f}",
                    "all in (s)": f"{seconds:.1f}",
                    "peak beyond the map (MiB)": f"{peak.beyond_start / 2**20:.0f}",
                }
            )
    write(given.json, rows)


if __name__ == "__main__":
    main()
