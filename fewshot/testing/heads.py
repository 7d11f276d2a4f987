"""What every head must do."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.held_out import leave_one_out_scores, refitted_scores
from fewshot.heads.base import Head, Query, Support, linear_scores
from fewshot.heads.ncm import NCM
from fewshot.testing.check import (
    Check,
    Pairs,
    global_seed,
    pairs,
    papers_are_known,
    require,
    require_close,
    require_object_of,
    run,
)
from fewshot.testing.gaussians import CASES, D, E, K, N, T, context_of, truth
from fewshot.testing.head_cases import prepared, quick, relative, shape_of
from fewshot.testing.invariances import (
    accelerator,
    batch_equals_loop,
    features_with_gradients,
    float32_agrees,
    padding_among_the_queries,
    padding_is_ignored,
    permutation_of_classes,
    permutation_of_queries,
    permutation_of_shots,
    queries_by_themselves,
    queries_set_apart,
    scale_of_features,
    shift_of_features,
    uses_what_it_declares,
)

# Powers of two that features are multiplied by; their squares are still numbers.
SCALES = ((50, torch.float32), (-50, torch.float32), (60, torch.float64), (-60, torch.float64))
DEGENERATE = ("constant", "duplicates", "equal classes")


def check_head(head: Head) -> None:
    """Check that a head does what runs and estimators rely on.

    Parameters
    ----------
    head : Head
        Not fitted; it is cloned. What it declares as ``tags`` (`fewshot.heads.tags.HeadTags`),
        ``uses`` and ``least_shots`` is taken into account.

    Raises
    ------
    AssertionError
        One line: the check, what is expected and what came.

    Examples
    --------
    >>> import fewshot.heads.ridge
    >>> check_head(fewshot.heads.ridge.Ridge(alpha=2.0))
    """
    run(head, head_checks())


def head_checks() -> Pairs:
    """Names and checks; a check is called with a head."""
    alone = (is_a_head, papers_are_known, parameters_are_kept)
    checks = [Check(function.__name__, function) for function in alone]
    for function in ON_CASES:
        checks += [Check(f"{function.__name__} ({case})", function, (case,)) for case in CASES]
    for power, dtype in SCALES:
        name = f"scale_of_features (2^{power}, {str(dtype).removeprefix('torch.')})"
        checks += [
            Check(f"{name}, {case}", scale_of_features, (case, power, dtype)) for case in CASES
        ]
    checks += [
        Check(f"degenerate_supports ({kind})", degenerate_supports, (kind,)) for kind in DEGENERATE
    ]
    checks.append(Check("without_shots", without_shots))
    if torch.cuda.is_available():
        checks += [Check(f"accelerator ({case})", accelerator, (case,)) for case in CASES]
    return pairs(checks)


def is_a_head(head: Head) -> None:
    """An object of a class derived from `Head`."""
    require_object_of(head, Head)


def parameters_are_kept(head: Head) -> None:
    """The constructor stores its arguments under their names, and nothing changes them."""
    before = repr(head.get_params())
    clone = head.clone()
    require(
        repr(clone.get_params()) == before,
        f"expected the constructor to store its arguments as they are, got {clone!r} for {head!r}",
    )
    require(type(head).__name__ in repr(head), f"expected repr to name the class, got {head!r}")
    clone, support, query = prepared(head, "complete")
    before = repr(clone.get_params())
    clone.fit(support).scores(query)
    after = repr(clone.get_params())
    require(
        after == before,
        f"expected fit and scores to leave the parameters as they are, got {after} after {before}",
    )


def shapes_and_type(head: Head, case: str) -> None:
    """Finite scores (E, T, N) in the type of the features; ``fit`` returns the head."""
    head, support, query = prepared(head, case)
    fitted = head.fit(support)
    require(fitted is head, f"expected fit to return self, got {type(fitted).__name__}")
    for dtype in (torch.float64, torch.float32):
        scores = head.fit(support.to(dtype)).scores(Query.of(query.features.to(dtype)))
        shape = (E, N * T, N)
        require(
            isinstance(scores, Tensor) and tuple(scores.shape) == shape,
            f"expected scores (E, T, N) = {shape}, got {shape_of(scores)}",
        )
        require(
            scores.dtype == dtype,
            f"expected scores in the type of the features, {dtype}, got {scores.dtype}",
        )
        require(bool(scores.isfinite().all()), "expected finite scores, got NaN or infinity")
        require(not scores.requires_grad, "expected scores without a gradient")
    answers = head.fit(support).predict(query)
    require(answers.shape == (E, N * T), f"expected answers (E, T), got {shape_of(answers)}")


def better_than_chance(head: Head, case: str) -> None:
    """More than half of the queries of four classes that are easy to tell apart."""
    head, support, query = prepared(head, case)
    accuracy = float((head.fit(support).predict(query) == truth()).double().mean())
    require(accuracy > 0.5, f"expected an accuracy above 0.5 of four easy classes, got {accuracy}")


def inputs_are_left(head: Head, case: str) -> None:
    """Neither ``fit`` nor ``scores`` writes into what it is given."""
    head, support, query = prepared(head, case)
    context = support.context
    inputs = {
        "support.features": support.features,
        "support.mask": support.mask,
        "query.features": query.features,
        "context.text": context.text,
        "context.base_mean": context.base_mean,
        "context.base_covariance": context.base_covariance,
    }
    before = {name: None if value is None else value.clone() for name, value in inputs.items()}
    head.fit(support).scores(query)
    for name, value in inputs.items():
        kept = before[name]
        same = value is None or kept is None or torch.equal(value, kept)
        require(same, f"expected {name} to be left as it is, got other values")


def scores_change_nothing(head: Head, case: str) -> None:
    """Scores do not depend on which queries were scored before."""
    head, support, query = prepared(head, case)
    head.fit(support)
    first = head.scores(query)
    head.scores(Query.of(query.features.flip(1)))
    require(
        torch.equal(first, head.scores(query)),
        "expected `scores` to leave the head as it is, got other scores after other queries",
    )


def fit_forgets(head: Head, case: str) -> None:
    """A head that is fitted again knows nothing of earlier supports."""
    head, support, query = prepared(head, case)
    fresh = head.clone().fit(support).scores(query)
    head.fit(Support.of(support.features.roll(1, 0), support.mask.roll(1, 0), support.context))
    require(
        torch.equal(head.fit(support).scores(query), fresh),
        "expected `fit` to forget earlier supports, got other scores than of a fresh head",
    )


def deterministic(head: Head, case: str) -> None:
    """The same twice, whatever the global generators; which are left alone."""
    head, support, query = prepared(head, case)
    results = []
    for seed in (1, 2):
        with global_seed(seed):
            before = torch.get_rng_state()
            results.append(head.clone().fit(support).scores(query))
            require(
                torch.equal(before, torch.get_rng_state()),
                "expected the global generator of torch to be left alone: make a torch.Generator "
                "from a parameter `seed`",
            )
    require(
        torch.equal(*results),
        "expected the same scores twice, got others: make random numbers by a torch.Generator from "
        "a parameter `seed`",
    )
    again = head.fit(support).scores(query)
    require(
        torch.equal(again, head.clone().fit(support).scores(query)),
        "expected the same scores of a clone, got others",
    )


def linear_form(head: Head, case: str) -> None:
    """``linear`` gives the scores of a head that is linear, and of no other."""
    head, support, query = prepared(head, case)
    form = head.fit(support).linear()
    require(
        head.is_linear == (form is not None),
        f"expected `linear` to return a form exactly if is_linear, got {form is not None} and "
        f"is_linear={head.is_linear}",
    )
    if form is None:
        return
    scores = linear_scores(query.features, form.weights, form.biases)
    require(torch.equal(scores, head.scores(query)), "expected `linear` to give the scores")


def means_at_one_shot(head: Head, case: str) -> None:
    """A head with ``means_at_one_shot`` is nearest class mean there."""
    head, support, query = prepared(head, case)
    if not head.means_at_one_shot:
        return
    single = Support.of(support.features[:, :, :1], None, support.context)
    answers = head.fit(single).predict(query)
    require(
        torch.equal(answers, NCM().fit(single).predict(query)),
        "expected the answers of nearest class mean at one shot, as means_at_one_shot says",
    )


def leave_one_out(head: Head, case: str) -> None:
    """A closed form of leave-one-out scores is that of refitting, and changes no scores."""
    head, support, query = prepared(head, case)
    if head.leave_one_out(support) is None or int(support.counts.min()) <= head.least_shots > 1:
        return
    fast, slow = leave_one_out_scores(head, support), refitted_scores(head, support)
    require(
        torch.equal(fast.isnan(), slow.isnan()),
        "expected `leave_one_out` to be NaN exactly where a class has a single shot",
    )
    what = "scores of `leave_one_out` and of refitting"
    require_close(relative(fast.nan_to_num()), relative(slow.nan_to_num()), f"equal {what}", 1e-8)
    scores = head.fit(support).scores(query)
    head.leave_one_out(support)
    require(
        torch.equal(head.scores(query), scores),
        "expected `leave_one_out` to leave the fitted head as it is, got other scores",
    )


def degenerate_supports(head: Head, kind: str) -> None:
    """Finite scores, whatever the shots: copies, constant dimensions, equal classes."""
    head = quick(head)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(E, N, K, D, generator=generator, dtype=torch.float64)
    if kind == "constant":
        features[..., :3] = 2.0
    elif kind == "duplicates":
        features = features[:, :, :1].expand(E, N, K, D).clone()
    else:
        features = features[:, :1].expand(E, N, K, D).clone()
    query = Query.of(torch.randn(E, T, D, generator=generator, dtype=torch.float64))
    means = torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    context = context_of(means, generator)
    for dtype in (torch.float32, torch.float64):
        fitted = head.fit(Support.of(features.to(dtype), None, context.to(dtype)))
        scores = fitted.scores(Query.of(query.features.to(dtype)))
        require(bool(scores.isfinite().all()), f"expected finite scores in {dtype}")


def without_shots(head: Head) -> None:
    """A head with ``least_shots`` 0 knows the classes by their names."""
    if head.least_shots > 0:
        return
    head, support, query = prepared(head, "complete")
    empty = Support.of(support.features[:, :, :0], None, support.context, least_shots=0)
    scores = head.fit(empty).scores(query)
    require(scores.shape == (E, N * T, N), f"expected scores (E, T, N), got {shape_of(scores)}")
    require(bool(scores.isfinite().all()), "expected finite scores without shots")


ON_CASES = (
    shapes_and_type,
    better_than_chance,
    inputs_are_left,
    scores_change_nothing,
    fit_forgets,
    deterministic,
    batch_equals_loop,
    permutation_of_classes,
    permutation_of_queries,
    permutation_of_shots,
    queries_by_themselves,
    uses_what_it_declares,
    padding_is_ignored,
    padding_among_the_queries,
    queries_set_apart,
    features_with_gradients,
    shift_of_features,
    float32_agrees,
    linear_form,
    means_at_one_shot,
    leave_one_out,
)
