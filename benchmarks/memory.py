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

import torch
from common import write
from large_bank import make

from fewshot.episodes import sample_episodes
from fewshot.estimators import estimators
from fewshot.features import open_bank
from fewshot.heads import heads
from fewshot.tasks import actual_errors, predicted_errors

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


def main() -> None:
    """Measure peak memory and time for 15 queries and for all queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--folder", help="where the 1.5 GB go; default: the system's temporary one")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        make(Path(folder, "bank"), 1_000_000, 768, 1000)
        for queries in (15, "all"):
            with Peak() as peak:
                begun = time.perf_counter()
                bank = open_bank(Path(folder, "bank"))
                opened = time.perf_counter() - begun
                episodes = sample_episodes(bank.labels, 5, 5, queries, 10_000)
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
