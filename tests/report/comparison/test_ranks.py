"""Mean ranks and the critical difference, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata

from fewshot.report.charts.ranks import joined
from fewshot.report.comparison.ranks import ranks
from fewshot.report.figures.joint import joint_figures
from fewshot.report.figures.ranks import rank_diagram


def cells(accuracy, *, datasets, backbones=("a",), heads, shots=(1,)):
    """Cells with accuracies (datasets, backbones, shots, heads); NaN for missing cells."""
    table = np.asarray(accuracy, dtype=float)
    table = table.reshape(len(datasets), len(backbones), len(shots), len(heads))
    return [
        {
            "task": "classification", "dataset": datasets[i], "part": "novel",
            "backbone": backbones[j], "feature": "pooled", "head": heads[h], "variant": "",
            "ways": 5, "shots": shots[k], "seed": 0,
            "queries": 15, "accuracy": {"mean": float(table[i, j, k, h])},
        }
        for i, j, k, h in np.ndindex(table.shape)
        if np.isfinite(table[i, j, k, h])
    ]  # fmt: skip


HEADS = ("lda", "ncm", "svm", "knn")


def test_blocks_are_data_sets_and_values_means_over_the_rest():
    sets = [f"d{i}" for i in range(7)]
    accuracy = np.random.default_rng(0).random((7, 2, 3, 4)) + np.array([0, 0.2, 0.1, 0])
    run_cells = cells(accuracy, datasets=sets, backbones="ab", heads=HEADS, shots=(1, 5, 10))
    (ranking,) = (ranking for ranking in ranks(run_cells) if ranking["of"] == "head")
    means = accuracy.mean((1, 2))
    expected = rankdata(-means, axis=1).mean(0)
    order = np.argsort(expected)
    assert ranking["names"] == [HEADS[i] for i in order]
    assert ranking["mean_ranks"] == pytest.approx(expected[order])
    assert ranking["p"] == pytest.approx(friedmanchisquare(*means.T).pvalue)
    assert ranking["test"] == "Friedman test"
    # Demsar's table: q = 2.569 for four at 0.05.
    assert ranking["critical_difference"] == pytest.approx(
        2.569 * (4 * 5 / (6 * 7)) ** 0.5, rel=1e-3
    )
    assert ranking["blocks"] == 7 and ranking["over"].startswith("7 data sets")
    assert [ranking["of"] for ranking in ranks(run_cells)] == [
        "head",
        "backbone",
        "head and backbone",
    ]


def test_few_data_sets_have_ranks_and_no_test():
    accuracy = np.random.default_rng(1).random((4, 1, 3, 4)).round(1)  # with ties
    run_cells = cells(accuracy, datasets="wxyz", heads=HEADS, shots=(1, 5, 10))
    (ranking,) = ranks(run_cells)
    expected = np.sort(rankdata(-accuracy.reshape(12, 4), axis=1).mean(0))
    assert ranking["mean_ranks"] == pytest.approx(expected)
    assert ranking["critical_difference"] is ranking["p"] is None and ranking["blocks"] == 12
    assert "at least 5 data sets" in ranking["note"] and "are 4" in ranking["note"]


def test_two_are_compared_by_signed_ranks():
    accuracy = np.linspace(0.5, 0.6, 12).reshape(6, 1, 1, 2)
    (ranking,) = ranks(cells(accuracy, datasets="uvwxyz", heads=HEADS[:2]))
    assert ranking["names"] == ["ncm", "lda"] and ranking["critical_difference"] is None
    assert ranking["p"] == pytest.approx(2 / 2**6) and ranking["test"].startswith("Wilcoxon")
    assert "signed-rank" in ranking["note"]


def test_rare_heads_do_not_cost_the_others_their_contexts():
    accuracy = np.random.default_rng(2).random((1, 1, 5, 3))
    accuracy[0, 0, 1:, 2] = np.nan
    (ranking,) = ranks(cells(accuracy, datasets="d", heads=HEADS[:3], shots=(1, 2, 3, 4, 5)))
    assert sorted(ranking["names"]) == ["lda", "ncm"] and ranking["blocks"] == 5
    assert "Left out" in ranking["note"] and "svm" in ranking["note"]


def test_nothing_to_rank():
    assert ranks(cells([[[[0.5]]]], datasets="d", heads=("ncm",))) == []
    assert ranks([{"task": "verification", "dataset": "d", "part": "novel"}]) == []
    never_together = np.array([[0.5, np.nan], [np.nan, 0.5]]).reshape(2, 1, 1, 2)
    assert ranks(cells(never_together, datasets="de", heads=("ncm", "lda"))) == []


def test_one_context_is_an_order_and_no_mean_of_ranks():
    accuracy = np.random.default_rng(3).random((1, 1, 1, 4))
    context = cells(accuracy, datasets="d", heads=HEADS)
    assert ranks(context) == []
    again = [cell | {"seed": seed} for cell in context for seed in range(6)]
    assert ranks(again) == []  # other draws of episodes in the same context
    for more in ({"shots": 5}, {"dataset": "e"}, {"ways": 10}):
        both = [*context, *(cell | more for cell in context)]
        assert [ranking["of"] for ranking in ranks(both)] == ["head"]
    # Two backbones: heads have two contexts, backbones as many as there are heads.
    two = [*context, *(cell | {"backbone": "b"} for cell in context)]
    assert [ranking["of"] for ranking in ranks(two)] == ["head", "backbone"]


def test_what_only_one_context_has_in_common_is_not_ranked():
    accuracy = np.array([[0.5, 0.6], [0.5, np.nan], [np.nan, 0.4]]).reshape(1, 1, 3, 2)
    assert ranks(cells(accuracy, datasets="d", heads=("ncm", "lda"), shots=(1, 5, 10))) == []


def test_no_figure_of_ranks_over_one_context():
    context = cells(np.random.default_rng(0).random((1, 1, 1, 3)), datasets="d", heads=HEADS[:3])
    for cell in context:
        cell["actual_error"] = {"mean": 1 - cell["accuracy"]["mean"]}
    assert not [name for name in joint_figures(context) if name.startswith("ranks")]
    both = [*context, *(cell | {"shots": 5} for cell in context)]
    assert "ranks_head" in joint_figures(both)


@pytest.mark.parametrize(("sets", "words"), [(3, "too few data sets for a test"),
                                             (6, "critical difference")])  # fmt: skip
def test_a_figure_without_bars_says_why(sets, words):
    run_cells = cells(np.random.default_rng(0).random((sets, 1, 1, 3)), datasets="uvwxyz"[:sets],
                      heads=HEADS[:3])  # fmt: skip
    (axes,) = rank_diagram(ranks(run_cells)[0]).axes
    assert any(words in text.get_text() for text in axes.texts)


def test_bars_join_what_is_not_told_apart():
    assert joined([1, 1.5, 3, 3.4], 1.0) == [(0, 1), (2, 3)]
    assert joined([1, 1.5, 2.2, 3.4], 1.3) == [(0, 2), (2, 3)]
    assert joined([1, 3], 1.0) == [] == joined([1, 1], None)
    ranking = {
        "of": "head", "over": "6 data sets", "names": ["$a$", "b", "c"], "blocks": 6,
        "mean_ranks": [1.2, 1.9, 2.9], "critical_difference": 1.0, "p": 0.01, "note": "",
    }  # fmt: skip
    (axes,) = rank_diagram(ranking).axes
    (bar,) = (line for line in axes.lines if line.get_linewidth() == 3)
    assert list(bar.get_xdata()) == [1.2, 1.9] or list(bar.get_xdata()) == [1.9, 2.9]
    words = [text.get_text().strip() for text in axes.texts]
    assert "$a$ 1.20" in words and "2.90 c" in words
