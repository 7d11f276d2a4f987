"""Runs and sweeps that are killed go on where they were."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from fewshot.cli.main import main
from fewshot.results import cells as storing

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
MANY = (
    "episodes.shots=[1,2,3,4]", "head=[ncm,lda,qda,knn,ridge,matching]",
    "estimator=[margin,loo,constant]", "episodes.count=150",
)  # fmt: skip


PLACES = (  # where images are decoded and networks loaded
    "fewshot.features.extraction.precision_choice.decode",
    "fewshot.features.extraction.pipeline.decode",
    "fewshot.backbones.callable.CallableBackbone.load",
)


def touched(*_, **__):
    raise AssertionError("touched")


def forked(arguments):
    """A process that need not import anything and runs the command line."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os._exit(main(list(arguments)))
    return pid


def kept():
    """When each cell was kept; written anew it would be another time."""
    summaries = Path("runs/.cells").glob("[0-9a-f]*/summary.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in summaries}


def killed_soon(begin, rng):
    """Start a run and kill it at some moment; whether it was killed, not complete."""
    enough = len(kept()) + rng.randint(0, 1)
    pid = begin()
    while len(kept()) < enough and os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.1))
    try:
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1] == signal.SIGKILL
    except (ProcessLookupError, ChildProcessError):
        return False


def kill_and_continue(begin, fewshot, arguments, kills, cells):
    """Kill up to `kills` times, finish, compare with an undisturbed run."""
    rng, done, before = random.Random(), 0, {}
    while done < kills and killed_soon(begin, rng):
        done += 1
        now = kept()
        assert before.items() <= now.items()  # nothing that was there was computed again
        before = now
    ended = fewshot(*arguments)
    assert ended.code == 0, ended.err
    last = max(Path("runs").glob("*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    summaries = json.loads(last.read_text())["cells"]
    assert {cell["key"] for cell in summaries if cell["reused_from"]} >= before.keys()
    assert len(summaries) == cells
    assert not kept()
    fewshot(*arguments, "paths.runs=undisturbed")
    (other,) = Path("undisturbed").glob("*/summary.json")
    for name in ("episodes.parquet", "predictions.parquet"):
        first, second = (pd.read_parquet(path.with_name(name)) for path in (last, other))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    return done


@needs_fork
@pytest.mark.slow
def test_a_run_that_is_killed_twice(fewshot, feature_settings):
    arguments = (
        *feature_settings,
        *MANY,
        "head=[ncm,lda]",
        "estimator=margin",
        "episodes.count=100",
    )
    assert kill_and_continue(lambda: forked(arguments), fewshot, arguments, 2, cells=8) == 2


@needs_fork
def test_a_killed_sweep_goes_on_without_network_and_images(fewshot, image_settings, monkeypatch):
    sweep = ("-m", *image_settings, "episodes.ways=3", "estimator=constant", "head=[ncm,lda]",
             "episodes.shots=1,2", "hydra.sweep.dir=runs/s")  # fmt: skip
    keep, cells = storing.keep_cell, []

    def keep_three(runs, cell):
        keep(runs, cell)
        cells.append(cell)
        if len(cells) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "keep_cell", keep_three)
        assert os.waitpid(forked(sweep), 0)[1] == signal.SIGKILL
    before = kept()
    assert len(before) == 1  # of the second job; the first one is complete
    for place in PLACES:
        monkeypatch.setattr(place, touched)
    done = fewshot(*sweep)
    assert done.code == 0, done.err
    assert "2 jobs: 1 cell computed, 3 taken from earlier runs, 0 failed" in done.out
    assert not kept()
    with pytest.raises(AssertionError, match="touched"):  # where the features are missing
        main([*image_settings, "paths.cache=other"])


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times(fewshot, process, feature_settings):
    started = []

    def begin():
        started.append(process(*feature_settings, *MANY))
        return started[-1].pid

    assert kill_and_continue(begin, fewshot, (*feature_settings, *MANY), 20, cells=24) >= 10
