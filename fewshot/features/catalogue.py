"""The banks of a cache: listing, checking and removing them."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.features import grids
from fewshot.features.bank import check_finite
from fewshot.features.extraction.precision_choice import precision_record
from fewshot.features.paths import (
    FEATURES,
    LABELS,
    NOTE,
    PATHS,
)
from fewshot.features.store import FORMAT, open_bank
from fewshot.units import size

SECONDS_PER_DAY = 86400.0
PARTIAL = ".partial"
NOTED = {
    "key", "causes", "dataset", "backbone", "feature", "images", "dim", "precision", "sha256",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A bank on disk, finished or not.

    Attributes
    ----------
    folder : Path
    state : {"ready", "unfinished", "outdated", "damaged"}
        "outdated": of an earlier format, not used by runs.
    note : dict
        Content of ``bank.json`` or ``grids.json``; empty unless the bank is ready.
    bytes : int
    age : float
        Days since anything in it was changed.
    of_grids : bool
        Whether it holds grids of dense features, a file per image.
    """

    folder: Path
    state: str
    note: dict[str, Any]
    bytes: int
    age: float
    of_grids: bool = False

    @classmethod
    def read(cls, folder: Path) -> Entry:
        """State, size and age of the bank in a folder; features are not read."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        stats = [path.stat() for path in files]
        newest = max((stat.st_mtime for stat in stats), default=folder.stat().st_mtime)
        state, note = "unfinished", {}
        of_grids = (folder / grids.NOTE).is_file()
        if not folder.name.endswith(PARTIAL):
            try:
                name = grids.NOTE if of_grids else NOTE
                note = json.loads((folder / name).read_text(encoding="utf-8"))
                state = _state_of(note, of_grids)
            except (OSError, ValueError):
                state = "damaged"
        if of_grids and state == "ready":
            note["images"] = sum(1 for _ in grids.files(folder))
        return cls(
            folder,
            state,
            note if state == "ready" else {},
            sum(stat.st_size for stat in stats),
            (time.time() - newest) / SECONDS_PER_DAY,
            of_grids,
        )

    @property
    def name(self) -> str:
        """Name of the folder, which identifies the bank in commands."""
        return self.folder.name

    @property
    def skipped(self) -> int:
        """Number of images that could not be read."""
        return len(self.note.get("skipped", ()))

    def __str__(self) -> str:
        if self.state != "ready":
            return f"{self.name}: {self.state}, {size(self.bytes)}"
        note = self.note
        return (
            f"{note['backbone']} ({note['feature']}) features of {note['dataset']}: "
            f"{note['images']:,} x {note['dim']:,} {note['causes']['dtype']}, {size(self.bytes)}, "
            f"computed in {note['precision']}"
        )

    def facts(self) -> dict[str, Any]:
        """Metadata as printed by ``fewshot bank list --json``."""
        keys = ("dataset", "backbone", "feature", "images", "dim", "precision", "key")
        noted = {key: self.note.get(key) for key in keys}
        dtype = self.note.get("causes", {}).get("dtype")
        place = {"name": self.name, "folder": str(self.folder), "state": self.state}
        return {
            **place, **noted, "dtype": dtype, "skipped": self.skipped, "bytes": self.bytes,
            "age_days": round(self.age, 3),
        }  # fmt: skip


def _state_of(note: Any, of_grids: bool) -> str:
    if not isinstance(note, dict) or "key" not in note:
        return "damaged"
    current, noted = (grids.FORMAT, grids.NOTED) if of_grids else (FORMAT, NOTED)
    causes = note.get("causes")
    if isinstance(causes, dict) and causes.get("format") != current:
        return "outdated"
    return "ready" if note.keys() >= noted else "damaged"


def entries(cache: Path) -> list[Entry]:
    """All banks in a folder of banks, by name."""
    if not cache.is_dir():
        return []
    folders = sorted(path for path in cache.iterdir() if path.is_dir())
    # A killed process leaves a hidden folder of the bank that it was about to make.
    shown = [folder for folder in folders if folder.name[0] != "." or folder.name.endswith(PARTIAL)]
    return [Entry.read(folder) for folder in shown]


def find(cache: Path, name: str) -> Entry:
    """The bank with this folder, or with this beginning of its name or key.

    Raises
    ------
    FewshotError
        There is none, or several.
    """
    folder = Path(name).expanduser()
    if (folder / NOTE).is_file() or (folder / grids.NOTE).is_file():
        entry = Entry.read(folder)
        if entry.state == "damaged" and folder.resolve().parent != cache.resolve():
            raise FewshotError("bank", f"expected a feature bank, got {str(folder)!r}")
        return entry
    banks = entries(cache)
    for matches in (
        [bank for bank in banks if bank.name == name],
        [bank for bank in banks if bank.name.startswith(name) or _key(bank).startswith(name)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(bank.name for bank in matches[:5])
            raise FewshotError("bank", f"{name!r} may be any of {names}", "Say more of its name.")
    raise UnknownNameError("bank", name, [bank.name for bank in banks])


def _key(entry: Entry) -> str:
    return str(entry.note.get("key", ""))


def faults(entry: Entry) -> list[str]:
    """Faults of a bank; empty if its files are unchanged since they were written."""
    if entry.state != "ready":
        return [entry.state]
    if entry.of_grids:
        return list(grids.faults_of(entry.folder, entry.note["dim"]))
    try:
        bank = open_bank(entry.folder)
        problems: list[str] = []
        list(bank.paths or ())  # reads them all
        check_finite(bank.features)
    except FewshotError as error:
        return [str(error)]
    for kind, name in (("features", FEATURES), ("labels", LABELS)):
        with (entry.folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != entry.note["sha256"].get(kind):
            problems.append(f"{name} is not what was written (its SHA-256 differs)")
    if bank.labels.min(initial=0) < 0 or bank.labels.max(initial=0) >= len(bank.classnames):
        problems.append(f"{LABELS} names classes that do not exist")
    return problems


def in_progress(entry: Entry) -> bool:
    """Whether a process is extracting it now."""
    if entry.state != "unfinished":
        return False
    # Lock of a chunk, or of the whole bank while it is assembled from the chunks.
    for lock in (*entry.folder.glob("*.lock"), *entry.folder.parent.glob(f"{_bank(entry)}.lock")):
        try:
            with FileLock(lock).acquire(timeout=0):
                pass
        except Timeout:
            return True
    return False


def _bank(entry: Entry) -> str:
    """Name X of the bank of a folder ``X``, ``X.partial`` or ``.X.12.beef.partial``."""
    name = entry.name.removesuffix(PARTIAL)
    return name[1:].rsplit(".", 2)[0] if name[0] == "." else name


def remove(entry: Entry) -> None:
    """Delete a bank, its lock, and the note on its precision."""
    shutil.rmtree(entry.folder)
    bank = entry.folder.with_name(_bank(entry))
    bank.with_name(f"{bank.name}.lock").unlink(missing_ok=True)
    record = precision_record(bank)
    record.unlink(missing_ok=True)
    record.with_name(f"{record.name}.lock").unlink(missing_ok=True)


def leftovers(cache: Path, unfinished_days: float, unused_days: float | None) -> Iterator[Entry]:
    """Banks that can be removed.

    Damaged ones (but no folder with files of another kind), unfinished ones that no process works
    on or has worked on for `unfinished_days`, and, if set, those that were not
    opened for `unused_days`.
    """
    for entry in entries(cache):
        abandoned = entry.state == "unfinished" and entry.age >= unfinished_days
        damaged = entry.state == "damaged" and _only_bank_files(entry.folder)
        if damaged or (abandoned and not in_progress(entry)):
            yield entry
        elif entry.state in ("ready", "outdated") and unused_days is not None:
            unused = (time.time() - _opened(entry)) / SECONDS_PER_DAY
            if unused >= unused_days:
                yield entry


def _opened(entry: Entry) -> float:
    """When a bank was last used."""
    if entry.of_grids:  # whoever uses it touches the note, which listing reads, too
        return (entry.folder / grids.NOTE).stat().st_mtime
    features = entry.folder / FEATURES
    stat = (features if features.is_file() else entry.folder).stat()
    return max(stat.st_atime, stat.st_mtime)


def _only_bank_files(folder: Path) -> bool:
    """Whether a folder holds only files of a bank, so that it can be removed safely."""
    if (folder / grids.NOTE).is_file():
        return grids.only_grids(folder)
    return {path.name for path in folder.iterdir()} <= {FEATURES, LABELS, PATHS, NOTE}
