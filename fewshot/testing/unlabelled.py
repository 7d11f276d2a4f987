"""What estimators that see unlabelled images must do, and those that say that they ignore them."""

from __future__ import annotations

from dataclasses import replace

import torch

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads import heads
from fewshot.heads.base import Support
from fewshot.testing.base_classes import E, N, U, draw, draw_images, unlabelled_of
from fewshot.testing.check import require, require_close
from fewshot.testing.head_cases import quick
from fewshot.testing.predictions import fitted, predicted, predicted_for, require_valid

DO = ("ignored", "used", "needed")


def says_what_it_does_with_unlabelled_images(estimator: ErrorEstimator) -> None:
    """``unlabelled`` is one of three words."""
    require(
        estimator.unlabelled in DO,
        f"expected `unlabelled` to be one of {', '.join(DO)}, got {estimator.unlabelled!r}",
    )


def unlabelled_images_change_what_sees_them(estimator: ErrorEstimator) -> None:
    """Other unlabelled images change what is not "ignored", and nothing else."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, "ncm"), draw()
    judged = heads.create("ncm").fit(support)
    near, far = (
        estimator.predict_with(
            support, judged, unlabelled_of(draw_images(spread=spread, seed=seed))
        ).error
        for spread, seed in ((0.3, 0), (4.0, 1))
    )
    require(
        torch.equal(near, far) == (estimator.unlabelled == "ignored"),
        f"expected unlabelled images to change its predictions exactly if `unlabelled` is not "
        f"'ignored', got {estimator.unlabelled!r}",
    )


def every_head(estimator: ErrorEstimator) -> None:
    """A valid prediction with unlabelled images for every head of the registry."""
    if not _sees(estimator) or estimator.least_shots > 2:
        return
    few, shots = 2, 2  # some heads take long to refit
    support = draw(shots=shots, episodes=few)
    unlabelled = unlabelled_of(draw_images(episodes=few))
    estimator = fitted(estimator, "ncm", shots)
    dim = support.features.shape[-1]
    mean = torch.zeros(dim, dtype=torch.float64)
    context = replace(
        support.context, base_mean=mean, base_covariance=1.44 * mean.exp().diag(), base_images=360
    )
    support = Support.of(support.features, None, context)
    for name in heads:
        judged = quick(heads.create(name)).fit(support)
        try:
            prediction = predicted_for(estimator, judged, support, unlabelled)
            require_valid(prediction, few)
            require(bool(prediction.error.isfinite().all()), "expected a number for every episode")
        except AssertionError as error:
            raise AssertionError(f"head {name}: {error}") from error


def without_unlabelled_images(estimator: ErrorEstimator, head: str) -> None:
    """Without unlabelled images what needs them has a reason that names them, and no number."""
    if not _sees(estimator):
        return
    for variant in (fitted(estimator, head), estimator.with_params()):
        support = draw()
        judged = heads.create(head).fit(support)
        none = Unlabelled.of(support.features.new_zeros(E, 0, support.features.shape[-1]))
        nothing = Unlabelled.of(draw_images().flatten(1, 2), torch.zeros(E, N * U).bool())
        for prediction in (
            variant.predict(support, judged),
            variant.predict_with(support, judged, none),
            variant.predict_with(support, judged, nothing),
        ):
            _require_nothing_of(prediction, estimator, torch.ones(E, dtype=torch.bool))


def some_episodes_without(estimator: ErrorEstimator, head: str) -> None:
    """An episode without unlabelled images changes no other, and has a number or a reason."""
    if not _sees(estimator):
        return
    estimator, support = fitted(estimator, head), draw()
    unlabelled = unlabelled_of(draw_images())
    mask = unlabelled.mask.clone()
    empty = torch.arange(E) == 2
    mask[empty] = False
    mask[4, 1:] = False  # and one with a single image
    prediction = predicted(estimator, head, support, Unlabelled.of(unlabelled.features, mask))
    _require_nothing_of(prediction, estimator, empty)
    whole = predicted(estimator, head, support, unlabelled)
    others = ~empty & (torch.arange(E) != 4)
    what = "equal errors of other episodes where one has no unlabelled images"
    require_close(prediction.error[others], whole.error[others], what, 1e-9)
    require(bool(prediction.error[4].isfinite()), "expected a number for one unlabelled image")


def _require_nothing_of(
    prediction: Prediction, estimator: ErrorEstimator, empty: torch.Tensor
) -> None:
    require_valid(prediction)
    if estimator.unlabelled == "needed":
        require(
            bool((prediction.error.isnan() >= empty).all()),
            "expected no number without unlabelled images, as `unlabelled` is 'needed'",
        )
        require(
            "unlabelled" in str(prediction.reason),
            f"expected a reason that names the unlabelled images, got {prediction.reason!r}",
        )


def order_of_unlabelled_images(estimator: ErrorEstimator, head: str) -> None:
    """The order of the unlabelled images changes nothing."""
    if not _sees(estimator):
        return
    estimator, support = fitted(estimator, head), draw()
    unlabelled = unlabelled_of(draw_images())
    order = torch.randperm(N * U, generator=torch.Generator().manual_seed(3))
    other = Unlabelled.of(unlabelled.features[:, order])
    error, again = (predicted(estimator, head, support, u).error for u in (unlabelled, other))
    require_close(again, error, "equal errors with unlabelled images in another order", 1e-7)


def padding_of_unlabelled_images(estimator: ErrorEstimator, head: str) -> None:
    """What stands behind the mask of the unlabelled images changes nothing."""
    if not _sees(estimator):
        return
    estimator, support = fitted(estimator, head), draw()
    unlabelled = unlabelled_of(draw_images())
    features = torch.cat([unlabelled.features, torch.full_like(unlabelled.features, 9e3)], 1)
    mask = torch.cat([unlabelled.mask, torch.zeros_like(unlabelled.mask)], 1)
    # Neither by `of`, which zeroes the padding, nor with it.
    for padded in (Unlabelled(features, mask), Unlabelled.of(features, mask)):
        error = predicted(estimator, head, support, padded).error
        what = "equal errors with unlabelled images that the mask leaves out"
        require_close(error, predicted(estimator, head, support, unlabelled).error, what, 1e-7)


def _sees(estimator: ErrorEstimator) -> bool:
    return estimator.unlabelled != "ignored" and not estimator.sees_queries


UNLABELLED_WITH_HEADS = (
    without_unlabelled_images,
    some_episodes_without,
    order_of_unlabelled_images,
    padding_of_unlabelled_images,
)
