"""What every head of segmentation must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fewshot.tasks.segmentation.heads.base import (
    NEVER,
    DenseHead,
    DenseSupport,
    LinearDenseHead,
    MomentHead,
    SupportImage,
)
from fewshot.testing.check import (
    Check,
    Pairs,
    global_seed,
    pairs,
    require,
    require_object_of,
    run,
)
from fewshot.testing.dense_supports import GRID, D, N, annotated_image, dense_support, scaled

CAN_WIN = NEVER / 10  # scores below are those of classes that the support does not show
SMALL: dict[str, Mapping[str, Any]] = {
    "single image": {"images": 1},
    "single class": {"present": [1]},
    "single image and class": {"images": 1, "present": [1]},
    "single tokens": {"grid": (1, 1)},
    "one token": {"images": 1, "grid": (1, 1), "present": [0]},
    "hard labels": {"soft": False},
}


def check_dense_head(head: DenseHead) -> None:
    """Check that a head of segmentation does what runs and estimators rely on.

    Parameters
    ----------
    head : DenseHead
        Not fitted; it is cloned. What it declares as ``tags``
        (`fewshot.tasks.segmentation.heads.base.DenseHeadTags`), ``unit_length`` and ``only_ways``
        is taken into account.

    Raises
    ------
    AssertionError
        One line: the check, what is expected and what came.

    Examples
    --------
    >>> from fewshot.tasks.segmentation.heads.ridge import Ridge
    >>> check_dense_head(Ridge(penalty=0.2))
    """
    run(head, dense_head_checks())


def dense_head_checks() -> Pairs:
    """Names and checks; a check is called with a head."""
    checks = [Check(function.__name__, function) for function in PLAIN]
    checks += [Check(f"small_supports ({name})", small_supports, (name,)) for name in SMALL]
    checks += [Check(f"small_queries {grid}", small_queries, (grid,)) for grid in ((1, 1), (1, 5))]
    checks += [Check(f"scale_of_features ({f:g})", scale_of_features, (f,)) for f in (1e3, 1e-3)]
    return pairs(checks)


def is_a_dense_head(head: DenseHead) -> None:
    """An object of a class derived from `DenseHead`."""
    require_object_of(head, DenseHead)


def scores_of_every_token_and_class(head: DenseHead) -> None:
    """Finite scores (T, N), float32, that find classes that are well apart."""
    head, query = _quick(head), _query(head)
    fitted = head.fit(_support(head), seed=3)
    require(fitted is head, f"expected fit to return self, got {type(fitted).__name__}")
    scores = _scores(head, query)
    require(scores.dtype == torch.float32, f"expected float32, got {scores.dtype}")
    require(not scores.requires_grad, "expected scores without a gradient")
    _require_right(scores, query)


def parameters_are_kept(head: DenseHead) -> None:
    """The constructor stores its arguments; a clone is unfitted and has the same ones."""
    before = repr(head.get_params())
    copy = _quick(head).fit(_support(head)).clone()
    require(
        repr(copy.get_params()) == repr(_quick(head).get_params()),
        f"expected the constructor to store its arguments as they are, got {copy!r}",
    )
    learned = [key for key in vars(copy) if key.endswith("_")]
    require(not learned, f"expected an unfitted clone, got {', '.join(learned)}")
    require(repr(head.get_params()) == before, "expected fit to leave the parameters as they are")
    require(repr(head).startswith(f"{type(head).__name__}("), f"expected its class, got {head!r}")


def the_seed_decides(head: DenseHead) -> None:
    """Equal scores with one seed, whatever the global generators do, which are left alone."""
    support, query = _support(head), _query(head)
    results = []
    for number in (1, 2):
        with global_seed(number):
            before = torch.get_rng_state()
            fitted = _quick(head).fit(support, seed=1)
            results += [_scores(fitted, query), _scores(fitted, query)]
            untouched = torch.equal(before, torch.get_rng_state())
        require(untouched, "expected random numbers from a generator of the seed, not the global")
    require(
        all(torch.equal(results[0], other) for other in results[1:]),
        "expected the same scores of the same seed",
    )


def inputs_are_left(head: DenseHead) -> None:
    """``fit`` does not write into the support, nor ``scores`` into the tokens."""
    support, query = _support(head), _query(head)
    images = [*support.images, query]
    before = [(image.tokens.clone(), image.labels.clone()) for image in images]
    _scores(_quick(head).fit(support), query)
    for image, (tokens, labels) in zip(images, before, strict=True):
        same = torch.equal(image.tokens, tokens) and torch.equal(image.labels, labels)
        require(same, "expected tokens and labels to be left as they are")


def order_of_images(head: DenseHead) -> None:
    """Equal scores of the images in another order."""
    support, query = _support(head), _query(head)
    turned = DenseSupport(support.images[::-1], support.ways)
    _require_close(head, _fitted_scores(head, turned, query), _fitted_scores(head, support, query))


def absent_classes(head: DenseHead) -> None:
    """A class without pixels is never predicted, and its scores are finite."""
    ways, query = _ways(head), _query(head)
    for absent in range(ways):
        present = [c for c in range(ways) if c != absent]
        scores = _fitted_scores(head, _support(head, present=present), query)
        behind = float(scores[:, absent].max()) < float(scores[:, present].max(1).values.min())
        require(behind, f"expected class {absent}, which no image shows, to win nowhere")


def small_supports(head: DenseHead, name: str) -> None:
    """Finite scores from few images, tokens or classes; no other class is predicted."""
    settings = SMALL[name]
    scores = _fitted_scores(head, _support(head, **settings), _query(head))
    classes = set(scores.argmax(1).tolist())
    shown = set(settings.get("present", range(_ways(head))))
    require(classes <= shown, f"expected classes among {sorted(shown)}, got {sorted(classes)}")


def small_queries(head: DenseHead, grid: tuple[int, int]) -> None:
    """Scores of images with few tokens."""
    _fitted_scores(head, _support(head), _query(head, grid=grid))


def scale_of_features(head: DenseHead, factor: float) -> None:
    """Features times a number give the same answers."""
    support, query = _support(head), _query(head)
    before = _fitted_scores(head, support, query)
    larger = query._replace(tokens=query.tokens * factor)
    after = _fitted_scores(head, scaled(support, factor), larger)
    same = torch.equal(before.argmax(1), after.argmax(1))
    require(same, f"expected the same answers of features times {factor:g}")


def features_far_from_the_origin(head: DenseHead) -> None:
    """Features whose means are large beside their spread, as those of backbones are.

    Angles change with the origin, so that heads of unit-length tokens may lose the classes.
    """
    support, query = _support(head), _query(head)
    images = [image._replace(tokens=image.tokens + 200.0) for image in support.images]
    query = query._replace(tokens=query.tokens + 200.0)
    scores = _fitted_scores(head, DenseSupport(images, support.ways), query)
    if not head.unit_length:
        right = float((scores.argmax(1) == query.labels.argmax(1)).float().mean())
        require(right > 0.9, f"expected more than 0.9 of the tokens right, got {right:.2f}")


def constant_features(head: DenseHead) -> None:
    """Finite scores where all tokens are the same: a dead network, or padding."""
    support, query = _support(head), _query(head)
    for value in (0.0, 1.5):
        images = [i._replace(tokens=torch.full_like(i.tokens, value)) for i in support.images]
        same = query._replace(tokens=torch.full((GRID[0] * GRID[1], D), value))
        _fitted_scores(head, DenseSupport(images, support.ways), same)


def images_without_annotated_pixels(head: DenseHead) -> None:
    """They add nothing, and alone they are no error."""
    support, query = _support(head), _query(head)
    blank = annotated_image(9, support.ways)
    blank = blank._replace(labels=torch.zeros_like(blank.labels))
    more = DenseSupport([*support.images, blank], support.ways)
    before, after = (_fitted_scores(head, s, query) for s in (support, more))
    same = torch.equal(after.argmax(1), before.argmax(1))
    require(same, "expected an image without annotated pixels to add nothing")
    _fitted_scores(head, DenseSupport([blank], support.ways), query)


def ignored_tokens(head: DenseHead) -> None:
    """What lies under pixels that are ignored teaches nothing."""
    support, query = _support(head), _query(head)
    extended = [
        SupportImage(
            torch.cat([image.tokens, image.tokens.mean(0).expand(4, -1)]),
            torch.cat([image.labels, torch.zeros(4, support.ways)]),
            (4, 4),
        )
        for image in support.images
    ]
    after = _fitted_scores(head, DenseSupport(extended, support.ways), query)
    before = _fitted_scores(head, support, query)
    same = torch.equal(after.argmax(1), before.argmax(1))
    require(same, "expected the same answers with tokens of ignored pixels")
    if not head.tags.sees_ignored_tokens:
        _require_close(head, after, before)


def images_of_different_grids(head: DenseHead) -> None:
    """Images of different sizes in one support."""
    ways, query = _ways(head), _query(head)
    images = [annotated_image(1, ways, (2, 5)), annotated_image(2, ways, (4, 3))]
    _require_right(_fitted_scores(head, DenseSupport(images, ways), query), query)


def half_precision_tokens(head: DenseHead) -> None:
    """Tokens in float16, as banks hold them, give scores in float32."""
    support, query = _support(head), _query(head)
    half = DenseSupport([i._replace(tokens=i.tokens.half()) for i in support.images], support.ways)
    scores = _fitted_scores(head, half, query._replace(tokens=query.tokens.half()))
    require(scores.dtype == torch.float32, f"expected float32, got {scores.dtype}")
    _require_right(scores, query)


def linear_heads_are_linear(head: DenseHead) -> None:
    """A head that says it is linear has a map whose scores are those of the head."""
    require(
        head.is_linear == isinstance(head, LinearDenseHead),
        "expected is_linear of heads derived from LinearDenseHead, and of no others",
    )
    head, query = _quick(head).fit(_support(head)), _query(head)
    if isinstance(head, LinearDenseHead):
        weights, biases = head.map_
        expected = head.prepared(query.tokens) @ weights.mT + biases
        _require_close(head, _scores(head, query), expected)
        require(weights.dtype == biases.dtype == torch.float32, "expected a map in float32")


def leaving_an_image_out_is_refitting(head: DenseHead) -> None:
    """Of heads fitted from moments; classes of that image alone leave no trace."""
    if not isinstance(head, MomentHead):
        return
    ways = _ways(head)
    images = [annotated_image(1, ways, present=[0, 1]), annotated_image(2, ways),
              annotated_image(3, ways, present=[0])]  # fmt: skip
    support = DenseSupport(images, ways)
    for index in range(len(images)):
        rest = support.without(index).moments(head.unit_length)
        alone = DenseSupport([images[index]], ways).moments(head.unit_length)
        less = support.moments(head.unit_length) - alone
        for subtracted, expected in zip(
            head.from_moments(less), head.from_moments(rest), strict=True
        ):
            bound = 1e-6 * float(expected.abs().max())
            difference = float((subtracted - expected).abs().max())
            require(difference <= bound, f"expected the map of a refit, it differs by {difference}")


PLAIN = (
    is_a_dense_head,
    scores_of_every_token_and_class,
    parameters_are_kept,
    inputs_are_left,
    the_seed_decides,
    order_of_images,
    absent_classes,
    features_far_from_the_origin,
    constant_features,
    images_without_annotated_pixels,
    ignored_tokens,
    images_of_different_grids,
    half_precision_tokens,
    linear_heads_are_linear,
    leaving_an_image_out_is_refitting,
)


def _quick(head: DenseHead) -> DenseHead:
    """An unfitted copy, with the settings that it is to be checked with."""
    return type(head)(**{**head.get_params(), **head.tags.check_with})


def _ways(head: DenseHead) -> int:
    return head.only_ways or N


def _support(head: DenseHead, images: int = 3, **settings: Any) -> DenseSupport:
    return dense_support(images, _ways(head), **settings)


def _query(head: DenseHead, **settings: Any) -> SupportImage:
    return annotated_image(50, _ways(head), **settings)


def _fitted_scores(head: DenseHead, support: DenseSupport, query: SupportImage) -> Tensor:
    return _scores(_quick(head).fit(support), query)


def _scores(head: DenseHead, image: SupportImage) -> Tensor:
    """Scores of a fitted head, of the right shape and finite."""
    scores = head.scores(image.tokens, image.grid)
    shape = tuple(image.labels.shape)
    require(tuple(scores.shape) == shape, f"expected (T, N) = {shape}, got {tuple(scores.shape)}")
    require(bool(scores.isfinite().all()), "expected finite scores, got NaN or infinity")
    return scores


def _require_right(scores: Tensor, query: SupportImage) -> None:
    right = float((scores.argmax(1) == query.labels.argmax(1)).float().mean())
    require(right == 1, f"expected the class of every token, well apart, got {right:.0%} of them")


def _require_close(head: DenseHead, first: Tensor, second: Tensor) -> None:
    """Equal up to what is allowed to the head, among classes that can win."""
    known = second > CAN_WIN
    require(torch.equal(first > CAN_WIN, known), "expected the same classes to be out of reach")
    bound = head.tags.tolerance * float(second[known].abs().max().clamp_min(1e-9))
    difference = float((first[known] - second[known]).abs().max())
    require(difference <= bound, f"expected equal scores, they differ by {difference:.3g}")
