"""Run folders on disk: the one walk that finds them, and the cells of interrupted runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fewshot.exceptions import FewshotError
from fewshot.files import plain_name
from fewshot.paths import KEPT
from fewshot.results.schema import CellSummary
from fewshot.tasks import tables

SUMMARY = "summary.json"


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

    Folders with tables but no summary, and folders that may not be listed, are included: reading
    them raises an error with the reason.

    Raises
    ------
    FewshotError
        A folder does not exist, or contains no run.
    """
    folders_of_runs: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FewshotError(argument, f"expected folders of runs, got {str(folder)!r}")
        runs = sorted(run_folders(folder))
        if not runs:
            raise FewshotError(
                argument,
                f"no run under {str(folder)!r} (a run has a summary.json)",
                "Give a folder that `fewshot` printed.",
            )
        folders_of_runs |= dict.fromkeys(runs)
    return list(folders_of_runs)


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
