"""What every registered segmentation head must do."""

import inspect

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.base import (
    DenseSupport,
    LinearDenseHead,
    MomentHead,
    SupportImage,
)
from fewshot.testing.dense_supports import GRID, D, annotated_image, dense_support, scaled

# Largest difference of scores, relative to the largest score, that rounding may make.
TOLERANCE = {"logistic": 1e-3, "linear_probe": 1e-3}
# Settings under which tests take no time.
QUICK = {"linear_probe": {"epochs": 30}}


def make(name, **settings):
    return heads.create(name, **QUICK.get(name, {}) | settings)


def ways_of(name):
    return heads[name].load().only_ways or 3


def drawn_for(name, images=3, **settings):
    return dense_support(images, ways_of(name), **settings)


def query_for(name, **settings):
    return annotated_image(50, ways_of(name), **settings)


def scores_of(head, image):
    return head.scores(image.tokens, image.grid)


def close(name, first, second):
    """Equal up to what is allowed to the head, among classes that can win."""
    known = (first > -1e8) & (second > -1e8)
    assert torch.equal(first > -1e8, second > -1e8)
    first, second = first[known], second[known]
    bound = TOLERANCE.get(name, 1e-5) * float(second.abs().amax().clamp_min(1e-9))
    assert float((first - second).abs().max()) <= bound


@pytest.fixture(params=heads)
def name(request):
    return request.param


def test_scores_of_every_token_and_class(name):
    support, query = drawn_for(name), query_for(name)
    head = make(name)
    assert head.fit(support, seed=3) is head
    scores = scores_of(head, query)
    assert scores.shape == (len(query.tokens), support.ways) and scores.dtype == torch.float32
    assert bool(scores.isfinite().all()) and not scores.requires_grad
    assert bool((scores.argmax(1) == query.labels.argmax(1)).all())


def test_parameters_are_kept_and_named(name):
    head = heads.create(name)
    assert head.get_params() == heads.create(name).get_params()
    assert head.variant() == "" and type(head)().get_params() == head.get_params()
    copy = make(name).fit(drawn_for(name)).clone()
    assert copy.get_params() == make(name).get_params()
    assert not [key for key in vars(copy) if key.endswith("_")]
    assert repr(head).startswith(type(head).__name__ + "(")


def test_the_seed_decides(name):
    support, query = drawn_for(name), query_for(name)
    first = scores_of(make(name).fit(support, seed=1), query)
    torch.manual_seed(99)
    assert torch.equal(first, scores_of(make(name).fit(support, seed=1), query))


def test_nothing_is_drawn_from_the_global_stream_or_written_into_the_support(name):
    support, query = drawn_for(name), query_for(name)
    before = [(image.tokens.clone(), image.labels.clone()) for image in support.images]
    state = torch.get_rng_state()
    head = make(name).fit(support, seed=1)
    first = scores_of(head, query)
    assert torch.equal(first, scores_of(head, query))
    assert torch.equal(state, torch.get_rng_state())
    for image, (tokens, labels) in zip(support.images, before, strict=True):
        assert torch.equal(image.tokens, tokens) and torch.equal(image.labels, labels)


def test_the_order_of_images_does_not_matter(name):
    support, query = drawn_for(name), query_for(name)
    turned = DenseSupport(support.images[::-1], support.ways)
    close(
        name,
        scores_of(make(name).fit(turned), query),
        scores_of(make(name).fit(support), query),
    )


def test_a_class_without_pixels_is_never_predicted(name):
    ways = ways_of(name)
    for absent in range(ways):
        present = [c for c in range(ways) if c != absent]
        head = make(name).fit(drawn_for(name, present=present))
        scores = scores_of(head, query_for(name))
        assert bool(scores.isfinite().all())
        assert absent not in scores.argmax(1).tolist()
        assert float(scores[:, absent].max()) < float(scores[:, present].max(1).values.min())


@pytest.mark.parametrize(
    "settings",
    [
        {"images": 1},
        {"present": [1]},
        {"images": 1, "present": [1]},
        {"grid": (1, 1)},
        {"images": 1, "grid": (1, 1), "present": [0]},
        {"soft": False},
    ],
    ids=["single image", "single class", "both", "single tokens", "one token", "hard labels"],
)
def test_small_supports(name, settings):
    scores = scores_of(make(name).fit(drawn_for(name, **settings)), query_for(name))
    assert bool(scores.isfinite().all())
    assert set(scores.argmax(1).tolist()) <= set(settings.get("present", range(ways_of(name))))


@pytest.mark.parametrize("grid", [(1, 1), (1, 5)])
def test_small_queries(name, grid):
    query = query_for(name, grid=grid)
    scores = scores_of(make(name).fit(drawn_for(name)), query)
    assert scores.shape == query.labels.shape and bool(scores.isfinite().all())


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_the_scale_of_features_does_not_matter(name, factor):
    support, query = drawn_for(name), query_for(name)
    before = scores_of(make(name).fit(support), query)
    query = query._replace(tokens=query.tokens * factor)
    after = scores_of(make(name).fit(scaled(support, factor)), query)
    assert bool(after.isfinite().all())
    assert torch.equal(before.argmax(1), after.argmax(1))


