"""Multiruns in processes of their own: joblib, submitit and Ray, and what ends them."""

import json
import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fewshot.config import errors
from fewshot.hardware import available_cores
from fewshot.paths import resource_dir
from fewshot.sweeps import launchers as launching
from fewshot.sweeps.records import read_records

CONF = resource_dir("conf")
PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit": "hydra_plugins.hydra_submitit_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}
SETTINGS = ("estimator=[margin,constant]", "head=[ncm,lda]", "hydra.sweep.dir=runs/s")


def rows(folder="runs"):
    """Rows of all cells of all runs, sorted by what names them."""
    tables = [pd.read_parquet(path) for path in sorted(Path(folder).rglob("episodes.parquet"))]
    keys = ["head", "ways", "shots", "seed", "episode"]
    return pd.concat(tables).sort_values(keys).reset_index(drop=True)


def ended(child, seconds=120):
    out, err = child.communicate(timeout=seconds)
    return child.returncode, out, err


def assert_as_one_by_one(fewshot, feature_settings, out, err):
    """What a sweep of `THREE` leaves and says, beside the same one by one."""
    done = fewshot(
        "-m", *feature_settings, *SETTINGS, THREE, "paths.runs=alone", "hydra.sweep.dir=alone/s"
    )
    assert done.code == 2
    pd.testing.assert_frame_equal(rows(), rows("alone"), check_exact=True)
    mine, others = (
        [json.loads(line) for line in Path(folder, "failures.jsonl").read_text().splitlines()]
        for folder in ("runs/s", "alone/s")
    )
    assert [child["error"] for child in mine] == [child["error"] for child in others]
    assert "3 jobs: 8 cells computed, 0 taken from earlier runs, 1 failed" in out
    for number in range(3):
        log = Path(f"runs/s/jobs/{number}.log").read_text().splitlines()
        assert [f"[{number}] {line}".rstrip() for line in log] == [
            line for line in out.splitlines() if line.startswith(f"[{number}]")
        ]
    assert "Traceback" not in err
    assert "\r" not in out + err  # no progress bars


THREE = "episodes.ways=4,5,30"  # jobs, the last of which fails


