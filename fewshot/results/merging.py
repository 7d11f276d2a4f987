"""Runs of several machines brought into one store: whole or not at all, and none twice."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, forget_abandoned, writing
from fewshot.paths import KEPT
from fewshot.results.reading import open_run
from fewshot.results.store import find_runs, is_run, runs_and_kept

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
        A source does not exist, has nothing to merge or holds `into`; `into` is a run; the disk
        is full.
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
    expect(not is_run(into), "--into", f"{into} is a run itself", "Give a folder of runs.")
    known = _Known(into)
    for source, runs in found:
        places = [_place(run, source, into) for run in runs]
        _forget_rests(places)
        for run, place in zip(runs, places, strict=True):
            yield _merged(run, known.outside_runs(place, into), known, dry_run)


def _place(run: Path, source: Path, into: Path) -> Path:
    """A run keeps its path below its source; kept cells lie beside all runs."""
    if run.parent.name == KEPT:
        return into / KEPT / run.name
    return into / (run.resolve().name if run == source else run.relative_to(source))


class _Known:
    """Content of the store, by a hash that is made when first asked for, and its names."""

    def __init__(self, into: Path) -> None:
        try:
            runs = find_runs([into], COMMAND) if into.is_dir() else []
        except FewshotError:  # nothing there yet
            runs = []
        self.by_size: dict[tuple[int, ...], list[Path]] = {}
        self.folders: set[Path] = set()
        self.runs: set[Path] = set()
        for run in runs:
            self.add(run, run)

    def add(self, run: Path, place: Path) -> None:
        """The content of `run` is, or would be, at `place`."""
        self.by_size.setdefault(_sizes(run), []).append(run)
        self.runs.add(place)
        self.folders |= {place, *place.parents}

    def twin(self, run: Path) -> Path | None:
        """A run of the store with the same content, under whatever name."""
        rivals = self.by_size.get(_sizes(run), [])
        if not rivals:
            return None
        try:
            own = content_hash(run)
        except OSError as error:
            raise FewshotError(COMMAND, f"{error.filename}: {error.strerror}") from None
        return next((other for other in rivals if _has(other, own)), None)

    def outside_runs(self, place: Path, into: Path) -> Path:
        """`place`, not in a run of the store, where nobody would look for another one."""
        folder = into
        for name in place.relative_to(into).parts[:-1]:
            folder = _numbered(folder / name, self.runs.__contains__)
        return folder / place.name

    def free(self, place: Path) -> Path:
        """A name that nothing has and nothing would have."""
        return _numbered(place, lambda folder: folder in self.folders or folder.exists())


def _numbered(folder: Path, taken: Callable[[Path], bool]) -> Path:
    number, free = 1, folder
    while taken(free):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def _has(run: Path, content: str) -> bool:
    """Whether a run has that content; what cannot be read has not."""
    with suppress(OSError):
        return content_hash(run) == content
    return False


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


def _merged(run: Path, place: Path, known: _Known, dry_run: bool) -> Merged:
    try:
        open_run(run, COMMAND)
        if run.parent.name == KEPT:
            return _keep(run, place, dry_run)
        twin = known.twin(run)
        if twin is not None:
            return Merged(run, THERE, twin)
        free = known.free(place) if dry_run else _added(run, place, known)
    except FewshotError as error:
        if error.argument == "--into":  # the store is at fault, and would be for all
            raise
        return Merged(run, REFUSED, None, error.problem)
    known.add(run if dry_run else free, free)
    return Merged(run, COPIED, free)


def _added(run: Path, place: Path, known: _Known) -> Path:
    """Copy a run to `place`, or the next free name; a rival may take that in the meantime."""
    while True:
        free = known.free(place)
        with _from(run), writing("--into", free):
            try:
                _copy(run, free)
                return free
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not free.is_dir():
                    raise


def _forget_rests(places: Iterable[Path]) -> None:
    """Remove what merges that were killed have left of these runs."""
    names: dict[Path, set[str]] = {}
    for place in places:
        names.setdefault(place.parent, set()).add(place.name)
    for folder, own in names.items():
        for rest in folder.glob(".*.partial"):
            name = rest.name[1:].rsplit(".", 3)[0]
            if {name, name.rpartition("-")[0]} & own:
                forget_abandoned(rest)


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
