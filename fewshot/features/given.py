"""Features from a user file: .npz, .safetensors, what ``torch.save`` wrote, or a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.datasets.classnames import distinct_names
from fewshot.datasets.labels import as_array, as_text
from fewshot.exceptions import FewshotError
from fewshot.features.array_names import arrays_of
from fewshot.features.arrays import feature_matrix
from fewshot.features.bank import OF_IMAGES, FeatureBank, make_bank
from fewshot.features.contents import Contents, is_of_kind
from fewshot.features.conversion import NOT_READ, choosing, line_of_code, saving
from fewshot.features.paths import is_bank
from fewshot.features.readers import read_npy, read_npz, read_safetensors, read_torch
from fewshot.features.store import open_bank
from fewshot.features.tables import read_arrow, read_csv
from fewshot.file_kinds import kind_of
from fewshot.files import file_digest


def load_features(name: str, path: str | None, same_names: str = "raise") -> FeatureBank:
    """Read ``features`` (M, D), ``labels`` (M,) and, if given, names, paths, splits and text.

    ``split`` is the part of every row's class, ``subset`` the row's own (train, validation, test),
    ``text`` (C, D) a vector per class name. In a ``.safetensors`` file, which holds tensors only,
    ``classnames``, ``paths``, ``split`` and ``subset`` are JSON lists in the metadata (``split``
    may also be a tensor of 0, 1, 2 for base, validation, novel). ``normalize`` (in the metadata
    there) is the normalisation of the rows, "none" or "l2"; ``fewshot bank export`` writes "l2",
    as for features of images. Arrays of other names are taken where one alone can be meant, see
    :mod:`fewshot.features.array_names`. Nothing is unpickled but tensors. A folder that
    ``fewshot extract`` made is opened as it is, without reading it, and its rows get unit length
    as those of images do.

    Parameters
    ----------
    name : str
        Goes into the rows; "features" stands for the name of the file.
    path : str
        .npz, .safetensors, .pt, .pth, .csv, .tsv, .parquet or .feather, or the folder of a bank.
    same_names : {"raise", "keep"}
        Two classes of one name: an error, or two classes, told apart by their numbers.

    Raises
    ------
    FewshotError
        Not such a file, pickled objects inside, arrays that do not fit each other.
    """
    file = _existing(path)
    if file.is_dir():
        bank = replace(open_bank(file), normalize=OF_IMAGES)
        return bank if name == "features" else replace(bank, info=bank.info | {"dataset": name})
    contents = _contents(file)
    roles = arrays_of(contents, partial(choosing, file))
    arrays = {role: contents.read(array) for role, array in roles.items()}
    causes = f"features {file_digest(file)}"
    if any(role != array for role, array in roles.items()):
        causes += f" {json.dumps(roles, sort_keys=True)}"
    info: dict[str, Any] = {
        "dataset": file.stem if name == "features" else name,
        "backbone": contents.words.get("backbone", "unknown"),
        "feature": "given",
        "key": hashlib.sha256(causes.encode()).hexdigest(),
    }
    if contents.notices:
        info["notices"] = contents.notices
    try:
        listed, paths = (_strings(key, arrays.get(key)) for key in ("classnames", "paths"))
        names, labels = _names_of_classes(listed, arrays["labels"], file, same_names)
        return make_bank(
            arrays["features"], labels, names, paths, arrays.get("split"), info,
            normalize=contents.words.get("normalize", "none"), text=arrays.get("text"),
            subset=arrays.get("subset"),
        )  # fmt: skip
    except FewshotError as error:
        raise FewshotError(
            f"dataset.path={file}: {error.argument}", error.problem, error.remedy
        ) from None


def load_unlabelled_features(path: str) -> FeatureBank:
    """Read ``features`` (M, D) of images without labels, from a file as `load_features` reads.

    ``paths`` are the names of the rows, where there are any. Labels are neither needed nor read;
    ``info["labelled"]`` says whether there are any. Tables need a column of labels, whatever it
    says. All rows are of one class, "unlabelled".

    Raises
    ------
    FewshotError
        As of `load_features`.
    """
    file = _existing(path)
    if file.is_dir():
        bank = replace(open_bank(file), normalize=OF_IMAGES)
        labels = np.zeros(len(bank), dtype=np.int64)
        info = bank.info | {"labelled": bank.info.get("dataset") != "query"}
        return replace(bank, labels=labels, classnames=("unlabelled",), parts=None, info=info)
    contents = _contents(file)
    roles = arrays_of(contents, partial(choosing, file), labelled=False)
    info = {
        "backbone": contents.words.get("backbone", "unknown"),
        "labelled": "labels" in roles,
        "notices": contents.notices,
    }
    try:
        features, _ = feature_matrix(contents.read(roles["features"]))
        paths = _strings("paths", contents.read(roles["paths"])) if "paths" in roles else None
        return make_bank(
            features, np.zeros(len(features), dtype=np.int64), ["unlabelled"], paths, info=info,
            normalize=contents.words.get("normalize", "none"),
        )  # fmt: skip
    except FewshotError as error:
        argument = f"dataset.path={file}: {error.argument}"
        raise FewshotError(argument, error.problem, error.remedy) from None


def _existing(path: str | None) -> Path:
    if not path:
        raise FewshotError(
            "dataset.path",
            "expected an .npz or .safetensors file with features and labels, got nothing",
            "Say for instance: fewshot dataset=features dataset.path=bank.npz.",
        )
    file = Path(str(path)).expanduser()
    if not file.is_file() and not is_bank(file):
        what = "a pipe or a device" if file.exists() else "nothing there"
        what = "a folder that is no feature bank" if file.is_dir() else what
        raise FewshotError("dataset.path", f"expected a file, got {what}: {str(file)!r}")
    return file


def is_feature_file(path: str | Path) -> bool:
    """Whether a path is named as a file of features is; it need not be there."""
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    return (suffix in READERS and not file.is_dir()) or (suffix in NOT_READ and file.is_file())


def _contents(file: Path) -> Contents:
    suffix, kind = file.suffix.lower(), kind_of(file)
    expected = f"expected a .npz or .safetensors file, got {file.name!r}"
    if kind is not None and not is_of_kind(file, kind) and kind != "a pickle":
        remedy = _converting(file) or f"Save arrays: {saving()}"
        raise FewshotError("dataset.path", f"cannot read {file}: it is {kind}", remedy)
    if suffix in NOT_READ:
        raise FewshotError("dataset.path", expected, _converting(file, "Save it as one"))
    if suffix not in READERS:
        what = f", {kind}" if kind else ""
        raise FewshotError("dataset.path", f"{expected}{what}", f"Save arrays: {saving()}")
    try:
        return READERS[suffix](file)
    except FewshotError as error:
        remedy = f"{error.remedy} {'' if 'np.savez' in error.remedy else _converting(file)}"
        raise FewshotError(error.argument, error.problem, remedy) from None


def _converting(file: Path, before: str = "Or save it as .npz") -> str:
    """How to convert kinds of files that are read only if they are simple."""
    line = line_of_code(file)
    return f"{before}: {line}" if line and file.suffix.lower() != ".npz" else ""


def _names_of_classes(
    names: list[str] | None, labels: Any, file: Path, same_names: str
) -> tuple[tuple[str, ...] | None, Any]:
    """Names of the classes and labels; names of rows become names of classes.

    As many names as rows, and more than classes, are those of the rows.
    """
    values = as_array(labels)
    if names is not None and values.dtype.kind in "iuf" and values.size == len(names):
        numbers, first = np.unique(values.reshape(-1), return_index=True)
        of_rows = np.array(names)
        same = (of_rows == of_rows[first][np.searchsorted(numbers, values.reshape(-1))]).all()
        if len(numbers) < len(names) and same:
            names = [names[row] for row in first]
            labels = np.searchsorted(numbers, values.reshape(-1))
    if names is None:
        if values.dtype.kind in "US" or values.dtype == object:
            texts = {str(value) for value in values.reshape(-1).tolist()}
            distinct_names("labels", sorted(texts), str(file), same_names)
        return None, labels
    return distinct_names("classnames", names, str(file), same_names), labels


def _strings(argument: str, values: Any) -> list[str] | None:
    return None if values is None else as_text(argument, np.atleast_1d(values)).ravel().tolist()


READERS: dict[str, Callable[[Path], Contents]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".safetensors": read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_arrow,
    ".feather": read_arrow,
    ".arrow": read_arrow,
}
