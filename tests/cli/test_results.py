"""``fewshot results``: real runs, asked for, exported, compared, merged, migrated."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot.cli.main import main
from fewshot.results.schema import SCHEMA_VERSION


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Real runs of two heads and two numbers of shots, made once."""
    import numpy as np

    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] * 2 + rng.normal(size=(60, 8))
    np.savez(folder / "f.npz", features=features.astype(np.float32), labels=labels)
    settings = (
        "dataset=features", f"dataset.path={folder}/f.npz", "episodes.count=20", "threads=1",
        f"paths.runs={folder}/runs", "episodes.queries=3", "estimator=[loo]",
    )  # fmt: skip
    for shots in (1, 2):
        assert main([*settings, f"episodes.shots={shots}", "head=[ncm,lda]"]) == 0
    return folder / "runs"


@pytest.fixture
def copied(store, workplace):
    """A copy that may be spoilt."""
    return shutil.copytree(store, workplace / "runs")


def damaged(folder):
    """The first run loses the end of its episodes."""
    path = sorted(Path(folder).glob("*/episodes.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-9])
    return path.parent


def results(fewshot, *arguments):
    return fewshot("results", *map(str, arguments))


def test_query(fewshot, store):
    done = results(fewshot, "query", store, "--columns", "head,shots,accuracy,loo_mae", "--sort",
                   "accuracy:desc", "--format", "csv")  # fmt: skip
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 4
    accuracies = [float(row["accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    whole = json.loads(results(fewshot, "query", store, "--format", "json").out)
    assert {row["run"] for row in whole} == {path.name for path in store.iterdir()}
    assert sorted(row["accuracy"] for row in whole) == sorted(accuracies)
    assert all(len(row["key"]) == 64 for row in whole)


def test_query_of_rows(fewshot, store, workplace):
    arguments = ("--table", "episodes", "--head", "lda", "--shots", "2")
    done = results(fewshot, "query", store, *arguments, "--format", "json", "--output", "rows.json")
    assert (done.code, done.out) == (0, "")
    rows = json.loads((workplace / "rows.json").read_text())
    assert len(rows) == 20
    assert all(len(row["classes"]) == 5 and row["head"] == "lda" for row in rows)
    text = results(fewshot, "query", store, *arguments, "--columns", "head,classes").out
    assert text.splitlines()[0].split() == ["head", "classes"]
    table = results(fewshot, "query", store, *arguments, "--format", "markdown").out
    assert len(table.splitlines()) == 22
    rows = list(csv.DictReader(io.StringIO(
        results(fewshot, "query", store, *arguments, "--format", "csv").out)))  # fmt: skip
    assert len(json.loads(rows[0]["classes"])) == 5


def test_long_tables_are_cut_and_say_so(fewshot, store):
    done = results(fewshot, "query", store, "--table", "predictions", "--columns", "head")
    assert len(done.out.splitlines()) == 81
    done = results(fewshot, "query", store, "--sql", "SELECT * FROM range(150)")
    if "duckdb" not in done.err:  # it is not installed
        assert len(done.out.splitlines()) == 101
        assert "50 more rows" in done.err


def test_sql(fewshot, store, refusal):
    pytest.importorskip("duckdb")
    statement = "SELECT head, count(*) AS n FROM episodes GROUP BY head ORDER BY head"
    done = results(fewshot, "query", store, "--sql", statement, "--format", "csv")
    assert done.out == "head,n\nlda,40\nncm,40\n"
    assert "says all itself" in refusal("results", "query", str(store), "--sql", "x", "--head", "a")


def test_mistakes_do_not_hide_what_was_left_out(fewshot, copied):
    spoilt = damaged(copied)
    done = results(fewshot, "query", copied, "--head", "ncn")
    assert done.code == 2
    assert f"left out: {spoilt}" in done.err
    assert "Did you mean 'ncm'" in done.err


def test_places_that_cannot_be_written(refusal, fewshot, store, workplace):
    assert "expected a file, got '/'" in refusal("results", "query", str(store), "--output", "/")
    assert "is in the way" in refusal("results", "query", str(store), "--output", str(workplace))
    assert "says all itself" in refusal(
        "results", "query", str(store), "--sql", "x", "--table", "cells"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_a_redirection(store):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fewshot", "results", "query", str(store)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode not in (0, 120)
    assert "stdout: cannot write to standard output: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_with_commas():
    from fewshot.cli.results_common import split_list

    assert split_list("ncm, lda (a=1, b=2),x") == ["ncm", "lda (a=1, b=2)", "x"]


def test_sql_without_duckdb(refusal, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    said = refusal("results", "query", str(store), "--sql", "SELECT 1")
    assert "pip install '.[sql]'" in said


@pytest.mark.parametrize("form", ["latex", "markdown", "csv"])
def test_export(fewshot, store, form, workplace):
    done = results(
        fewshot, "export", store, "--format", form, "--output", "table", "--rows", "head"
    )
    assert done.code == 0, done.err
    text = (workplace / "table").read_text()
    assert "lda" in text
    assert "2 shots" in text
    assert results(fewshot, "export", store, "--format", form, "--rows", "head").out == text


def test_export_of_an_estimator(fewshot, store):
    done = results(fewshot, "export", store, "--measure", "mae", "--estimator", "loo", "--rows",
                   "head", "--columns", "shots", "--shots", "2", "--interval", "none")  # fmt: skip
    assert done.code == 0, done.err
    assert "| head | 2 shots |" in done.out


def test_compare(fewshot, store):
    done = results(fewshot, "compare", store, "--heads", "ncm,lda")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:2] == ["first", "second"]
    assert "Over 1 data set:" in done.out
    comparison = json.loads(
        results(fewshot, "compare", store, "--heads", "ncm,lda", "--format", "json").out
    )
    assert [pair["shots"] for pair in comparison["pairs"]] == [1, 2]
    text = results(fewshot, "compare", store, "--heads", "ncm,lda", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert float(rows[0]["difference"]) == comparison["pairs"][0]["mean"]


def test_merge(fewshot, store, workplace):
    done = results(fewshot, "merge", store, "--into", "all", "--dry-run")
    assert "would copy" in done.out
    assert not (workplace / "all").exists()
    done = results(fewshot, "merge", store, "--into", "all")
    assert done.code == 0
    assert done.out.endswith("all: 2 copied, 0 already there, 0 refused.\n")
    done = results(fewshot, "merge", store, "--into", "all")
    assert done.out.endswith("all: 0 copied, 2 already there, 0 refused.\n")


def test_merged_runs_are_continued(fewshot, store, workplace):
    """Cells that came from another machine are taken, not computed."""
    results(fewshot, "merge", store, "--into", "runs")
    done = fewshot("dataset=features", f"dataset.path={store.parent}/f.npz", "episodes.count=20",
                   "threads=1", "episodes.queries=3", "estimator=[loo]", "episodes.shots=2",
                   "head=[ncm,lda]", "results.policy=never")  # fmt: skip
    assert done.code == 0, done.err


def test_damage_is_said_and_the_rest_done(fewshot, copied, workplace):
    bad = damaged(copied)
    for arguments in (["query", copied], ["export", copied, "--rows", "head"],
                      ["compare", copied, "--heads", "ncm,lda"]):  # fmt: skip
        done = results(fewshot, *arguments)
        assert done.code == 2
        assert done.out
        assert f"left out: {bad}: " in done.err
    for arguments in (["merge", copied, "--into", "all"], ["migrate", copied]):
        done = results(fewshot, *arguments)
        assert done.code == 2
        assert f"refused: {bad}: " in done.err
        assert "1 refused" in done.out


def test_migrate(fewshot, copied):
    for path in copied.glob("*/summary.json"):
        summary = json.loads(path.read_text()) | {"schema_version": 1}
        path.write_text(json.dumps(summary))
    done = results(fewshot, "migrate", copied)
    assert done.code == 0
    assert f"version 1 to {SCHEMA_VERSION}" in done.out
    assert done.out.endswith(f"2 rewritten, 0 of version {SCHEMA_VERSION} already, 0 refused.\n")
    done = results(fewshot, "migrate", copied)
    assert done.out == f"0 rewritten, 2 of version {SCHEMA_VERSION} already, 0 refused.\n"
    assert results(fewshot, "query", copied).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quary"], "Did you mean 'query'"),
        ([], "expected an action"),
        (["query", "nowhere"], "expected folders of runs, got 'nowhere'"),
        (["query", "STORE", "--format", "cvs"], "Did you mean 'csv'"),
        (["query", "STORE", "--columns", "acuracy"], "Did you mean 'accuracy'"),
        (["query", "STORE", "--limit", "0"], "--limit: expected > 0"),
        (["query", "STORE", "--limit", "x"], "invalid int value"),
        (["export", "STORE", "--format", "tex"], "--format: expected one of"),
        (["export", "STORE", "--measure", "acc"], "Did you mean 'accuracy'"),
        (["export", "STORE", "--rows", "heads"], "Did you mean 'head'"),
        (["compare", "STORE"], "expected one of --heads A,B and --backbones A,B"),
        (["compare", "STORE", "--heads", "ncm,ldb"], "Did you mean 'lda'"),
        (["merge", "STORE"], "--into"),
        (["merge", "STORE", "--into", "STORE"], "lies in"),
        (["query", "STORE", "--output", "f.npz/x"], "--output: cannot write"),
    ],
)
def test_mistakes(refusal, store, feature_file, arguments, words):
    command = [str(store) if word == "STORE" else word for word in arguments]
    assert words in refusal("results", *command)


@pytest.mark.parametrize("action", ["query", "export", "compare", "merge", "migrate"])
def test_help_has_examples(capsys, action):
    with pytest.raises(SystemExit):
        main(["results", action, "--help"])
    assert f"fewshot results {action} " in capsys.readouterr().out.split("examples:")[1]


def test_a_closed_pipe_is_no_defect(store):
    command = (
        f"'{sys.executable}' -m fewshot results query '{store}' --table predictions --format csv"
    )
    done = subprocess.run(
        f"{command} | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("task,dataset")
    assert done.stderr == ""
