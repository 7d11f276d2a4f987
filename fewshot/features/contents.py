"""What a file of features holds: names, shapes and dtypes of its arrays, which are read later."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewshot.datasets.labels import as_array
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import kind_of
from fewshot.memory import memory_error

KNOWN = ("features", "labels", "classnames", "paths", "split", "text", "subset")
WORDS = ("backbone", "normalize")  # a text each
PLAIN = "Save plain arrays: numbers, and names as fixed-width strings (np.array(names))."
SHOWN = 12
# What `kind_of` calls files of these suffixes.
KINDS = {
    ".npz": ("a NumPy .npz file",),
    ".npy": ("a NumPy .npy file",),
    ".safetensors": ("a safetensors file", "a safetensors file that breaks off"),
    ".pt": ("a PyTorch checkpoint",),
    ".pth": ("a PyTorch checkpoint",),
    ".parquet": ("a Parquet file",),
    ".feather": ("an Arrow/Feather file",),
    ".arrow": ("an Arrow/Feather file",),
    ".csv": ("a text file", "a JSON file"),
    ".tsv": ("a text file",),
}


@dataclass(frozen=True)
class Shape:
    """Shape and dtype of an array that need not be in memory.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        As NumPy or torch call it.
    kind : str
        "f" (real numbers), "i" (whole numbers), "b", "U" (texts), "O" (pickled) or "?" (others).
    """

    shape: tuple[int, ...]
    dtype: str
    kind: str

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"

    @classmethod
    def of(cls, values: Any) -> Shape:
        """Of an array or a tensor."""
        dtype = str(values.dtype).removeprefix("torch.")
        return cls(
            tuple(values.shape), dtype, kind_letter(dtype, getattr(values.dtype, "kind", ""))
        )


@dataclass(frozen=True)
class Contents:
    """Arrays of a file by name.

    Attributes
    ----------
    file : Path
    arrays : dict of str to Shape
    read : callable
        From a name to its array or tensor.
    words : dict
        ``backbone`` and ``normalize``, where the file says them.
    notices : list of str
        What the reader left out or assumed.
    """

    file: Path
    arrays: dict[str, Shape]
    read: Callable[[str], Any]
    words: Mapping[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def listing(self) -> str:
        """All arrays with shapes and dtypes, for errors."""
        if not self.arrays:
            return "no arrays"
        entries = [f"{name} {shape}" for name, shape in self.arrays.items()]
        more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
        return ", ".join(entries[:SHOWN]) + more


def of_arrays(file: Path, arrays: Mapping[str, Any], words: Mapping[str, str]) -> Contents:
    """Contents that are in memory."""
    made = {
        str(name): values if hasattr(values, "dtype") else as_array(values)
        for name, values in arrays.items()
    }
    return Contents(file, {name: Shape.of(v) for name, v in made.items()}, made.__getitem__, words)


def unreadable(file: Path, error: Exception) -> FewshotError:
    """The error for a file that a reader gave up, by what the file really is."""
    if memory := memory_error(error, "Free memory of other programs."):
        return memory
    kind = kind_of(file)
    objects = re.search("pickle|python objects", str(error), re.IGNORECASE)  # NumPy's two messages
    if kind == "a pickle" or (isinstance(error, ValueError) and objects):
        return pickled(file)
    if kind is not None and not is_of_kind(file, kind):
        return FewshotError("dataset.path", f"cannot read {file}: it is {kind}")
    if isinstance(error, zipfile.BadZipFile | EOFError) or "central directory" in str(error):
        return FewshotError(
            "dataset.path", f"cannot read {file}: it breaks off or is damaged ({error})",
            "Download, copy or save it again.",
        )  # fmt: skip
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FewshotError("dataset.path", f"cannot read {file}: {first:.200}", "Save the file again.")


def pickled(file: Path) -> FewshotError:
    """The error for a file with objects that only unpickling could make."""
    problem = f"{file} holds pickled objects, which could run code and are never loaded"
    return FewshotError("dataset.path", problem, PLAIN)


def is_of_kind(file: Path, kind: str) -> bool:
    """Whether what a file is agrees with its name."""
    return kind.startswith(KINDS.get(file.suffix.lower(), ("",)))


def kind_letter(dtype: str, letter: str) -> str:
    """The kind of `Shape` of a dtype by its name, and NumPy's letter for it if there is one."""
    if letter == "O":
        return "O"
    if letter in ("U", "S") or dtype.startswith(("<U", "|S")):
        return "U"
    if dtype == "bool":
        return "b"
    if "complex" in dtype:
        return "?"
    if "float" in dtype or dtype == "half":
        return "f"
    return "i" if "int" in dtype else "?"
