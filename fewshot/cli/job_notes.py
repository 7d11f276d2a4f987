"""What became of each job of a sweep: a small file each, ``<sweep>/jobs/<number>.json``."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fewshot.storage import atomic_path

JOBS = "jobs"


@dataclass
class Note:
    """One job, from its beginning on.

    Attributes
    ----------
    number : int
    overrides : list of str
        Settings of this job, as typed.
    ended : bool
        Whether it came to its end; False for a job that goes on or whose process is gone.
    computed, taken : int
        Cells that it computed, and cells of earlier runs.
    failed : list of dict
        ``overrides``, ``error`` and ``arguments`` of ``fewshot`` that run just that.
    defect : bool
        Whether the job ended with an exception that is no mistake of the user's.
    process, machine
        Where it runs.
    """

    number: int
    overrides: list[str]
    ended: bool = False
    computed: int = 0
    taken: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    defect: bool = False
    process: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=socket.gethostname)

    def fail(self, error: str, arguments: Sequence[str], what: str = "") -> None:
        """Add a failure: of the job, or of `what` within it."""
        words = " ".join(self.overrides)
        self.failed.append(
            {"overrides": words, "error": f"{what}{error}", "arguments": [*arguments]}
        )

    def write(self, sweep: Path) -> None:
        """Write it down, whole or not at all."""
        with atomic_path(sweep / JOBS / f"{self.number}.json") as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def at_work(self) -> bool:
        """Whether its process still lives; only known of processes of this machine."""
        if self.ended or self.machine != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def read_notes(sweep: Path) -> list[Note]:
    """The notes of all jobs that began, by number."""
    found = []
    for path in (sweep / JOBS).glob("*.json"):
        try:
            found.append(Note(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # a job of another version, or somebody's file
            continue
    return sorted(found, key=lambda note: note.number)


def forget_notes(sweep: Path) -> None:
    """Remove the notes and logs of an earlier sweep in the same folder."""
    shutil.rmtree(sweep / JOBS, ignore_errors=True)
