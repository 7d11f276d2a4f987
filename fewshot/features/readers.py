"""Readers of files of arrays: .npz, .npy, .safetensors and what ``torch.save`` wrote."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.labels import as_array
from fewshot.exceptions import FewshotError
from fewshot.features.contents import (
    KNOWN,
    WORDS,
    Contents,
    Shape,
    kind_letter,
    of_arrays,
    pickled,
    unreadable,
)

# safetensors' words for dtypes, with kinds.
TENSOR_DTYPES = {"BOOL": "bool", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
                 "F8_E5M2": "float8_e5m2"}  # fmt: skip


def read_npz(file: Path) -> Contents:
    """An archive of arrays; only those that are asked for are read."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            words = {
                name: _word(archive[name])
                for name in WORDS
                if name in names
                and archive.zip.getinfo(_member(archive.zip, name)).file_size < 4096
            }
            shapes = {name: _npy_shape(archive.zip, name) for name in names if name not in WORDS}
    except Exception as error:  # a damaged archive can make its parsers raise anything
        raise unreadable(file, error) from None

    def read(name: str) -> NDArray:
        try:
            with np.load(file, allow_pickle=False) as archive:
                array: NDArray = archive[name]
                return array
        except Exception as error:
            raise unreadable(file, error) from None

    return Contents(file, shapes, read, words)


def _member(archive: zipfile.ZipFile, name: str) -> str:
    return name if name in archive.namelist() else f"{name}.npy"


def _npy_shape(archive: zipfile.ZipFile, name: str) -> Shape:
    """Shape and dtype in the header of a member of an archive."""
    if name in archive.namelist():  # no array: its name would end in .npy
        return Shape((), "bytes", "?")
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    return Shape(shape, str(dtype), kind_letter(str(dtype), dtype.kind))


def _word(value: Any) -> str:
    array = np.asarray(value).reshape(-1)
    first = array[0] if array.size == 1 else value
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def read_npy(file: Path) -> Contents:
    """A single array."""
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise unreadable(file, error) from None
    return of_arrays(file, {"array": array}, {})


def read_safetensors(file: Path) -> Contents:
    """Tensors, and JSON lists in the metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as archive:
            tensors = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118
            shapes = {
                name: Shape(tuple(part.get_shape()), *_dtype_of_tensor(part.get_dtype()))
                for name, part in tensors.items()
            }
            note = archive.metadata() or {}
        lists = _lists(note)
    except (OSError, ValueError, SafetensorError) as error:
        raise unreadable(file, error) from None

    def read(name: str) -> Any:
        if name in lists:
            return lists[name]
        try:
            with safe_open(str(file), framework="pt") as archive:
                return archive.get_tensor(name)
        except Exception as error:  # also dtypes that this version of torch does not have
            raise unreadable(file, error) from None

    shapes |= {name: Shape.of(values) for name, values in lists.items()}
    words = {name: note[name] for name in WORDS if name in note}
    return Contents(file, shapes, read, words)


def _dtype_of_tensor(word: str) -> tuple[str, str]:
    letters = {"F": "float", "I": "int", "U": "uint", "C": "complex"}
    name = TENSOR_DTYPES.get(word) or f"{letters.get(word[0], word[0])}{word[1:]}"
    return name, kind_letter(name, "")


def _lists(note: Mapping[str, str]) -> dict[str, NDArray]:
    """Arrays of the lists and mappings that are JSON in the metadata."""
    lists = {}
    for name, text in note.items():
        if name in KNOWN:
            values = json.loads(text)
        elif text[:1] in ("[", "{"):
            try:
                values = json.loads(text)
            except ValueError:  # of another program
                continue
        else:
            continue
        lists[name] = np.array(in_order(values))
    return lists


def in_order(values: Any) -> Any:
    """The names of ``{"0": "cat", "1": "dog"}`` or ``{"cat": 0, "dog": 1}`` in order."""
    if not isinstance(values, dict):
        return values
    if all(str(key).isdigit() for key in values):
        return [values[key] for key in sorted(values, key=lambda key: int(str(key)))]
    if all(isinstance(value, int) for value in values.values()):
        return sorted(values, key=lambda name: int(values[name]))
    return list(values)


def read_torch(file: Path) -> Contents:
    """Tensors that ``torch.save`` wrote; nothing but tensors and plain containers is unpickled."""
    import torch

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle does
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise pickled(file) from None
        raise unreadable(file, error) from None
    if isinstance(loaded, torch.Tensor):
        return of_arrays(file, {"array": loaded}, {})
    if isinstance(loaded, list | tuple):
        loaded = {f"arr_{i}": values for i, values in enumerate(loaded)}
    if not isinstance(loaded, dict):
        kind = type(loaded).__name__
        raise FewshotError("dataset.path", f"expected a dict of tensors in {file}, got {kind}")
    words = {name: str(loaded[name]) for name in WORDS if isinstance(loaded.get(name), str)}
    arrays: dict[str, Any] = {}
    for name, values in loaded.items():
        if isinstance(values, torch.Tensor):
            arrays[name] = values
        elif isinstance(values, list | tuple | dict) and values and name not in words:
            try:
                arrays[name] = as_array(in_order(values))
            except (ValueError, TypeError, RuntimeError):  # lists of unlike things
                continue
    return of_arrays(file, arrays, words)
