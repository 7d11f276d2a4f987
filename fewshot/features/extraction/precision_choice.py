"""The precision of a bank: chosen once from a few of its images, recorded, part of its key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from fewshot.backbones.base import Backbone, Encode
from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import FewshotError
from fewshot.features.extraction.decode import decode
from fewshot.features.extraction.precision import PRECISIONS, compare, verdict
from fewshot.features.extraction.settings import Extraction
from fewshot.files import atomic_path
from fewshot.progress import stage

# Images that are compared, spread over the data set, independent of the batch size.
SAMPLE = 16


@dataclass(frozen=True)
class Choice:
    """The precision of a bank and the comparison that led to it.

    Attributes
    ----------
    how : Extraction
        With "float32", "bfloat16" or "float16" as its precision.
    check : dict
        ``images`` compared, least ``cosine`` to float32 and the requested precision,
        ``asked``; empty if float32 was requested.
    encode : callable, optional
        The network, where the comparison had to load it.
    """

    how: Extraction
    check: dict[str, Any] = field(default_factory=dict)
    encode: Encode | None = None


def precision_record(bank: Path) -> Path:
    """JSON file of a choice, beside the folder of the bank in the requested precision."""
    return bank.with_name(f"{bank.name}.precision.json")


def recorded_choice(record: Path, how: Extraction) -> Choice | None:
    """The choice without a comparison: float32 was requested, or a choice is recorded; else None.

    Parameters
    ----------
    record : Path
        JSON beside the bank.
    how : Extraction
        With a precision that is not "auto".

    Raises
    ------
    FewshotError
        The record is damaged.
    """
    if how.precision == "float32":
        return Choice(how)
    try:
        noted = json.loads(record.read_text(encoding="utf-8"))
        if noted["precision"] not in PRECISIONS:
            raise ValueError(f"no such precision: {noted['precision']!r}")
        return Choice(replace(how, precision=noted["precision"]), dict(noted["check"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FewshotError(
            "paths.cache", f"{record} cannot be read: {error}", "Delete that file."
        ) from None


def choose(
    record: Path, dataset: ImageDataset, backbone: Backbone, how: Extraction, remember: bool = True
) -> Choice:
    """The precision that `how` requests, or float32 if that distorts the features.

    The first choice is recorded and holds for all processes. For a choice that is not recorded
    yet: see `recorded_choice`.

    Parameters
    ----------
    record : Path
        File of the choice; nothing is written if not `remember`.
    dataset : ImageDataset
    backbone : Backbone
    how : Extraction
        With "bfloat16" or "float16" as its precision.
    """
    with stage(f"loading {backbone.name}"):
        encode = backbone.load(how.device)
    check = _compared(encode, dataset, backbone, how) | {"asked": how.precision}
    precision = verdict(check, how.precision)
    if remember:
        with FileLock(record.with_name(f"{record.name}.lock")):
            if (other := recorded_choice(record, how)) is not None:
                return replace(other, encode=encode)
            with atomic_path(record) as partial:
                content = {"precision": precision, "check": check}
                partial.write_text(json.dumps(content), encoding="utf-8")
    return Choice(replace(how, precision=precision), check, encode)


def _compared(
    encode: Encode, dataset: ImageDataset, backbone: Backbone, how: Extraction
) -> dict[str, Any]:
    rows = np.unique(np.linspace(0, len(dataset) - 1, SAMPLE).round().astype(int)).tolist()
    pixels = decode(dataset, backbone.transform, rows)
    if not len(pixels.images):
        return {"images": 0}
    images = backbone.transform.normalise(pixels.images.to(how.device))
    return compare(encode, images, how.precision, how.device)
