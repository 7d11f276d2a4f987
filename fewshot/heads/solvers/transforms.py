"""What is done to features before they are compared: power, centring, unit length."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_choice, expect_number
from fewshot.heads.base import Query, Support

Center = Literal["none", "base", "support"]
QueryCenter = Literal["none", "base", "support", "all", "each"]  # of heads that see all queries


def unit_length(features: Tensor) -> Tensor:
    """Vectors (..., D) divided by their length; zero stays zero, and what is nearly zero short."""
    return features / length_of(features)


def length_of(features: Tensor) -> Tensor:
    """Lengths (..., 1) of vectors (..., D), at least the root of the smallest normal number.

    Of a shorter vector, 2^-63 in float32, the squares are lost, and with them the length.
    A product divided by them is cheaper than a product of vectors that were divided.
    """
    lengths = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    return lengths.clamp_min(torch.finfo(features.dtype).tiny ** 0.5)


def power_transform(features: Tensor, exponent: float) -> Tensor:
    """``sign(x) |x|^exponent`` of features (..., D), then unit length.

    Hu et al., "Leveraging the Feature Distribution in Transfer-Based Few-Shot Learning", ICANN
    2021, for features >= 0, without the 1e-6 that is added to them there. The sign keeps
    features of networks that do not end in a ReLU.
    """
    return unit_length(features.sign() * features.abs().pow(exponent))


def centre_of(support: Support, center: Center, setting: str) -> Tensor | None:
    """What is subtracted from all features: nothing, the mean of base classes, of these classes.

    Returns
    -------
    Tensor of shape (1, 1, D) or (E, 1, D), or None
        Means of classes weigh alike, whatever their shots.

    Raises
    ------
    FewshotError
        "base" without base classes.
    """
    if center == "none":
        return None
    if center == "support":
        return support.means().mean(1, keepdim=True)
    mean = support.context.base_mean
    if mean is None:
        raise FewshotError(
            f"{setting}.center",
            "expected base classes to take the mean of, got none",
            f"Mark classes as base, or set {setting}.center=support or none.",
        )
    return mean.to(support.features)[None, None]


def check_center(center: object, setting: str) -> None:
    """Raise unless `center` is one of those that `centre_of` knows."""
    expect_choice(f"{setting}.center", center, ("none", "base", "support"))


def centred(
    support: Support, query: Query, center: QueryCenter, setting: str
) -> tuple[Support, Query]:
    """Support and query minus a mean, then at unit length: CL2N, for heads that see all queries.

    Wang et al., "SimpleShot", arXiv 2019, for "base". A feature vector that equals what is
    subtracted becomes zero.

    Parameters
    ----------
    support : Support
    query : Query
        Rows outside of its ``learning_mask`` are transformed and enter no mean.
    center : {"none", "base", "support", "all", "each"}
        What is subtracted: nothing, and lengths stay as they are; the mean of the base classes;
        that of the class means of the shots; that of all shots and queries together; or the mean
        of the class means from the shots and that of the queries from the queries. Without queries
        to learn from, the shots take their place.
    setting : str
        What to call the head in messages: ``head.tim``.

    Raises
    ------
    FewshotError
        "base" without base classes.
    """
    if center == "none":
        return support, query
    of_shots, of_queries = _centres(support, query, center, setting)
    shots = unit_length(support.features - of_shots[:, :, None])
    if not support.complete:
        shots = shots.masked_fill(~support.mask[..., None], 0.0)
    queries = unit_length(query.features - of_queries)
    return replace(support, features=shots), replace(query, features=queries)


def _centres(
    support: Support, query: Query, center: QueryCenter, setting: str
) -> tuple[Tensor, Tensor]:
    """What is subtracted from the shots and from the queries: each (1 or E, 1, D)."""
    if center in ("base", "support"):
        centre = centre_of(support, center, setting)
        assert centre is not None
        return centre, centre
    learning = query.learning_mask[..., None]
    total = query.features.masked_fill(~learning, 0.0).sum(1)
    number = learning.sum(1).to(total.dtype)
    if center == "all":
        shots = support.features.sum((1, 2))
        mean = (shots + total) / (support.counts.sum(1, keepdim=True) + number)
        return mean[:, None], mean[:, None]
    of_shots = support.means().mean(1)
    of_queries = torch.where(number > 0, total / number.clamp_min(1), of_shots)
    return of_shots[:, None], of_queries[:, None]


def check_query_center(center: object, support: Support, setting: str) -> None:
    """Raise unless `center` is one of those of `centred`, and what it takes is there.

    Raises
    ------
    FewshotError
        Another value, or "base" without base classes.
    """
    expect_choice(f"{setting}.center", center, get_args(QueryCenter))
    if center == "base" and support.context.base_mean is None:
        raise FewshotError(
            f"{setting}.center",
            "expected base classes to take the mean of, got none",
            f"Mark classes as base, or set {setting}.center=support or all.",
        )


def uses_of_center(center: str) -> frozenset[str]:
    """What `centred` needs beyond shots and queries, as in ``Head.uses``."""
    return frozenset({"base"} if center == "base" else ())


def check_power(power: object, center: str, setting: str) -> None:
    """Raise unless `power` is None or an exponent in (0, 1] that goes with `center`.

    Raises
    ------
    FewshotError
        Another exponent, or "base": the mean of base classes is known for the features as they
        are, and the mean of powers is not the power of the mean.
    """
    if power is None:
        return
    expect_number(f"{setting}.power", power, 0, 1, above=True, remedy="None leaves it out.")
    if center == "base":
        raise FewshotError(
            f"{setting}.center",
            f"expected none or support together with {setting}.power, got 'base'",
            "The mean of the base classes is that of features without the power transform.",
        )


def ncm_weights(means: Tensor) -> tuple[Tensor, Tensor]:
    """Linear form of nearest class mean: weights (E, N, D), biases (E, N) of means (E, N, D)."""
    centre = means.mean(1, keepdim=True)
    weights = means - centre
    # (|m|^2 - |centre|^2) / 2 without subtracting two large numbers
    biases = -(weights * (means + centre)).sum(-1) / 2
    return weights, biases


def cosine_weights(means: Tensor, centre: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Linear form of the largest cosine with means (E, N, D), seen from centre (1 or E, 1, D)."""
    if centre is None:
        return unit_length(means), means.new_zeros(means.shape[:2])
    weights = unit_length(means - centre)
    return weights, -(weights * centre).sum(-1)


def check_metric(metric: object, setting: str) -> None:
    """Raise unless `metric` is "euclidean" or "cosine"."""
    expect_choice(f"{setting}.metric", metric, ("euclidean", "cosine"))
