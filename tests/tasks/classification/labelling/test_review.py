"""The budget of errors: what is accepted is as much as it allows, whatever the order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot.exceptions import FewshotError
from fewshot.tasks import to_review
from fewshot.tasks.classification.labelling.review import CAUTION

SURE = st.lists(st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.97, 0.99, 1.0]), max_size=30)
BUDGETS = st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.3])


def of(probabilities, budget):
    return to_review(torch.tensor(probabilities, dtype=torch.float64), budget).tolist()


@given(SURE, BUDGETS)
@settings(max_examples=50, deadline=None)
def test_expected_errors_of_accepted_labels_are_within_the_budget(probabilities, budget):
    accepted = [
        p for p, look in zip(probabilities, of(probabilities, budget), strict=True) if not look
    ]
    assert sum(1 - p for p in accepted) <= (CAUTION * budget + 1e-9) * len(accepted)


@given(SURE, BUDGETS)
@settings(max_examples=50, deadline=None)
def test_no_more_labels_could_be_accepted(probabilities, budget):
    look = of(probabilities, budget)
    accepted = [p for p, doubtful in zip(probabilities, look, strict=True) if not doubtful]
    rest = [p for p, doubtful in zip(probabilities, look, strict=True) if doubtful]
    if rest:
        more = accepted + [p for p in rest if p == max(rest)]
        assert max(rest) < min(accepted, default=2.0)
        assert sum(1 - p for p in more) > CAUTION * budget * len(more)


@given(SURE, BUDGETS, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_order_of_images_does_not_matter(probabilities, budget, random):
    order = list(range(len(probabilities)))
    random.shuffle(order)
    shuffled = of([probabilities[i] for i in order], budget)
    look = of(probabilities, budget)
    assert shuffled == [look[i] for i in order]


@given(SURE)
@settings(max_examples=50, deadline=None)
def test_a_larger_budget_accepts_whatever_a_smaller_one_does(probabilities):
    accepted = [sum(not look for look in of(probabilities, b)) for b in (0.0, 0.02, 0.1, 0.5, 1.0)]
    assert accepted == sorted(accepted)


def test_edges():
    assert of([], 0.05) == []
    assert of([0.999], 0.05) == [False]
    assert of([0.7], 0.05) == [True]
    assert of([1.0, 0.999999], 0.0) == [False, True]
    assert of([0.0, 1.0], 0.05) == [True, False]  # 0: to be looked at in any case
    assert of([0.96] * 4, 0.05) == of([0.96], 0.05) * 4


@pytest.mark.parametrize("budget", [-0.1, 1.5, 5, float("nan")])
def test_a_budget_is_a_share(budget):
    with pytest.raises(FewshotError, match="budget"):
        of([0.9], budget)
