"""How near learning curves of ``fewshot predict`` come to the errors with more images.

    python learning_curves.py                                   # EfficientNet-Lite0 on digits
    python learning_curves.py clip.npz --images DIR             # features; images by Lite0
    python learning_curves.py --images DIR --backbones efficientnet_lite0 efficientnet_lite0@64
    python learning_curves.py FILE --calibrator general.without_caltech101.json --against OLD.json

Tasks of random classes, and by turns of a class and those nearest to it. Of each, several draws of
nested supports; all other images are queries. From K images per class the error with K' is
predicted, and compared with that of the very same task and images with K' - K more:

    curve     ``Forecasts.curve``
    against   the same by another calibrator (--against), if it has curves of all --heads
    power     a power law through the predictions from the first 2, 3, ... K images
    none      the prediction with K images
    known     the curve from the actual error with K images, both on average over the draws of a
              task: what it does itself, whatever the prediction does; beside it `against, known`
              and `none, known`

as the mean of |predicted - actual| in points, over all heads; the slope of the actual change on the
predicted one; and coverage and mean width (points) of the 90 % interval. The second table is about
targets: the error with 10 images per class, on average over the draws of a task, has to be reached;
the share of [fewest, enough] that contain 10, of curves that do not get there, and the quartiles of
``images`` where they do. For figures on data that the calibrator was fitted on, give one that was
fitted without them (general_calibrator.py --without).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import features_of, write
from numpy.typing import NDArray

import fewshot
from fewshot.episodes import EpisodeSet
from fewshot.features import FeatureBank, make_bank

HEADS = ("ncm", "lda", "ridge", "logistic")
NOW, THEN = (2, 3, 5), (5, 10, 20)
AIM = 10  # images per class whose error is a target
KINDS = ("curve", "against", "power", "none", "known", "against, known", "none, known")
LEAST = 0.005  # errors below are no targets
QUERIES = 5


class Data(NamedTuple):
    """Features (M, D) at unit length, and labels (M,)."""

    name: str
    features: NDArray
    labels: NDArray


class Outcome(NamedTuple):
    """What was predicted and what came, of one task, head, K and K'."""

    now: int
    then: int
    error_now: float
    error_then: float
    mean_then: float  # over the draws of the task
    predicted: dict[str, float]
    bounds: dict[str, tuple[float, float]]


class Aim(NamedTuple):
    """What was said of a target whose true number is `AIM`."""

    now: int
    fewest: float
    images: float
    enough: float


def of_images(images: str, backbone: str) -> Data:
    """Features of a folder, or of a data set by name, under a backbone NAME or NAME@PIXELS."""
    name, _, pixels = backbone.partition("@")
    bank = fewshot.extract(images, name, split="none", size=int(pixels) if pixels else None)
    return at_unit_length(f"{Path(images).name} {backbone}", np.asarray(bank.features), bank.labels)


