"""Rank correlation of predicted and actual errors, as opposed to their mean difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from fewshot.report.comparison.order import (
    no_order_notes,
    order_by_ways_text,
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


def test_sentences_on_several_ways():
    def order(rho, count=600):
        return order_of([{"spearman": rho, "defined": count}])

    both = order_by_ways_text({2: order(0.6), 5: order(0.5)}, order(0.7, 1200))
    assert both == (
        "It tells harder episodes from easier ones: Spearman's correlation is 0.60 (0.54 to 0.65) "
        "at 2-way, 0.50 (0.43 to 0.56) at 5-way; over all of them 0.70 (0.67 to 0.73), in part "
        "because the ways differ."
    )
    one = order_by_ways_text({2: order(0.6), 5: order(None)}, order(0.7, 1200))
    assert one.startswith("It tells harder episodes from easier ones at 2-way, but not at 5-way: ")
    assert "undefined (all predictions, or all errors, are the same) at 5-way" in one
    none = order_by_ways_text({2: order(0.01), 5: order(-0.02)}, order(0.6, 1200))
    assert none.startswith("It does not tell episodes of the same ways apart: Spearman's")
    assert none.endswith("over all of them 0.60 (0.56 to 0.64), mainly because the ways differ.")
    constant = order_by_ways_text({2: order(None), 5: order(None)}, order(0.6, 1200))
    assert constant == (
        "It does not tell episodes of the same ways apart: all predictions, or all errors, are the "
        "same; Spearman's correlation over all of them is 0.60 (0.56 to 0.64), only because the "
        "ways differ."
    )
    unknown = order_by_ways_text({2: order(0.6), 5: order(0.5)}, order_of([]))
    assert unknown.endswith("0.50 (0.43 to 0.56) at 5-way.")


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
