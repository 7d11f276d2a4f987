"""What labels of chosen images bring, against those of images chosen at random.

    python benchmarks/next_labels.py                           # EfficientNet-Lite0 on digits
    python benchmarks/next_labels.py clip.npz --images DIR     # features; images by Lite0
    python benchmarks/next_labels.py --confusable --conditions balanced uneven strangers

A draw is N classes with K shots each, a pool of unlabelled images, and other images of the classes
to measure the error on. Every criterion ranks the pool once, without seeing a label; the first 1,
5, 10, 20 images then get their true labels and join the shots, and the heads are refitted (ridge
and logistic regression count classes alike, as in fewshot predict). Images of none of the classes
(strangers) are lost labels. --pool images of every class are in the pool (fewer where a class has
not enough for 5 test images); "uneven" has as many in all, with Dirichlet shares of the classes;
with "strangers" a quarter of the pool is of other classes. --confusable takes a class at random and
those whose means are nearest to it.

    list        fewshot.tasks.next_labels
    margin      smallest margin of nearest class mean
    entropy     largest entropy of its softmax, the temperature that of its mean margin
    k_center    farthest first (core-set, Sener and Savarese, ICLR 2018)
    typiclust   densest image of the largest cluster without a label (Hacohen, Dekel, Weinshall,
                ICML 2022)
    probcover   most images within a radius that none labelled is within (Yehuda, Dekel, Hacohen,
                Weinshall, NeurIPS 2022); the radius has a twentieth of all pairs within

Differences are to the mean of --random random choices on the same draw, in points with the 95 %
interval over draws. "random needs": so many random images for the mean error that 5 or 10 images of
the list reach, interpolated, with the 95 % interval of the bootstrap over draws. "promised / true":
mean errors after 1, 5, 10, 20 labels of the list according to `NextLabel.error`, if the error
before is the true one, and actual ones. "lost": labels of strangers among the first 20.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import table
from numpy.typing import NDArray
from predicted_error import Data, arguments, data_of
from torch import Tensor

from fewshot.estimators import Unlabelled
from fewshot.heads import Head, Query, Support, heads
from fewshot.tasks import next_labels

CHOSEN = (1, 5, 10, 20)
AT_RANDOM = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40)
LEFT = 5  # test images per class, at least
MOST_TESTED = 40
CONDITIONS = ("balanced", "uneven", "strangers")


def created(name: str) -> Head:
    """A head that counts classes alike if it can."""
    alike = {"class_weight": "balanced"} if name in ("ridge", "logistic") else {}
    head: Head = heads.create(name, **alike)
    return head


class Draw(NamedTuple):
    """Shots (N, K, D), pool (U, D) with ways (U,), -1 for strangers, and test images with ways."""

    shots: Tensor
    pool: Tensor
    ways: NDArray
    tested: Tensor
    tested_ways: NDArray


def draw(
    features: Tensor, labels: NDArray, shots: int, condition: str, given: Any, seed: Sequence[int]
) -> Draw | None:
    """A task; None where there are too few classes of so many images."""
    rng = np.random.default_rng(seed)
    ways, pool = given.ways[0], given.pool
    size = np.bincount(labels)
    # Half of the images beside the shots, where there are few.
    fair = np.minimum(pool, (size - shots) // 2)
    enough = np.flatnonzero((fair >= pool / 2) & (size - shots - fair >= LEFT))
    if len(enough) < ways + (condition == "strangers"):
        return None
    classes = _classes(features, labels, enough, given, rng)
    rows = [rng.permutation(np.flatnonzero(labels == c)) for c in classes]
    number = fair[classes]
    if condition == "uneven":
        shares = rng.multinomial(number.sum(), rng.dirichlet(np.ones(ways)))
        number = np.minimum(shares, [len(images) - shots - LEFT for images in rows])
    pools = [images[shots : shots + n] for images, n in zip(rows, number, strict=True)]
    tests = [images[shots + n :][:MOST_TESTED] for images, n in zip(rows, number, strict=True)]
    if condition == "strangers":
        others = np.flatnonzero(~np.isin(labels, classes))
        pools.append(rng.choice(others, round(number.sum() / 3), replace=False))
    of_pool = np.repeat([*range(ways), -1], [*number, sum(map(len, pools)) - number.sum()])
    order = rng.permutation(len(of_pool))
    return Draw(
        torch.stack([features[images[:shots]] for images in rows]),
        features[np.concatenate(pools)[order]],
        of_pool[order],
        features[np.concatenate(tests)],
        np.repeat(range(ways), list(map(len, tests))),
    )


def _classes(
    features: Tensor, labels: NDArray, enough: NDArray, given: Any, rng: np.random.Generator
) -> NDArray:
    if not given.confusable:
        return rng.choice(enough, given.ways[0], replace=False)
    means = torch.stack([features[labels == c].mean(0) for c in enough])
    first = int(rng.integers(len(enough)))
    distances = (means - means[first]).square().sum(1).numpy()
    return enough[np.argsort(distances)[: given.ways[0]]]


def errors(head: Head, task: Draw, lists: Sequence[Sequence[int]]) -> NDArray:
    """Error (M,) of a head, classes alike, on the shots and the labelled images of every list."""
    ways, shots, dim = task.shots.shape
    extra = [[[row for row in rows if task.ways[row] == c] for c in range(ways)] for rows in lists]
    most = max((len(rows) for rows_of in extra for rows in rows_of), default=0)
    features = torch.zeros(len(lists), ways, shots + most, dim)
    mask = torch.zeros(features.shape[:3], dtype=torch.bool)
    features[:, :, :shots], mask[:, :, :shots] = task.shots, True
    for m, rows_of in enumerate(extra):
        for c, rows in enumerate(rows_of):
            features[m, c, shots : shots + len(rows)] = task.pool[rows]
            mask[m, c, shots : shots + len(rows)] = True
    fitted = head.clone().fit(Support.of(features, mask))
    wrong = fitted.predict(Query.of(task.tested.expand(len(lists), -1, -1))).numpy()
    wrong = wrong != task.tested_ways
    return np.mean([wrong[:, task.tested_ways == c].mean(1) for c in range(ways)], 0)


def by_list(task: Draw, head: str, error: float = 1.0) -> tuple[list[int], list[float]]:
    """Rows of the list, and the promised errors after each."""
    ranked = next_labels(
        Support.of(task.shots[None]),
        created(head),
        Unlabelled.of(task.pool[None]),
        list(map(str, range(len(task.shots)))),
        list(map(str, range(len(task.pool)))),
        error=error,
        count=max(CHOSEN),
    )
    return [image.row for image in ranked], [image.error for image in ranked]


def _scores(task: Draw) -> Tensor:
    means = task.shots.mean(1)
    return task.pool @ means.T - means.square().sum(1) / 2


def by_margin(task: Draw, rng: np.random.Generator) -> list[int]:
    """Smallest margin first."""
    largest = _scores(task).topk(2, -1).values
    return (largest[:, 0] - largest[:, 1]).argsort().tolist()


def by_entropy(task: Draw, rng: np.random.Generator) -> list[int]:
    """Largest entropy first."""
    scores = _scores(task)
    largest = scores.topk(2, -1).values
    probability = (scores / (largest[:, 0] - largest[:, 1]).mean()).softmax(-1)
    return (probability * probability.clamp_min(1e-12).log()).sum(-1).argsort().tolist()


def by_k_center(task: Draw, rng: np.random.Generator) -> list[int]:
    """Farthest from everything labelled and chosen."""
    away = torch.cdist(task.pool, task.shots.flatten(0, 1)).amin(1)
    chosen = list[int]()
    for _ in range(min(max(CHOSEN), len(task.pool))):
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, torch.cdist(task.pool, task.pool[chosen[-1:]])[:, 0])
        away[chosen] = -1
    return chosen


def _clusters(images: Tensor, number: int, rng: np.random.Generator) -> Tensor:
    """Cluster (T,) of every image by k-means, started by k-means++."""
    centres = images[[int(rng.integers(len(images)))]]
    for _ in range(number - 1):
        chance = torch.cdist(images, centres).amin(1).square().double().numpy()
        chosen = rng.choice(len(images), p=chance / chance.sum())
        centres = torch.cat([centres, images[[int(chosen)]]])
    for _ in range(20):
        nearest = torch.cdist(images, centres).argmin(1)
        members = torch.nn.functional.one_hot(nearest, number).T.to(images)
        sizes = members.sum(1, keepdim=True)
        centres = torch.where(sizes > 0, members @ images / sizes.clamp_min(1), centres)
    return nearest


def by_typiclust(task: Draw, rng: np.random.Generator) -> list[int]:
    """Densest image of the largest of the clusters with fewest labels."""
    labelled = len(task.shots.flatten(0, 1))
    images = torch.cat([task.shots.flatten(0, 1), task.pool])
    count = min(max(CHOSEN), len(task.pool))
    cluster = _clusters(images, min(labelled + count, len(images) // 2), rng)
    taken = torch.arange(len(images)) < labelled
    chosen = list[int]()
    distances = torch.cdist(images, images)
    for _ in range(count):
        candidates = [
            (int((taken & (cluster == c)).sum()), -int((cluster == c).sum()), c)
            for c in cluster[~taken].unique().tolist()
        ]
        members = torch.nonzero(cluster == min(candidates)[2]).flatten()
        neighbours = min(20, len(members) - 1)
        among = distances[members][:, members].sort(1).values[:, 1 : neighbours + 1]
        away = among.sum(1) / max(1, neighbours)
        away[taken[members]] = torch.inf
        chosen.append(int(members[away.argmin()]))
        taken[chosen[-1]] = True
    return [row - labelled for row in chosen]


def by_probcover(task: Draw, rng: np.random.Generator) -> list[int]:
    """Most images within the radius that nothing labelled or chosen is within."""
    labelled = len(task.shots.flatten(0, 1))
    images = torch.cat([task.shots.flatten(0, 1), task.pool])
    distances = torch.cdist(images, images)
    pairs = distances[~torch.eye(len(images), dtype=torch.bool)]
    within = distances <= pairs.quantile(0.05)
    covered = within[:labelled].any(0)
    chosen = list[int]()
    for _ in range(min(max(CHOSEN), len(task.pool))):
        number = (within & ~covered).sum(1)
        number[:labelled] = -1
        number[chosen] = -1
        chosen.append(int(number.argmax()))
        covered |= within[chosen[-1]]
    return [row - labelled for row in chosen]


CRITERIA: dict[str, Callable[[Draw, np.random.Generator], list[int]]] = {
    "margin": by_margin,
    "entropy": by_entropy,
    "k_center": by_k_center,
    "typiclust": by_typiclust,
    "probcover": by_probcover,
}


def measure(task: Draw, names: Sequence[str], given: Any, seed: Sequence[int]) -> dict[str, Any]:
    """Errors of the heads by criterion and number of labels, and shares of lost labels."""
    rng = np.random.default_rng([*seed, 1])
    ranked, _ = by_list(task, "ncm")
    if len(ranked) < max(CHOSEN):
        return {}
    orders = {"list": ranked} | {name: choose(task, rng) for name, choose in CRITERIA.items()}
    at_random = [rng.permutation(len(task.pool)).tolist() for _ in range(given.random)]
    lists = [[]] + [order[:n] for order in orders.values() for n in CHOSEN]
    lists += [order[:n] for order in at_random for n in AT_RANDOM]
    row: dict[str, Any] = {}
    row["lost"] = {
        name: float(np.mean([task.ways[i] < 0 for i in order[: max(CHOSEN)]]))
        for name, order in orders.items()
    }
    for name in names:
        measured = errors(created(name), task, lists)
        count = len(orders) * len(CHOSEN)
        chosen = measured[1 : 1 + count].reshape(len(orders), -1)
        row[name] = dict(zip(orders, chosen.tolist(), strict=True))
        row[name]["before"] = float(measured[0])
        promised = by_list(task, name, row[name]["before"])[1]
        row[name]["promised"] = [promised[n - 1] for n in CHOSEN]
        row[name]["random"] = measured[1 + count :].reshape(given.random, -1).mean(0).tolist()
    return row


def cells(data: Data, given: Any) -> Iterator[dict[str, Any]]:
    """Draws of every condition and number of shots of a data set."""
    name, features, labels = data
    unit = torch.nn.functional.normalize(torch.from_numpy(features).float(), dim=1)
    labels = np.unique(labels, return_inverse=True)[1]
    for condition in given.conditions:
        for shots in given.shots:
            rows = []
            for number in range(given.draws):
                seed = [number, shots, zlib.crc32(f"{name} {condition}".encode())]
                task = draw(unit, labels, shots, condition, given, seed)
                if task is None:
                    print(f"{name}, {condition}, {shots} shots: too few images", flush=True)
                    break
                rows.append(measure(task, given.heads, given, seed))
            rows = [row for row in rows if row]
            if rows:
                cell = {"data": name, "classes": "confusable" if given.confusable else "random"}
                yield cell | {"condition": condition, "shots": shots, "draws": rows}


def lines(cell: dict[str, Any], names: Sequence[str]) -> Iterator[dict[str, str]]:
    """A line per head and criterion of a cell."""
    draws = cell["draws"]
    for head in names:
        before = np.array([row[head]["before"] for row in draws])
        at_random = np.array([row[head]["random"] for row in draws])
        columns = [AT_RANDOM.index(n) for n in CHOSEN]
        for name in ("list", *CRITERIA):
            chosen = np.array([row[head][name] for row in draws])
            line = {key: str(cell[key]) for key in ("data", "classes", "condition", "shots")}
            line |= {"head": head, "draws": str(len(draws))}
            line |= {"before": f"{100 * before.mean():.1f}"}
            middle = " ".join(f"{value:.1f}" for value in 100 * at_random[:, columns].mean(0))
            line |= {"random": middle, "criterion": name}
            for n, difference in zip(CHOSEN, 100 * (chosen - at_random[:, columns]).T, strict=True):
                half = 1.96 * difference.std(ddof=1) / len(difference) ** 0.5
                line[f"{n} labels"] = f"{difference.mean():+.2f} ± {half:.2f}"
            line["random needs"] = ", ".join(_needed(chosen[:, n], at_random) for n in (1, 2))
            line["lost"] = f"{100 * np.mean([row['lost'][name] for row in draws]):.0f} %"
            line["promised / true"] = "-"
            if name == "list":
                promised = np.array([row[head]["promised"] for row in draws]).mean(0)
                pairs = zip(100 * promised, 100 * chosen.mean(0), strict=True)
                line["promised / true"] = " ".join(
                    f"{after:.1f}/{true:.1f}" for after, true in pairs
                )
            yield line


def _needed(chosen: NDArray, at_random: NDArray) -> str:
    """Random images for the mean error of the chosen ones, with its 95 % interval."""
    rng = np.random.default_rng(0)
    samples = rng.integers(len(chosen), size=(1000, len(chosen)))
    values = [_where(chosen[rows].mean(), at_random[rows].mean(0)) for rows in samples]
    low, high = np.quantile(values, [0.025, 0.975], method="nearest")
    middle = _where(chosen.mean(), at_random.mean(0))
    return f"{_number(middle)} ({_number(low)} to {_number(high)})"


def _where(error: float, curve: NDArray) -> float:
    falling = np.minimum.accumulate(curve)
    numbers = AT_RANDOM[: len(curve)]
    if error < falling[-1]:
        return float("inf")
    return float(np.interp(-error, -falling, numbers))


def _number(value: float) -> str:
    return f">{AT_RANDOM[-1]}" if np.isinf(value) else f"{value:.0f}"


def main() -> None:
    """Measure every cell of every data set."""
    parser = arguments(__doc__)
    parser.set_defaults(heads=["ncm", "lda", "ridge"], shots=[1, 2, 3, 5])
    parser.add_argument("--conditions", nargs="+", default=["balanced"], choices=CONDITIONS)
    parser.add_argument("--pool", type=int, default=20, help="unlabelled images per class")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--random", type=int, default=4, help="random choices per draw")
    parser.add_argument("--confusable", action="store_true")
    given = parser.parse_args()
    measured, shown = [], []
    for data in data_of(given):
        for cell in cells(data, given):
            measured.append(cell)
            new = list(lines(cell, given.heads))
            shown += new
            print(table(new), flush=True)
            if given.json:
                Path(given.json).write_text(json.dumps(measured) + "\n")
    print(f"\n{table(shown)}")


if __name__ == "__main__":
    main()
