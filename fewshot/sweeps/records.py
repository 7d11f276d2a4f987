"""Records of the jobs of a sweep, one file each: ``<sweep>/jobs/<number>.json``."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fewshot.files import atomic_path

JOBS = "jobs"


@dataclass
class JobRecord:
    """Record of a job, written at its start and at its end.

    Attributes
    ----------
    number : int
    overrides : list of str
        Settings of this job, as typed.
    ended : bool
        Whether the job ended; False while it runs, or if its process died.
    computed, taken : int
        Numbers of cells that were computed, and reused from earlier runs.
    failed : list of dict
        ``overrides``, ``error`` and the ``arguments`` of ``fewshot`` that repeat only this part.
    defect : bool
        Whether the job failed by an internal error, not by a mistake of the user.
    stopped : bool
        Whether the job was ended at its time limit.
    process, machine
        Process id and host name.
    """

    number: int
    overrides: list[str]
    ended: bool = False
    computed: int = 0
    taken: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    defect: bool = False
    stopped: bool = False
    process: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=socket.gethostname)

    def fail(self, error: str, arguments: Sequence[str], what: str = "") -> None:
        """Add a failure: of the job, or of `what` within it."""
        words = " ".join(self.overrides)
        self.failed.append(
            {"overrides": words, "error": f"{what}{error}", "arguments": [*arguments]}
        )

    def write(self, sweep: Path) -> None:
        """Write the record atomically."""
        with atomic_path(sweep / JOBS / f"{self.number}.json") as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def is_refused(self) -> bool:
        """Whether the job ended by a mistake of the user and has no cell."""
        refused = self.ended and bool(self.failed) and not (self.defect or self.stopped)
        return refused and self.computed + self.taken == 0

    def is_running(self) -> bool:
        """Whether the process of the job exists; False for processes of other machines."""
        if self.ended or self.machine != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def read_records(sweep: Path) -> list[JobRecord]:
    """Read the records of all jobs that started, sorted by number."""
    records = []
    for path in (sweep / JOBS).glob("*.json"):
        try:
            records.append(JobRecord(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # of another version, or another kind of file
            continue
    return sorted(records, key=lambda record: record.number)


INTERVAL = 0.2  # seconds


@contextmanager
def printing_to_file(sweep: Path, number: int) -> Iterator[None]:
    """Redirect the output of this process to ``<sweep>/jobs/<number>.log``, line by line.

    Launchers lose output, drop repeated lines, or mix lines of several jobs. A file is no
    terminal, so that there are no progress bars either. A job that was requeued goes on in the
    same file.
    """
    path = sweep / JOBS / f"{number}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(
            path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        )
        stack.enter_context(redirect_stdout(file))
        stack.enter_context(redirect_stderr(file))
        yield


class Follower:
    """Prints new lines of the logs of a sweep, each with the number of its job."""

    def __init__(self, sweep: Path) -> None:
        self.folder = sweep / JOBS
        self.read: dict[str, int] = {}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Print the remaining lines and stop the thread."""
        if not self.stopped.is_set():
            self.stopped.set()
            self.thread.join()
            self._show(rest=True)

    def _follow(self) -> None:
        while not self.stopped.wait(INTERVAL):
            self._show()

    def _show(self, rest: bool = False) -> None:
        for path in sorted(self.folder.glob("*.log"), key=lambda path: (len(path.name), path.name)):
            try:
                text = self._new_lines(path, rest)
            except OSError:
                continue
            for line in text.splitlines():
                print(f"[{path.stem}] {line}".rstrip())
        sys.stdout.flush()

    def _new_lines(self, path: Path, rest: bool) -> str:
        """Return the text added since the last call; an incomplete last line only with `rest`."""
        with path.open("rb") as file:
            file.seek(self.read.get(path.name, 0))
            new = file.read()
        if not rest:
            new = new[: new.rfind(b"\n") + 1]
        self.read[path.name] = self.read.get(path.name, 0) + len(new)
        return new.decode("utf-8", "replace")
