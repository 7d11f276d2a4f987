"""A bank of 1,000,000 x 768 float16: seconds to open, and how much of it an evaluation reads.

    python benchmarks/large_bank.py            # writes 1.6 GB to a temporary folder, Linux only

Measured in a process of its own, once its imports are done, with none of the features in the
system's cache. The system reads ahead of what is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from common import write

import fewshot
from fewshot.features import open_bank
from fewshot.heads import NCM
from fewshot.tasks import actual_errors

FEATURES = "features.npy"


def make(folder: Path, images: int, dim: int, classes: int) -> None:
    """Write a bank of random rows, as an extraction leaves it (docs/extraction.md)."""
    folder.mkdir()
    labels = np.repeat(np.arange(classes), images // classes)
    rng = np.random.default_rng(0)
    block = rng.normal(size=(10_000, dim)).astype(np.float16)
    centres = rng.normal(size=(classes, dim)).astype(np.float16)
    header = {"descr": "<f2", "fortran_order": False, "shape": (images, dim)}
    with (folder / FEATURES).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, images, 10_000):
            own = labels[start : start + 10_000]
            file.write((block[: len(own)] + np.float16(0.3) * centres[own]).data)
    np.save(folder / "labels.npy", labels)
    names = [f"class_{label:04d}/image_{row:07d}.jpg" for row, label in enumerate(labels)]
    table = pa.table({"path": pa.array(names, pa.large_string())})
    with pa.ipc.new_file(str(folder / "paths.arrow"), table.schema) as writer:
        writer.write_table(table)
    note = {
        "key": "random", "classnames": [f"class {c}" for c in range(classes)], "parts": None,
        "images": images, "dim": dim, "skipped": [], "dataset": "random", "backbone": "random",
        "feature": "random",
    }  # fmt: skip
    (folder / "bank.json").write_text(json.dumps(note))


def bytes_read() -> int:
    """Bytes that this process had the disk read so far."""
    return int(Path("/proc/self/io").read_text().split("\nread_bytes:")[1].split()[0])


def forget(file: Path) -> None:
    """Drop a file from the system's cache."""
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(folder: Path, episodes: int) -> None:
    """Open the bank and evaluate; prints JSON."""
    forget(folder / FEATURES)
    before = bytes_read()
    begun = time.perf_counter()
    bank = open_bank(folder)
    opened = time.perf_counter() - begun
    begun = time.perf_counter()
    path = bank.paths[len(bank) - 1]  # type: ignore[index]
    first_path = time.perf_counter() - begun
    drawn = fewshot.sample_episodes(bank.labels, 5, 5, 15, episodes, 0)
    begun = time.perf_counter()
    actual_errors(bank, drawn, NCM(), device=torch.device("cpu"))
    print(json.dumps({
        "open": opened, "path": first_path, "last": path, "evaluate": time.perf_counter() - begun,
        "read": bytes_read() - before, "rows": len(np.unique(drawn.support)) + 15 * 5 * episodes,
    }))  # fmt: skip


def main() -> None:
    """Make the bank, measure in other processes, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--measure", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if given.measure:
        measure(Path(given.measure), given.episodes)
        return
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "bank")
        make(folder, given.rows, given.dim, given.classes)
        size = (folder / FEATURES).stat().st_size
        command = [
            sys.executable,
            __file__,
            "--measure",
            str(folder),
            "--episodes",
            str(given.episodes),
        ]
        for _ in range(3):
            told = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            rows.append({
                "bank": f"{given.rows:,} x {given.dim} float16, {size / 1e9:.2f} GB",
                "open": f"{1e3 * told['open']:.0f} ms",
                "first file name": f"{1e3 * told['path']:.0f} ms",
                f"{given.episodes:,} episodes, 5 x (5 + 15)": f"{told['evaluate']:.2f} s",
                "read from disk": f"{100 * told['read'] / size:.1f} %",
            })  # fmt: skip
    write(given.json, rows)


if __name__ == "__main__":
    main()
