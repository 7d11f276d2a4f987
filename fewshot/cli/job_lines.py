"""What jobs print in processes of their own: kept in files, and shown where the sweep began."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from fewshot.cli.job_notes import JOBS

INTERVAL = 0.2  # seconds


@contextmanager
def printing_to_file(sweep: Path, number: int) -> Iterator[None]:
    """Send what this process prints to ``<sweep>/jobs/<number>.log``, line by line.

    Launchers lose some of it, drop lines that look alike, or mix lines of several jobs. A file is
    no terminal, so that there are no progress bars either.
    """
    path = sweep / JOBS / f"{number}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(
            path.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
        )
        stack.enter_context(redirect_stdout(file))
        stack.enter_context(redirect_stderr(file))
        yield


class Follower:
    """Prints whole lines of the logs of a sweep as they come, with the number of the job."""

    def __init__(self, sweep: Path) -> None:
        self.folder = sweep / JOBS
        self.read: dict[str, int] = {}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Print what is left and end."""
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
                text = self._news(path, rest)
            except OSError:
                continue
            for line in text.splitlines():
                print(f"[{path.stem}] {line}".rstrip())
        sys.stdout.flush()

    def _news(self, path: Path, rest: bool) -> str:
        """Lines that are new since the last look; half a line only with `rest`."""
        with path.open("rb") as file:
            file.seek(self.read.get(path.name, 0))
            new = file.read()
        if not rest:
            new = new[: new.rfind(b"\n") + 1]
        self.read[path.name] = self.read.get(path.name, 0) + len(new)
        return new.decode("utf-8", "replace")