def at_unit_length(name: str, features: NDArray, labels: NDArray) -> Data:
    """Data with features as those of images have."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    return Data(name, rows.astype(np.float32), np.unique(labels, return_inverse=True)[1])


def tasks(data: Data, ways: int, shots: int, count: int, draws: int, seed: int) -> EpisodeSet:
    """Nested supports: `draws` of each of `count` tasks, one after the other."""
    rng = np.random.default_rng(seed)
    size = np.bincount(data.labels)
    large = np.flatnonzero(size >= shots + QUERIES)
    if len(large) < ways:
        raise SystemExit(f"{data.name}: expected {ways} classes of {shots + QUERIES} images")
    means = np.stack([data.features[data.labels == c].mean(0) for c in large])
    apart = np.linalg.norm(means[:, None] - means[None], axis=-1)
    chosen = [
        large[np.argsort(apart[rng.integers(len(large))])[:ways]]
        if task % 2
        else rng.choice(large, ways, replace=False)
        for task in range(count)
    ]
    classes = np.repeat(chosen, draws, 0)
    rows = {c: np.flatnonzero(data.labels == c) for c in large}
    support = [[rng.choice(rows[c], shots, replace=False) for c in task] for task in classes]
    return EpisodeSet(classes, np.array(support), None, data.labels)


def actual_errors(data: Data, drawn: EpisodeSet, shots: int, heads: Sequence[str]) -> NDArray:
    """Errors (E, H) with the first images of every support."""
    episodes = EpisodeSet(drawn.classes, drawn.support[..., :shots], None, data.labels)
    rows = fewshot.evaluate(
        data.features, data.labels, None, list(heads), episodes=episodes, estimators={}
    ).episodes
    return rows.pivot(index="episode", columns="head", values="actual_error")[
        list(heads)
    ].to_numpy()


def support_bank(data: Data, rows: NDArray) -> FeatureBank:
    """The images (N, K) of a task."""
    labels = np.repeat(np.arange(len(rows)), rows.shape[1])
    return make_bank(data.features[rows.ravel()], labels)


def power_law(errors: dict[int, float], then: int) -> float:
    """The error at `then` by least squares of log error on log K; the last one of a single K."""
    shots = sorted(errors)
    logs = np.log([max(errors[K], 1e-4) for K in shots])
    if len(shots) < 2:
        return errors[shots[-1]]
    slope = min(np.polyfit(np.log(shots), logs, 1)[0], 0.0)
    return float(np.exp(logs[-1] + slope * math.log(then / shots[-1])))


def measure(data: Data, given: argparse.Namespace) -> tuple[list[Outcome], list[Aim]]:
    """All outcomes of a data set."""
    most = max(given.then)
    drawn = tasks(data, given.ways, most, given.tasks, given.draws, given.seed)
    ladder = sorted({*given.now, *given.then, AIM})
    actual = {K: actual_errors(data, drawn, K, given.heads) for K in ladder}
    shape = given.tasks, given.draws, -1
    typical = {K: e.reshape(shape).mean(1).repeat(given.draws, 0) for K, e in actual.items()}
    calibrators = {"curve": given.calibrator}
    calibrators |= {"against": given.against} if given.against else {}
    outcomes: list[Outcome] = []
    aims: list[Aim] = []
    for task, rows in enumerate(drawn.support):
        earlier: dict[str, dict[int, float]] = {head: {} for head in given.heads}
        for K in given.now:
            bank = support_bank(data, rows[:, :K])
            made = {
                name: {
                    row.head: row
                    for row in fewshot.predict(bank, head=given.heads, calibrator=file).rows
                    if row.learning_curve
                }
                for name, file in calibrators.items()
            }
            for h, head in enumerate(given.heads):
                if head not in made["curve"]:
                    continue
                of_head = {name: forecasts.get(head) for name, forecasts in made.items()}
                earlier[head][K] = of_head["curve"].error
                for then in (then for then in given.then if then > K):
                    errors, means = (
                        (of[K][task, h], of[then][task, h]) for of in (actual, typical)
                    )
                    law = power_law(earlier[head], then)
                    outcomes.append(_outcome(K, then, errors, means, of_head, law))
                aim = float(typical[AIM][task, h])
                if aim >= LEAST and actual[K][task, h] > aim:
                    reached = of_head["curve"].learning_curve.reach(aim)
                    numbers = (reached.fewest, reached.images, reached.enough)
                    aims.append(Aim(K, *(math.inf if n is None else n for n in numbers)))
    return outcomes, aims


def _outcome(
    now: int,
    then: int,
    errors: tuple[float, float],
    means: tuple[float, float],
    forecasts: dict[str, Any],
    law: float,
) -> Outcome:
    predicted = {"power": law, "none": forecasts["curve"].error, "none, known": means[0]}
    bounds = {}
    for name, forecast in forecasts.items():
        if forecast is not None:
            (point,) = forecast.learning_curve.points([then - now])
            predicted[name] = point.error
            bounds[name] = (point.lower, point.upper)
            known = "known" if name == "curve" else f"{name}, known"
            curve = forecast.learning_curve.curve
            predicted[known] = float(curve.error(means[0], float(now), float(then)))
    return Outcome(now, then, *errors, means[1], predicted, bounds)


def rows_of(name: str, outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    """A row per K and K'."""
    for now, then in sorted({(each.now, each.then) for each in outcomes}):
        part = [each for each in outcomes if (each.now, each.then) == (now, then)]
        fields = ("error_now", "error_then", "mean_then")
        before, after, means = (np.array([getattr(each, key) for each in part]) for key in fields)
        row: dict[str, Any] = {"data": name, "K": now, "K'": then, "n": len(part)}
        row |= {"error at K": _points(before.mean()), "at K'": _points(after.mean())}
        for kind in KINDS:
            if all(kind in each.predicted for each in part):
                predicted = np.array([each.predicted[kind] for each in part])
                truth = means if kind.endswith("known") else after
                row[f"|miss| {kind}"] = _points(np.abs(predicted - truth).mean())
        for kind in [kind for kind in part[0].bounds if all(kind in each.bounds for each in part)]:
            predicted = np.array([each.predicted[kind] for each in part])
            change = predicted - np.array([each.predicted["none"] for each in part])
            if kind == "curve":
                slope = (change * (after - before)).sum() / max((change**2).sum(), 1e-12)
                row["slope"] = f"{slope:.2f}"
            lower, upper = np.array([each.bounds[kind] for each in part]).T
            held = np.mean((lower <= after) & (after <= upper))
            row[f"held {kind}"] = f"{100 * held:.0f} % ({_points((upper - lower).mean())})"
        yield row


