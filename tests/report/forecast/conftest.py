"""Forecasts of made-up tasks, and images for them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.features.bank import make_bank
from fewshot.tasks.classification.forecast.confusion import Confusion
from fewshot.tasks.classification.forecast.decision import Decision
from fewshot.tasks.classification.forecast.forecast import Forecast
from fewshot.tasks.classification.forecast.learning_curve import CurvePoint, Target
from fewshot.tasks.classification.forecast.next_labels import NextLabel
from fewshot.tasks.classification.forecast.suspects import Suspect
from fewshot.tasks.classification.forecast.unlabelled import FromUnlabelled, UnlabelledPoint

WEIGHTS = "0a1b2c3d4e5f60718293"


def painting(row):
    """A picture with edges, shades and some noise, as photographs have."""
    rng = np.random.default_rng(row)
    y, x = np.mgrid[:150, :200] / 200
    waves = sum(np.sin(12 * rng.normal() * x + 9 * rng.normal() * y) for _ in range(4))
    pixels = 128 + 30 * waves[..., None] * rng.random(3) + rng.normal(0, 4, (150, 200, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def images(paths, labels, classes, broken=()):
    """Images without files; those in `broken` cannot be read."""

    def read(row):
        if paths[row] in broken:
            raise UnreadableImageError("not an image")
        return painting(row)

    return ImageDataset("task", np.asarray(labels), tuple(classes), tuple(paths), read, str)


def confusion_of(classes, seed=0):
    """Shares with rows that sum to 1; the first two classes are confused most."""
    C = len(classes)
    rng = np.random.default_rng(seed)
    shares = 0.1 * rng.dirichlet(np.full(C, 0.3), C)
    shares[0, 1], shares[1, 0] = 0.4, 0.3
    shares[np.arange(C), np.arange(C)] = 0
    shares[np.arange(C), np.arange(C)] = 1 - shares.sum(1)
    return Confusion(tuple(classes), shares)


def row_of(head="ncm", error=0.14, backbone="net", **more):
    """A forecast."""
    facts = {"calibrated_on": "datasets", "note": None, "outlook": ()} | more
    return Forecast(backbone, head, error, error / 2, 2 * error, **facts)


def make_task(classes, shots=5, *, files=None, broken=()):
    """A task of which everything is known that a page shows, and the page's other arguments."""
    classes = list(classes)
    C = len(classes)
    labels = np.repeat(np.arange(C), shots)
    paths = files or [f"{classes[c]}/{i}.jpg" for i, c in enumerate(labels)]
    labelled = images(paths, labels, classes, broken)
    query = images([f"roll/new/{i}.jpg" for i in range(12)], [0] * 12, ["unlabelled"], broken)
    points = (UnlabelledPoint(0, 0.0, 0.16, 0.07, 0.3), UnlabelledPoint(12, 1.2, 0.14, 0.07, 0.28))
    seen = FromUnlabelled(12, 0.08, False, 0.16, 0.07, 0.3, points)
    outlook = tuple(
        CurvePoint(more, 0.14 - more / 250, 0.07 - more / 500, 0.28 - more / 125)
        for more in (1, 5, 10)
    )
    best = row_of(
        outlook=outlook, seen=seen, confusion=confusion_of(classes), warnings=("few images",)
    )
    rows = [best, row_of("lda", 0.17, seen=seen, warnings=("few images", "a guess"))]
    bank = make_bank(
        np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32), labels, classes
    )
    bank.info.update({"feature": "pooled", "causes": {"backbone": {"weights": WEIGHTS}}})
    suspects = [
        Suspect(paths[0], classes[0], "copy", "the picture of 5.jpg", None, paths[shots]),
        Suspect(paths[1], classes[0], "mislabelled", "nearer to others by 3.1", 4e-4, classes[1]),
        Suspect(paths[-1], classes[-1], "outlier", "far from the others", 0.012),
        Suspect("broken.jpg", classes[1], "unreadable", "not an image"),
    ]
    chosen = [
        NextLabel(query.paths[i], i, classes[i % C], 0.5, 0.13 - i / 200, 0.005) for i in range(10)
    ]
    labels_of_queries = [
        {"file": name, "label": classes[0], "runner_up": classes[1], "probability": 1.0 - i / 40}
        for i, name in enumerate(query.paths)
    ]
    decision = Decision(
        rows, dict.fromkeys(classes, shots), 0.9, Target(0.08, 23, 11, 70, 500, False), 0.08,
        suspects, chosen, ("broken.jpg", "roll/other.jpg"), ("1 unlabelled image is a shot",),
    )  # fmt: skip
    arguments = {
        "name": "task", "supports": {"net": bank}, "fail_above": 0.3, "labels": labels_of_queries,
        "labelled": labelled, "others": [query], "created": "2026-03-01 12:00",
    }  # fmt: skip
    return decision, arguments


@pytest.fixture(scope="session")
def task():
    """The function `make_task`."""
    return make_task


@pytest.fixture(scope="session")
def forecast_row():
    """The function `row_of`."""
    return row_of


@pytest.fixture(scope="session")
def ten(task):
    """A task of ten classes with five images each."""
    return task([f"class {c}" for c in range(10)])
