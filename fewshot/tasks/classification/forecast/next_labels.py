"""Which of the unlabelled images to label next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fewshot.estimators.mixtures import (
    K_MEANS_GATE,
    Images,
    principal_components,
    readmission,
    soft_k_means,
)
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import expect, expect_positive_int
from fewshot.features.row_keys import row_keys
from fewshot.heads.base import Head, Query, Support
from fewshot.tasks.classification.forecast.label_value import (
    JUDGED,
    Balance,
    ClassProcess,
    class_process,
    greedy_choice,
    oddness,
)

NEXT = 10
# Share of the images that are least like the classes and each other, which are not recommended:
# that halves the share of images of no class on the list, and costs nothing where there are none.
ODDEST = 0.2
# Squared distance below which two images are near-copies, in mean squared distances.
NEAR_COPY = 0.02

REFITS = 16  # heads that are refitted at once

NO_IMAGES = "there are no unlabelled images"
ALL_OUTSIDE = "none of the unlabelled images looks like one of the classes"
ALL_COPIES = "all unlabelled images are copies, or nearly, of labelled ones"


@dataclass(frozen=True)
class NextLabel:
    """An unlabelled image, and what labelling it is expected to bring.

    Attributes
    ----------
    file : str
        As it was given; the row's number of features without names.
    row : int
        Among the unlabelled images.
    likely : str
        The class that it most probably is of.
    probability : float
        Of `likely`, in [0, 1]; the rest is for the other classes, and for none of them.
    error : float
        Expected error once this image and all before it on the list are labelled.
    gain : float
        By how much that is less than without this image. Negative where unequal numbers of shots
        make the head worse: then it takes some more images until a class each has got one.
    """

    file: str
    row: int
    likely: str
    probability: float
    error: float
    gain: float


class NextLabels(list[NextLabel]):
    """Images to label next, the first first.

    Attributes
    ----------
    reason : str or None
        Why there are none, in words; None if there are some.
    """

    def __init__(self, images: Iterable[NextLabel] = (), reason: str | None = None) -> None:
        super().__init__(images)
        self.reason = reason


def next_labels(
    support: Support,
    head: Head,
    unlabelled: Unlabelled,
    classes: Sequence[str],
    files: Sequence[str],
    *,
    error: float,
    count: int = NEXT,
) -> NextLabels:
    """Images to label next, the first first, no two of which say the same.

    The value of a label is that under a Gaussian process of the class probabilities, see
    :mod:`~fewshot.tasks.classification.forecast.label_value`, which stands in for every head: the
    images chosen do not depend on the head, nor on the order of the images. The head itself is
    refitted with likely labels for `NextLabel.error`. Images that are odd ones out, near-copies of
    each other and of shots are not recommended.

    Parameters
    ----------
    support : Support
        Of one episode.
    head : Head
        Unfitted.
    unlabelled : Unlabelled
        Of one episode, U images.
    classes : sequence of N str
    files : sequence of U str
    error : float
        Predicted error of the head as it is.
    count : int
        Length of the list, at most.

    Returns
    -------
    NextLabels
        A list of `NextLabel`; shorter than `count` where there are fewer such images. Its errors
        are in proportion to `error`; how right they were is in docs/next-labels.md.

    Raises
    ------
    FewshotError
        More than one episode, other numbers of classes or files than in the features, other
        dimensions, an error outside of [0, 1], a count below 1.
    """
    _check(support, unlabelled, classes, files, error, count)
    rows = _canonical(unlabelled, files)
    if not len(rows):
        return NextLabels(reason=NO_IMAGES)
    features = unlabelled.features[:, rows].to(support.features.dtype)
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    images = Images(support.features, support.mask, features, mask)
    responsibilities = mixture(images)
    process = class_process(images)
    candidates, reason = recommendable(images, responsibilities, process)
    if reason:
        return NextLabels(reason=reason)
    balance = Balance(support.counts, responsibilities)
    choice = greedy_choice(process, mask, candidates, count, NEAR_COPY, balance)
    chosen = choice.rows[0][choice.rows[0] >= 0]
    disagreeing = refit_disagreement(head, support, features[0], chosen, responsibilities[0])
    errors = expected_errors(error, choice.values[0, : len(chosen)], process, disagreeing).tolist()
    probability, likely = (entry[0, chosen].tolist() for entry in responsibilities.max(-1))
    original = rows[chosen].tolist()
    before = [error, *errors]
    return NextLabels(
        NextLabel(
            files[row],
            row,
            classes[likely[n]],
            probability[n],
            errors[n],
            before[n] - errors[n],
        )
        for n, row in enumerate(original)
    )


def _check(
    support: Support,
    unlabelled: Unlabelled,
    classes: Sequence[str],
    files: Sequence[str],
    error: float,
    count: int,
) -> None:
    episodes, ways, _, dim = support.features.shape
    shape = tuple(unlabelled.features.shape)
    expect(episodes == 1, "support", f"expected one episode, got {episodes}")
    expect(
        shape[0] == 1 and shape[2] == dim,
        "unlabelled",
        f"expected features (1, U, {dim}), as those of the support, got {shape}",
    )
    expect(len(classes) == ways, "classes", f"expected {ways} names, got {len(classes)}")
    expect(len(files) == shape[1], "files", f"expected {shape[1]} names, got {len(files)}")
    expect(0 <= error <= 1, "error", f"expected a share from 0 to 1, got {error}")
    expect_positive_int("count", count)


def _canonical(unlabelled: Unlabelled, files: Sequence[str]) -> Tensor:
    """Rows of the images in an order that does not depend on the order in which they came."""
    rows = torch.nonzero(unlabelled.mask[0]).flatten().numpy()
    keys = row_keys(unlabelled.features[0, rows].float().numpy())
    names = np.array([files[row] for row in rows.tolist()], dtype=object)
    return torch.from_numpy(rows[np.lexsort((rows, names.astype(str), keys))])


def mixture(images: Images) -> Tensor:
    """Responsibilities (E, U, N) of soft k-means in the leading principal components."""
    return soft_k_means(principal_components(images))


def recommendable(
    images: Images, responsibilities: Tensor, process: ClassProcess
) -> tuple[Tensor, str | None]:
    """Images (E, U), bool, that may be recommended, or why there are none.

    Left out are near-copies of shots, images farther from all shots than these are from each other,
    and of the others the `ODDEST` share; with more images of no class than usual (`K_MEANS_GATE`),
    as many as the mixture has outside of all classes.
    """
    shots = images.shot_mask.flatten(1).shape[1]
    nearest = process.distances[..., :shots].amin(-1)
    novel = images.mask & (nearest >= NEAR_COPY)
    possible = novel & (nearest <= process.farthest_shots[:, None])
    if not bool(possible.any()):
        return possible, ALL_OUTSIDE if bool(novel.any()) else ALL_COPIES
    outside = 1 - responsibilities.sum((1, 2)) / images.mask.sum(-1)
    strangers = (1 - readmission(outside, K_MEANS_GATE)) * outside
    odd = oddness(images, responsibilities, process.distances)
    kept = ((1 - strangers.clamp_min(ODDEST)) * possible.sum(-1)).ceil()  # at least one
    rank = odd.masked_fill(~possible, torch.inf).argsort(-1).argsort(-1)
    return (rank < kept[:, None]) & possible, None


def refit_disagreement(
    head: Head, support: Support, images: Tensor, chosen: Tensor, responsibilities: Tensor
) -> Tensor:
    """Unlabelled images (n + 1,) that a refitted head decides otherwise than the mixture does.

    Fitted on the shots, and on the first 1, 2, ... n chosen images besides, each with the label
    that it is most likely to get; judged on the first `JUDGED` images.

    Parameters
    ----------
    head : Head
        Unfitted.
    support : Support
        Of one episode.
    images : Tensor of shape (U, D)
    chosen : Tensor of shape (n,), int
    responsibilities : Tensor of shape (U, N)
    """
    ways = responsibilities.argmax(-1)[chosen]
    weights, judged = responsibilities[:JUDGED], images[:JUDGED]
    wrong = []
    for numbers in torch.arange(len(chosen) + 1).split(REFITS):
        refitted = head.clone().fit(with_labels(support, images[chosen], ways, numbers))
        query = Query.of(judged.expand(len(numbers), -1, -1))
        right = weights.expand(len(numbers), -1, -1).gather(-1, refitted.predict(query)[..., None])
        wrong.append(weights.sum() - right.sum((1, 2)))
    return torch.cat(wrong).clamp_min(0)


def with_labels(support: Support, images: Tensor, ways: Tensor, numbers: Tensor) -> Support:
    """Supports of B episodes: that of one, and the first so many of further labelled images.

    Parameters
    ----------
    support : Support
        Of one episode.
    images : Tensor of shape (n, D)
    ways : Tensor of shape (n,), int
        Their labels.
    numbers : Tensor of shape (B,), int
        How many of them.
    """
    repeated = support[torch.zeros(len(numbers), dtype=torch.int64)]
    N, K = support.mask.shape[1:]
    labels = torch.nn.functional.one_hot(ways, N)
    places = K + (labels.cumsum(0) - 1).gather(1, ways[:, None])[:, 0]
    most = int(labels.sum(0).max())
    features = torch.nn.functional.pad(repeated.features, (0, 0, 0, most))
    mask = torch.nn.functional.pad(repeated.mask, (0, most))
    for b, number in enumerate(numbers.tolist()):
        features[b, ways[:number], places[:number]] = images[:number]
        mask[b, ways[:number], places[:number]] = True
    return Support.of(features, mask, repeated.context)


def expected_errors(
    error: float, values: Tensor, process: ClassProcess, disagreeing: Tensor
) -> Tensor:
    """Errors (n,) once the first, the first two, ... of n images are labelled.

    ``error (1 - value / wrong) max(1, (d_n + 1) / (d_0 + 1))``: the share that the class process
    expects to be put right; and what more shots of some classes than of others do to the head, if
    with them it agrees less with the mixture.

    Parameters
    ----------
    error : float
        Predicted error without any.
    values : Tensor of shape (n,)
        Of :func:`~fewshot.tasks.classification.forecast.label_value.greedy_choice`.
    process : ClassProcess
    disagreeing : Tensor of shape (n + 1,)
        Images d_0, ... d_n of `refit_disagreement`.
    """
    wrong = (1 - process.probabilities[0].amax(-1)).mean().clamp_min(1e-12)
    harm = ((disagreeing[1:] + 1) / (disagreeing[0] + 1)).clamp_min(1)
    return (error * (1 - values / wrong).clamp(0, 1) * harm).clamp_max(1)
