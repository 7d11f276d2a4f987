"""A task of another package: run, resumed, queried, exported, compared and reported."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

OUTSIDE = Path(__file__).parent / "outside"
FILE = ["dataset=features", "dataset.path=f.npz", "threads=1"]
RUN = ["task=top_two", "head=[ncm,lda]", *FILE, "episodes.ways=4", "episodes.shots=[1,2]",
       "episodes.queries=3", "episodes.count=12"]  # fmt: skip


def install(folder, name="top-two", points="top_two = top_two.task:TopTwo", group="fewshot.tasks"):
    """What pip leaves behind: a package, and its entry points beside it."""
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{group}]\n{points}\n")


@pytest.fixture
def site(tmp_path, feature_file):
    """A folder of installed packages with the task."""
    folder = tmp_path / "site"
    shutil.copytree(OUTSIDE / "top_two", folder / "top_two")
    install(folder)
    return folder


@pytest.fixture
def fewshot(site, tmp_path, forks):
    """Function that runs the command line in a process of its own, with the package."""

    def run(*arguments, code=0):
        environment = {"FEWSHOT_CACHE": str(tmp_path / "cache")}
        path = [str(tmp_path), str(site)]
        done = forks(*arguments, folder=tmp_path, path=path, environment=environment)
        assert done.code == code, done.stderr
        return done

    return run


def test_from_the_run_to_the_tables(fewshot, tmp_path):
    done = fewshot(*RUN)
    assert "top_two" in done.stdout
    (folder,) = (path.parent for path in Path("runs").glob("*/summary.json"))
    rows = pd.read_parquet(folder / "top_two.parquet")
    assert len(rows) == 2 * 2 * 12
    assert not (folder / "episodes.parquet").exists()
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    assert {cell["task"] for cell in cells} == {"top_two"}
    assert all(cell["hashes"]["episodes"] and cell["key"] for cell in cells)
    means = rows.groupby(["head", "shots"])["top_two"].mean()
    for cell in cells:
        mean = cell["top_two"]["mean"]
        assert mean == pytest.approx(means[cell["head"], cell["shots"]])
        assert mean > 0.5  # of four classes
    assert "Top two" in (folder / "report.html").read_text()

    again = fewshot(*RUN)
    assert "4 cells taken from earlier runs, 0 computed" in again.stdout
    more = fewshot(*RUN, "episodes.shots=[1,2,3]")
    assert "4 cells taken from earlier runs, 2 computed" in more.stdout

    query = fewshot("results", "query", str(folder), "--format", "json").stdout
    table = {(row["head"], row["shots"]): row["top_two"] for row in json.loads(query)}
    assert table == {key: pytest.approx(value) for key, value in means.items()}
    query = fewshot("results", "query", "runs", "--table", "top_two", "--head", "lda", "--format",
                    "json").stdout  # fmt: skip
    assert {row["head"] for row in json.loads(query)} == {"lda"}
    assert len(json.loads(query)) == 3 * 12
    export = fewshot("results", "export", "runs", "--format", "csv").stdout
    assert export.splitlines()[0].startswith("head,backbone,f 1 shot")
    compared = json.loads(
        fewshot("results", "compare", "runs", "--heads", "ncm,lda", "--format", "json").stdout
    )
    assert compared["measure"] == "top_two"
    gaps = {pair["shots"]: pair["mean"] for pair in compared["pairs"]}
    assert gaps[2] == pytest.approx(means["ncm", 2] - means["lda", 2])

    report = fewshot("report", "runs", "--output", "page.html", "--latex", "tables.tex")
    assert "top_two" in report.stdout
    assert "top" in Path("tables.tex").read_text()
    assert "Top two" in Path("page.html").read_text()


def test_beside_other_tasks_in_one_report(fewshot):
    fewshot(*RUN)
    fewshot(*FILE, "episodes.count=10", "episodes.shots=1", "episodes.ways=3", "head=ncm")
    report = fewshot("report", "runs", "--output", "page.html")
    assert "Top two" in report.stdout
    assert "Classification" in Path("page.html").read_text()


def test_its_own_errors_are_one_line(fewshot):
    done = fewshot(*RUN, "episodes.ways=2", "head=ncm", "episodes.shots=1", code=2)
    assert done.stderr.splitlines()[-1].startswith(
        "fewshot: error: episodes.ways: expected 3 or more, got 2"
    )


# Changes to the task's source, and what is then said of its rows.
WRONG_ROWS = [
    ('"top_two": values}', '"top": values}', "expected a column 'top_two', got none"),
    ('"top_two": values}', '"top_two": values, "b": 1}', "it has no column 'b'"),
    ('"top_two": values}', '"top_two": "high"}', "column 'top_two': expected float64"),
    ("return Result(", "rows = rows[1:]\n        return Result(", "expected 12 rows, got 11"),
    ('Result({"top_two": rows}', 'Result({"two": rows}', "it has no table 'two'"),
    ('Result({"top_two": rows}', "Result({}", "expected rows of the table 'top_two'"),
    ('Result({"top_two": rows}', 'Result({"top_two": rows.assign(head="x")}', "head='ncm'"),
]


def test_rows_that_are_not_as_declared(fewshot, site):
    file = site / "top_two" / "task.py"
    source = file.read_text()
    for old, new, problem in WRONG_ROWS:
        assert old in source
        file.write_text(source.replace(old, new))
        done = fewshot(*RUN, "head=ncm", "episodes.shots=1", code=2)
        errors = [line for line in done.stderr.splitlines() if line.startswith("fewshot: error")]
        assert len(errors) == 1
        assert errors[0].startswith("fewshot: error: task=top_two: ") and problem in errors[0]
    assert not list(Path("runs").glob("*/summary.json"))


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ("top_two = nowhere.task:TopTwo", "No module named 'nowhere'"),
        ("top_two = top_two.task:TopToo", "has no 'TopToo'. Did you mean 'TopTwo'"),
        ("top_two = top_two.task:top_two", "expected a class derived from"),
        ("other = top_two.task:TopTwo", "registered as 'other', and calls itself 'top_two'"),
    ],
)
def test_a_task_that_cannot_be_had(fewshot, site, points, problem):
    shutil.rmtree(site / "top_two-1.0.dist-info")
    install(site, points=points)
    name = points.partition(" ")[0]
    done = fewshot(f"task={name}", *FILE, code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("fewshot: error: task: ")
    assert problem in line
    if name == "other":  # other tasks go on, and what was not asked for is not an error
        fewshot(*FILE, "episodes.count=5", "episodes.shots=1", "episodes.ways=3", "head=ncm")
        fewshot("results", "query", "runs")


def test_two_tasks_of_one_name(fewshot, site):
    install(site, "rival", "top_two = rival.task:TopTwo")
    done = fewshot("task=top_two", *FILE, code=2)
    (line,) = done.stderr.splitlines()
    assert "'top_two' is the name of several: " in line
    assert "top-two (top_two.task:TopTwo)" in line and "rival (rival.task:TopTwo)" in line


def test_a_name_of_the_own_tasks_is_never_replaced(fewshot, site):
    install(site, "rival", "classification = top_two.task:TopTwo")
    done = fewshot(*FILE, "episodes.count=5", "episodes.shots=1", "episodes.ways=3", "head=ncm")
    assert "accuracy" in done.stdout
    listed = fewshot("list", "tasks")
    assert "classification" in listed.stdout
    assert "rival" in listed.stderr and "counts" in listed.stderr


def test_runs_of_a_task_that_is_not_there_any_more(fewshot, site):
    fewshot(*RUN)
    fewshot(*FILE, "episodes.count=5", "episodes.shots=1", "episodes.ways=3", "head=ncm")
    shutil.rmtree(site / "top_two-1.0.dist-info")
    done = fewshot("results", "query", "runs", code=2)
    assert "classification" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "has cells of the task 'top_two'" in line


def test_by_module_and_class_from_the_working_directory(fewshot, site, tmp_path):
    shutil.rmtree(site / "top_two-1.0.dist-info")
    shutil.move(site / "top_two", tmp_path / "top_two")
    arguments = ["task=top_two.task:TopTwo", *RUN[1:]]
    fewshot(*arguments)
    assert "4 cells taken from earlier runs, 0 computed" in fewshot(*arguments).stdout
    done = fewshot("task=top_two.task:Missing", *FILE, code=2)
    assert "has no 'Missing'" in done.stderr
