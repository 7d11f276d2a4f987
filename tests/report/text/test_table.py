"""The table in the terminal: numbers, missing values and width."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fewshot.report.text.table import markdown_table, summary_table
from fewshot.report.wording import (
    best_estimator,
    compared,
    missing_notes,
    percent_interval,
    shown_estimator,
)
from fewshot.units import decimal, percent


def line_of(table, *words):
    """The one line of the table that starts with these words."""
    lines = [line for line in table.splitlines() if line.split()[: len(words)] == list(words)]
    assert len(lines) == 1, table
    return lines[0]


def test_numbers_stand_in_their_row(run):
    cell = run.summary["cells"][1]
    accuracy, margin = cell["accuracy"], cell["estimators"]["margin"]
    half = (accuracy["upper"] - accuracy["lower"]) / 2
    line = line_of(summary_table(run.summary["cells"]), "ncm", "5", "5")
    expected = [f"{100 * accuracy['mean']:.1f}", "±", f"{100 * half:.1f}"]
    expected += [f"{100 * cell['actual_error']['mean']:.1f}"]
    for name in ("constant", "gaussian", "loo", "margin"):
        row = cell["estimators"][name]
        expected += [f"{100 * row['predicted_error']:.1f}", f"{100 * row['mae']:.1f}"]
    assert margin["mae"] == min(row["mae"] for row in cell["estimators"].values())
    expected[-1] += "*"
    assert line.split()[3:] == expected


def test_missing_predictions_are_dashes_with_a_reason(run):
    table = summary_table(run.summary["cells"])
    fields = line_of(table, "lda", "5", "1").split()
    assert fields[-4:-2] == ["-", "-"]
    note = "loo, 5-way 1-shot with ncm and lda: leave-one-out needs two shots of every class"
    assert note in table
    assert "nan" not in table


def test_partly_missing_predictions_are_counted_and_do_not_win(make):
    run = make(heads=("ncm",), shots=(5,), undefined={"margin": ("too few images", 0.25)})
    cells = run.summary["cells"]
    assert "margin" not in compared(cells[0])
    note = "150 of 600 episodes of 5-way 5-shot with ncm"
    assert missing_notes(cells) == [("margin", note, "too few images")]
    table = summary_table(cells)
    assert note in table and "of those that predicted most episodes" in " ".join(table.split())
    assert not line_of(table, "ncm").endswith("*")


def test_nobody_wins_alone(make):
    table = summary_table(make(heads=("ncm",), shots=(5,), estimators=("margin",)).summary["cells"])
    assert "*" not in line_of(table, "ncm")


@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_width_and_alignment(make, count):
    estimators = tuple(f"estimator_{i}" for i in range(count))
    table = summary_table(make(estimators=estimators).summary["cells"])
    assert max(map(len, table.splitlines())) <= 100
    assert all(line == line.rstrip() for line in table.splitlines())
    assert all(name in table for name in estimators)
    # Every cell has its row below every block of estimators, all measured errors in one column.
    rows = [line for line in table.splitlines() if line.startswith(("ncm ", "lda "))]
    assert len({line.index("±") for line in rows}) == 1
    assert len(rows) % 4 == 0


def test_groups_have_headers_of_their_own(make):
    run = make(pairs=(("eurosat", "resnet18"), ("cub", "vit")), shots=(5,), episodes=20)
    table = summary_table(run.summary["cells"])
    assert table.index("eurosat · resnet18 (pooled)") < table.index("cub · vit (pooled)")
    assert table.count("20 episodes per row, all queries, seed 0") == 2
    assert table.count("MAE: ") == 0 and table.count("mean |predicted - actual|") == 1


def test_seeds_are_told_apart(make):
    first = make(heads=("ncm",), shots=(5,), episodes=20).summary["cells"][0]
    table = summary_table([first, first | {"seed": 7, "queries": 15}])
    assert "15 or all queries per class, seeds 0, 7" in table
    assert line_of(table, "ncm", "5", "5", "7")


def test_one_episode_has_no_interval(make):
    cells = make(heads=("ncm",), shots=(5,), episodes=1).summary["cells"]
    line = line_of(summary_table(cells), "ncm")
    assert "±" not in line and "nan" not in line


def test_no_cells():
    assert "no cell" in summary_table([])


def test_names_cannot_steer_the_terminal(make):
    run = make(heads=("\x1b[31mred\n",), shots=(5,), episodes=5, pairs=(("a\rb", "c\u202ed"),))
    table = summary_table(run.summary["cells"])
    assert not set(table) & set("\x1b\r\u202e")
    assert "[31mred" in table


def test_long_names_do_not_widen_the_table(make):
    run = make(heads=("a_head_with_a_name_that_goes_on_and_on",), episodes=5, shots=(5,))
    assert max(map(len, summary_table(run.summary["cells"]).splitlines())) <= 100


def test_variants_of_a_head_stay_apart(make):
    """What tells them apart stands at the end of the longest label: `laplacian_shot`, a preset."""
    run = make(heads=("laplacian_shot",), episodes=5, shots=(5,))
    (cell,) = run.summary["cells"]
    variants = [cell | {"variant": variant} for variant in ("preset=paper", "preset=other")]
    table = summary_table(variants)
    assert all(f"laplacian_shot ({each['variant']})" in table for each in variants)


@pytest.mark.parametrize(("apart", "shown"), [(1e-7, False), (0.02, True)])
def test_the_share_of_all_queries_is_shown_where_it_reads_otherwise(make, apart, shown):
    (cell,) = make(heads=("ncm",), episodes=5, shots=(5,)).summary["cells"]
    moved = cell["accuracy"] | {"mean": cell["accuracy"]["mean"] + apart}
    table = summary_table([cell | {"protocol": "all_way", "query_accuracy": moved}])
    assert ("queries %" in table) == shown


def test_markdown_has_the_same_numbers(make):
    run = make(heads=("n|c*m",), shots=(1, 5), episodes=50)
    lines = markdown_table(run.summary["cells"]).splitlines()
    header, rule, *rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 and header.count("|") == rule.count("|")
    assert all(row.startswith(r"| n\|c\*m | 5 | ") for row in rows)
    mae = run.summary["cells"][1]["estimators"]["gaussian"]["mae"]
    assert f"({100 * mae:.1f}" in rows[1]
    assert "- (-)" in rows[0]


def test_wording_of_numbers():
    assert percent(0.1234) == "12.3"
    assert percent(-0.0001, sign=True) == "0.0"
    assert percent(0.02, sign=True) == "+2.0"
    assert percent(None) == percent(float("nan")) == "-"
    assert decimal(-0.456, sign=True) == "-0.46" and decimal(None, "none") == "none"
    narrow = {"mean": 0.5, "lower": 0.4998, "upper": 0.5002}
    assert percent_interval(narrow) == "50.00 ± 0.02"
    assert percent_interval({"mean": 0.5, "lower": None, "upper": None}) == "50.0"
    assert percent_interval(None) == "-"


def test_the_table_needs_no_heavy_import():
    code = (
        "import sys; from fewshot.report import summary_table; summary_table([]); "
        "print([m for m in ('matplotlib', 'pandas', 'numpy', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_auto_is_first_and_coverage_stands_beside_the_error(judged):
    cells = judged.summary["cells"]
    table = summary_table(cells)
    assert max(map(len, table.splitlines())) <= 100
    header = next(line for line in table.splitlines() if "auto" in line)
    assert header.split()[0] == "auto"
    rows = [line.split() for line in table.splitlines() if line.startswith("ncm")]
    auto = cells[0]["estimators"]["auto"]
    assert rows[0][7:10] == [
        f"{100 * auto['predicted_error']:.1f}",
        f"{100 * auto['mae']:.1f}",
        f"{100 * auto['coverage']:.0f}",
    ]
    words = " ".join(table.split())
    assert "90 % if it is right" in words


def test_no_intervals_no_coverage(run, old):
    for cells in (run.summary["cells"], old(run).summary["cells"]):
        words = summary_table(cells).split()
        assert "cov" not in words and "†" not in words
        assert "cov" not in markdown_table(cells)
    assert summary_table(run.summary["cells"]) == summary_table(old(run).summary["cells"])


def test_oracles_are_last_marked_and_unranked(judged, old):
    for cells in (judged.summary["cells"], old(judged).summary["cells"]):
        for cell in cells:
            assert not {"oracle", "oracle_sigma"} & set(compared(cell))
            assert best_estimator(cell) in ("auto", "margin")
        table = summary_table(cells)
        titles = " ".join(line for line in table.splitlines() if "†" in line)
        assert titles.index("oracle †") < titles.index("oracle_sigma †")
        words = " ".join(table.split())
        assert "made without a query, except †" in words
        assert "† sees the labelled queries: an upper bound, not an estimate" in words
        assert "oracle †: pred" in markdown_table(cells)
        assert "- † sees the labelled queries" in markdown_table(cells)


def test_an_oracle_alone_is_not_best(make):
    (cell,) = make(heads=("ncm",), shots=(5,), estimators=("oracle",)).summary["cells"]
    assert best_estimator(cell) is shown_estimator(cell) is None
    assert "*" not in line_of(summary_table([cell]), "ncm")


def test_an_oracle_is_known_by_what_it_sees(make):
    (cell,) = make(heads=("ncm",), shots=(5,), estimators=("margin", "mine")).summary["cells"]
    cell["estimators"]["mine"]["sees_queries"] = True
    assert "mine †" in summary_table([cell])
    assert best_estimator(cell) == "margin"


def test_fall_backs_have_a_note(judged):
    note = (
        "gaussian, 50 of 200 episodes of 5-way 1-shot and 50 of 200 episodes of 5-way 5-shot with "
        "ncm and lda: margin answered: the shots disagree with the base classes"
    )
    table = summary_table(judged.summary["cells"])
    assert "With a reservation:" in table and note in " ".join(table.split())
    assert note in markdown_table(judged.summary["cells"]).replace("\\_", "_")


def test_a_note_on_every_row_names_none(make):
    cells = make().summary["cells"]
    for cell in cells:
        row = cell["estimators"]["margin"]
        row |= {"fallbacks": cell["episodes"], "fallback_reason": "of another kind"}
    assert "  margin, all rows: of another kind" in summary_table(cells)
    del cells[0]["estimators"]["margin"]["fallbacks"]
    assert "all rows" not in summary_table(cells)


def test_markdown_has_coverage(judged):
    auto = judged.summary["cells"][0]["estimators"]["auto"]
    text = markdown_table(judged.summary["cells"])
    assert "auto: pred (MAE; cov)" in text and "gaussian: pred (MAE)" in text
    numbers = [f"{100 * auto[name]:.1f}" for name in ("predicted_error", "mae")]
    assert f"{numbers[0]} ({numbers[1]}; {100 * auto['coverage']:.0f})" in text


def test_the_interval_for_other_classes_stands_beside_the_usual_one(make):
    run = make(heads=("ncm",), shots=(1, 5), estimators=("margin",))
    cells = run.summary["cells"]
    assert "classes ±" not in summary_table(cells)
    unknown = {"lower": None, "upper": None, "reason": "every episode has all classes"}
    cells[0]["accuracy_intervals"] = {"classes": {"lower": 0.51, "upper": 0.57}}
    cells[1]["accuracy_intervals"] = {"classes": unknown}
    table = summary_table(cells)
    assert "accuracy %  classes ±  error %" in table
    assert line_of(table, "ncm", "5", "1").split()[6] == "3.0"
    assert line_of(table, "ncm", "5", "5").split()[6] == "-"
    assert " ± 3.0 " not in table and "other classes and images" in table
    assert "classes ±" in markdown_table(cells)
