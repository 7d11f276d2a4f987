"""How much a mean over episodes would change with other images of the same classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def image_variance(
    values: NDArray,
    classes: NDArray,
    labels: NDArray,
    support: NDArray,
    query: NDArray | None,
    *,
    impostors: bool = False,
) -> float | None:
    """Variance of the mean over all episodes, were other images of these classes drawn.

    An image acts on an episode as a shot, through the values of all ways, and as a query, through
    the value of its own way, or of all ways if it is an impostor to them. Each action is seen in
    the episodes that have the image in that role. What chance alone would make of it is
    subtracted: the image's episodes are a simple random sample of those of its class.

    Parameters
    ----------
    values, classes, labels, support, query, impostors
        As in `population_intervals`.

    Returns
    -------
    float or None
        Unbiased, and so possibly below 0; None when every image of a class is in each of its
        episodes, as with all images as queries, or every query is in each, as with a test set:
        nothing is seen of a query then.
    """
    rows = support if query is None else np.concatenate([support, query], axis=-1)
    size = np.bincount(labels[labels >= 0], minlength=int(classes.max()) + 1)
    with_class = np.bincount(classes.reshape(-1), minlength=len(size))
    used = _per_class(classes, (rows >= 0).sum(-1), len(size)) / np.maximum(with_class, 1)
    present = with_class > 0
    if query is None or np.any(size[present] <= used[present]):
        return None
    own = values - _class_means(values, classes, len(size))
    whole = np.broadcast_to(own.mean(1, keepdims=True), own.shape)
    whole = whole - _class_means(whole, classes, len(size))
    own = whole.copy() if impostors else own / values.shape[1]
    asked = _Role(own, query, classes, labels, len(size))
    if asked.always(with_class):
        return None
    # An image that is in an episode keeps others out: its own effect is that much larger than
    # what is seen, and what it did to its own class as a shot is seen in its queries, reversed.
    free = np.where(present, size - used, 1)
    whole += own * (asked.each / free)[classes]
    shots = _Role(whole, support, classes, labels, len(size))
    of_shot = shots.each * (size - 1) / np.where(present, size - shots.each, 1)
    of_query = asked.each * (size - 1) / free
    influence = _products(shots, shots, with_class) * of_shot**2
    influence += _products(asked, asked, with_class) * of_query**2
    influence += 2 * _products(shots, asked, with_class) * of_shot * of_query
    share = with_class / len(classes)
    return float(np.sum(share**2 * influence / np.maximum(size - 1, 1)))


class _Role:
    """Episodes in which each image has a role: how many (M,), and the sums (M,) of a response."""

    def __init__(
        self, response: NDArray, rows: NDArray, classes: NDArray, labels: NDArray, many: int
    ) -> None:
        real = rows >= 0
        spread = np.broadcast_to(response[..., None], rows.shape)[real]
        self.response, self.classes, self.labels = response, classes, labels
        self.times = np.bincount(rows[real], minlength=len(labels)).astype(np.float64)
        self.sums = np.bincount(rows[real], spread, minlength=len(labels))
        episodes = np.maximum(np.bincount(classes.reshape(-1), minlength=many), 1)
        self.each = _per_class(classes, real.sum(-1), many) / episodes

    def always(self, with_class: NDArray) -> bool:
        """Whether the images that have the role have it in every episode of their class."""
        own = self.times > 0
        possible = with_class[self.labels[own]]
        return bool(np.all(self.times[own] == possible) and np.any(possible > 1))


def _products(first: _Role, second: _Role, with_class: NDArray) -> NDArray:
    """Mean over the images of a class of the product of their effects in two roles: (C,).

    From pairs of different episodes: each image weighs by the number of its pairs, which keeps
    the noise low when images come rarely. A class without pairs takes the mean of the others.
    """
    many = len(with_class)
    member = first.labels >= 0
    label = first.labels[member]
    times, other = first.times[member], second.times[member]
    episodes = np.maximum(with_class, 2).astype(np.float64)
    chance = _per_class(first.classes, first.response * second.response, many) / (episodes - 1)
    same = times if first is second else np.zeros_like(times)
    # Of a simple random sample without replacement; two roles share no episode.
    pairs = times * other / episodes[label]
    expected = chance[label] * (same - pairs)
    excess = np.bincount(label, first.sums[member] * second.sums[member] - expected, many)
    weight = np.bincount(label, times * other - same + (pairs if first is second else 0), many)
    overall = excess.sum() / weight.sum() if weight.sum() > 0 else 0.0
    return np.where(weight > 0, excess / np.where(weight > 0, weight, 1), overall)


def _per_class(classes: NDArray, values: NDArray, many: int) -> NDArray:
    return np.bincount(classes.reshape(-1), values.reshape(-1), minlength=many)


def _class_means(values: NDArray, classes: NDArray, many: int) -> NDArray:
    """Mean value of its class for each way: (E, N)."""
    times = np.bincount(classes.reshape(-1), minlength=many)
    return (_per_class(classes, values, many) / np.maximum(times, 1))[classes]
