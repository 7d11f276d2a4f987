"""Merge of runs from several machines into one store: atomic per run, without duplicates."""

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
from fewshot.results.folders import find_runs, is_run, named_folder, runs_and_kept
from fewshot.results.reading import open_run

COMMAND = "fewshot results merge"
COPIED, THERE, REFUSED = "copied", "there", "refused"
# The rows and what they depend on; pages and plots can be made again.
CONTENT = ("summary.json", "*.parquet", "config.yaml", "episodes/*", "calibrators/*")


class Merged(NamedTuple):
    """Outcome of merging a run: `what` is ``copied``, ``there`` or ``refused``.

    `target` is its folder in the store, None if refused; `reason` says why it was refused.
    """

    source: Path
    what: str
    target: Path | None
    reason: str = ""


def merge(sources: Sequence[str | Path], into: Path, dry_run: bool = False) -> Iterator[Merged]:
    """Copy the runs under `sources` to `into`, with their paths relative to their source.

    Parameters
    ----------
    into : Path
        Created if missing.
    dry_run : bool
        Yield what would be done without doing it.

    Yields
    ------
    Merged
        For each run, and each stored cell of an interrupted run, as it is done.

    Raises
    ------
    FewshotError
        A source does not exist, has nothing to merge or holds `into`; `into` is a run; the disk
        is full.
    """
    target = into.resolve()
    folders = [named_folder(source, COMMAND) for source in sources]
    runs_by_source = [(folder, runs_and_kept(folder, COMMAND)) for folder in folders]
    for source, _ in runs_by_source:
        folder = source.resolve()
        expect(
            target != folder and folder not in target.parents,
            "--into",
            f"{into} lies in {source}, which shall be merged into it",
            "Give another folder.",
        )
    expect(not is_run(into), "--into", f"{into} is a run itself", "Give a folder of runs.")
    contents = _StoreContents(into)
    for source, runs in runs_by_source:
        targets = [_place(run, source, into) for run in runs]
        _remove_partial_copies(targets)
        for run, place in zip(runs, targets, strict=True):
            yield _merge_run(run, contents.outside_runs(place, into), contents, dry_run)


def _place(run: Path, source: Path, into: Path) -> Path:
    """Target folder: path relative to the source; cells of interrupted runs go to ``.cells``."""
    if run.parent.name == KEPT:
        return into / KEPT / run.name
    return into / (run.resolve().name if run == source else run.relative_to(source))


class _StoreContents:
    """Runs and folder names of the store; content is hashed only where file sizes agree."""

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
        """Register the content of `run` as being at `place`."""
        self.by_size.setdefault(_sizes(run), []).append(run)
        self.runs.add(place)
        self.folders |= {place, *place.parents}

    def find_copy(self, run: Path) -> Path | None:
        """Return a run of the store with the same content, under any name; None without one."""
        rivals = self.by_size.get(_sizes(run), [])
        if not rivals:
            return None
        try:
            digest = content_hash(run)
        except OSError as error:
            raise FewshotError(COMMAND, f"{error.filename}: {error.strerror}") from None
        return next((other for other in rivals if _has(other, digest)), None)

    def outside_runs(self, place: Path, into: Path) -> Path:
        """Return `place`, with parents renamed that are runs of the store: runs are not nested."""
        folder = into
        for name in place.relative_to(into).parts[:-1]:
            folder = _numbered(folder / name, self.runs.__contains__)
        return folder / place.name

    def free_name(self, place: Path) -> Path:
        """Return `place`, numbered if it is taken in the store or on disk."""
        return _numbered(place, lambda folder: folder in self.folders or folder.exists())


def _numbered(folder: Path, taken: Callable[[Path], bool]) -> Path:
    number, free = 1, folder
    while taken(free):
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def _has(run: Path, content: str) -> bool:
    """Whether a run has this content; False if it cannot be read."""
    with suppress(OSError):
        return content_hash(run) == content
    return False


def _files(run: Path) -> list[Path]:
    return sorted({path for kind in CONTENT for path in run.glob(kind) if path.is_file()})


def _sizes(run: Path) -> tuple[int, ...]:
    """File sizes of a run: a cheap test that differs for most different runs."""
    return tuple(path.stat().st_size for path in _files(run))


def content_hash(run: Path) -> str:
    """SHA-256 over the names and bytes of a run's rows, summary, episodes and calibrators."""
    digest = hashlib.sha256()
    for path in _files(run):
        with path.open("rb") as file:
            file_digest = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(run).as_posix()} {file_digest}\n".encode())
    return digest.hexdigest()


def _merge_run(run: Path, place: Path, contents: _StoreContents, dry_run: bool) -> Merged:
    try:
        open_run(run, COMMAND)
        if run.parent.name == KEPT:
            return _merge_kept_cell(run, place, dry_run)
        copy = contents.find_copy(run)
        if copy is not None:
            return Merged(run, THERE, copy)
        free = contents.free_name(place) if dry_run else _copy_run(run, place, contents)
    except FewshotError as error:
        if error.argument == "--into":  # the store is at fault, and would be for all
            raise
        return Merged(run, REFUSED, None, error.problem)
    contents.add(run if dry_run else free, free)
    return Merged(run, COPIED, free)


def _copy_run(run: Path, place: Path, contents: _StoreContents) -> Path:
    """Copy a run to `place` or the next free name, even if another process takes that first."""
    while True:
        free = contents.free_name(place)
        with _source_errors(run), writing("--into", free):
            try:
                _copy(run, free)
                return free
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not free.is_dir():
                    raise


def _remove_partial_copies(targets: Iterable[Path]) -> None:
    """Remove partial copies of these runs that killed merges left."""
    names_by_folder: dict[Path, set[str]] = {}
    for target in targets:
        names_by_folder.setdefault(target.parent, set()).add(target.name)
    for folder, run_names in names_by_folder.items():
        for partial in folder.glob(".*.partial"):
            name = partial.name[1:].rsplit(".", 3)[0]
            if {name, name.rpartition("-")[0]} & run_names:
                forget_abandoned(partial)


@contextmanager
def _source_errors(run: Path) -> Iterator[None]:
    """Report a source that cannot be read as such, not as a store that cannot be written."""
    try:
        yield
    except FewshotError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and str(cause.filename).startswith(str(run)):
            raise FewshotError(COMMAND, f"{cause.filename}: {cause.strerror}") from None
        raise


def _merge_kept_cell(cell: Path, target: Path, dry_run: bool) -> Merged:
    """Merge a cell of an interrupted run; it is named by its key, so equal names, equal rows."""
    if target.is_dir():
        try:
            open_run(target, COMMAND)
            return Merged(cell, THERE, target)
        except FewshotError:  # what is there is damaged
            if not dry_run:
                shutil.rmtree(target, ignore_errors=True)
    if not dry_run:
        with _source_errors(cell), writing("--into", target):
            _copy(cell, target)
    return Merged(cell, COPIED, target)


def _copy(run: Path, target: Path) -> None:
    """Copy a folder atomically, without hidden files and symbolic links."""
    with atomic_path(target) as partial:
        for folder, subfolders, files in os.walk(run, onerror=_raise):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            target_folder = partial / Path(folder).relative_to(run)
            target_folder.mkdir(parents=True, exist_ok=True)
            for name in files:
                path = Path(folder, name)
                if not name.startswith(".") and not path.is_symlink():
                    shutil.copy2(path, target_folder / name)


def _raise(error: OSError) -> None:
    raise error
