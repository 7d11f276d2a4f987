"""Cells that were computed before are taken; runs that were killed go on where they were."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fewshot.heads.ncm import NCM
from fewshot.tasks.classification import cell as classification
from fewshot.tasks.verification import cell as verification

ROWS = ("episodes", "predictions")
QUICK = ("estimator=[margin,constant]",)


def summaries(folder="runs"):
    paths = sorted(Path(folder).rglob("summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) | {"folder": path.parent} for path in paths]


def reused(summary):
    return [cell["reused_from"] for cell in summary["cells"]]


def assert_same_rows(folder, other, names=ROWS):
    for name in names:
        first, second = (pd.read_parquet(run / f"{name}.parquet") for run in (folder, other))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.fixture
def no_work(monkeypatch):
    """Nothing may be computed."""

    def never(*_, **__):
        raise AssertionError("a cell was computed")

    monkeypatch.setattr(classification, "evaluate_cell", never)
    monkeypatch.setattr(verification, "evaluate_verification", never)


def test_the_same_run_again_takes_every_cell(fewshot, feature_settings, request):
    assert "taken from" not in fewshot(*feature_settings, *QUICK).out
    request.getfixturevalue("no_work")
    done = fewshot(*feature_settings, *QUICK)
    assert done.code == 0, done.err
    assert "4 cells taken from earlier runs, 0 computed" in done.out
    first, second = summaries()
    assert reused(first) == [None] * 4
    assert reused(second) == [first["folder"].name] * 4
    assert [cell["key"] for cell in first["cells"]] == [cell["key"] for cell in second["cells"]]
    assert len({cell["key"] for cell in first["cells"]}) == 4
    for cell, repeated in zip(first["cells"], second["cells"], strict=True):
        assert {**cell, "reused_from": ""} == {**repeated, "reused_from": ""}
    assert_same_rows(first["folder"], second["folder"])
    assert not Path("runs/.cells").exists()


def test_only_what_is_missing_is_computed(fewshot, feature_settings):
    fewshot(*feature_settings, *QUICK, "episodes.shots=1")
    done = fewshot(*feature_settings, *QUICK, "episodes.shots=[1,2]", "head=[lda,knn]")
    assert "1 cell taken from earlier runs, 3 computed" in done.out
    before, after = summaries()
    taken = [(cell["head"], cell["shots"]) for cell in after["cells"] if cell["reused_from"]]
    assert taken == [("lda", 1)]
    fewshot(*feature_settings, *QUICK, "episodes.shots=[1,2]", "head=[lda,knn]", "paths.runs=other")
    assert_same_rows(after["folder"], summaries("other")[0]["folder"])
    assert before["folder"].name in reused(after)


def test_a_sweep_takes_cells_of_runs_and_runs_those_of_sweeps(fewshot, feature_settings):
    fewshot("-m", *feature_settings, *QUICK, "head=ncm,lda", "episodes.shots=1")
    done = fewshot(*feature_settings, *QUICK, "episodes.shots=1")
    assert "2 cells taken from earlier runs, 0 computed" in done.out
    assert all(name.split("/")[0].endswith("_sweep") for name in reused(summaries()[-1]))


def test_policies(fewshot, refusal, feature_settings):
    message = refusal(*feature_settings, *QUICK, "results.policy=never", "head=ncm")
    assert "no earlier run has ncm with 1 shot, ncm with 5 shots" in message
    assert "results.policy: expected one of" in refusal(
        *feature_settings, "results.policy=sometimes"
    )
    fewshot(*feature_settings, *QUICK, "head=ncm")
    assert reused(summaries()[0]) == [None, None]
    fewshot(*feature_settings, *QUICK, "head=ncm", "results.policy=always")
    assert reused(summaries()[-1]) == [None, None]
    assert fewshot(*feature_settings, *QUICK, "head=ncm", "results.policy=never").code == 0
    message = refusal(*feature_settings, *QUICK, "results.policy=never")
    assert "no earlier run has lda with 1 shot, lda with 5 shots." in message


def test_verification_compares_the_heads_of_this_run(fewshot, feature_settings, feature_file):
    with np.load(feature_file) as old:
        text = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
        np.savez(feature_file, **old, text=text)
    task = (*feature_settings, "task=verification", "episodes.shots=2", "episodes.queries=4")
    fewshot(*task, "head=[ncm,zero_shot]")
    fewshot(*task, "head=[zero_shot,ncm]", "paths.runs=other")
    fewshot(*task, "head=[zero_shot,ncm]")
    first, second = summaries()
    assert reused(second) == [first["folder"].name] * 2
    (fresh,) = summaries("other")
    assert second["cells"][0]["comparisons"] == fresh["cells"][0]["comparisons"] != []
    assert second["cells"][1]["comparisons"] == []
    assert_same_rows(second["folder"], fresh["folder"], ["verification"])


def test_what_was_learned_on_base_classes_comes_along(fewshot, image_settings):
    settings = (
        *image_settings,
        "dataset.split=random",
        "episodes.ways=3",
        "head=ncm",
        "estimator=auto",
    )
    fewshot(*settings)
    fewshot(*settings)
    first, second = summaries()
    assert all(reused(second))
    files = sorted((first["folder"] / "calibrators").iterdir())
    assert len(files) == 2
    for file in files:
        assert (second["folder"] / "calibrators" / file.name).read_bytes() == file.read_bytes()


def test_a_damaged_run_is_passed_over(fewshot, feature_settings):
    fewshot(*feature_settings, *QUICK, "head=ncm")
    (first,) = summaries()
    table = first["folder"] / "predictions.parquet"
    table.write_bytes(table.read_bytes()[:100])
    (Path("runs") / "odd").mkdir()
    (Path("runs") / "odd" / "summary.json").write_bytes(b"\xff{")
    done = fewshot(*feature_settings, *QUICK, "head=ncm")
    assert done.code == 0, done.err
    assert "taken from" not in done.out


def test_a_mistake_of_every_cell_is_one_line(fewshot, feature_settings):
    problem = "head.lda.shrinkage: expected 'auto' or a number in (0, 1], got 2."
    done = fewshot(*feature_settings, *QUICK, "head=lda", "head.lda.shrinkage=2")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith(f"fewshot: error: {problem}")
    done = fewshot(*feature_settings, *QUICK, "head=[lda,ncm]", "head.lda.shrinkage=2")
    failures = [line for line in done.err.splitlines() if line.startswith("fewshot: failed: ")]
    assert len(failures) == 2, "told of when it is clear that it is not all"
    assert [cell["shots"] for cell in summaries()[0]["failed"]] == [1, 5]


def test_a_cell_that_fails_leaves_the_others(fewshot, feature_settings):
    done = fewshot(*feature_settings, *QUICK, "head.lda.shrinkage=2")
    problem = "head.lda.shrinkage: expected 'auto' or a number in (0, 1], got 2."
    lines = done.err.splitlines()
    assert done.code == 2
    assert len(lines) == 2
    assert lines[0].startswith(f"fewshot: failed: lda (shrinkage=2) with 1 shot: {problem}")
    (summary,) = summaries()
    assert [cell["head"] for cell in summary["cells"]] == ["ncm", "ncm"]
    assert [(cell["head"], cell["shots"]) for cell in summary["failed"]] == [("lda", 1), ("lda", 5)]
    assert summary["failed"][0]["error"].startswith(problem)
    assert fewshot(*feature_settings, *QUICK).code == 0  # what failed before is forgotten
    done = fewshot("-m", *feature_settings, *QUICK, "head.lda.shrinkage=2", "seed=0,1")
    assert done.code == 2
    failures = [line for line in done.err.splitlines() if line.startswith("fewshot: failed: ")]
    assert "seed=1" in failures[-1]
    assert "lda (shrinkage=2) with 5 shots: head.lda.shrinkage" in failures[-1]


def test_a_run_of_failures_is_none(fewshot, feature_settings):
    done = fewshot(*feature_settings, *QUICK, "head=lda", "head.lda.shrinkage=2")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("fewshot: error: head.lda.shrinkage: ")
    assert summaries() == []


@pytest.fixture
def broken(monkeypatch):
    """Function that makes ``ncm`` raise something with these numbers of shots."""
    fit = NCM.fit

    def breaking(error, *shots):
        def fit_or_not(self, support):
            if support.features.shape[2] in shots:
                raise error
            return fit(self, support)

        monkeypatch.setattr(NCM, "fit", fit_or_not)

    return breaking


def test_a_defect_leaves_the_other_cells(fewshot, feature_settings, broken):
    """Of a head of one's own, say, or memory that does not suffice for one."""
    settings = (*feature_settings, *QUICK, "episodes.shots=[1,2,3,4]", "head=ncm")
    broken(RuntimeError("a\ndefect"), 2, 3)
    done = fewshot(*settings)
    assert done.code == 1
    assert done.err.count("Traceback (most recent call last)") == 1
    lines = [line for line in done.err.splitlines() if line.startswith("fewshot: ")]
    assert lines == [
        f"fewshot: failed: ncm with {shots} shots: RuntimeError: a defect" for shots in (2, 3)
    ]
    (summary,) = summaries()
    assert [cell["shots"] for cell in summary["cells"]] == [1, 4]
    assert [cell["defect"] for cell in summary["failed"]] == [True, True]
    broken(None)
    assert "2 cells taken from earlier runs, 2 computed" in fewshot(*settings).out


