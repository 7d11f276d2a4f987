"""How near the predicted errors come to the actual ones, on your features or on digits.

    python benchmarks/estimators.py                          # EfficientNet-Lite0 on digits
    python benchmarks/estimators.py caltech.npz flowers.npz  # features (M, D) and labels (M,)

Half of the classes are base, half novel (random, by --seed), N-way episodes, all remaining images
as queries; classes with fewer than 11 images are left out. Shown is the mean of
|predicted - actual| over the episodes, raw and with the mean excess on base classes removed
("offset").
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write

import fewshot
from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.datasets import load_dataset
from fewshot.datasets.splits import random_parts
from fewshot.features.store import open_or_extract

ESTIMATORS = ("constant", "margin", "gaussian", "loo")


def load(path: str | None) -> tuple[str, np.ndarray, np.ndarray, str]:
    """Name, features, labels and normalisation."""
    if path is None:
        dataset = load_dataset({"kind": "digits"})
        folder = Path.home() / ".cache/fewshot"
        backbone = load_backbone("efficientnet_lite0", Folders(folder), **dataset.input)
        device = torch.device("cpu")
        bank = open_or_extract(dataset, backbone, folder / "features", device=device)
        return "digits", bank.features, bank.labels, "l2"
    with np.load(path, allow_pickle=False) as archive:
        if "features" in archive.files:
            return Path(path).stem, archive["features"], archive["labels"], "none"
        # Files with a part of the rows under another prefix each
        parts = [key.removesuffix("_features") for key in ("val_features", "test_features")]
        features = np.concatenate([archive[f"{part}_features"] for part in parts])
        labels = np.concatenate([archive[f"{part}_labels"] for part in parts])
    return Path(path).stem, features, labels, "none"


def measure(path: str | None, given: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per shots and head."""
    name, features, labels, normalize = load(path)
    size = np.bincount(labels)
    kept = np.isin(labels, np.flatnonzero(size > 10))
    features, labels = features[kept], np.unique(labels[kept], return_inverse=True)[1]
    parts = np.array(random_parts(labels.max() + 1, 0.5, given.seed))
    rows = []
    for head in ("ncm", "lda"):
        for shots in (1, 2, 5, 10):
            row: dict[str, Any] = {"data": name, "head": head, "shots": shots}
            for calibration in ("none", "base"):
                result = fewshot.evaluate(
                    features.astype(np.float32),
                    labels,
                    parts[labels],
                    head,
                    given.ways,
                    shots,
                    given.episodes,
                    estimators=ESTIMATORS,
                    calibration=calibration,
                    seed=given.seed,
                    normalize=normalize,
                )
                row["actual"] = f"{result.summary['actual_error']['mean']:.3f}"
                for estimator, metrics in result.summary["estimators"].items():
                    if calibration == "base" and estimator == "constant":
                        continue
                    column = estimator + (", offset" if calibration == "base" else "")
                    mae = metrics["mae"]
                    row[column] = "-" if mae is None else f"{mae:.3f}"
            rows.append(row)
    return rows


def main() -> None:
    """Measure every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help=".npz files; digits without any")
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    rows = [row for path in (given.files or [None]) for row in measure(path, given)]
    write(given.json, rows)


if __name__ == "__main__":
    main()
