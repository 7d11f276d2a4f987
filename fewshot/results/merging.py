"""Runs of several machines brought into one store: whole or not at all, and none twice."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.results.reading import open_run
from fewshot.results.store import KEPT, find_runs, runs_and_kept
from fewshot.storage import atomic_path, claimed, writing

COMMAND = "fewshot results merge"
COPIED, THERE, REFUSED = "copied", "there", "refused"
# The rows and what they depend on; pages and plots may be drawn anew.
CONTENT = ("summary.json", "*.parquet", "config.yaml", "episodes/*", "calibrators/*")


class Merged(NamedTuple):
    """What became of a run: `what` is ``copied``, ``there`` or ``refused``.

    `target` is its folder in the store, None if it was refused; `reason` why it was.
    """

    source: Path
    what: str
    target: Path | None
    reason: str = ""


def merge(sources: Sequence[str | Path], into: Path, dry_run: bool = False) -> Iterator[Merged]:
    """Copy the runs under `sources` to `into`, where they keep their place below their source.

    Parameters
    ----------
    into : Path
        Made where it is not there.
    dry_run : bool
        Say what would be done, and do nothing.

    Yields
    ------
    Merged
        For each run, and each cell kept of an interrupted one, as it is done.

    Raises
    ------
    FewshotError
        A source does not exist, has nothing to merge or holds `into`; the disk is full.
    """
    own = into.resolve()
    found = [(source, runs_and_kept(source, COMMAND)) for source in map(Path, sources)]
    for source, _ in found:
        here = source.resolve()
        expect(
            own != here and here not in own.parents,
            "--into",
            f"{into} lies in {source}, which shall be merged into it",
            "Give another folder.",
        )
    known = _Known(into)
    taken: set[Path] = set()
    for source, runs in found:
        for run in runs:
            yield _merged(run, _place(run, source, into), known, taken, dry_run)


def _place(run: Path, source: Path, into: Path) -> Path:
    """A run keeps its path below its source; kept cells lie beside all runs."""
    if run.parent.name == KEPT:
        return into / KEPT / run.name
    return into / (run.resolve().name if run == source else run.relative_to(source))


class _Known:
    """Content of the store, by a hash that is made when first asked for."""

    def __init__(self, into: Path) -> None:
        try:
            runs = find_runs([into], COMMAND) if into.is_dir() else []
        except FewshotError:  # nothing there yet
            runs = []
        self.by_size: dict[tuple[int, ...], list[Path]] = {}
        for run in runs:
            self.add(run)

    def add(self, run: Path) -> None:
        self.by_size.setdefault(_sizes(run), []).append(run)

    def twin(self, run: Path) -> Path | None:
        """A run of the store with the same content, under whatever name."""
        rivals = self.by_size.get(_sizes(run), [])
        if not rivals:
            return None
        own = content_hash(run)
        return next((other for other in rivals if content_hash(other) == own), None)


def _files(run: Path) -> list[Path]:
    return sorted({path for kind in CONTENT for path in run.glob(kind) if path.is_file()})


def _sizes(run: Path) -> tuple[int, ...]:
    """Differs for most runs that differ, and costs no reading."""
    return tuple(path.stat().st_size for path in _files(run))


def content_hash(run: Path) -> str:
    """SHA-256 over the names and bytes of a run's rows, summary, episodes and calibrators."""
    digest = hashlib.sha256()
    for path in _files(run):
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(run).as_posix()} {own}\n".encode())
    return digest.hexdigest()


def _merged(run: Path, target: Path, known: _Known, taken: set[Path], dry_run: bool) -> Merged:
    try:
        open_run(run, COMMAND)
        if run.parent.name == KEPT:
            return _keep(run, target, dry_run)
        twin = known.twin(run)
        if twin is not None:
            return Merged(run, THERE, twin)
        free = _free(target, taken) if dry_run else _added(run, target)
    except FewshotError as error:
        if error.argument == "--into":  # the store is at fault, and would be for all
            raise
        return Merged(run, REFUSED, None, error.problem)
    taken.add(free)
    known.add(run if dry_run else free)
    return Merged(run, COPIED, free)


def _added(run: Path, target: Path) -> Path:
    with _from(run), writing("--into", target), claimed(target) as free:
        _copy(run, free)
    return free


@contextmanager
def _from(run: Path) -> Iterator[None]:
    """Tell a source that cannot be read from a store that cannot be written."""
    try:
        yield
    except FewshotError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and str(cause.filename).startswith(str(run)):
            raise FewshotError(COMMAND, f"{cause.filename}: {cause.strerror}") from None
        raise


def _free(target: Path, taken: set[Path]) -> Path:
    """The name that `claimed` would give."""
    number, free = 1, target
    while free.exists() or free in taken:
        number += 1
        free = target.with_name(f"{target.name}-{number}")
    return free


def _keep(cell: Path, target: Path, dry_run: bool) -> Merged:
    """A kept cell is named by its key: the same name, the same rows."""
    if target.is_dir():
        try:
            open_run(target, COMMAND)
            return Merged(cell, THERE, target)
        except FewshotError:  # what is there is damaged
            if not dry_run:
                shutil.rmtree(target, ignore_errors=True)
    if not dry_run:
        with _from(cell), writing("--into", target):
            _copy(cell, target)
    return Merged(cell, COPIED, target)


def _copy(run: Path, target: Path) -> None:
    """Copy a folder, whole or not at all; not what is hidden in it, nor links out of it."""
    with atomic_path(target) as partial:
        for here, below, files in os.walk(run, onerror=_raise):
            below[:] = [name for name in below if not name.startswith(".")]
            there = partial / Path(here).relative_to(run)
            there.mkdir(parents=True, exist_ok=True)
            for name in files:
                path = Path(here, name)
                if not name.startswith(".") and not path.is_symlink():
                    shutil.copy2(path, there / name)


def _raise(error: OSError) -> None:
    raise error
