"""What every estimator must do, with several heads."""

from __future__ import annotations

import inspect

import torch

from fewshot.estimators.base import (
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
)
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Support
from fewshot.testing.base_classes import (
    JUDGED,
    D,
    K,
    Lost,
    base_classes,
    draw,
    draw_images,
    unlabelled_of,
)
from fewshot.testing.check import (
    Check,
    Pairs,
    pairs,
    papers_are_known,
    require,
    require_close,
    require_object_of,
    run,
)
from fewshot.testing.predictions import fitted, predicted, predicted_for, require_valid
from fewshot.testing.unlabelled import (
    UNLABELLED_WITH_HEADS,
    every_head,
    says_what_it_does_with_unlabelled_images,
    unlabelled_images_change_what_sees_them,
)
from fewshot.testing.with_heads import DEGENERATE, WITH_HEADS, accelerator, degenerate_supports

SPACE = {"backbone": "net", "feature": "last", "normalize": "none", "dimensions": D}


def check_estimator(estimator: ErrorEstimator) -> None:
    """Check that an estimator does what runs and reports rely on.

    Parameters
    ----------
    estimator : ErrorEstimator
        Not fitted; it is copied. What it declares as ``tags``
        (`fewshot.estimators.tags.EstimatorTags`), ``least_shots``, ``sees_queries`` and
        ``unlabelled`` is taken into account.

    Raises
    ------
    AssertionError
        One line: the check, what is expected and what came.

    Examples
    --------
    >>> import fewshot.estimators.loo
    >>> check_estimator(fewshot.estimators.loo.LeaveOneOut())
    """
    run(estimator, estimator_checks())


def estimator_checks() -> Pairs:
    """Names and checks; a check is called with an estimator."""
    checks = [Check(function.__name__, function) for function in ALONE]
    for function in (*WITH_HEADS, *UNLABELLED_WITH_HEADS):
        checks += [Check(f"{function.__name__} ({head})", function, (head,)) for head in JUDGED]
    for kind in DEGENERATE:
        for shots, dtype in ((2, torch.float64), (K, torch.float32)):
            name = f"degenerate_supports ({kind}, {shots} shots"
            checks += [
                Check(f"{name}, {head})", degenerate_supports, (head, kind, shots, dtype))
                for head in JUDGED
            ]
    if torch.cuda.is_available():
        checks += [Check(f"accelerator ({head})", accelerator, (head,)) for head in JUDGED]
    return pairs(checks)


def is_an_estimator(estimator: ErrorEstimator) -> None:
    """An object of a class derived from `ErrorEstimator`."""
    require_object_of(estimator, ErrorEstimator)


def no_room_for_queries(estimator: ErrorEstimator) -> None:
    """``predict`` gets the support and the head, ``predict_with`` unlabelled images as well."""
    names = list(inspect.signature(estimator.predict).parameters)
    require(
        names == ["support", "head"], f"expected predict(support, head), got the parameters {names}"
    )
    names = list(inspect.signature(estimator.predict_with).parameters)
    require(
        names == ["support", "head", "unlabelled"],
        f"expected predict_with(support, head, unlabelled), got the parameters {names}",
    )


def parameters_are_kept(estimator: ErrorEstimator) -> None:
    """The constructor stores its arguments under their names, and nothing changes them."""
    before = repr(estimator.get_params())
    copy = estimator.with_params()
    require(
        repr(copy.get_params()) == before,
        f"expected the constructor to store its arguments as they are, got {copy!r} for "
        f"{estimator!r}",
    )
    predicted(copy.fit(base_classes("ncm")), "ncm", draw())
    after = repr(copy.get_params())
    require(
        after == before,
        f"expected fit and predict to leave the parameters as they are, got {after} after {before}",
    )


def queries_change_what_sees_them(estimator: ErrorEstimator) -> None:
    """Other queries change what an oracle predicts, and nothing else's."""
    estimator, support = fitted(estimator, "ncm"), draw()
    judged = heads.create("ncm").fit(support)
    near, far = (
        estimator.predict_knowing(support, judged, draw(seed=0, shots=9, spread=spread)).error
        for spread in (0.3, 4.0)
    )
    same = torch.equal(near.nan_to_num(-1.0), far.nan_to_num(-1.0))
    require(
        estimator.sees_queries != same,
        f"expected sees_queries to say whether queries change its predictions, got "
        f"{estimator.sees_queries}",
    )
    if estimator.unlabelled == "needed":
        return  # it has no number without unlabelled images, which another check is about
    alone = estimator.predict(support, judged)
    require(
        bool(alone.error.isnan().all()) == estimator.sees_queries,
        "expected numbers without queries exactly if it does not need them",
    )
    require(
        not estimator.sees_queries or "queries" in str(alone.reason),
        f"expected a reason that names the queries, got {alone.reason!r}",
    )


def configured_for_a_run(estimator: ErrorEstimator) -> None:
    """``configured`` returns an estimator of the class; one without a level stays as it is."""
    configured = estimator.configured(CalibrationSettings("none", 0.8, None, SPACE))
    require(
        type(configured) is type(estimator),
        f"expected `configured` to keep the class, got {type(configured).__name__}",
    )
    if "level" not in estimator.get_params():
        require(
            configured.get_params() == estimator.get_params(),
            "expected `configured` to keep the parameters",
        )


def no_number_without_a_reason(estimator: ErrorEstimator) -> None:
    """A head without numbers has no predicted error, and a reason."""
    if estimator.sees_queries:
        return
    support = draw()
    try:
        prediction = predicted_for(fitted(estimator, "ncm"), Lost().fit(support), support)
    except FewshotError as error:
        require(
            "expected finite scores" in str(error),
            f"expected it to be said that scores are not finite, got {error}",
        )
        return
    require_valid(prediction)


def scale_of_features(estimator: ErrorEstimator) -> None:
    """A factor of all features changes nothing, if the tags promise it."""
    if estimator.sees_queries or not estimator.tags.scale_invariant:
        return
    estimator, support = estimator.with_params().fit(BaseClasses()), draw(dtype=torch.float32)
    expected = predicted(estimator, "ncm", support).error
    for power in (40, -30):
        scaled = Support.of(support.features * 2.0**power, None, support.context)
        unlabelled = unlabelled_of(draw_images(dtype=torch.float32) * 2.0**power)
        error = predicted(estimator, "ncm", scaled, unlabelled).error
        what = f"equal errors of features times 2^{power}, as the tags promise"
        require_close(error, expected, what, 1.3e-6, 1e-5)


ALONE = (
    is_an_estimator,
    papers_are_known,
    says_what_it_does_with_unlabelled_images,
    no_room_for_queries,
    parameters_are_kept,
    queries_change_what_sees_them,
    configured_for_a_run,
    no_number_without_a_reason,
    scale_of_features,
    unlabelled_images_change_what_sees_them,
    every_head,
)
