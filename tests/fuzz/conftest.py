"""A process that runs hundreds of command lines, and what counts as a fault of one of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

# 0 done, 2 refused or failed, 130 and 143 stopped; anything else is a defect.
CODES = (0, 2, 130, 143)
SECONDS = 120


class Program:
    """``fewshot``, in a fork of one process for every command line."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env=os.environ | {"FEWSHOT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *arguments):
        """Exit code (None if it did not end), what was printed, and the errors."""
        case = {"arguments": arguments, "folder": str(self.folder), "seconds": SECONDS}
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return SimpleNamespace(**json.loads(self.process.stdout.readline()))

    def fault(self, *arguments):
        """What is wrong with the outcome of a command line; None if nothing is."""
        done = self(*arguments)
        last = (done.errors.strip().splitlines() or [""])[-1]
        if done.code is None:
            return f"no end within {SECONDS} s"
        if done.code not in CODES or "Traceback" in done.errors + done.output:
            return f"exit code {done.code}: {last}"
        if done.code == 2 and "fewshot:" not in done.errors:
            return f"refused without a word: {last}"
        return None

    def close(self):
        self.process.kill()  # at its end it would only take modules apart
        self.process.communicate()


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The program, in a folder with a small file of features, ``f.npz``."""
    folder = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] * 2 + rng.normal(size=(60, 8))
    np.savez(folder / "f.npz", features=features.astype(np.float32), labels=labels)
    running = Program(folder)
    yield running
    running.close()


@pytest.fixture
def faults(program):
    """Function that runs command lines and returns those with a fault, and the fault."""

    def collect(cases):
        outcomes = [(" ".join(case), program.fault(*case)) for case in cases]
        return {words: fault for words, fault in outcomes if fault is not None}

    return collect
