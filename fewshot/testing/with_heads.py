"""What every estimator must do with each head."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fewshot.estimators.base import BaseClasses, ErrorEstimator
from fewshot.estimators.calibration.transferred import load_general
from fewshot.heads import heads
from fewshot.heads.base import Head, Query, Support
from fewshot.testing.base_classes import E, K, draw, draw_images, unlabelled_of
from fewshot.testing.check import global_seed, require, require_close
from fewshot.testing.predictions import fitted, predicted, predicted_for, require_valid

DEGENERATE: dict[str, Callable[[Tensor], Tensor]] = {
    "zero variance": lambda x: x[:, :, :1].expand_as(x),
    "two equal shots": lambda x: torch.cat([x[:, :, :1], x[:, :, :-1]], 2),
    "constant feature": lambda x: torch.cat([torch.ones_like(x[..., :1]), x[..., 1:]], -1),
    "equal classes": lambda x: x[:, :1].expand_as(x),
    "all the same": lambda x: x[:, :1, :1].expand_as(x),
    "zeros": torch.zeros_like,
    "far from the origin": lambda x: x + 1e4,
    "tiny": lambda x: x * 1e-12,
}


def calibration_label(estimator: ErrorEstimator, head: str) -> None:
    """A label of a calibration is of what calibrates itself."""
    if estimator.sees_queries:
        return
    label = fitted(estimator, head).calibration_label()
    require(
        label == "none" or estimator.calibrates_itself,
        f"expected the calibration 'none' without calibrates_itself, got {label!r}",
    )


def adds_what_it_learned(estimator: ErrorEstimator, head: str) -> None:
    """What goes into a calibrator was learned from base classes."""
    if estimator.sees_queries:
        return
    general, name = load_general(), type(estimator).__name__.lower()
    for nothing in (estimator.with_params(), estimator.with_params().fit(BaseClasses())):
        require(
            nothing.add_to(general, name, head, K) is general,
            "expected `add_to` to return the calibrator as it is, without base classes",
        )
    made = fitted(estimator, head).add_to(general, name, head, K)
    if made is not general:
        require(estimator.calibrates_itself, "expected calibrates_itself of what adds to it")
        require(
            made.models != general.models or name in made.others,
            "expected another calibrator to have more in it",
        )


def shape_range_and_reason(estimator: ErrorEstimator, head: str) -> None:
    """A number in [0, 1] for every episode, and an interval if the tags promise one."""
    if estimator.sees_queries:
        return
    prediction = predicted(fitted(estimator, head), head, draw())
    require_valid(prediction)
    require(prediction.reason is None, f"expected numbers, got the reason {prediction.reason!r}")
    require(bool(prediction.error.isfinite().all()), "expected a number for every episode")
    if estimator.tags.has_interval:
        lower, upper = prediction.lower, prediction.upper
        require(
            lower is not None and upper is not None and bool((lower < upper).all()),
            "expected intervals, as the tags promise",
        )


def head_is_left(estimator: ErrorEstimator, head: str) -> None:
    """``predict`` changes neither the head nor the support."""
    if estimator.sees_queries:
        return
    support, query = draw(), Query.of(draw(seed=3).features.flatten(1, 2))
    judged: Head = heads.create(head).fit(support)
    scores, features = judged.scores(query), support.features.clone()
    predicted_for(fitted(estimator, head), judged, support)
    require(
        torch.equal(judged.scores(query), scores),
        "expected `predict` to leave the head as it is; fit a clone of it: head.clone()",
    )
    require(
        torch.equal(support.features, features), "expected `predict` to leave the support as it is"
    )


def batch_equals_loop(estimator: ErrorEstimator, head: str) -> None:
    """The episodes of a batch know nothing of each other."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, head), draw()
    unlabelled = unlabelled_of(draw_images())
    mask = support.mask.clone()
    mask[::2, 0, 3:] = mask[::3, 2, 2:] = False  # some episodes have fewer shots of some classes
    mask[5, :, max(1, estimator.least_shots) :] = False  # and one has few of each
    for mixed in (support, Support.of(support.features, mask, support.context)):
        whole = predicted(estimator, head, mixed, unlabelled)
        each = [
            predicted(estimator, head, mixed[e : e + 1], unlabelled[e : e + 1]) for e in range(E)
        ]
        for name in ("error", "lower", "upper", "bands"):
            together = getattr(whole, name)
            if together is not None:
                single = torch.cat([getattr(prediction, name) for prediction in each], -1)
                what = f"equal `{name}` of an episode by itself and in a batch"
                require_close(single, together, what, 1e-9)


def order_of_classes_and_shots(estimator: ErrorEstimator, head: str) -> None:
    """The order of classes and shots changes predictions no more than the tags say."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, head), draw()
    error = predicted(estimator, head, support).error
    other = support[:, [2, 0, 3, 1]]
    shuffled = Support.of(other.features.flip(2), None, other.context)
    # Quadrature points meet the classes in another order; random partitions deal other shots.
    tolerance = estimator.tags.order_tolerance
    what = f"errors within {tolerance} with classes and shots in another order"
    require_close(predicted(estimator, head, shuffled).error, error, what, 0, tolerance)


def repeatable_and_stateless(estimator: ErrorEstimator, head: str) -> None:
    """The same twice, after other episodes and whatever the global generators."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, head), draw()
    with global_seed(1):
        first = predicted(estimator, head, support).error
    predicted(estimator, head, draw(seed=5))
    with global_seed(2):
        again = predicted(estimator, head, support).error
    require(
        torch.equal(again, first),
        "expected the same errors twice, got others: random numbers come from a generator of its "
        "own, and `predict` remembers nothing",
    )


