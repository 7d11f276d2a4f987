"""Measures of an order against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from fewshot.statistics.ranking import ranking


def reference(scores, positive):
    """Slow: AUROC, average precision, false positives at 95 % recall."""
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    return (
        roc_auc_score(positive, scores),
        average_precision_score(positive, scores),
        fpr[tpr >= 0.95 - 1e-9].min(),
    )


@pytest.mark.parametrize("levels", [2, 7, 1000, None])
def test_agrees_with_scikit_learn(levels):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 4, 60))
    positive = rng.random(scores.shape) < 0.3
    scores += positive * rng.normal(1, 0.5, size=(6, 4, 1))
    if levels is not None:  # many ties, some or none
        scores = np.round(scores * levels / 8)
    mask = rng.random(scores.shape) < 0.8
    positive[..., :2], mask[..., :2] = [True, False], True
    measured = ranking(*map(torch.from_numpy, (scores, positive, mask)))
    for place in np.ndindex(6, 4):
        in_row = mask[place]
        expected = reference(scores[place][in_row], positive[place][in_row])
        np.testing.assert_allclose([measure[place] for measure in measured], expected, rtol=1e-12)


def test_recall_of_exactly_95_percent_is_enough():
    # The 19th of 20 positives stands above all negatives, the last one below.
    scores = torch.cat([torch.arange(20, 1, -1), torch.tensor([-9.0]), torch.zeros(4)])
    positive = torch.arange(24) < 20
    assert ranking(scores, positive).fpr95 == 0
    assert ranking(scores[1:], positive[1:]).fpr95 == 1  # 18 of 19 are less than 95 %


def test_values_that_everybody_knows():
    right = ranking(torch.tensor([3.0, 2.0, 1.0, 0.0]), torch.tensor([True, True, False, False]))
    assert [float(measure) for measure in right] == [1, 1, 0]
    equal = ranking(torch.zeros(4), torch.tensor([True, False, False, False]))
    assert [float(measure) for measure in equal] == [0.5, 0.25, 1]
    reversed_ = ranking(torch.tensor([0.0, 1.0]), torch.tensor([True, False]))
    assert [float(measure) for measure in reversed_] == [0, 0.5, 1]


def test_without_positives_or_negatives_there_is_nothing_to_measure():
    scores, mask = torch.rand(2, 5), torch.ones(2, 5, dtype=torch.bool)
    positive = torch.stack([mask[0], ~mask[0]])
    for measure in ranking(scores, positive, mask):
        assert bool(measure.isnan().all())
    positive = torch.tensor([[True, False, False, False, False]] * 2)
    mask[1, 0] = False
    for measure in ranking(scores, positive, mask):
        assert measure.isnan().tolist() == [False, True]


def test_padding_has_no_influence():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 30, generator=generator)
    positive = torch.arange(30).expand(3, 30) % 4 == 0
    mask = torch.ones_like(positive)
    padded = [torch.nn.functional.pad(rows, (0, 9), value=1.0) for rows in (scores, positive)]
    mask = torch.nn.functional.pad(mask, (0, 9))
    for measure, padded_measure in zip(
        ranking(scores, positive), ranking(*padded, mask), strict=True
    ):
        assert torch.equal(measure, padded_measure)
