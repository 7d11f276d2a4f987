"""Variance of a mean over episodes due to the choice of images of the same classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Images expected in both roles above which it is no chance that none is: exp(-20) at most.
COINCIDENCES = 20
BISECTIONS = 60


def image_variance(
    values: NDArray,
    classes: NDArray,
    labels: NDArray,
    support: NDArray,
    query: NDArray | None,
    *,
    impostors: bool = False,
) -> float | None:
    """Variance of the mean over all episodes if other images of these classes were drawn.

    An image acts on an episode as a shot, through the values of all ways, and as a query, through
    the value of its own way, or of all ways if it is an impostor to them. Each effect is estimated
    from the episodes that have the image in that role, less its expectation by chance: the
    image's episodes are a simple random sample of those of its class. Where no image has both
    roles, as with shots of one data set and queries of another, each role has images of its own.

    Parameters
    ----------
    values, classes, labels, support, query, impostors
        As in `population_intervals`.

    Returns
    -------
    float or None
        Unbiased, and so possibly below 0. None if every image of a class is in each of its
        episodes, as with all images as queries, or if every query is, as with a test set: the
        effect of a query cannot be estimated then.
    """
    rows = support if query is None else np.concatenate([support, query], axis=-1)
    size = np.bincount(labels[labels >= 0], minlength=int(classes.max()) + 1)
    with_class = np.bincount(classes[classes >= 0], minlength=len(size))
    used = _per_class(classes, (rows >= 0).sum(-1), len(size)) / np.maximum(with_class, 1)
    present = with_class > 0
    if query is None or np.any(size[present] <= used[present]):
        return None
    real = classes >= 0
    per_query = values - _class_means(values, classes, len(size))
    if real.all():
        whole, ways = per_query.mean(1, keepdims=True), values.shape[1]
    else:  # the padding of classes has no images, and no part in any sum
        per_query = np.where(real, per_query, 0.0)
        ways = real.sum(1, keepdims=True)
        whole = per_query.sum(1, keepdims=True) / ways
    whole = np.broadcast_to(whole, per_query.shape)
    whole = whole - _class_means(whole, classes, len(size))
    per_query = whole.copy() if impostors else per_query / ways
    role = _Role if _equally_often(support, classes) else _UnequalRole
    of_shots, of_queries, apart = _images_of_roles(support, query, classes, labels, size)
    query_role = role(per_query, query, classes, labels, of_queries)
    if query_role.in_every_episode(with_class):
        return None
    if apart:
        support_role = role(whole, support, classes, labels, of_shots)
        if support_role.in_every_episode(with_class):
            return None
        variances = (
            part.products(part, with_class) * _per_image(part.images_per_episode, number)
            for part, number in ((support_role, of_shots), (query_role, of_queries))
        )
        return float(np.sum((with_class / len(classes)) ** 2 * sum(variances)))
    # An image in an episode excludes others: its effect is larger than the observed one by this
    # factor, and its effect as a shot on its own class appears in the queries with reversed sign.
    free = np.where(present, size - used, 1)
    whole += per_query * (query_role.images_per_episode / free)[classes]
    support_role = role(whole, support, classes, labels, size)
    of_shot = (
        support_role.images_per_episode
        * (size - 1)
        / np.where(present, size - support_role.images_per_episode, 1)
    )
    of_query = query_role.images_per_episode * (size - 1) / free
    influence = support_role.products(support_role, with_class) * of_shot**2
    influence += query_role.products(query_role, with_class) * of_query**2
    influence += 2 * support_role.products(query_role, with_class) * of_shot * of_query
    share = with_class / len(classes)
    return float(np.sum(share**2 * influence / np.maximum(size - 1, 1)))


def _per_image(number: NDArray, size: NDArray) -> NDArray:
    """What a squared effect counts where `number` (C,) of `size` (C,) images are in an episode."""
    free = np.maximum(size - number, np.finfo(float).eps)
    return np.where(number > 0, number**2 * (size - 1) / free**2, 0.0)


def _images_of_roles(
    support: NDArray, query: NDArray, classes: NDArray, labels: NDArray, size: NDArray
) -> tuple[NDArray, NDArray, bool]:
    """Images (C,) of every class that may be shots, and queries; whether these are others.

    They are if no image is a shot of one episode and a query of another, although that would be
    expected `COINCIDENCES` times. How many there are is then estimated from how many were drawn,
    the d of n with ``n (1 - (1 - K / n)^E) = d`` in E episodes of K, at most those of the class.
    """
    many, episodes = len(size), np.bincount(classes[classes >= 0], minlength=len(size))
    times = [np.bincount(rows[rows >= 0], minlength=len(labels)) for rows in (support, query)]
    number = [_per_class(classes, (rows >= 0).sum(-1), many) for rows in (support, query)]
    within = _per_class(classes, (support >= 0).sum(-1) * (query >= 0).sum(-1), many)
    expected = np.sum((number[0] * number[1] - within) / np.maximum(size, 1))
    if expected < COINCIDENCES or bool(np.any((times[0] > 0) & (times[1] > 0))):
        return size, size, False
    drawn = [np.bincount(labels[used > 0], minlength=many) for used in times]
    room = [np.maximum(size - other, 1) for other in reversed(drawn)]
    sizes = [
        _size_of(d, total / np.maximum(episodes, 1), episodes, most)
        for d, total, most in zip(drawn, number, room, strict=True)
    ]
    return sizes[0], sizes[1], True


def _size_of(drawn: NDArray, number: NDArray, episodes: NDArray, most: NDArray) -> NDArray:
    """The n of `_images_of_roles` (C,), between those that were drawn and `most`, by bisection."""
    low, high = np.maximum(drawn, 1).astype(float), most.astype(float)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        expected = middle * (1 - (1 - np.minimum(number / middle, 1)) ** episodes)
        low, high = (
            np.where(expected < drawn, middle, low),
            np.where(expected < drawn, high, middle),
        )
    return high


class _Role:
    """A role of images, shot or query: number of episodes (M,) and sums (M,) of a response.

    `size` (C,) are the images of a class that may have the role.
    """

    def __init__(
        self, response: NDArray, rows: NDArray, classes: NDArray, labels: NDArray, size: NDArray
    ) -> None:
        real, many = rows >= 0, len(size)
        spread = np.broadcast_to(response[..., None], rows.shape)[real]
        self.response, self.classes, self.labels = response, classes, labels
        self.times = np.bincount(rows[real], minlength=len(labels)).astype(np.float64)
        self.sums = np.bincount(rows[real], spread, minlength=len(labels))
        episodes = np.maximum(np.bincount(classes[classes >= 0], minlength=many), 1)
        self.images_per_episode = _per_class(classes, real.sum(-1), many) / episodes

    def in_every_episode(self, with_class: NDArray) -> bool:
        """Whether all images with this role have it in every episode of their class."""
        used = self.times > 0
        possible = with_class[self.labels[used]]
        return bool(np.all(self.times[used] == possible) and np.any(possible > 1))

    def products(self, second: _Role, with_class: NDArray) -> NDArray:
        """Mean over the images of a class of the product of their effects in two roles: (C,).

        Estimated from pairs of different episodes; images are weighted by their number of pairs,
        which keeps the noise low if images are rare. Classes without pairs get the mean of the
        others.
        """
        many = len(with_class)
        member = self.labels >= 0
        label = self.labels[member]
        times, other = self.times[member], second.times[member]
        episodes = np.maximum(with_class, 2).astype(np.float64)
        chance = _per_class(self.classes, self.response * second.response, many) / (episodes - 1)
        same = times if self is second else np.zeros_like(times)
        # Of a simple random sample without replacement; two roles share no episode.
        pairs = times * other / episodes[label]
        expected = chance[label] * (same - pairs)
        excess = np.bincount(label, self.sums[member] * second.sums[member] - expected, many)
        weight = np.bincount(label, times * other - same + (pairs if self is second else 0), many)
        return _ratio(excess, weight)


class _UnequalRole(_Role):
    """A role in which episodes have different numbers of images of a class.

    An image of a class with n is one of the w_e of episode e with probability w_e / n. Responses
    are centred with these weights, so that an image without an effect has a mean of 0 although it
    is more often in episodes with many shots, or of few ways, whose responses differ.
    """

    def __init__(
        self, response: NDArray, rows: NDArray, classes: NDArray, labels: NDArray, size: NDArray
    ) -> None:
        real, many = rows >= 0, len(size)
        number = real.sum(-1)
        total = _per_class(classes, number, many)
        means = _per_class(classes, number * response, many) / np.maximum(total, 1)
        response = response - means[classes]
        super().__init__(response, rows, classes, labels, size)
        squares = np.broadcast_to((response**2)[..., None], rows.shape)[real]
        self.squares = np.bincount(rows[real], squares, len(labels)).astype(np.float64)
        self.size = size
        self.share = number / np.maximum(size, 1)[classes]

    def products(self, second: _Role, with_class: NDArray) -> NDArray:
        """As in `_Role`, without pairs of one episode and what is then expected by chance."""
        assert isinstance(second, _UnequalRole)
        many = len(with_class)
        member = self.labels >= 0
        label = self.labels[member]
        times, other = self.times[member], second.times[member]
        chance = self.share * second.share * self.response * second.response
        same, squares = np.zeros_like(times), np.zeros_like(times)
        if self is second:
            same, squares = times, self.squares[member]
        excess = np.bincount(label, self.sums[member] * second.sums[member] - squares, many)
        excess += self.size * _per_class(self.classes, chance, many)
        return _ratio(excess, np.bincount(label, times * other - same, many))


def _equally_often(support: NDArray, classes: NDArray) -> bool:
    """Whether all classes of all episodes have equally many shots, and episodes equal ways."""
    counts = (support >= 0).sum(-1)
    return bool((classes >= 0).all() and counts.min() == counts.max())


def _ratio(excess: NDArray, weight: NDArray) -> NDArray:
    """Excess by weight (C,), that of all classes together where a class has no weight."""
    overall = excess.sum() / weight.sum() if weight.sum() > 0 else 0.0
    return np.where(weight > 0, excess / np.where(weight > 0, weight, 1), overall)


def _per_class(classes: NDArray, values: NDArray, many: int) -> NDArray:
    real = classes >= 0
    return np.bincount(classes[real], values[real], minlength=many)


def _class_means(values: NDArray, classes: NDArray, many: int) -> NDArray:
    """Mean value of its class for each way: (E, N)."""
    times = np.bincount(classes[classes >= 0], minlength=many)
    return (_per_class(classes, values, many) / np.maximum(times, 1))[classes]
