"""Several runs of a cell: the one with most episodes counts, and the others are reported."""

from __future__ import annotations

import itertools
import json

import pytest

from fewshot.report.text.pivot import latex_table, markdown_table
from fewshot.results.aside import aside_text
from fewshot.results.comparing import compare
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.pivot import pivot
from fewshot.results.querying import query
from fewshot.results.store import read_runs, store_warnings


def opened():
    return Store(find_runs(["runs"]))


@pytest.fixture
def long_and_short(workplace, run_of, made):
    """A long run of two heads, and a later trial of one of them and of a third one."""
    run_of("runs/long", made(60), made(60, head="lda"), created="2026-01-01")
    run_of("runs/trial", made(12, worse=0.3), made(12, head="svm"), created="2026-03-01")


def test_more_episodes_count_whenever_they_were_made(long_and_short):
    summary, episodes, predictions = read_runs(find_runs(["runs"]))
    assert {c["head"]: c["episodes"] for c in summary["cells"]} == {"ncm": 60, "lda": 60, "svm": 12}
    counted = episodes.groupby("head", observed=True).size().to_dict()
    assert counted == {"ncm": 60, "lda": 60, "svm": 12}
    assert len(predictions) == 2 * len(episodes)
    (entry,) = summary["left_aside"]
    assert (entry["head"], entry["run"], entry["episodes"]) == ("ncm", "runs/trial", 12)
    assert (entry["counts_run"], entry["counts_episodes"]) == ("runs/long", 60)
    expected = (
        "left aside: runs/trial: 12 episodes of 1 cell (ncm on digits), as runs/long has 60 "
        "episodes of the same"
    )
    assert store_warnings(summary) == [expected]


@pytest.mark.parametrize("order", list(itertools.permutations([30, 20, 10])))
def test_whatever_the_order_of_the_runs(workplace, run_of, made, order):
    for day, episodes in enumerate(order, 1):
        run_of(f"runs/{day}", made(episodes), created=f"2026-01-0{day}")
    summary, episodes, _ = read_runs(find_runs(["runs"]))
    assert len(episodes) == 30 == summary["cells"][0]["episodes"]
    assert sorted(entry["episodes"] for entry in summary["left_aside"]) == [10, 20]
    assert {entry["counts_episodes"] for entry in summary["left_aside"]} == {30}


def test_of_as_many_the_last_counts_and_it_is_said(workplace, run_of, made):
    run_of("runs/a", made(), created="2026-01-01")
    run_of("runs/b", made(worse=0.3), created="2026-01-02")
    summary = opened().summary()
    assert summary["made"][summary["cells"][0]["run"]]["name"] == "b"
    (line,) = aside_text(summary["left_aside"])
    assert line.endswith("as runs/b has the same with other settings and was made later")


def test_the_same_rows_again_are_nothing_to_tell(workplace, run_of, made):
    run_of("runs/a", made(), created="2026-01-01")
    run_of("runs/b", made(), created="2026-01-02")
    assert opened().summary()["left_aside"] == []


def test_keys_tell_whether_rows_are_the_same(workplace, run_of, made, edited):
    for name in "ab":
        run_of(f"runs/{name}", made(), created=f"2026-01-0{'ab'.index(name) + 1}")
    for name, key in (("a", "k1"), ("b", "k1")):
        edited(f"runs/{name}", lambda summary, key=key: summary["cells"][0].update(key=key))
    assert opened().summary()["left_aside"] == []
    edited("runs/b", lambda summary: summary["cells"][0].update(key="k2"))
    assert len(opened().summary()["left_aside"]) == 1


def test_other_queries_are_another_cell(workplace, run_of, made, edited):
    run_of("runs/a", made(60))
    run_of("runs/b", made(12))
    edited("runs/b", lambda summary: summary["cells"][0].update(queries=9))
    summary = opened().summary()
    assert {c["episodes"] for c in summary["cells"]} == {12, 60} and not summary["left_aside"]


def test_a_damaged_long_run_gives_way_to_the_short_one(workplace, run_of, made, hole):
    run_of("runs/long", made(60))
    run_of("runs/short", made(12))
    hole("runs/long/episodes.parquet")
    summary, episodes, _ = read_runs(find_runs(["runs"]))
    assert len(episodes) == 12 and len(summary["unreadable"]) == 1 and not summary["left_aside"]


def test_tables_for_papers_say_so(long_and_short):
    table = pivot(opened(), ["head"], ["shots"])
    assert table.entries[("ncm",), (1,)].cells[0]["episodes"] == 60
    line = "Left aside: runs/trial: 12 episodes of 1 cell (ncm on digits)"
    assert line in latex_table(table) and line in markdown_table(table)
    of_others = pivot(opened(), ["head"], ["shots"], filters={"head": ["lda", "svm"]})
    assert "Left aside" not in latex_table(of_others) + markdown_table(of_others)


def test_query_and_compare_take_the_long_one(long_and_short):
    rows = query(opened(), columns=["head", "episodes", "run"])
    assert rows[rows["head"] == "ncm"].to_numpy().tolist() == [["ncm", 60, "long"]]
    comparison = compare(opened(), "head", ["ncm", "lda"])
    assert comparison["pairs"][0]["episodes"] == 60
    assert [entry["run"] for entry in comparison["left_aside"]] == ["runs/trial"]
    assert json.dumps(comparison["left_aside"])


@pytest.mark.parametrize("command", ["query", "export", "compare"])
def test_commands_say_so_on_standard_error(long_and_short, capsys, command):
    from fewshot.cli.main import main

    more = ["--heads", "ncm,lda"] if command == "compare" else []
    assert main(["results", command, "runs", *more]) == 0
    assert "fewshot: left aside: runs/trial: 12 episodes of 1 cell" in capsys.readouterr().err


def test_the_page_and_its_sentences_say_so(long_and_short, capsys):
    from fewshot.cli.main import main

    assert main(["report", "runs", "--latex", "t.tex", "--output", "r.html"]) == 0
    out, err = capsys.readouterr()
    assert "fewshot: left aside: runs/trial: 12 episodes" in err
    assert "1 cell of other runs is left aside" in " ".join(out.split())
    from pathlib import Path

    page = Path("r.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    (line,) = data["left_aside"]
    assert "runs/long has 60 episodes of the same" in line
    assert "1 cell of other runs is left aside" in page
    assert "% Left aside: runs/trial" in Path("t.tex").read_text()
