"""Features from a user file: .npz or .safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.labels import as_text
from fewshot.datasets.parts import PARTS
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import OF_IMAGES, FeatureBank, make_bank
from fewshot.features.paths import NOTE
from fewshot.features.store import open_bank
from fewshot.files import file_digest

NOTED = ("backbone", "normalize")  # a word each
KNOWN = ("features", "labels", "classnames", "paths", "split", "text", "subset")


def load_features(name: str, path: str | None) -> FeatureBank:
    """Read ``features`` (M, D), ``labels`` (M,) and, if given, names, paths, splits and text.

    ``split`` is the part of every row's class, ``subset`` the row's own (train, validation, test),
    ``text`` (C, D) a vector per class name. In a ``.safetensors`` file, which holds tensors only,
    ``classnames``, ``paths``, ``split`` and ``subset`` are JSON lists in the metadata (``split``
    may also be a tensor of 0, 1, 2 for base, validation, novel). ``normalize`` (in the metadata
    there) is the normalisation of the rows, "none" or "l2"; ``fewshot bank export`` writes "l2",
    as for features of images. Nothing is unpickled. A folder that ``fewshot extract`` made is
    opened as it is, without reading it, and its rows get unit length as those of images do.

    Raises
    ------
    FewshotError
        Not such a file, pickled objects inside, arrays that do not fit each other.
    """
    file = _existing(path)
    if file.is_dir():
        bank = replace(open_bank(file), normalize=OF_IMAGES)
        return bank if name == "features" else replace(bank, info=bank.info | {"dataset": name})
    arrays = _reader(file)(file)
    for needed in ("features", "labels"):
        expect(
            needed in arrays,
            "dataset.path",
            f"{file} has no array {needed!r}; it has {', '.join(sorted(arrays)) or 'nothing'}",
            "Save it with features (M, D) and labels (M,).",
        )
    info = {
        "dataset": file.stem if name == "features" else name,
        "backbone": str(arrays.get("backbone", "unknown")),
        "feature": "given",
        "key": hashlib.sha256(f"features {file_digest(file)}".encode()).hexdigest(),
    }
    try:
        names, paths = (_strings(key, arrays.get(key)) for key in ("classnames", "paths"))
        return make_bank(
            arrays["features"], arrays["labels"], names, paths, arrays.get("split"), info,
            normalize=str(arrays.get("normalize", "none")), text=arrays.get("text"),
            subset=arrays.get("subset"),
        )  # fmt: skip
    except FewshotError as error:
        raise FewshotError(
            f"dataset.path={file}: {error.argument}", error.problem, error.remedy
        ) from None


def _existing(path: str | None) -> Path:
    if not path:
        raise FewshotError(
            "dataset.path",
            "expected an .npz or .safetensors file with features and labels, got nothing",
            "Say for instance: fewshot dataset=features dataset.path=bank.npz.",
        )
    file = Path(str(path)).expanduser()
    if not file.is_file() and not (file / NOTE).is_file():
        what = "a folder that is no feature bank" if file.is_dir() else "nothing there"
        raise FewshotError("dataset.path", f"expected a file, got {what}: {str(file)!r}")
    return file


def is_feature_file(path: str | Path) -> bool:
    """Whether a path is named as a file of features is; it need not be there."""
    return Path(path).suffix.lower() in READERS


def is_bank(path: Path) -> bool:
    """Whether a path is the folder of a feature bank."""
    return (path / NOTE).is_file()


def _reader(file: Path) -> Callable[[Path], dict[str, Any]]:
    if not is_feature_file(file):
        raise FewshotError(
            "dataset.path", f"expected a .npz or .safetensors file, got {file.name!r}"
        )
    return READERS[file.suffix.lower()]


def _read_npz(file: Path) -> dict[str, NDArray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in (*KNOWN, *NOTED) if key in archive.files}
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise _unreadable(file, error) from None
        raise FewshotError(
            "dataset.path",
            f"{file} holds pickled objects, which could run code and are never loaded",
            "Save plain arrays: numbers, and names as fixed-width strings (np.array(names)).",
        ) from None
    except Exception as error:  # a damaged archive can make its parsers raise anything
        raise _unreadable(file, error) from None


def _read_safetensors(file: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as archive:
            arrays: dict[str, Any] = {
                key: archive.get_tensor(key)
                for key in archive.keys()  # noqa: SIM118  not a dict
                if key in KNOWN
            }
            note = archive.metadata() or {}
        for key in ("classnames", "paths", "split", "subset"):
            if key in note:
                arrays[key] = np.array(json.loads(note[key]))
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(file, error) from None
    arrays |= {key: note[key] for key in NOTED if key in note}
    if "split" in arrays and not isinstance(arrays["split"], np.ndarray):
        codes = arrays["split"].numpy()
        expect(
            bool(np.isin(codes, (0, 1, 2)).all()),
            f"dataset.path={file}: split",
            "expected 0, 1, 2 for base, validation, novel, got other numbers",
        )
        arrays["split"] = np.array(PARTS)[codes.astype(np.int64)]
    return arrays


def _unreadable(file: Path, error: Exception) -> FewshotError:
    return FewshotError("dataset.path", f"cannot read {file}: {error}", "Save the file again.")


def _strings(argument: str, values: Any) -> list[str] | None:
    return None if values is None else as_text(argument, np.atleast_1d(values)).ravel().tolist()


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}