def test_features_far_from_the_origin(name):
    """Backbones have features with means that are large beside their spread."""
    support, query = drawn_for(name), query_for(name)
    offset = 200.0
    moved = DenseSupport(
        [image._replace(tokens=image.tokens + offset) for image in support.images], support.ways
    )
    scores = make(name).fit(moved).scores(query.tokens + offset, query.grid)
    assert bool(scores.isfinite().all())
    # Angles change with the origin, so that heads of unit-length tokens lose the classes.
    if not heads[name].load().unit_length:
        assert float((scores.argmax(1) == query.labels.argmax(1)).float().mean()) > 0.9


def test_constant_features(name):
    """A dead network, or padding: all tokens are the same."""
    support = drawn_for(name)
    for value in (0.0, 1.5):
        same = DenseSupport(
            [i._replace(tokens=torch.full_like(i.tokens, value)) for i in support.images],
            support.ways,
        )
        scores = make(name).fit(same).scores(torch.full((12, D), value), GRID)
        assert bool(scores.isfinite().all())


def test_an_image_without_annotated_pixels_adds_nothing(name):
    support, query = drawn_for(name), query_for(name)
    blank = annotated_image(9, support.ways)
    blank = blank._replace(labels=torch.zeros_like(blank.labels))
    more = DenseSupport([*support.images, blank], support.ways)
    scores = scores_of(make(name).fit(more), query)
    assert bool(scores.isfinite().all())
    assert torch.equal(scores.argmax(1), scores_of(make(name).fit(support), query).argmax(1))
    alone = scores_of(make(name).fit(DenseSupport([blank], support.ways)), query)
    assert bool(alone.isfinite().all())


def test_ignored_tokens_teach_nothing(name):
    """Whatever lies under the pixels that are ignored, only a network's normalisation sees it."""
    support, query = drawn_for(name), query_for(name)
    extended = [
        SupportImage(
            torch.cat([image.tokens, image.tokens.mean(0).expand(4, -1)]),
            torch.cat([image.labels, torch.zeros(4, support.ways)]),
            (4, 4),
        )
        for image in support.images
    ]
    scores = scores_of(make(name).fit(DenseSupport(extended, support.ways)), query)
    before = scores_of(make(name).fit(support), query)
    assert torch.equal(scores.argmax(1), before.argmax(1))
    if name != "linear_probe":
        close(name, scores, before)


def test_images_of_different_grids(name):
    ways = ways_of(name)
    images = [annotated_image(1, ways, (2, 5)), annotated_image(2, ways, (4, 3))]
    scores = scores_of(make(name).fit(DenseSupport(images, ways)), query_for(name))
    assert bool((scores.argmax(1) == query_for(name).labels.argmax(1)).all())


def test_half_precision_tokens(name):
    """Banks hold float16."""
    support, query = drawn_for(name), query_for(name)
    half = DenseSupport([i._replace(tokens=i.tokens.half()) for i in support.images], support.ways)
    scores = make(name).fit(half).scores(query.tokens.half(), query.grid)
    assert scores.dtype == torch.float32
    assert bool((scores.argmax(1) == query.labels.argmax(1)).all())


def test_linear_heads_are_linear(name):
    head = make(name).fit(drawn_for(name))
    assert head.is_linear == isinstance(head, LinearDenseHead)
    if head.is_linear:
        query = query_for(name)
        weights, biases = head.map_
        expected = head.prepared(query.tokens) @ weights.mT + biases
        torch.testing.assert_close(scores_of(head, query), expected)
        assert weights.dtype == biases.dtype == torch.float32


def test_leaving_an_image_out_of_moments_is_refitting(name):
    head = heads.create(name)
    if not isinstance(head, MomentHead):
        pytest.skip("not fitted from moments")
    support = dense_support(4)
    for index in range(4):
        rest = support.without(index)
        left = support.moments(head.unit_length) - DenseSupport(
            [support.images[index]], support.ways
        ).moments(head.unit_length)
        refitted = head.clone().fit(rest).map_
        for found, expected in zip(head.from_moments(left), refitted, strict=True):
            scale = float(expected.abs().max())
            assert float((found - expected).abs().max()) <= 1e-6 * scale


def test_leaving_out_the_only_image_of_a_class_leaves_no_trace_of_it(name):
    head = heads.create(name)
    if not isinstance(head, MomentHead):
        pytest.skip("not fitted from moments")
    images = [
        annotated_image(1, present=[0, 1]),
        annotated_image(2),
        annotated_image(3, present=[0]),
    ]
    support = DenseSupport(images, 3)
    left = support.moments(head.unit_length) - DenseSupport([images[1]], 3).moments(
        head.unit_length
    )
    weights, biases = head.from_moments(left)
    assert float(biases[2]) == -1e9 and not bool(weights[2].any())


PARAMETERS = [
    (name, parameter)
    for name in heads
    for parameter in inspect.signature(heads[name].load()).parameters
]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
@pytest.mark.parametrize("value", ["nonsense", -3, float("nan"), [2.5], {"a": 1}])
def test_bad_values_name_the_parameter(name, parameter, value):
    with pytest.raises(FewshotError, match=rf"^{parameter}\b.*(expected|got)"):
        heads.create(name, **{parameter: value})
