"""Measures of decisions against scikit-learn, task by task."""

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from fewshot.statistics.class_bootstrap import class_intervals
from fewshot.tasks.one_class.metrics import measures


def best_macro_f1(truth, margin):
    """Over all thresholds, accepting none and all included."""
    cuts = [np.inf, *np.unique(margin)]
    return max(f1_score(truth, margin >= cut, average="macro", zero_division=0) for cut in cuts)


def tasks(ties):
    """Margins (R, T, n), positives first, and counts (T, P, 2)."""
    rng = np.random.default_rng(0)
    positives, n = np.array([4, 7, 1]), 30
    positive = np.arange(n) < positives[:, None]
    margins = rng.normal(size=(2, 3, n)) + positive
    margins = margins.round(0 if ties else 6)
    counts = np.array([[[4, 4], [4, 16], [1, 9]], [[7, 7], [5, 20], [2, 18]],
                       [[1, 1], [1, 4], [0, 0]]])  # fmt: skip
    return margins, positive, counts


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_measures_equal_scikit_learn(ties, kind):
    margins, positive, counts = tasks(ties)
    result = measures(*map(torch.from_numpy, (margins.astype(kind), positive, counts)))
    assert result.macro_f1.shape == (2, 3, 3)
    for r, t, p in np.ndindex(2, 3, 3):
        P, N = counts[t, p]
        if P == 0:
            assert all(measure[r, t, p].isnan() for measure in result)
            continue
        first = positive[t].sum()
        kept = np.r_[:P, first : first + N]
        truth, margin = positive[t][kept], margins[r, t][kept].astype(kind)
        yes = margin > 0
        macro = f1_score(truth, yes, average="macro", zero_division=0)
        expected = {
            "macro_f1": macro,
            "f1": f1_score(truth, yes, zero_division=0),
            "balanced_accuracy": balanced_accuracy_score(truth, yes),
            "auroc": roc_auc_score(truth, margin),
            "average_precision": average_precision_score(truth, margin),
            "regret": best_macro_f1(truth, margin) - macro,
        }
        for name, value in expected.items():
            assert float(getattr(result, name)[r, t, p]) == pytest.approx(value, abs=1e-6), name


def test_padding_and_what_does_not_count_are_never_looked_at():
    margins, positive, counts = tasks(False)
    whole = measures(*map(torch.from_numpy, (margins, positive, counts)))
    wide = np.concatenate([margins, np.full((2, 3, 5), np.nan)], -1)
    more = np.concatenate([positive, np.zeros((3, 5), bool)], -1)
    result = measures(*map(torch.from_numpy, (wide, more, counts)))
    for expected, measured in zip(whole, result, strict=True):
        torch.testing.assert_close(expected, measured, equal_nan=True)
    margins[0, 1, 3] = np.nan  # an image that counts has no threshold
    result = measures(*map(torch.from_numpy, (margins, positive, counts)))
    assert result.macro_f1[0, 1].isnan().all()
    torch.testing.assert_close(result.auroc[1], whole.auroc[1], equal_nan=True)


def test_the_bootstrap_equals_a_loop():
    rng = np.random.default_rng(1)
    classes = np.array([0, 0, 1, 2, 2, 2, 3, 4])
    values = rng.normal(size=(8, 2))
    values[3, 1] = np.nan
    first, second = class_intervals(values, classes, seed=3, draws=1500)
    assert first["mean"] == pytest.approx(values[:, 0].mean())
    assert second["mean"] == pytest.approx(np.nanmean(values[:, 1]))
    slow = []
    for _ in range(1500):
        drawn = rng.choice(5, 5)
        slow.append(np.nanmean(np.concatenate([values[classes == c, 1] for c in drawn])))
    expected = np.quantile(slow, [0.025, 0.975])
    assert (second["lower"], second["upper"]) == pytest.approx(expected, abs=0.12)
    assert first == class_intervals(values, classes, seed=3, draws=1500)[0]
    assert first != class_intervals(values, classes, seed=4, draws=1500)[0]


def test_intervals_that_do_not_exist():
    (interval,) = class_intervals(np.ones((3, 1)), np.zeros(3, int))
    assert (interval["mean"], interval["lower"], interval["reason"]) == (
        1,
        None,
        "there is only one target class",
    )
    (none,) = class_intervals(np.full((3, 1), np.nan), np.arange(3))
    assert none["mean"] is None
    assert none["reason"] == "no task has it"


def test_the_interval_covers_the_mean_of_other_classes():
    rng = np.random.default_rng(2)
    held = 0
    for trial in range(200):
        means = rng.normal(size=40)
        values = means[:, None] + 0.5 * rng.normal(size=(40, 1))
        (interval,) = class_intervals(values, np.arange(40), seed=trial, draws=400)
        held += interval["lower"] < 0 < interval["upper"]
    assert 0.89 <= held / 200 <= 0.99
