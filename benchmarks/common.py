"""What the benchmarks share: random features, `auto` alone, a clock, intervals, a table."""

from __future__ import annotations

import json
import math
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fewshot.estimators import Auto, AutoSupport, BaseClasses
from fewshot.features import FeatureBank, make_bank


class Alone(Auto):
    """``auto`` without a look at the base classes."""

    def fit(self, base: BaseClasses) -> Self:
        """Take no notice of `base`."""
        return super().fit(BaseClasses())


class AloneSupport(AutoSupport):
    """``auto_support`` without a look at the base classes."""

    def fit(self, base: BaseClasses) -> Self:
        """Take no notice of `base`."""
        return super().fit(BaseClasses())


def random_bank(
    classes: int = 64, images: int = 600, dim: int = 640, spread: float = 8.0, seed: int = 0
) -> FeatureBank:
    """Gaussian classes: random features time as real ones do, and anyone can make them."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), images)
    features = rng.normal(size=(classes, dim)).astype(np.float32)[labels]
    features += spread * rng.normal(size=features.shape).astype(np.float32)
    return make_bank(features, labels)


def features_of(path: Path) -> tuple[NDArray, NDArray]:
    """Features and labels, or parts of them (``test_features``, ``test_labels``, ...) joined.

    Parts ``shots1``, ``shots2``, ... beside ``test`` are views of the same training images: only
    the largest is taken. Rows that occur twice are taken once.
    """
    with np.load(path, allow_pickle=False) as archive:
        keys = [key for key in archive.files if key.endswith("features") and "text" not in key]
        few = sorted((int(key[5:-9]), key) for key in keys if re.match(r"shots\d+_", key))
        if len(few) < len(keys):
            keys = [key for key in keys if key not in [repeated for _, repeated in few[:-1]]]
        pairs = []
        for key in keys:
            stem = key.removesuffix("features") + "labels"
            label = stem if stem in archive.files else f"{stem}_assumed_sorted"
            if label in archive.files:
                pairs.append((archive[key].astype(np.float32), archive[label]))
    features = np.concatenate([rows for rows, _ in pairs])
    labels = np.concatenate([classes for _, classes in pairs])
    _, first = np.unique(features, axis=0, return_index=True)
    return features[first], labels[first]


def half_over_splits(values: Sequence[float] | NDArray) -> float:
    """Half the width of the 95 % t interval of the mean of one value per split."""
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def share(values: NDArray) -> str:
    """A share in percent with its 95 % interval (Wilson 1927)."""
    count, share, z = len(values), float(values.mean()), 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z
        / (1 + z * z / count)
        * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    )
    return f"{100 * share:.1f} ({100 * max(0.0, centre - half):.1f} to {100 * (centre + half):.1f})"


def best_of(work: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """Shortest and median seconds of `work`, after one call to warm up."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), statistics.median(seconds)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    names = list(rows[0])
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(str(row[name]) for name in names) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def write(path: str | None, rows: list[dict[str, Any]]) -> None:
    """Print the table and, if asked, keep the rows with the machine's description."""
    import torch

    print(table(rows))
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    print(f"\n{machine}")
    if path:
        Path(path).write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
