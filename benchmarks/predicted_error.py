"""How near predicted errors come to actual ones, and how often the intervals hold.

    python benchmarks/predicted_error.py                        # EfficientNet-Lite0 on digits
    python benchmarks/predicted_error.py clip.npz --images DIR  # features; images by Lite0
    python benchmarks/predicted_error.py BANK ...               # folders of `fewshot extract`

Half of the classes are base, half novel (random, --splits times), all remaining images are
queries. Every cell shows the mean of |predicted - actual| over the same episodes, in points, for

    constant     mean error of base-class episodes: the one to beat
    loo          leave-one-out of the support
    margin       Gaussian margins, raw
    base         auto, calibrated on base classes of the same data set
    datasets     auto, calibrated on other data sets; base classes lend their covariance
    alone        auto, calibrated on other data sets, and no base classes at all

and, for the last three, the coverage of the 90 % interval. After base / constant stand the least
and the greatest ratio of a split; a second table has them over all data sets and splits, and says
where `auto` is no nearer than the constant. The calibrator of the package was fitted on some data
sets; for figures on those, give one that was fitted without them (general_calibrator.py --without):
--without caltech101=general.without_caltech101.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from common import Alone, features_of, table, write

import fewshot
from fewshot.datasets import random_parts
from fewshot.estimators import Auto, Constant, LeaveOneOut, Margin
from fewshot.features import open_bank

Data = tuple[str, np.ndarray, np.ndarray]
PREDICTED = ("constant", "loo", "margin", "base", "datasets", "alone")


def from_images(folder: str | None) -> Data:
    """EfficientNet-Lite0 features of a folder of images, of the digits without one."""
    name = "digits" if folder is None else f"{Path(folder).name}_lite0"
    bank = fewshot.extract(folder or name, "efficientnet_lite0", split="none")
    return name, np.asarray(bank.features), bank.labels


def from_bank(folder: str) -> Data:
    """Features that are extracted already, under the names of the data set and the backbone."""
    bank = open_bank(Path(folder))
    name = f"{bank.info['dataset']}_{bank.info['backbone']}"
    return name, np.asarray(bank.features), bank.labels


def from_file(path: str) -> Data:
    """What an ``.npz`` file holds, under the file's name."""
    return Path(path).stem, *features_of(Path(path))


def measure(data: Data, head: str, ways: int, shots: int, given: argparse.Namespace) -> Any:
    """Means over the splits of what one cell gives; None if it cannot be drawn."""
    name, features, labels = data
    size = np.bincount(labels)
    kept = np.isin(labels, np.flatnonzero(size >= shots + given.queries))
    features, labels = features[kept], np.unique(labels[kept], return_inverse=True)[1]
    classes = len(np.unique(labels))
    if classes < 2 * ways:
        return None
    calibrator = given.without.get(name)
    results = []
    for seed in range(given.splits):
        parts = np.array(random_parts(classes, 0.5, seed))
        estimators = {
            "constant": Constant(),
            "loo": LeaveOneOut(),
            "margin": Margin(),
            "base": Auto("base", calibrator),
            "datasets": Auto("datasets", calibrator),
            "alone": Alone("datasets", calibrator),
        }
        result = fewshot.evaluate(
            features,
            labels,
            parts[labels],
            head,
            ways,
            shots,
            given.episodes,
            estimators=estimators,
            seed=seed,
            normalize="l2",
            dataset=name,
        )
        results.append(result.summary)
    return {"data": name, "head": head, "ways": ways, "shots": shots} | _means(results)


def _means(results: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"actual": fmean(one["actual_error"]["mean"] for one in results)}
    found = [one["estimators"] for one in results]
    row["base / constant"] = [one["base"]["mae"] / one["constant"]["mae"] for one in found]
    for name in PREDICTED:
        found = [one["estimators"][name] for one in results]
        missing = any(one["mae"] is None for one in found)
        row[name] = None if missing else fmean(one["mae"] for one in found)
        if name in PREDICTED[3:]:
            row[f"{name} coverage"] = fmean(one["coverage"] for one in found)
            row[f"{name} width"] = fmean(one["width"] for one in found)
    return row


def shown(row: dict[str, Any]) -> dict[str, str]:
    """The row in points and ratios."""
    text = {key: str(row[key]) for key in ("data", "head", "ways", "shots")}
    for key in ("actual", *PREDICTED):
        text[key] = "-" if row[key] is None else f"{100 * row[key]:.2f}"
    loo = row["loo"]
    ratios = row["base / constant"]
    ratio = row["base"] / row["constant"]
    text["base / constant"] = f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    text["base / loo"] = "-" if loo is None else f"{row['base'] / loo:.2f}"
    text["datasets / base"] = f"{row['datasets'] / row['base']:.2f}"
    covered = [f"{100 * row[f'{name} coverage']:.0f}" for name in PREDICTED[3:]]
    text["coverage"] = " ".join(covered)
    return text


def ranges(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """By head, ways and shots: least and greatest base / constant over data sets and splits."""
    cells: dict[tuple[str, int, int], dict[str, list[float]]] = {}
    for row in rows:
        cell = cells.setdefault((row["head"], row["ways"], row["shots"]), {})
        cell[row["data"]] = row["base / constant"]
    lines = []
    for (head, ways, shots), by_data in cells.items():
        ratios = [ratio for some in by_data.values() for ratio in some]
        above = {name: sum(ratio >= 1 for ratio in some) for name, some in by_data.items()}
        lines.append(
            {
                "head": head,
                "ways": str(ways),
                "shots": str(shots),
                "base / constant": f"{min(ratios):.2f} to {max(ratios):.2f}",
                "median": f"{median(ratios):.2f}",
                "at 1 or above": f"{sum(above.values())} of {len(ratios)}",
                "where": ", ".join(f"{name} ({n})" for name, n in above.items() if n) or "-",
            }
        )
    return lines


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser of what is measured: data, heads, ways, shots, episodes, splits, calibrators."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", help=".npz files or banks; digits without any")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR")
    parser.add_argument("--heads", nargs="+", default=["ncm"])
    parser.add_argument("--ways", nargs="+", type=int, default=[5])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 5, 10])
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], metavar="DATA=CALIBRATOR")
    parser.add_argument("--json", metavar="FILE")
    return parser


def data_of(given: argparse.Namespace) -> list[Data]:
    """The data sets of the arguments; `without` becomes a dict of calibrators by data set."""
    given.without = dict(pair.split("=", 1) for pair in given.without)
    data = [from_bank(path) if Path(path).is_dir() else from_file(path) for path in given.files]
    data += [from_images(folder) for folder in given.images]
    return data or [from_images(None)]


def main() -> None:
    """Measure every cell of every data set."""
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=3, help="per class, at least")
    given = parser.parse_args()
    data = data_of(given)
    rows = []
    for one in data:
        for head in given.heads:
            for ways in given.ways:
                for shots in given.shots:
                    row = measure(one, head, ways, shots, given)
                    if row:
                        rows.append(row)
                        print(json.dumps(shown(row)), flush=True)
    write(None, [shown(row) for row in rows])
    print(f"\nOver data sets and splits:\n\n{table(ranges(rows))}")
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
