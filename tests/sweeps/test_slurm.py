"""Jobs of a Slurm cluster that come to no end, and time limits. Slurm is played by scripts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("submitit")

from fewshot.sweeps import slurm
from fewshot.sweeps.records import JobRecord
from fewshot.sweeps.requeue import TimeLimitError, time_limit_respected

LOCAL = {"_target_": "hydra_plugins.x.LocalLauncher"}
# Runs the tasks of an array, each as a process; those of which CANCELLED tells are left out.
SBATCH = """
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
for i in $(seq 0 "$last"); do
  [ "$i" = "$CANCELLED" ] && continue
  touch "queue/7_$i"
  (SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i SLURM_JOB_ID=$((7 + i)) sh "$1"
   rm "queue/7_$i") >/dev/null 2>&1 &
done
echo "Submitted batch job 7"
"""
SRUN = """
while :; do
  case "$1" in
    --output|--error) shift 2 ;;
    -*) shift ;;
    *) break ;;
  esac
done
exec "$@"
"""


@pytest.fixture
def cluster(workplace, monkeypatch):
    """Function that writes a command of Slurm as a shell script; the queue is a folder."""
    (workplace / "bin").mkdir()
    (workplace / "queue").mkdir()
    monkeypatch.setenv("PATH", f"{workplace / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def command(name, script):
        path = workplace / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    command("squeue", "ls queue")
    command("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    return command


def watched(*jobs):
    watcher = slurm.QueueWatcher(delay_s=0)
    for job in jobs:
        watcher.register_job(job)
    return watcher


def test_a_job_that_has_left_the_queue_has_ended(cluster):
    Path("queue/7_0").touch()
    watcher = watched("7_0", "7_1")
    states = [(watcher.is_done("7_0", "force"), watcher.is_done("7_1", "force")) for _ in range(3)]
    assert states[-1] == (False, True)
    assert watcher.get_state("7_1", "cache") == "GONE"
    Path("queue/7_0").unlink()
    watcher.wait_for_all()


def test_where_there_is_no_accounting_nobody_is_warned_of_it(cluster, caplog, capfd):
    Path("queue/7_0").touch()
    assert not watched("7_0").is_done("7_0", "force")
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_an_interruption_names_the_arrays_to_cancel(cluster, monkeypatch):
    watcher = watched("7_0", "7_1", "9_0")
    monkeypatch.setattr(slurm.SlurmJob, "watcher", watcher)
    Path("queue/7_0").touch()
    assert slurm.cancelling() == "scancel 7 9"
    for _ in range(2):
        watcher.update()
    assert slurm.cancelling() == "scancel 7"


@pytest.mark.parametrize(
    "state", ["CANCELLED by 1000", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"]
)
def test_states_that_are_an_end(cluster, state):
    cluster("sacct", f"echo 'JobID|State|NodeList'; echo '7_0|{state}|'; echo '7_1|RUNNING|n'")
    Path("queue/7_1").touch()
    watcher = watched("7_0", "7_1")
    for _ in range(slurm.ABSENT):
        watcher.update()
    assert watcher.is_done("7_0", "cache")
    assert not watcher.is_done("7_1", "cache")


def test_a_queue_that_does_not_answer_says_nothing(cluster):
    cluster("squeue", "exit 1")
    watcher = watched("7_0")
    for _ in range(5):
        watcher.update()
    assert not watcher.is_done("7_0", "cache")


@pytest.fixture
def handled():
    """Function that sets the handler of submitit's signal for the rest of the test."""
    before = signal.getsignal(signal.SIGUSR2)
    yield lambda handler: signal.signal(signal.SIGUSR2, handler)
    signal.signal(signal.SIGUSR2, before)


def test_the_time_limit_ends_the_job_and_fails_no_cell(handled):
    def exhausted(*_):
        raise RuntimeError("Job not requeued because: timed-out too many times.")

    handled(exhausted)
    cells = []
    match = r"timeout_min\). Job not requeued because"
    with pytest.raises(TimeLimitError, match=match), time_limit_respected(LOCAL):
        for number in range(3):
            try:
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(1)
            except Exception as error:  # as a cell does
                cells.append((number, error))
    assert cells == []
    assert signal.getsignal(signal.SIGUSR2) is exhausted


def test_a_requeued_job_exits(handled):
    handled(lambda *_: sys.exit(144))
    with pytest.raises(SystemExit), time_limit_respected(LOCAL):
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(1)


def test_a_job_at_its_time_limit_is_not_one_that_was_refused():
    record = JobRecord(0, [], ended=True)
    record.fail("an error", [])
    assert record.is_refused()
    record.stopped = True
    assert not record.is_refused()


def start(*arguments):
    settings = ["dataset=features", "dataset.path=f.npz", "head=ncm", "estimator=margin"]
    return subprocess.Popen(
        [sys.executable, "-m", "fewshot", "-m", *settings, "hydra.sweep.dir=runs/s", "threads=1",
         *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_cancelled_task_is_not_waited_for(cluster, feature_file, monkeypatch):
    monkeypatch.setenv("CANCELLED", "0")
    cluster("sbatch", SBATCH)
    cluster("srun", SRUN)
    child = start("launcher=submitit", "seed=0,1", "episodes.count=20")
    out, err = child.communicate(timeout=150)
    assert child.returncode == 2, err
    assert "1 job: 2 cells computed, 0 taken from earlier runs, 1 failed" in out
    assert "fewshot: failed: launcher: Job 7_0" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_requeued_job_takes_the_cells_that_it_had_finished(feature_file):
    child = start("launcher=submitit_local", "seed=0", "episodes.shots=[1,2,3]",
                  "episodes.count=40000")  # fmt: skip
    until = time.monotonic() + 100
    kept = Path("runs/.cells")
    while not list(kept.glob("[0-9a-f]*/summary.json")) and time.monotonic() < until:
        time.sleep(0.05)
    (record,) = Path("runs/s/jobs").glob("*.json")
    os.kill(JobRecord(**json.loads(record.read_text())).process, signal.SIGUSR2)
    out, err = child.communicate(timeout=150)
    assert child.returncode == 0, err
    taken = int(out.rpartition(" taken from earlier runs")[0].rpartition(" ")[2])
    assert taken >= 1
    assert "0 failed" in out
