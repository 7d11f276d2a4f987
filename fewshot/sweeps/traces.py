"""What a command under Hydra leaves when it was refused: nothing, as before it."""

from __future__ import annotations

import shutil
from pathlib import Path

from fewshot.files import missing_folders, remove_empty
from fewshot.sweeps.records import JOBS

FAILURES = "failures.jsonl"
# What a sweep writes beside the runs of its jobs: this package, Hydra, submitit, Optuna.
WRITTEN = (JOBS, FAILURES, "multirun.yaml", ".submitit", "optimization_results.yaml")
EARLIER = ".earlier"


class Traces:
    """What a sweep writes in its folder beside runs; that of an earlier sweep is put aside.

    Parameters
    ----------
    folder : Path
        Of the sweep; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing = missing_folders(folder)

    def put_aside(self) -> None:
        """Move what an earlier sweep has written out of the way."""
        aside = self.folder / EARLIER
        self.keep()
        for name in WRITTEN:
            if (self.folder / name).exists():
                aside.mkdir(exist_ok=True)
                (self.folder / name).rename(aside / name)

    def keep(self) -> None:
        """Forget what the earlier sweep has written."""
        shutil.rmtree(self.folder / EARLIER, ignore_errors=True)

    def undo(self) -> None:
        """Remove what this sweep has written, and bring back what the earlier one had."""
        for name in WRITTEN:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            if (self.folder / EARLIER / name).exists():
                (self.folder / EARLIER / name).rename(path)
        self.keep()
        self.remove_empty()

    def remove_empty(self) -> None:
        """Remove the folder and its parents as far as they are new and empty."""
        remove_empty(self.missing)