def test_ctrl_c_keeps_what_was_finished(fewshot, feature_settings, broken):
    settings = (*feature_settings, *QUICK, "episodes.shots=[1,2,3]", "head=ncm")
    broken(KeyboardInterrupt(), 3)
    assert fewshot(*settings).code == 130
    assert len(list(Path("runs/.cells").iterdir())) == 2
    assert "no run under" in fewshot("report", "runs").err  # cells are not runs
    broken(None)
    assert "2 cells taken from earlier runs, 1 computed" in fewshot(*settings).out
    assert not Path("runs/.cells").exists()


def test_ctrl_c_in_a_sweep(fewshot, feature_settings, broken):
    sweep = ("-m", *feature_settings, *QUICK, "episodes.shots=[1,2]", "head=ncm", "seed=0,1",
             "hydra.sweep.dir=runs/s")  # fmt: skip
    fewshot(*sweep[:-2], "seed=0", sweep[-1])
    broken(KeyboardInterrupt(), 2)
    done = fewshot(*sweep)
    assert done.code == 130
    assert "fewshot: interrupted. 1 job complete, 3 cells kept" in done.err
    assert f"To go on: fewshot {' '.join(sweep)}" in done.err.replace("'", "")
    assert not Path("runs/s/.sweep.lock").exists()
