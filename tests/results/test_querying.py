"""Cells as a flat table, filters, SQL."""

import pandas as pd
import pytest

from fewshot.exceptions import FewshotError
from fewshot.report.text.rows import json_text
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.querying import cells_table, query
from fewshot.results.sql import query_sql


@pytest.fixture
def store(workplace, run_of, made):
    run_of("runs/a", made(), made(head="lda", shots=2), made(head="lda", shots=10))
    run_of("runs/b", made(dataset="eurosat", estimators=()))
    return Store(find_runs(["runs"]))


def test_cells_are_flat(store):
    table = cells_table(store.summary())
    assert len(table) == 4
    row = table[(table["head"] == "lda") & (table["shots"] == 2)].iloc[0]
    cell = next(cell for cell in store.summary()["cells"] if cell["shots"] == 2)
    assert row["accuracy"] == cell["accuracy"]["mean"]
    assert (row["lower"], row["upper"]) == (cell["accuracy"]["lower"], cell["accuracy"]["upper"])
    assert row["classes_upper"] == cell["accuracy_intervals"]["classes"]["upper"]
    assert row["auto_mae"] == cell["estimators"]["auto"]["mae"]
    assert (row["run"], row["seconds"], row["queries"]) == ("a", 1.5, "5")
    assert table[table["run"] == "b"]["auto_mae"].isna().all()
    assert "auroc" not in table  # no cell has any
    assert list(table)[-1] == "run"


def test_names_are_in_the_order_of_the_alphabet(store):
    heads = query(store, "episodes", sort="head")["head"].astype(str).tolist()
    assert heads == sorted(heads)
    assert heads[0] == "lda"  # though ncm came first


def test_filters_columns_order_and_limit(store):
    rows = query(store, filters={"head": ["lda"]}, columns=["shots", "head"], sort="shots:desc")
    assert rows.to_dict("list") == {"shots": [10, 2], "head": ["lda", "lda"]}
    rows = query(store, filters={"shots": ["1", "10"], "dataset": ["digits"]})
    assert sorted(rows["shots"]) == [1, 10]
    assert len(query(store, limit=2)) == 2


def test_rows_are_those_of_the_table(store):
    rows = query(store, "predictions", {"estimator": ["loo"], "shots": ["2"]}, ["episode", "lower"])
    whole = store.rows("predictions")
    expected = whole[(whole["estimator"] == "loo") & (whole["shots"] == 2)]
    pd.testing.assert_frame_equal(
        rows, expected[["episode", "lower"]].reset_index(drop=True), check_exact=True
    )
    worst = query(store, "episodes", sort="actual_error:desc", limit=1)["actual_error"].item()
    assert worst == store.rows("episodes")["actual_error"].max()


def test_estimators_of_cells(store):
    table = query(store, filters={"estimator": ["loo"]})
    assert "loo_mae" in table
    assert "auto_mae" not in table
    assert len(table) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"columns": ["acuracy"]}, "no column 'acuracy'. Did you mean 'accuracy'"),
        ({"sort": "shotss"}, "Did you mean 'shots'"),
        ({"sort": "shots:down"}, "--sort: expected one of"),
        ({"table": "episodes", "sort": "classes"}, "--sort: lists of names have no order"),
        ({"table": "episode"}, "Did you mean 'episodes'"),
        ({"filters": {"head": ["lad"]}}, "--head: no row has 'lad'. Did you mean 'lda'"),
        ({"filters": {"shots": ["3"]}}, "--shots: no row has '3'"),
        ({"filters": {"estimator": ["lo"]}}, "--estimator: no row has 'lo'. Did you mean 'loo'"),
        ({"table": "episodes", "columns": ["estimator"]}, "table episodes has no column"),
    ],
)
def test_mistakes(store, arguments, words):
    with pytest.raises(FewshotError) as caught:
        query(store, **arguments)
    assert words in str(caught.value)


def test_sql(store):
    pytest.importorskip("duckdb")
    rows = query_sql(
        store,
        "SELECT head, avg(accuracy) AS a, count(*) AS n FROM episodes GROUP BY head ORDER BY 1",
    )
    expected = store.rows("episodes").groupby("head", observed=True)["accuracy"]
    assert rows["a"].tolist() == pytest.approx(expected.mean().sort_index().tolist())
    assert rows["n"].tolist() == expected.count().sort_index().tolist()
    joined = query_sql(store, "SELECT max(p.auto_mae) FROM cells p JOIN episodes e USING (dataset)")
    assert joined.iloc[0, 0] == cells_table(store.summary())["auto_mae"].max()


@pytest.mark.parametrize("statement", ["", ";", "-- nothing"])
def test_sql_that_says_nothing(store, statement):
    pytest.importorskip("duckdb")
    with pytest.raises(FewshotError, match="expected a statement, got none"):
        query_sql(store, statement)


def test_sql_over_a_damaged_table(workplace, run_of, made, hole):
    """Cells and rows are of the same runs."""
    pytest.importorskip("duckdb")
    run_of("runs/a", made())
    run_of("runs/b", made(head="lda"))
    hole("runs/b/episodes.parquet")
    statement = "SELECT head, (SELECT count(*) FROM episodes e WHERE e.head = c.head) FROM cells c"
    assert query_sql(Store(find_runs(["runs"])), statement).to_numpy().tolist() == [["ncm", 20]]


def test_numbers_in_lists_stay_numbers(store):
    pytest.importorskip("duckdb")
    assert (
        json_text(query_sql(store, "SELECT [1, 2] AS a, 1.5 AS b")) == '[{"a": [1, 2], "b": 1.5}]\n'
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('secret.csv')",
        "SELECT * FROM 'runs/a/episodes.parquet'",
        "SELECT * FROM glob('*')",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'out.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM store",  # a variable of ours
        "SELEC",
    ],
)
def test_sql_reaches_no_file(store, workplace, statement):
    pytest.importorskip("duckdb")
    (workplace / "secret.csv").write_text("a\n1\n")
    with pytest.raises(FewshotError, match="--sql") as caught:
        query_sql(store, statement)
    assert "\n" not in str(caught.value)
    assert {path.name for path in workplace.iterdir()} <= {"secret.csv", "runs", "cache"}
