"""Pivot tables: means, best entries, entries without a significant difference, and their text."""

import csv
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fewshot.exceptions import FewshotError
from fewshot.report.text.pivot import csv_table, latex_table, markdown_table
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.pivot import _main, pivot, tasks_left


def opened():
    return Store(find_runs(["runs"]))


@pytest.fixture
def store(workplace, run_of, made):
    """`near` is as good as `ncm` on the same episodes, `bad` is clearly worse."""
    cells = [
        made(head=head, shots=shots, seed=seed, worse=worse, episodes=60)
        for head, worse in (("ncm", 0.0), ("near", 0.0005), ("bad_50%", 0.1))
        for shots in (1, 10)
        for seed in (0, 1)
    ]
    run_of("runs/a", *cells[:4])
    run_of("runs/b", *cells[4:])
    return opened()


def cell_of(store, **values):
    (cell,) = [
        cell
        for cell in store.summary()["cells"]
        if all(cell[key] == value for key, value in values.items())
    ]
    return cell


def test_entries_are_means_over_seeds(store):
    table = pivot(store, ["head"], ["dataset", "shots"])
    assert table.columns == [("digits", 1), ("digits", 10)]  # 10 after 1, as numbers
    entry = table.entries[("ncm",), ("digits", 10)]
    accuracies = [cell_of(store, head="ncm", shots=10, seed=seed)["accuracy"] for seed in (0, 1)]
    assert entry.mean == pytest.approx(np.mean([accuracy["mean"] for accuracy in accuracies]))
    halves = np.array([(accuracy["upper"] - accuracy["lower"]) / 2 for accuracy in accuracies])
    assert entry.half == pytest.approx(np.sqrt((halves**2).sum()) / 2)
    wide = pivot(store, ["head"], ["shots"], interval="classes").entries[("ncm",), (10,)]
    assert wide.half == pytest.approx(0.1)  # the same classes under both seeds
    assert pivot(store, ["head"], ["shots"], interval="none").entries[("ncm",), (1,)].half is None


def test_best_and_not_clearly_worse(store):
    table = pivot(store, ["head"], ["shots"])
    for shots in (1, 10):
        in_column = {
            row[0]: entry for (row, column), entry in table.entries.items() if column == (shots,)
        }
        best = max(in_column, key=lambda head: in_column[head].mean)
        assert best in ("ncm", "near")
        (other,) = {"ncm", "near"} - {best}
        assert [head for head in in_column if in_column[head].best] == [best]
        assert [head for head in in_column if in_column[head].near] == [other]
    error = pivot(store, ["head"], ["shots"], "error")
    for place, entry in table.entries.items():
        assert error.entries[place].mean == pytest.approx(1 - entry.mean)
        assert (error.entries[place].best, error.entries[place].near) == (entry.best, entry.near)


def test_other_episodes_are_not_compared(workplace, run_of, made, edited):
    run_of("runs/a", made(head="ncm"))
    run_of("runs/b", made(head="near"))
    assert any(entry.near for entry in pivot(opened(), ["head"], ["shots"]).entries.values())
    edited("runs/b", lambda summary: summary["cells"][0]["hashes"].update(episodes="0" * 64))
    assert not any(entry.near for entry in pivot(opened(), ["head"], ["shots"]).entries.values())


def test_measures_of_estimators(store):
    table = pivot(store, ["head", "estimator"], ["shots"], "mae")
    maes = [
        cell_of(store, head="ncm", shots=1, seed=seed)["estimators"]["loo"]["mae"]
        for seed in (0, 1)
    ]
    assert table.entries[("ncm", "loo"), (1,)].mean == pytest.approx(np.mean(maes))
    lowest = min(table.entries[row, (1,)].mean for row in table.rows)
    assert [
        entry.mean for (_, column), entry in table.entries.items() if entry.best and column == (1,)
    ] == [lowest]
    alone = pivot(store, ["head"], ["shots"], "mae", ["loo"])
    assert alone.entries[("ncm",), (1,)].mean == pytest.approx(np.mean(maes))
    assert "mae of loo" in markdown_table(alone)
    coverage = pivot(store, ["head"], ["shots"], "coverage")
    assert not any(entry.best for entry in coverage.entries.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": ["haed"]}, "Did you mean 'head'"),
        ({"rows": ["head"], "columns": ["head"]}, "names rows already"),
        ({"rows": ["head"], "columns": ["dataset"]}, "several values of shots: 1, 10"),
        ({"measure": "acuracy"}, "Did you mean 'accuracy'"),
        ({"measure": "auroc"}, "no cell has 'auroc'. Try accuracy"),
        ({"measure": "mae", "estimators": ["aut"]}, "Did you mean 'auto'"),
        ({"interval": "episode"}, "--interval: expected one of"),
        ({"filters": {"dataset": ["digit"]}}, "Did you mean 'digits'"),
    ],
)
def test_mistakes(store, arguments, words):
    with pytest.raises(FewshotError) as caught:
        pivot(store, **arguments)
    assert words in str(caught.value)


