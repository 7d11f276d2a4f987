"""What holds of every prediction of an estimator."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads import heads
from fewshot.heads.base import Head, Support
from fewshot.testing.base_classes import E, K, base_classes, draw_images, unlabelled_of
from fewshot.testing.check import require


def fitted(estimator: ErrorEstimator, head: str, shots: int = K) -> ErrorEstimator:
    """A copy of an estimator, fitted to base classes of a head."""
    return estimator.with_params().fit(base_classes(head, shots))


def predicted(
    estimator: ErrorEstimator, head: str, support: Support, unlabelled: Unlabelled | None = None
) -> Prediction:
    """Prediction for a new head of a name, fitted on the support.

    With unlabelled images, if the estimator sees any: by default those that go with `draw`.
    """
    return predicted_for(estimator, heads.create(head).fit(support), support, unlabelled)


def predicted_for(
    estimator: ErrorEstimator, judged: Head, support: Support, unlabelled: Unlabelled | None = None
) -> Prediction:
    """Prediction for a fitted head; as `predicted`."""
    if estimator.unlabelled == "ignored":
        return estimator.predict(support, judged)
    if unlabelled is None:
        episodes, ways, _, dim = support.features.shape
        dtype = support.features.dtype
        images = draw_images(ways=ways, episodes=episodes, dim=dim, dtype=dtype)
        unlabelled = unlabelled_of(images)
    return estimator.predict_with(support, judged, unlabelled)


def require_valid(prediction: Prediction, episodes: int = E) -> None:
    """Raise unless what holds of every prediction, whatever the support, holds of one."""
    require(
        isinstance(prediction, Prediction),
        f"expected a fewshot.estimators.base.Prediction, got {type(prediction).__name__}",
    )
    error = prediction.error
    require(
        tuple(error.shape) == (episodes,),
        f"expected errors (E,) = ({episodes},), got {tuple(error.shape)}",
    )
    defined = error.isfinite()
    require(_within(error[defined]), "expected errors in [0, 1]")
    require(not bool(error.isinf().any()), "expected no infinite error")
    require(bool(defined.all()) or bool(prediction.reason), "expected a reason with errors of NaN")
    if prediction.fallback is not None:
        require(prediction.fallback.dtype == torch.bool, "expected `fallback` to be bool")
        require(
            not bool((prediction.fallback & ~defined).any()),
            "expected no reservation where there is no number",
        )
        require(bool(prediction.fallback_reason), "expected a `fallback_reason`")
    lower, upper, bands = prediction.lower, prediction.upper, prediction.bands
    require(
        (lower is None) == (upper is None) == (bands is None),
        "expected all of `lower`, `upper` and `bands`, or none of them",
    )
    if lower is not None and upper is not None and bands is not None:
        _require_interval(error, lower, upper, bands)


def _require_interval(error: Tensor, lower: Tensor, upper: Tensor, bands: Tensor) -> None:
    defined = error.isfinite()
    for bound in (lower, upper, *bands.flatten(0, 1)):
        require(
            bool((bound.isfinite() == defined).all()), "expected bounds exactly where errors are"
        )
        require(_within(bound[defined]), "expected bounds in [0, 1]")
    inside = (lower <= error) & (error <= upper)
    require(bool(inside[defined].all()), "expected the error within `lower` and `upper`")
    inside = (bands[0] <= error) & (error <= bands[1])
    require(bool(inside[:, defined].all()), "expected the error within `bands`")
    wider = (bands[0].diff(dim=0) <= 0) & (bands[1].diff(dim=0) >= 0)
    require(bool(wider[:, defined].all()), "expected wider bands at higher levels")


def _within(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())
