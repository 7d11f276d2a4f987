"""What every registered head must do: the checks of `fewshot.testing`, and this package's own."""

import inspect

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Query, Support
from fewshot.testing import head_checks
from fewshot.testing.gaussians import CASES, N, T, support_and_query
from fewshot.testing.head_cases import quick

# Name of a check: its cases. One test has them all, as pytest itself takes longer for a test than
# most heads for a case; the message of a failure names the case.
CHECKS = {}
for _, check in head_checks():
    CHECKS.setdefault(check.function.__name__, []).append(check)


@pytest.fixture(params=CASES)
def case(request):
    """Support and query of random classes, in float64."""
    return support_and_query(request.param)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", heads)
def test_conformance(name, check):
    for case in CHECKS[check]:
        case(heads.create(name))


@pytest.mark.parametrize(
    ("power", "dtype"),
    [(60, torch.float32), (-60, torch.float32), (490, torch.float64), (-490, torch.float64)],
)
def test_features_that_cannot_be_squared_are_refused(case, power, dtype):
    support, query = case
    with pytest.raises(FewshotError, match=r"^support: .* squares"):
        Support.of((support.features * 2.0**power).to(dtype), support.mask, support.context)
    if power > 0:
        with pytest.raises(FewshotError, match=r"^query: .* squares"):
            Query.of((query.features * 2.0**power).to(dtype))


@pytest.mark.parametrize("name", heads)
def test_a_query_that_is_nearly_zero_has_a_score(name):
    """Its squares underflow in float32, which no check of the largest of all numbers sees."""
    head, (support, query) = quick(heads.create(name)), support_and_query("complete")
    support, features = support.to(torch.float32), query.features.float()
    features[:, 0] *= 1e-25
    scores = head.fit(support).scores(Query.of(features))
    features[:, 0] = 0
    largest = head.fit(support).scores(Query.of(features)).abs().max()
    assert scores.abs().max() < 2 * largest  # neither infinite nor as of a huge vector


@pytest.mark.parametrize("name", ["ridge", "svm", "logistic"])
def test_penalties_that_large_features_drown_leave_a_classifier(name, case):
    support, query = case
    truth = torch.arange(N).repeat_interleave(T)
    head = heads.create(name)
    for factor in (1.0, 2.0**24, 2.0**50):
        scaled = Support.of(support.features * factor, support.mask)
        answers = head.fit(scaled).predict(Query.of(query.features * factor))
        assert (answers == truth).double().mean() > 0.5


@pytest.mark.parametrize("name", heads)
def test_the_list_says_what_it_uses(name):
    head, said = heads.create(name), heads[name].summary.rpartition(";")[2]
    assert ("transductive" in said) == ("queries" in head.uses)
    assert ("balanced" in said) == ("query_prior" in head.uses)
    assert ("text" in said) == ("text" in head.uses)


FLAGS = [
    (name, flag)
    for name in heads
    for flag, parameter in inspect.signature(heads[name].load()).parameters.items()
    if isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(("name", "flag"), FLAGS)
@pytest.mark.parametrize("value", ["no", [1], None, 1])
def test_a_flag_is_true_or_false(name, flag, value):
    """Other values would silently count as one of them: "no" as True."""
    with pytest.raises(FewshotError, match=rf"^head\.{name}\.{flag}: expected true or false, got"):
        heads.create(name, **{flag: value}).fit(Support.of(torch.eye(4).reshape(1, 2, 2, 4)))
