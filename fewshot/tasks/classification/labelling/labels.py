"""The label of every image, how probable it is, and whether to look at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from fewshot.tasks.classification.labelling.fitted import FittedClassifier
from fewshot.tasks.classification.labelling.review import to_review

BUDGET = 0.05  # of wrong labels among those that nobody looks at
LEVEL = 0.9  # of sets of classes


@dataclass(frozen=True)
class Label:
    """What a fitted classifier says of an image.

    Attributes
    ----------
    file : str
        Path as it was given, with its folders.
    label : str
    probability : float in [0, 1]
        That the label is right.
    runner_up : str
    runner_up_probability : float in [0, 1]
    look : bool
        Whether to look at the image oneself, by the error budget or as it is of none of the
        classes.
    none_of_these : bool
        Whether it is farther from all classes than the shots are: perhaps of none of them.
    classes : tuple of str
        Set of classes that has the true one at the level that was asked for; the label is first.
    """

    file: str
    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    look: bool
    none_of_these: bool
    classes: tuple[str, ...]


COLUMNS = tuple(Label.__dataclass_fields__)  # of tables and files


@dataclass(frozen=True)
class ModelFacts:
    """What is known of the classifier that labelled images, for reports.

    Attributes
    ----------
    name : str
        Of the data set that it was fitted on; "" if it has none.
    head : str
    backbone : str or None
        None for a classifier of features.
    images : dict of str to int
        Labelled images per class.
    error, lower, upper : float in [0, 1], or None
        Predicted error with its interval.
    level : float
        Nominal coverage of the interval.
    note : str or None
        Why the predicted error is unreliable, if it is.
    created : str
        ISO 8601.
    """

    name: str
    head: str
    backbone: str | None
    images: dict[str, int] = field(default_factory=dict)
    error: float | None = None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.9
    note: str | None = None
    created: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class LabelledImages:
    """Labels of images, in the order in which these were given.

    Attributes
    ----------
    rows : list of Label
    skipped : list of dict
        ``path`` and ``reason`` of images that could not be read; they have no label.
    classnames : tuple of str
    budget : float in [0, 1)
        Expected share of wrong labels among those that are not to be looked at, at most.
    level : float in (0, 1)
        Of the sets of classes.
    model : ModelFacts
    """

    rows: list[Label]
    skipped: list[dict[str, Any]]
    classnames: tuple[str, ...]
    budget: float
    level: float
    model: ModelFacts

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """Images per label, the most frequent first; labels that no image got are left out."""
        order = {name: number for number, name in enumerate(self.classnames)}
        counts = Counter(row.label for row in self.rows)
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], order[entry[0]])))

    @property
    def doubtful(self) -> list[Label]:
        """All labels, the most doubtful first."""
        return doubt_first(self.rows)

    @property
    def accepted(self) -> list[Label]:
        """Labels that nobody needs to look at."""
        return [row for row in self.rows if not row.look]

    @property
    def expected_error(self) -> float | None:
        """Expected share of wrong labels among those that nobody looks at; None without any."""
        accepted = self.accepted
        if not accepted:
            return None
        return sum(1 - row.probability for row in accepted) / len(accepted)


def labels_of(
    fitted: FittedClassifier,
    features: Tensor,
    files: Sequence[str],
    *,
    budget: float = BUDGET,
    level: float = LEVEL,
) -> list[Label]:
    """Labels of images, in their order.

    Parameters
    ----------
    fitted : FittedClassifier
    features : Tensor of shape (M, D)
    files : sequence of M str
    budget : float in [0, 1)
        Expected share of wrong labels among those that nobody looks at.
    level : float in (0, 1)
        Of the sets of classes.
    """
    return reviewed(answers_of(fitted, features, files, level), budget)


def answers_of(
    fitted: FittedClassifier, features: Tensor, files: Sequence[str], level: float = LEVEL
) -> list[Label]:
    """As `labels_of`, of some of the images: nothing is said yet of which to look at."""
    if not len(files):
        return []
    probabilities = fitted.predict_proba(features)
    members = fitted.sets.members(probabilities, level)
    order = probabilities.argsort(dim=-1, descending=True, stable=True)
    best = probabilities.gather(-1, order[:, :2])
    columns = (
        order[:, :2].tolist(),
        best.tolist(),
        fitted.strangers.are_strangers(features).tolist(),
        _sets(order, members),
    )
    names = fitted.classnames
    return [
        Label(
            file, names[first], chance, names[second], next_chance, False, none_of_these,
            tuple(names[c] for c in classes),
        )
        for file, (first, second), (chance, next_chance), none_of_these, classes in zip(
            files, *columns, strict=True
        )
    ]  # fmt: skip


def _sets(order: Tensor, members: Tensor) -> list[list[int]]:
    """Numbers of the classes of every set, the most probable first, from `order` (M, N)."""
    inside = members.gather(-1, order)
    chosen = order[inside].split(inside.sum(-1).tolist())
    return [classes.tolist() for classes in chosen]


def reviewed(labels: Sequence[Label], budget: float = BUDGET) -> list[Label]:
    """Labels of all images, with those to look at: by the budget, and all of none of the classes.

    Parameters
    ----------
    labels : sequence of Label
        As from `answers_of`.
    budget : float in [0, 1)
        Expected share of wrong labels among those that nobody looks at.
    """
    usual = [row for row in labels if not row.none_of_these]
    doubted = to_review(torch.tensor([row.probability for row in usual]).double(), budget)
    look = iter(doubted.tolist())
    return [replace(row, look=row.none_of_these or next(look)) for row in labels]


def doubt_first(labels: Iterable[Label]) -> list[Label]:
    """Labels in the order in which to look at them.

    Images of none of the classes, then the least probable labels.
    """
    return sorted(labels, key=lambda row: (not row.none_of_these, row.probability))
