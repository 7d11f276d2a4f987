"""``fewshot report``: the page, figures and tables over runs, and runs that cannot be read."""

import json
import re
import shlex
from pathlib import Path

import pytest

from fewshot.cli.main import main


def run_folders():
    return sorted(path.parent for path in Path("runs").rglob("summary.json"))


def data_of(path):
    page = Path(path).read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture
def two(fewshot, feature_settings):
    """Runs under two seeds."""
    for seed in (0, 1):
        assert fewshot(*feature_settings, f"seed={seed}", "head=[ncm,lda]").code == 0
    return run_folders()


def test_page_figures_and_tables(fewshot, two):
    done = fewshot("report", "runs", "--figures", "svg,pdf", "--markdown", "out/t.md",
                   "--latex", "out/t.tex", "--output", "out/all.html")  # fmt: skip
    assert done.code == 0, done.err
    assert "Report over 2 runs: out/all.html" in done.out
    data = data_of("out/all.html")
    assert [entry["name"] for entry in data["runs"]] == [run.name for run in two]
    for cell in data["cells"]:
        cells = json.loads((two[cell["made"]["run"]] / "summary.json").read_text())["cells"]
        assert cell["made"]["key"] in {entry["key"] for entry in cells}
    names = {path.name for path in Path("out/all_figures").iterdir()}
    assert {"error_vs_shots.svg", "error_vs_shots.pdf", "ranks_head.svg"} <= names
    assert not [name for name in names if name.endswith(".png")]
    latex = Path("out/t.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 2 == latex.count(r"\bottomrule")
    assert r"\textbf{" in latex and "$\\pm$" in latex
    header = "| backbone | head | f 1 shot | f 5 shots |"
    assert header in Path("out/t.md").read_text()


def test_damaged_runs_are_left_out_and_named(fewshot, two):
    first, second = two
    (first / "episodes.parquet").write_bytes(b"PAR1 and then nothing")
    done = fewshot("report", "runs", "--output", "r.html")
    assert done.code == 2
    assert f"fewshot: left out: {first}: " in done.err
    assert "Traceback" not in done.err and "Report over 1 run: r.html" in done.out
    data = data_of("r.html")
    assert [entry["name"] for entry in data["runs"]] == [second.name]
    (reason,) = data["unreadable"]
    assert reason.startswith(f"{first}: ")


def test_wrong_formats_are_refused_before_anything_is_read(refusal):
    message = refusal("report", "runs", "--figures", "svg,gif")
    assert message.startswith("--figures: expected one of")
    assert "gif" in message


def test_pictures_and_their_absence(fewshot, image_settings):
    assert fewshot(*image_settings, "episodes.shots=1", "head=ncm").code == 0
    (run,) = run_folders()
    assert data_of(run / "report.html")["datasets"]["photos"]["thumbnails"]
    name = data_of(run / "report.html")["runs"][0]["name"]
    assert name == run.name  # though it was written under another
    assert fewshot("report", "runs", "--no-thumbnails", "--output", "r.html").code == 0
    dataset = data_of("r.html")["datasets"]["photos"]
    assert dataset["thumbnails"] == {} and dataset["files"]


def test_the_command_in_the_page_makes_the_run_again(fewshot, feature_settings):
    assert fewshot(*feature_settings, "head=ncm", "seed=3").code == 0
    (run,) = run_folders()
    words = shlex.split(data_of(run / "report.html")["cells"][0]["made"]["command"])
    done = fewshot(*words[1:], "results.policy=always")
    assert done.code == 0, done.err
    (other,) = set(run_folders()) - {run}
    first, second = (json.loads((entry / "summary.json").read_text()) for entry in (run, other))
    assert first["cells"][0]["accuracy"] == second["cells"][0]["accuracy"]
    assert other.parent == run.parent and not Path("outputs").exists()


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["report", "--help"])
    assert caught.value.code == 0
    assert "fewshot report runs --figures svg,pdf" in capsys.readouterr().out


def test_runs_by_name_and_estimators_on_request(fewshot, feature_settings):
    settings = (*feature_settings, "head=ncm", "episodes.shots=5")
    first = fewshot(*settings, "estimator=[auto,loo]")
    assert first.code == 0, first.err
    assert first.out.startswith("f\n  5-way, 5 shots: ")  # the answer
    assert "1 more estimator: fewshot report latest --estimators all" in first.out
    assert first.out.endswith("To print this again: fewshot report latest\n")
    again, both = fewshot("report", "latest"), fewshot("report", "latest", "--estimators", "all")
    assert again.code == both.code == 0
    assert "loo" not in again.out and " loo" in both.out
    (run,) = run_folders()
    assert f"Report over 1 run: {run / 'report.html'}" in again.out
    assert fewshot("results", "query", run.name[:10]).code == 0
    everything = fewshot(*settings, "estimator=[auto,loo]", "report.estimators=all")
    assert " loo" in everything.out and "more estimator" not in everything.out
    several = fewshot("report", run.name[:4])
    assert several.code == 2 and "2 runs have" in several.err


def test_other_choices_of_estimators_are_refused(refusal, feature_settings):
    assert "--estimators: expected one of" in refusal("report", "runs", "--estimators", "loo")
    assert "report.estimators: expected one of" in refusal(*feature_settings, "report.estimators=x")
