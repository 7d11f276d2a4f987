"""What every registered segmentation head must do."""

import inspect

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.base import DenseHead, DenseSupport, MomentHead
from fewshot.testing import check_dense_head, dense_head_checks
from fewshot.testing.dense_supports import annotated_image


@pytest.fixture(params=heads)
def name(request):
    return request.param


@pytest.mark.parametrize(("check_name", "check"), dense_head_checks())
def test_every_head_does_what_runs_rely_on(name, check_name, check):
    check(heads.create(name))


def test_defaults_have_no_variant(name):
    head = heads.create(name)
    assert head.variant() == "" and type(head)().get_params() == head.get_params()


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


class Nearest(DenseHead):
    """A head as it should be, which broken ones are derived from."""

    def fit(self, support, seed=0):
        tokens, labels = support.annotated()
        self.means_ = labels.mT @ tokens / labels.sum(0).clamp_min(1)[:, None]
        self.present_ = labels.sum(0) > 0
        return self

    def scores(self, tokens, grid):
        return -torch.cdist(tokens.float(), self.means_).masked_fill(~self.present_, 1e9)


class NoSelf(Nearest):
    def fit(self, support, seed=0):
        super().fit(support, seed)


class PredictsAbsent(Nearest):
    def scores(self, tokens, grid):
        return -torch.cdist(tokens.float(), self.means_)


class Writes(Nearest):
    def scores(self, tokens, grid):
        return super().scores(tokens.mul_(1.5).div_(1.4), grid)


class GlobalStream(Nearest):
    def scores(self, tokens, grid):
        return super().scores(tokens + 1e-3 * torch.randn(tokens.shape), grid)


class LastImage(Nearest):
    def fit(self, support, seed=0):
        return super().fit(DenseSupport([support.images[-1]], support.ways), seed)


class IgnoredToo(Nearest):
    def fit(self, support, seed=0):
        images = [i._replace(labels=i.labels + 1e-3) for i in support.images]
        return super().fit(DenseSupport(images, support.ways), seed)


class Halves(Nearest):
    def scores(self, tokens, grid):
        return super().scores(tokens, grid).to(tokens.dtype)


class SaysLinear(Nearest):
    is_linear = True


def test_a_correct_head_passes():
    check_dense_head(Nearest())


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (NoSelf(), "expected fit to return self, got NoneType"),
        (PredictsAbsent(), "absent_classes: expected class 0"),
        (Writes(), "inputs_are_left: expected tokens and labels to be left"),
        (GlobalStream(), "the_seed_decides: expected random numbers from a generator"),
        (LastImage(), "order_of_images: expected"),
        (IgnoredToo(), "absent_classes: expected|ignored_tokens: expected"),
        (Halves(), "half_precision_tokens: expected float32, got torch.float16"),
        (SaysLinear(), "linear_heads_are_linear: expected is_linear"),
        (Nearest, "expected an object of a class derived from"),
    ],
    ids=lambda value: getattr(type(value), "__name__", None),
)
def test_broken_heads_are_named(head, problem):
    with pytest.raises(AssertionError, match=problem):
        check_dense_head(head)


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