def float32_agrees(estimator: ErrorEstimator, head: str) -> None:
    """Errors in float32 are those in float64, to 0.002."""
    if estimator.sees_queries:
        return
    estimator = fitted(estimator, head)
    exact = predicted(estimator, head, draw()).error
    rough = predicted(estimator, head, draw(dtype=torch.float32)).error
    require_close(rough.double(), exact, "errors in float32 near those in float64", 1e-3, 2e-3)


def unequal_shots(estimator: ErrorEstimator, head: str) -> None:
    """Classes with fewer shots; what stands behind the mask changes nothing."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, head), draw()
    mask = support.mask.clone()
    mask[:, 0, 3:] = mask[:, 2, max(2, estimator.least_shots) :] = False
    prediction = predicted(estimator, head, Support.of(support.features, mask, support.context))
    require_valid(prediction)
    require(bool(prediction.error.isfinite().all()), "expected numbers with unequal shots")
    padded = Support.of(
        torch.cat([support.features, torch.full_like(support.features, 9e3)], 2),
        torch.cat([mask, torch.zeros_like(mask)], 2),
        support.context,
    )
    what = "equal errors with shots that the mask leaves out"
    require_close(predicted(estimator, head, padded).error, prediction.error, what, 1e-7)


def one_shot(estimator: ErrorEstimator, head: str) -> None:
    """A number or a reason for one shot of every class."""
    if estimator.sees_queries or estimator.least_shots > 1:
        return
    learned = fitted(estimator, head, shots=1)
    others = (fitted(estimator, head), estimator.with_params().fit(BaseClasses()))
    for variant in (learned, *others, estimator.with_params()):
        prediction = predicted(variant, head, draw(shots=1))
        require_valid(prediction)
        finite = prediction.error.isfinite()
        require(
            bool(finite.all()) or bool((~finite).all()),
            "expected numbers for all episodes of one shot, or for none",
        )
    # With base classes those have an answer that need no held-out shots, and no other has one.
    defined = bool(predicted(learned, head, draw(shots=1)).error.isfinite().all())
    _require_promised(estimator, "at_one_shot", defined, "a number at one shot with base classes")


def without_base_classes(estimator: ErrorEstimator, head: str) -> None:
    """A number or a reason without base classes, fitted or not."""
    if estimator.sees_queries:
        return
    for variant in (estimator.with_params().fit(BaseClasses()), estimator.with_params()):
        prediction = predicted(variant, head, draw())
        require_valid(prediction)
        defined = bool(prediction.error.isfinite().any())
        _require_promised(estimator, "without_base", defined, "a number without base classes")
        require(
            estimator.tags.without_base is not False or "base classes" in str(prediction.reason),
            f"expected a reason that names the base classes, got {prediction.reason!r}",
        )


def _require_promised(estimator: ErrorEstimator, tag: str, holds: bool, what: str) -> None:
    promised = getattr(estimator.tags, tag)
    require(
        promised is None or promised == holds,
        f"expected {'' if promised else 'not '}{what}, as tags.{tag}={promised} says",
    )


def two_ways_and_many(estimator: ErrorEstimator, head: str) -> None:
    """Two classes, and twelve."""
    if estimator.sees_queries:
        return
    for ways in (2, 12):
        require_valid(predicted(fitted(estimator, head), head, draw(ways=ways)))


def more_dimensions_than_samples(estimator: ErrorEstimator, head: str) -> None:
    """300 dimensions, without base classes."""
    if not estimator.sees_queries:
        require_valid(predicted(estimator.with_params(), head, draw(dim=300)))


def harder_episodes(estimator: ErrorEstimator, head: str) -> None:
    """Episodes whose classes overlap more get larger predictions, unless the tags say otherwise."""
    if estimator.sees_queries or not estimator.tags.varies:
        return
    estimator = fitted(estimator, head)
    easy, hard = (
        float(
            predicted(
                estimator,
                head,
                draw(spread=spread),
                unlabelled_of(draw_images(spread=spread)),
            ).error.mean()
        )
        for spread in (0.3, 4.0)
    )
    require(
        hard > easy,
        f"expected larger errors of harder episodes, got {hard:.3f} and {easy:.3f} of easy ones "
        "(or tags = EstimatorTags(varies=False))",
    )


def degenerate_supports(
    estimator: ErrorEstimator, head: str, kind: str, shots: int, dtype: torch.dtype
) -> None:
    """A number or a reason, whatever the shots."""
    if estimator.sees_queries or shots < estimator.least_shots:
        return
    support = draw(shots=shots, dtype=dtype)
    features = DEGENERATE[kind](support.features).clone()
    degenerate = Support.of(features, None, support.context)
    unlabelled = unlabelled_of(DEGENERATE[kind](draw_images(dtype=dtype)).clone())
    require_valid(predicted(fitted(estimator, head), head, degenerate, unlabelled))


def accelerator(estimator: ErrorEstimator, head: str) -> None:
    """The same predictions on an accelerator."""
    if estimator.sees_queries:
        return
    estimator, support = fitted(estimator, head), draw()
    error = predicted(estimator, head, support).error
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    unlabelled = unlabelled_of(draw_images().cuda())
    there = predicted(estimator, head, moved, unlabelled).error.cpu()
    require_close(there, error, "equal errors on an accelerator", 1e-7)


WITH_HEADS = (
    shape_range_and_reason,
    calibration_label,
    adds_what_it_learned,
    head_is_left,
    batch_equals_loop,
    order_of_classes_and_shots,
    repeatable_and_stateless,
    float32_agrees,
    unequal_shots,
    one_shot,
    without_base_classes,
    two_ways_and_many,
    more_dimensions_than_samples,
    harder_episodes,
)
