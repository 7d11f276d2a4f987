"""File names of the images of a bank, stored as an Arrow file and read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from fewshot.exceptions import FewshotError


def write_paths(path: Path, names: Sequence[str]) -> None:
    """Store file names as an Arrow file; bytes that are not UTF-8 are escaped."""
    import pyarrow as pa

    clean = [name.encode("utf-8", "backslashreplace").decode() for name in names]
    table = pa.table({"path": pa.array(clean, pa.large_string())})
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


class StoredPaths(Sequence[str]):
    """File names of a bank, memory-mapped on first use.

    Parameters
    ----------
    file : Path
        Arrow file of ``write_paths``.
    count : int
        Number of names.
    """

    def __init__(self, file: Path, count: int) -> None:
        self.file, self.rows = file, count

    @cached_property
    def _column(self) -> Any:
        import pyarrow as pa

        try:
            column = pa.ipc.open_file(pa.memory_map(str(self.file))).read_all()["path"]
            if len(column) != self.rows:
                raise ValueError(f"{len(column)} paths for {self.rows} rows")
        except (OSError, ValueError, KeyError) as error:  # Arrow's own errors are ValueErrors
            raise FewshotError(
                "paths.cache",
                f"the file names {self.file} cannot be read: {error}",
                "Delete that folder; it is extracted again.",
            ) from None
        return column

    def __len__(self) -> int:
        return self.rows

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[str, ...]: ...
    def __getitem__(self, row: int | slice) -> str | tuple[str, ...]:
        if isinstance(row, slice):
            return tuple(self[index] for index in range(*row.indices(self.rows)))
        if not -self.rows <= row < self.rows:
            raise IndexError(row)
        name: str = self._column[int(row) % self.rows].as_py()
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(self._column.to_pylist())

    def __reduce__(self) -> tuple[type, tuple[Path, int]]:
        return type(self), (self.file, self.rows)


FEATURES, LABELS, PATHS, NOTE = "features.npy", "labels.npy", "paths.arrow", "bank.json"


def is_bank(path: Path) -> bool:
    """Whether a path is the folder of a feature bank."""
    return (path / NOTE).is_file()
