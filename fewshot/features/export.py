"""Export of a bank to one file: .npz, .safetensors or .parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.files import atomic_path, writing


def export(bank: FeatureBank, target: Path) -> None:
    """Write features, labels, class names, file names and, if there is one, the split by class.

    Features are written as they are stored, and beside them how the bank normalises them, so that
    ``dataset=features`` does the same.

    Parameters
    ----------
    bank : FeatureBank
    target : Path
        ``.npz``, ``.safetensors`` (names as JSON in its metadata) or ``.parquet`` (a row per
        image).

    Raises
    ------
    FewshotError
        Another kind of file, or a place that cannot be written to.
    """
    if target.suffix not in WRITERS:
        kinds = ", ".join(WRITERS)
        raise FewshotError("--output", f"expected a name that ends in {kinds}, got {target.name!r}")
    with writing("--output", target), atomic_path(target) as partial, partial.open("wb") as file:
        WRITERS[target.suffix](bank, file)


def split_of(bank: FeatureBank) -> NDArray | None:
    """Part of the class of every row (M,), or None if the classes have no parts."""
    return None if bank.parts is None else np.array(bank.parts)[bank.labels]


def _metadata(bank: FeatureBank) -> dict[str, str]:
    """Metadata of the file: backbone, and the normalisation that is to be applied to the rows."""
    return {
        "backbone": str(bank.info.get("backbone", "unknown")),
        "normalize": bank.normalize,
    }


def _npz(bank: FeatureBank, file: BinaryIO) -> None:
    arrays: dict[str, Any] = {
        "features": bank.features,
        "labels": bank.labels,
        "classnames": np.array(bank.classnames),
    }
    arrays |= {key: np.array(word) for key, word in _metadata(bank).items()}
    if bank.paths is not None:
        arrays["paths"] = np.array(list(bank.paths))
    split = split_of(bank)
    if split is not None:
        arrays["split"] = split
    np.savez(file, allow_pickle=False, **arrays)


def _safetensors(bank: FeatureBank, file: BinaryIO) -> None:
    from safetensors.torch import save

    note = {
        "classnames": json.dumps(list(bank.classnames)),
        **_metadata(bank),
    }
    if bank.paths is not None:
        note["paths"] = json.dumps(list(bank.paths))
    split = split_of(bank)
    if split is not None:
        note["split"] = json.dumps(split.tolist())
    tensors = {
        "features": torch.from_numpy(np.ascontiguousarray(bank.features)),
        "labels": torch.from_numpy(bank.labels),
    }
    file.write(save(tensors, note))


def _parquet(bank: FeatureBank, file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(bank.features).reshape(-1))
    columns = {
        "path": None if bank.paths is None else pa.array(list(bank.paths)),
        "label": pa.array(bank.labels),
        "class": pa.array(np.array(bank.classnames)[bank.labels]),
        "part": None if bank.parts is None else pa.array(split_of(bank)),
        "feature": pa.FixedSizeListArray.from_arrays(flat, bank.dim),
    }
    present = {name: column for name, column in columns.items() if column is not None}
    table = pa.table(present).replace_schema_metadata(_metadata(bank))
    pq.write_table(table, file)


WRITERS: dict[str, Callable[[FeatureBank, BinaryIO], None]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
