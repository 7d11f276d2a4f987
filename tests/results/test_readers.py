"""Other programs read the rows: pandas, polars, DuckDB; lists of names too."""

import pandas as pd
import pytest


@pytest.fixture
def rows(workplace, run_of, made):
    cell = made()
    run_of("runs/a=1", cell)
    return cell[1]


def test_pandas(rows):
    read = pd.read_parquet("runs/a=1/episodes.parquet")
    assert read["classes"].map(list).tolist() == rows["classes"].tolist()
    assert read["actual_error"].tolist() == rows["actual_error"].tolist()


def test_polars(rows):
    polars = pytest.importorskip("polars")
    read = polars.read_parquet("runs/*/episodes.parquet", hive_partitioning=False)
    assert read["classes"].to_list() == rows["classes"].tolist()
    assert read["actual_error"].to_list() == rows["actual_error"].tolist()
    means = read.group_by("head").agg(polars.col("accuracy").mean())
    assert means["accuracy"].item() == pytest.approx(rows["accuracy"].mean())


def test_duckdb(rows):
    duckdb = pytest.importorskip("duckdb")
    read = duckdb.sql(
        "SELECT classes, actual_error FROM read_parquet('runs/*/episodes.parquet') ORDER BY episode"
    ).fetchall()
    assert [names for names, _ in read] == rows["classes"].tolist()
    assert [error for _, error in read] == rows["actual_error"].tolist()
    names = "SELECT unnest(classes) AS name FROM 'runs/*/episodes.parquet'"
    counted = f"SELECT count(DISTINCT name) FROM ({names})"
    assert duckdb.sql(counted).fetchall()[0][0] == rows["classes"].explode().nunique()
