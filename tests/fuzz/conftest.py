"""A process that runs hundreds of command lines, and what counts as a fault of one of them."""

import numpy as np
import pytest

# 0 done, 2 refused or failed, 130 and 143 stopped; anything else is a defect.
CODES = (0, 2, 130, 143)
SECONDS = 120
ADDRESS_SPACE = 12 << 30  # bytes: what would fill the machine fails in the case alone


class Program:
    """``fewshot``, in a fork of one process for every command line."""

    def __init__(self, forks, folder):
        self.forks, self.folder = forks, folder

    def __call__(self, *arguments):
        """Exit code (None if it did not end), what was printed, and the errors."""
        return self.forks(
            *arguments, folder=self.folder, seconds=SECONDS, memory=ADDRESS_SPACE,
            environment={"FEWSHOT_CACHE": str(self.folder / "cache")},
        )  # fmt: skip

    def fault(self, *arguments):
        """What is wrong with the outcome of a command line; None if nothing is."""
        done = self(*arguments)
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.code is None:
            return f"no end within {SECONDS} s"
        if done.code not in CODES or "Traceback" in done.stderr + done.stdout:
            return f"exit code {done.code}: {last}"
        if done.code == 2 and "fewshot:" not in done.stderr:
            return f"refused without a word: {last}"
        return None


@pytest.fixture(scope="session")
def program(forks, tmp_path_factory):
    """The program, in a folder with a small file of features, ``f.npz``."""
    folder = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] * 2 + rng.normal(size=(60, 8))
    np.savez(folder / "f.npz", features=features.astype(np.float32), labels=labels)
    return Program(forks, folder)


@pytest.fixture
def faults(program):
    """Function that runs command lines and returns those with a fault, and the fault."""

    def collect(cases):
        outcomes = [(" ".join(case), program.fault(*case)) for case in cases]
        return {words: fault for words, fault in outcomes if fault is not None}

    return collect
