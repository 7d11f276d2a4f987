"""The label of every image, how probable it is, and whether to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    runner_up_probability : float
    look : bool
        Whether to look at the image oneself, by the error budget or as it is a stranger.
    stranger : bool
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
    stranger: bool
    classes: tuple[str, ...]


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
    if not len(files):
        return []
    probabilities = fitted.predict_proba(features)
    strangers = fitted.strangers.are_strangers(features)
    members = fitted.sets.members(probabilities, level)
    best = probabilities.topk(2, -1)
    sure = best.values[:, 0].masked_fill(strangers, 0.0)
    review = to_review(sure, budget)
    names, order = fitted.classnames, probabilities.argsort(dim=-1, descending=True, stable=True)
    return [
        Label(
            file,
            names[int(best.indices[i, 0])],
            float(best.values[i, 0]),
            names[int(best.indices[i, 1])],
            float(best.values[i, 1]),
            bool(review[i]),
            bool(strangers[i]),
            tuple(names[int(c)] for c in order[i] if members[i, c]),
        )
        for i, file in enumerate(files)
    ]


def doubt_first(labels: Sequence[Label]) -> list[Label]:
    """Labels in the order in which to look at them: strangers, then the least probable."""
    return sorted(labels, key=lambda entry: (not entry.stranger, entry.probability))
