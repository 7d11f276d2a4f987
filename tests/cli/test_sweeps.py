"""Multiruns one job after the other: their folder, their last lines, what is kept of each job."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.sweeps.lock import acquire_lock, release_lock
from fewshot.sweeps.records import Follower, JobRecord, printing_to_file, read_records
from fewshot.sweeps.rerun import cell_arguments, shell_line

SETTINGS = ("estimator=[margin,constant]", "head=[ncm,lda]", "hydra.sweep.dir=runs/s")


def test_two_sweeps_in_one_folder_at_the_same_time(refusal, feature_settings):
    lock = acquire_lock(Path("runs/s"))
    Path("runs/s/failures.jsonl").write_text("of the other\n")
    message = refusal("-m", *feature_settings, *SETTINGS, "seed=0,1")
    release_lock(lock)
    assert message.startswith("hydra.sweep.dir: another sweep goes on in runs/s.")
    assert Path("runs/s/failures.jsonl").read_text() == "of the other\n"
    assert not Path("runs/s/.sweep.lock").exists()


def test_two_sweeps_in_one_folder_one_after_the_other(fewshot, feature_settings):
    done = fewshot("-m", *feature_settings, *SETTINGS, "episodes.ways=5,30")
    assert done.code == 2
    done = fewshot("-m", *feature_settings, *SETTINGS, "episodes.ways=5", "head=[ncm,lda,knn]")
    assert done.code == 0, done.err
    assert "1 job: 2 cells computed, 4 taken from earlier runs, 0 failed" in done.out
    assert "failed: " not in done.err
    assert not Path("runs/s/failures.jsonl").exists()
    assert "Report over 2 runs" in done.out


def test_a_secret_is_not_written_down(refusal, feature_settings):
    message = refusal("-m", *feature_settings, "seed=0,1", "llm.key=sk-1234")
    assert "1234" not in message


def test_how_to_run_just_what_failed(fewshot, feature_settings):
    sweep_settings = (*feature_settings, *SETTINGS, "head.lda.shrinkage=2", "episodes.shots=[1,2]")
    done = fewshot("-m", *sweep_settings, "seed=3,4", "text.templates=['a {} b']")
    assert done.code == 2
    failures = Path("runs/s/failures.jsonl").read_text().splitlines()
    assert len(failures) == 4
    child = json.loads(failures[-1])
    assert "seed=4" in child["overrides"]
    line = next(x for x in reversed(done.err.splitlines()) if x.startswith("  just that: "))
    line = line.removeprefix("  just that: fewshot ")
    words = subprocess.run(  # as a shell takes the line apart
        f"printf '%s\\n' {line}", shell=True, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    again = fewshot(*words, "head.lda.shrinkage=auto", "paths.runs=mended")
    assert again.code == 0, again.err
    (summary,) = (json.loads(path.read_text()) for path in Path("mended").rglob("summary.json"))
    assert [(x["head"], x["shots"], x["seed"]) for x in summary["cells"]] == [("lda", 2, 4)]
    assert "only what is missing: fewshot -m dataset=features" in done.err


def test_a_defect_does_not_stop_the_other_jobs(fewshot, feature_settings, monkeypatch):
    from fewshot.heads.ncm import NCM

    fit = NCM.fit

    def broken(self, support):
        if support.features.shape[1] == 4:
            raise RuntimeError("a defect")
        return fit(self, support)

    monkeypatch.setattr(NCM, "fit", broken)
    done = fewshot("-m", *feature_settings, *SETTINGS, "episodes.ways=4,5", "episodes.shots=1")
    assert done.code == 1
    assert "RuntimeError: a defect" in done.err
    assert "2 jobs: 3 cells computed, 0 taken from earlier runs, 1 failed" in done.out


def test_a_report_that_cannot_be_made_is_no_warning(fewshot, feature_settings, monkeypatch):
    def refused(*_, **__):
        raise FewshotError("--output", "cannot write")

    monkeypatch.setattr("fewshot.report.write.join_report", refused)
    done = fewshot("-m", *feature_settings, *SETTINGS, "head=ncm", "episodes.shots=1,2")
    assert done.code == 2
    assert done.err == "fewshot: 2 jobs\nfewshot: error: --output: cannot write.\n"
    assert "2 jobs: 2 cells computed" in done.out


def test_arguments_of_one_cell():
    settings = {"head": {"ncm": {}, "lda": {}}, "seed": 0, "task": "classification"}
    settings["episodes"] = {"shots": [1, 5], "path": None}
    overrides = [
        "+head.ncm.x=1",
        "head=[ncm,lda]",
        "head.lda.shrinkage=2",
        "launcher=joblib",
        "a=b c",
    ]
    arguments = cell_arguments(overrides, settings, {"head": "lda", "shots": 5})
    assert arguments == ["head.lda.shrinkage=2", "a=b c", "head=lda", "episodes.shots=5"]
    settings["seed"] = [0, 1]
    of_seed = cell_arguments(overrides, settings, {"head": "lda", "shots": 5, "seed": 1})
    assert of_seed == ["head.lda.shrinkage=2", "a=b c", "head=lda", "seed=1", "episodes.shots=5"]
    settings["seed"] = 0
    for ways in ("auto", [2, 5]):
        settings["episodes"]["ways"] = ways
        arguments = cell_arguments(overrides, settings, {"head": "lda", "ways": 2, "shots": 5})
        assert arguments[-2:] == ["episodes.ways=2", "episodes.shots=5"]
    settings["episodes"]["path"] = "x"
    arguments = cell_arguments(overrides, settings, {"head": "mine", "shots": 5})
    assert arguments == [x for x in overrides if x != "launcher=joblib"]
    line = shell_line(["a=b c"], ["-m", "--config-dir", "my conf", "-cn=x", "head=ncm"])
    assert line == "fewshot --config-dir 'my conf' -cn=x 'a=b c'"


def test_lines_are_whole(workplace, capfd):
    follower = Follower(workplace)
    with printing_to_file(workplace, 3):
        print("one", end="")
        time.sleep(0.5)  # half a line may be seen now
        assert capfd.readouterr().out == ""
        print("\ntwo\n\nsurrogate \udce9", file=sys.stderr)
        sys.stdout.write("the rest")
    follower.stop()
    lines = capfd.readouterr().out.splitlines()
    assert lines == ["[3] one", "[3] two", "[3]", "[3] surrogate \\udce9", "[3] the rest"]


def test_notes(workplace):
    record = JobRecord(2, ["a=1"])
    record.write(workplace)
    assert read_records(workplace) == [record]
    assert record.is_running()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not JobRecord(2, [], process=gone.pid).is_running()
    assert not JobRecord(2, [], machine=f"not-{socket.gethostname()}").is_running()
    (workplace / "jobs" / "3.json").write_text("{")
    assert len(read_records(workplace)) == 1


def test_a_lock_is_let_go_when_its_process_is_killed(workplace):
    code = "import sys; from fewshot.sweeps.lock import acquire_lock; from pathlib import Path\n"
    code += "lock = acquire_lock(Path('s')); print('held', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    with pytest.raises(FewshotError, match="another sweep goes on"):
        acquire_lock(Path("s"))
    child.kill()
    child.communicate()
    release_lock(acquire_lock(Path("s")))