def test_latex(store):
    text = latex_table(pivot(store))
    lines = text.splitlines()
    notes = [line for line in lines if line.startswith("%")]
    body = [line for line in lines if not line.startswith("%")]
    assert any("60 episodes per cell" in line and "seed 0, 1" in line for line in notes)
    assert any(cell_of(store, head="ncm", shots=1, seed=0)["hashes"]["episodes"][:12] in line
               for line in notes)  # fmt: skip
    assert body[0] == r"\begin{tabular}{llcc}"
    assert body[2] == r" &  & \multicolumn{2}{c}{digits} \\"
    assert body[3] == r"\cmidrule(lr){3-4}"
    assert body[4] == r"head & backbone & 1 shot & 10 shots \\"
    rows = body[6:-2]
    assert rows[0].startswith(r"bad\_50\% & net & ")
    assert all(len(re.split(r"(?<!\\)&", row)) == 4 for row in rows)
    assert text.count(r"\textbf{") == text.count(r"\underline{") == 2
    mean = cell_of(store, head="ncm", shots=1, seed=0)["accuracy"]["mean"]
    other = cell_of(store, head="ncm", shots=1, seed=1)["accuracy"]["mean"]
    assert f"{50 * (mean + other):.1f}" in rows[1 if "ncm" in rows[1] else 2]


def test_brackets_are_no_arguments(workplace, run_of, made):
    """`\\\\` and `\\midrule` would take brackets at the start of a line as their argument."""
    run_of("runs/a", made(head="[2em] x"), made(head="*y"))
    rows = latex_table(pivot(opened())).splitlines()
    assert [row[:8] for row in rows if " x &" in row or "y &" in row] == ["{*}y & n", "{[}2em] "]


def test_names_do_no_harm(workplace, run_of, made):
    run_of("runs/a", made(head="a\\b{c}_#$~^&%\n\\input{x}", dataset="x|y*<b>`"))
    table = pivot(opened())
    text = latex_table(table)
    assert all(line.startswith("%") or r"\input" not in line for line in text.splitlines())
    assert r"\textbackslash{}b\{c\}\_\#\$\textasciitilde{}\textasciicircum{}\&\%" in text
    assert r"x\|y\*\<b>\`" in markdown_table(table)


def test_csv_has_all_digits(store):
    table = pivot(store, ["head"], ["shots"])
    read = list(csv.DictReader(io.StringIO(csv_table(table))))
    assert [row["head"] for row in read] == ["bad_50%", "ncm", "near"]
    entry = table.entries[("ncm",), (10,)]
    assert float(read[1]["10 shots"]) == entry.mean
    assert float(read[1]["10 shots ±"]) == entry.half


def test_a_feature_kind_belongs_to_its_backbone(workplace, run_of, made):
    run_of("runs/a", made(backbone="x"), made(backbone="y", feature="cls"))
    assert len(pivot(opened()).rows) == 2
    run_of("runs/b", made(backbone="y", feature="avg"))
    with pytest.raises(FewshotError, match="several values of feature: avg, cls"):
        pivot(opened())


def test_means_over_other_seeds_are_said(workplace, run_of, made):
    run_of("runs/a", made(), made(seed=1), made(head="lda"), made(head="lda", seed=1))
    words = "Not every number is over all of these seeds."
    assert words not in markdown_table(pivot(opened()))
    run_of("runs/b", made(head="svm"))
    assert words in markdown_table(pivot(opened()))


def test_why_there_is_no_interval(workplace, run_of, made, edited):
    run_of("runs/a", made())
    gap = {"lower": None, "upper": None, "reason": "all images are queries"}
    edited(
        "runs/a", lambda summary: summary["cells"][0]["accuracy_intervals"]["images"].update(gap)
    )
    assert "- No ±: all images are queries" in markdown_table(pivot(opened(), interval="images"))
    assert "No ±" not in markdown_table(pivot(opened()))
    assert "No ±" not in markdown_table(pivot(opened(), interval="none"))
    text = markdown_table(pivot(opened(), measure="mae", interval="classes"))
    assert "over episodes only (--interval episodes)" in text


def test_accuracy_comes_first_whichever_run_is_the_oldest():
    assert _main({"verification", "classification"}) == "accuracy"
    assert _main({"one_class", "verification"}) == "auroc"


def test_a_table_that_turns_out_to_be_damaged(workplace, run_of, made, hole):
    """Numbers are of the runs that the rows come from."""
    run_of("runs/a", made(worse=0.3), created="2026-02-02")
    run_of("runs/b", made(), made(head="svm"))
    run_of("runs/c", made(head="lda"))
    for name in "ac":
        hole(f"runs/{name}/episodes.parquet")
    store = opened()
    assert len(store.runs) == 3
    table = pivot(store, ["head"], ["shots"])
    assert table.rows == [("ncm",), ("svm",)]
    assert table.entries[("ncm",), (1,)].mean > 0.6
    assert len(store.unreadable) == 2


def test_gaps_are_dashes(workplace, run_of, made):
    run_of("runs/a", made(), made(head="lda", shots=2))
    table = pivot(opened(), ["head"], ["shots"])
    assert " & -- " in latex_table(table)
    assert "| \N{EN DASH} |" in markdown_table(table)


def test_tasks_that_are_not_shown_are_named():
    cells = [{"task": task} for task in ("classification", "verification", "classification")]
    store = SimpleNamespace(summary=lambda: {"cells": cells})
    assert tasks_left(store, "accuracy", {}) == ["verification"]
    assert tasks_left(store, "auroc", {"task": ["verification"]}) == []


def test_near_is_said_to_be_another_thing_than_an_order(workplace, run_of, made):
    run_of("runs/a", made())
    words = "whether they tell episodes apart is another measure (spearman)"
    assert words in markdown_table(pivot(opened(), measure="mae"))
    assert words not in markdown_table(pivot(opened()))