@pytest.mark.slow
def test_two_processes_of_joblib(fewshot, feature_settings):
    pytest.importorskip(PLUGINS["joblib"])
    from joblib.externals.loky import get_reusable_executor

    settings = (*SETTINGS, THREE, "launcher=joblib", "hydra.launcher.n_jobs=2")
    done = fewshot("-m", *feature_settings[:-1], *settings)
    get_reusable_executor().shutdown(kill_workers=True)
    assert done.code == 2, done.err
    assert_as_one_by_one(fewshot, feature_settings, done.out, done.err)
    share = max(1, available_cores() // 2)
    texts = [path.read_text() for path in Path("runs").rglob("config.yaml")]
    assert len(texts) == 2
    assert all(f"\nthreads: {share}\n" in text for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_other_launchers(fewshot, process, feature_settings, launcher):
    pytest.importorskip(PLUGINS[launcher])
    before = set(Path().iterdir())
    child = process("-m", *feature_settings, *SETTINGS, THREE, f"launcher={launcher}")
    code, out, err = ended(child)
    assert code == 2, err
    assert {path.name for path in set(Path().iterdir()) - before} == {"runs"}
    assert_as_one_by_one(fewshot, feature_settings, out, err)


@pytest.mark.slow
def test_the_launcher_of_hydra_typed_directly(process, feature_settings):
    pytest.importorskip(PLUGINS["joblib"])
    child = process("-m", *feature_settings[:-1], *SETTINGS, "seed=0,1", "hydra/launcher=joblib")
    code, out, err = ended(child)
    assert code == 0, err
    assert "2 jobs: 8 cells computed" in out
    assert all("\nthreads: 1\n" in path.read_text() for path in Path("runs").rglob("config.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_outlives_a_sweep(process, fewshot, feature_settings, launcher, ending):
    pytest.importorskip(PLUGINS[launcher])
    sweep = (
        "-m",
        *feature_settings,
        *SETTINGS,
        "seed=0,1,2,3",
        "episodes.count=5000",
        f"launcher={launcher}",
    )
    child = process(*sweep, start_new_session=True)
    kept = Path("runs/.cells")
    assert until(lambda: list(kept.glob("[0-9a-f]*/summary.json")))
    workers = [record.process for record in read_records(Path("runs/s"))]
    os.kill(child.pid, getattr(signal, ending))
    code, _, err = ended(child)
    assert until(lambda: not any(living(pid) for pid in workers), 20)
    if ending == "SIGKILL":
        assert code == -signal.SIGKILL
        return
    assert code == {"SIGINT": 130, "SIGTERM": 143}[ending]
    assert "fewshot: interrupted. " in err
    assert "To go on: fewshot -m " in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_a_process_that_is_killed_costs_no_finished_cell(
    process, fewshot, feature_settings, launcher
):
    pytest.importorskip(PLUGINS[launcher])
    sweep = ("-m", *feature_settings, *SETTINGS, "seed=0,1,2", "episodes.count=5000")
    child = process(*sweep, f"launcher={launcher}")
    kept = Path("runs/.cells")
    assert until(lambda: list(kept.glob("[0-9a-f]*/summary.json")))
    first = {path.name for path in kept.glob("[0-9a-f]*") if path.is_dir()}
    victim = next(record for record in read_records(Path("runs/s")) if not record.ended)
    os.kill(victim.process, signal.SIGKILL)
    code, _, err = ended(child)
    if launcher == "ray":  # gives the job to another process
        assert code == 0, err
    else:
        assert code == 2, err
        assert "its process is gone" in err
        assert fewshot(*sweep).code == 0
    taken = {
        cell["key"]
        for path in Path("runs").rglob("summary.json")
        for cell in json.loads(path.read_text())["cells"]
        if cell["reused_from"]
    }
    assert launcher == "ray" or first <= taken
    table = rows().drop_duplicates(["head", "shots", "seed", "episode"])
    fewshot(*sweep, "paths.runs=alone", "hydra.sweep.dir=alone/s")
    pd.testing.assert_frame_equal(table.reset_index(drop=True), rows("alone"), check_exact=True)


def until(done, seconds=60):
    """Whether something comes true before the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.02)
    return False


def living(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_names_that_do_not_exist(refusal, feature_settings, monkeypatch):
    assert "Did you mean 'joblib'?" in refusal(
        "-m", *feature_settings, "launcher=jobli", "seed=0,1"
    )
    assert "Did you mean 'joblib'?" in refusal(
        "-m", *feature_settings, "hydra/launcher=jobli", "seed=0,1"
    )


@pytest.mark.parametrize("name", ["joblib", "submitit_slurm", "ray"])
def test_a_launcher_whose_package_is_missing(name):
    message = str(errors.missing_launcher("hydra/launcher", name, ["basic"]))
    assert "which is not installed" in message
    assert f"Run: pip install '.[{errors.EXTRAS[name]}]'" in message


@pytest.mark.parametrize(
    ("launcher", "each"),
    [
        ({"_target_": "a.JoblibLauncher", "n_jobs": 4}, 4),
        ({"_target_": "a.JoblibLauncher", "n_jobs": -1}, 1),
        ({"_target_": "a.JoblibLauncher", "n_jobs": -9}, 2),
        ({"_target_": "a.JoblibLauncher", "n_jobs": 32}, 1),
        ({"_target_": "a.RayLauncher", "ray": {"remote": {"num_cpus": 2}}}, 2),
        ({"_target_": "a.RayLauncher", "ray": {"remote": {}}}, 1),
        ({"_target_": "a.LocalLauncher"}, 2),
        ({"_target_": "a.LocalLauncher", "cpus_per_task": 3}, 3),
        ({"_target_": "a.SlurmLauncher", "cpus_per_task": 8}, 8),
        ({"_target_": "a.SlurmLauncher"}, 16),
    ],
)
def test_shares_of_sixteen_cores(launcher, each, monkeypatch):
    monkeypatch.setattr(launching, "available_cores", lambda: 16)
    assert launching.cores_per_job(launcher) == each


def test_jobs_at_a_time_of_a_launcher_without_bound(monkeypatch):
    monkeypatch.setattr(launching, "available_cores", lambda: 16)
    launcher = {"_target_": "a.LocalLauncher", "cpus_per_task": 5}
    config = OmegaConf.create(
        {"hydra": {"launcher": launcher, "sweeper": {"max_batch_size": None}}}
    )
    launching.limit_batch(config)
    assert config.hydra.sweeper.max_batch_size == 3
    config.hydra.sweeper = {"n_jobs": 1}  # Optuna's
    launching.limit_batch(config)
    assert config.hydra.sweeper == {"n_jobs": 1}


@pytest.mark.parametrize("name", [path.stem for path in Path(CONF, "launcher").glob("*.yaml")])
def test_ready_launchers_compose(name):
    pytest.importorskip(PLUGINS[name.partition("_")[0]])
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[f"launcher={name}"], return_hydra_config=True)
    assert launching.in_parallel(config.hydra.launcher)
    assert launching.cores_per_job(config.hydra.launcher) >= 1
    assert str(config.hydra.launcher.get("submitit_folder", "runs")).startswith("runs")