def rows_of_aims(name: str, aims: Sequence[Aim]) -> Iterator[dict[str, Any]]:
    """A row per K."""
    for now in sorted({aim.now for aim in aims}):
        part = [aim for aim in aims if aim.now == now]
        images = np.array([aim.images for aim in part])
        reached = images[np.isfinite(images)]
        held = np.mean([aim.fewest <= AIM <= aim.enough for aim in part])
        yield {
            "data": name,
            "K": now,
            "n": len(part),
            f"{AIM} in [fewest, enough]": f"{100 * held:.0f} %",
            "not reached": f"{100 * (1 - len(reached) / len(part)):.0f} %",
            "images, quartiles": " / ".join(
                f"{q:.0f}" for q in np.percentile(reached, (25, 50, 75))
            )
            if len(reached)
            else "",
        }


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    """Measure every data set, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help=".npz files of features")
    parser.add_argument("--images", nargs="*", default=[], metavar="DIR", help="or names")
    parser.add_argument(
        "--backbones", nargs="+", default=["efficientnet_lite0"], metavar="NAME[@PIXELS]"
    )
    parser.add_argument("--heads", nargs="+", default=[*HEADS])
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--now", nargs="+", type=int, default=[*NOW])
    parser.add_argument("--then", nargs="+", type=int, default=[*THEN])
    parser.add_argument("--tasks", type=int, default=20, help="of a data set")
    parser.add_argument("--draws", type=int, default=3, help="of the images of a task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calibrator", metavar="FILE")
    parser.add_argument("--against", metavar="FILE", help="another calibrator")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    data = [at_unit_length(Path(file).stem, *features_of(Path(file))) for file in given.files]
    images = given.images or ([] if given.files else ["digits"])
    data += [of_images(folder, name) for folder in images for name in given.backbones]
    outcomes: list[Outcome] = []
    aims: list[Aim] = []
    rows: list[dict[str, Any]] = []
    aim_rows: list[dict[str, Any]] = []
    for each in data:
        of_data, of_aims = measure(each, given)
        rows += rows_of(each.name, of_data)
        aim_rows += rows_of_aims(each.name, of_aims)
        outcomes, aims = outcomes + of_data, aims + of_aims
    if len(data) > 1:
        rows += rows_of("all", outcomes)
        aim_rows += rows_of_aims("all", aims)
    write(None, rows)
    if aim_rows:
        write(None, aim_rows)
    if given.json:
        Path(given.json).write_text(
            json.dumps({"curves": rows, "targets": aim_rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
