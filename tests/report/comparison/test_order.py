"""Rank correlation of predicted and actual errors, as opposed to their mean difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from fewshot.report.comparison.order import (
    no_order_notes,
    order_of,
    order_text,
    spearman_interval,
)


@pytest.mark.parametrize(("rho", "count"), [(0.0, 200), (0.45, 60), (0.8, 25)])
def test_the_interval_holds_as_often_as_it_says(rho, count):
    """Coverage for normal pairs, whose Spearman correlation is 6 / pi asin(r / 2)."""
    rng = np.random.default_rng(0)
    r = 2 * np.sin(np.pi * rho / 6)
    held = 0
    for _ in range(600):
        x = rng.standard_normal(count)
        y = r * x + (1 - r**2) ** 0.5 * rng.standard_normal(count)
        lower, upper = spearman_interval(float(spearmanr(x, y).statistic), count)
        held += lower <= rho <= upper
    assert 0.92 <= held / 600 <= 0.98


@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_a_perfect_order_of_few_is_no_proof(rho):
    lower, upper = spearman_interval(rho, 4)
    assert lower <= 0 <= upper and (lower == -1 or upper == 1)
    lower, upper = spearman_interval(rho, 40)
    assert lower * upper > 0
    with pytest.raises(ValueError, match="4 or more, got 3"):
        spearman_interval(rho, 3)


def test_sentences():
    def text(rho, count):
        return order_text(order_of([{"spearman": rho, "defined": count}]))

    assert text(0.3, 200).startswith("It tells harder episodes from easier ones (Spearman 0.30")
    assert text(0.0, 600).startswith("It does not tell these episodes apart (Spearman 0.00")
    assert "10 episodes are few" in text(0.3, 10)
    assert "easier ones (Spearman -0.50" in text(-0.5, 100)
    assert text(0.9, 3).startswith("3 episodes are too few")
    assert text(None, 100).endswith("all predictions, or all errors, are the same.")
    assert order_of([{"spearman": None, "defined": 9}]).bounds is None


def test_notes_of_the_terminal():
    def cell(head, auto, nearest):
        row = {"defined": 50}
        said = {
            "auto": row | {"mae": 0.05, "spearman": auto},
            "margin": row | {"mae": 0.04, "spearman": nearest},
            "loo": row | {"mae": 0.09, "spearman": 0.0},
            "constant": row | {"mae": 0.06, "spearman": None},
        }
        return {"head": head, "ways": 5, "shots": 1, "episodes": 50, "estimators": said}

    assert no_order_notes([cell("ncm", 0.7, 0.6)]) == []
    (first, second) = no_order_notes([cell("ncm", 0.0, -0.9), cell("lda", 0.1, 0.7)])
    assert first[:2] == ("auto", "5-way 1-shot with ncm and lda") and "holds 0" in first[2]
    assert second[:2] == ("margin", "5-way 1-shot with ncm") and "easier" in second[2]
    (constant,) = no_order_notes([cell("ncm", None, 0.9)])
    assert constant[2] == "all predictions, or all errors, are the same"
