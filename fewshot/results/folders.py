"""Run folders on disk: by name, the one walk that finds them, and cells of interrupted runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from fewshot.exceptions import FewshotError
from fewshot.files import plain_name
from fewshot.paths import KEPT
from fewshot.results.schema import CellSummary
from fewshot.tasks import tables

SUMMARY = "summary.json"
RUNS = Path("runs")  # where names of runs are looked for, as ``paths.runs`` has it by default
LATEST = "latest"
LISTED = 5  # runs that errors name, the newest


def episodes_file(folder: Path, cell: CellSummary) -> Path:
    """File of the episodes of a cell in the folder of its run."""
    by_seed = folder / "episodes" / episodes_name(cell["ways"], cell["shots"], cell["seed"])
    plain = folder / "episodes" / episodes_name(cell["ways"], cell["shots"])
    return by_seed if by_seed.is_file() else plain


def episodes_name(ways: int, shots: int, seed: int | None = None) -> str:
    """Name of a file of episodes; with the seed where a run has several."""
    name = f"{ways}way_{shots}shot" + ("" if seed is None else f"_seed{seed}")
    return plain_name(f"{name}.safetensors")


def find_runs(folders: Iterable[str | Path], argument: str = "report") -> list[Path]:
    """Find the run folders at or under each of `folders`, sorted by name.

    Runs may be given by name, as `named_folder` takes them. Folders with tables but no summary, and
    folders that may not be listed, are included: reading them raises an error with the reason.

    Raises
    ------
    FewshotError
        A folder does not exist, or contains no run.
    """
    folders_of_runs: dict[Path, None] = {}
    for folder in (named_folder(name, argument) for name in folders):
        runs = sorted(run_folders(folder))
        if not runs:
            raise FewshotError(
                argument,
                f"no run under {str(folder)!r} (a run has a summary.json)",
                "Give a folder that `fewshot` printed.",
            )
        folders_of_runs |= dict.fromkeys(runs)
    return list(folders_of_runs)


def named_folder(name: str | Path, argument: str = "report") -> Path:
    """The folder that a command means by RUN.

    Parameters
    ----------
    name : str or Path
        A folder; "latest", the newest run or sweep in ``runs/``; or a part of the name of a single
        one there, or of a single run of all sweeps there. A folder before these is searched in
        place of ``runs/``: ``/data/runs/latest``.
    argument : str
        Argument that errors name.

    Raises
    ------
    FewshotError
        No folder or run of that name, or several runs.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    root = path.parent if len(path.parts) > 1 else RUNS
    problem = f"expected folders of runs, got {str(name)!r}"
    if path.exists() or not root.is_dir():
        raise FewshotError(argument, problem)
    candidates = [child for child in root.iterdir() if not child.name.startswith(".")]
    if path.name == LATEST:
        matching = _newest_first(candidates)[:1]
    else:
        matching = _newest_first(child for child in candidates if path.name in child.name)
        if not matching:  # a run of a sweep
            runs = run_folders(root)
            matching = _newest_first(run for run in runs if path.name in run.name)
    if len(matching) == 1:
        return matching[0]
    if not matching:
        newest = _listed(_newest_first(candidates), root)
        raise FewshotError(
            argument,
            f"{problem}, and no run in {root}/ has that in its name",
            f"The newest: {newest}." if newest else "",
        )
    raise FewshotError(
        argument,
        f"{len(matching)} runs have {path.name!r} in their names: {_listed(matching, root)}",
        f"Give more of the name, or {LATEST}, which is the newest of all.",
    )


def typed_name(folder: Path) -> str:
    """What to type for the newest run: ``latest``, after its folder unless that is ``runs/``."""
    inside = folder.parent.resolve() == RUNS.resolve()
    return LATEST if inside else shlex.quote(str(folder.parent / LATEST))


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    """Those of `folders` that are runs or contain some, by the time when the last was written."""
    written = {
        folder: max((_last_written(run) for run in run_folders(folder)), default=None)
        for folder in folders
        if folder.is_dir()
    }
    times = [(time, folder) for folder, time in written.items() if time is not None]
    return [folder for _, folder in sorted(times, reverse=True)]


def _last_written(run: Path) -> float:
    """When the summary or a table of a run was written, in seconds; 0 where that is not known."""
    times = []
    for name in _marks():
        with suppress(OSError):
            times.append((run / name).stat().st_mtime)
    return max(times, default=0.0)


def _listed(folders: Sequence[Path], root: Path) -> str:
    names = [str(folder.relative_to(root)) for folder in folders[:LISTED]]
    more = len(folders) - len(names)
    return ", ".join([*names, *([f"and {more} older"] if more else [])])


def is_run(folder: Path) -> bool:
    """Whether the folder itself contains a summary or tables."""
    return any((folder / name).exists() for name in _marks())


@cache
def _marks() -> frozenset[str]:
    """Files that a run folder has, any of them."""
    return frozenset({SUMMARY, *(f"{name}.parquet" for name in tables())})


def runs_and_kept(folder: Path, argument: str = "report") -> list[Path]:
    """Find the run folders at or under `folder`, then the stored cells of interrupted runs.

    Raises
    ------
    FewshotError
        As `find_runs`, if there are neither.
    """
    kept = [
        cell
        for kept_folder in sorted(folder.rglob(KEPT))
        for cell in sorted(kept_folder.iterdir())
        if not cell.name.startswith(".")
    ]
    try:
        return find_runs([folder], argument) + kept
    except FewshotError:
        if not kept:
            raise
        return kept


def run_folders(root: Path, *, kept: bool = False) -> Iterator[Path]:
    """Folders at or under `root` that have a summary or a table; runs are not nested.

    Other hidden folders are partial writes of killed processes, and left out. Folders that may not
    be listed are included: reading them raises an error with the reason.

    Parameters
    ----------
    root : Path
    kept : bool
        Whether to yield the stored cells of runs in progress, too, after all runs.
    """
    cells: list[Path] = []
    denied: list[OSError] = []
    for folder, subfolders, files in os.walk(root, onerror=denied.append):
        path = Path(folder)
        if _marks() & set(files):
            if path.parent.name == KEPT:
                cells.append(path)
            else:
                yield path
            if path != root:
                subfolders.clear()
        subfolders[:] = sorted(
            name for name in subfolders if not name.startswith(".") or (kept and name == KEPT)
        )
    # Other folders that cannot be listed were removed in the meantime.
    yield from (Path(error.filename) for error in denied if isinstance(error, PermissionError))
    yield from cells
