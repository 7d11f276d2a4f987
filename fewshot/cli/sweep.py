"""The end of a multirun: one report over its cells, and what failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fewshot.exceptions import FewshotError

FAILURES = "failures.jsonl"


class SweepReport(Callback):
    """Hydra's callback; it lives in the process that started the sweep."""

    failures: ClassVar[list[dict[str, Any]]] = []

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Forget an earlier sweep of the same process."""
        SweepReport.failures = []

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Join the runs that were finished and collect the failures."""
        from fewshot.cli.report import join_report
        from fewshot.results.store import find_runs

        folder = Path(config.hydra.sweep.dir)
        listed = folder / FAILURES
        if listed.is_file():
            lines = listed.read_text(encoding="utf-8").splitlines()
            SweepReport.failures = [json.loads(line) for line in lines]
        try:
            runs = find_runs([folder])
        except FewshotError:  # every cell failed
            return
        join_report(runs, folder / "report.html")


def record_failure(folder: Path, overrides: str, error: str) -> None:
    """Note that a cell failed; cells of other processes append to the same file."""
    with (folder / FAILURES).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"overrides": overrides, "error": error}) + "\n")
