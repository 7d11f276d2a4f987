"""Feature banks on disk, addressed by a hash of their inputs, extracted if missing."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from fewshot.backbones.base import Backbone
from fewshot.backbones.transform import check_size
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.features.extraction.precision import resolve
from fewshot.features.extraction.precision_choice import (
    Choice,
    choose,
    precision_record,
    recorded_choice,
)
from fewshot.features.extraction.settings import Extraction
from fewshot.features.mapping import expect_scattered_rows
from fewshot.features.paths import (
    FEATURES,
    LABELS,
    NOTE,
    PATHS,
    StoredPaths,
)
from fewshot.files import new_folder, plain_name, writing

# Increased when the layout of files changes, or when the same causes give other pixels.
FORMAT = 3


def bank_causes(dataset: ImageDataset, backbone: Backbone, how: Extraction) -> dict[str, Any]:
    """Inputs that determine the content of a bank; `how` has a precision other than "auto"."""
    network = backbone.fingerprint()  # first, as it may be refused: images take long to hash
    return {
        "format": FORMAT,
        "dataset": dataset.fingerprint(),
        "backbone": network,
        "dtype": how.dtype,
        "precision": how.precision,
    }


def bank_key(causes: dict[str, Any]) -> str:
    """SHA-256 of the causes."""
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()


def bank_folder(cache: Path, dataset: ImageDataset, backbone: Backbone, key: str) -> Path:
    """Folder of the bank with this key; it need not exist."""
    return cache / f"{plain_name(dataset.name, 60)}-{plain_name(backbone.name, 60)}-{key[:16]}"


@dataclass(frozen=True)
class BankLocation:
    """Location of a bank, which need not exist.

    Attributes
    ----------
    cache : Path
    dataset : ImageDataset
    backbone : Backbone
    how : Extraction
        With a precision other than "auto".
    causes : dict
    """

    cache: Path
    dataset: ImageDataset
    backbone: Backbone
    how: Extraction
    causes: dict[str, Any]

    @classmethod
    def of(
        cls, cache: Path, dataset: ImageDataset, backbone: Backbone, how: Extraction
    ) -> BankLocation:
        """The location of a bank under `cache`."""
        how = replace(how, precision=resolve(how.precision, how.device))
        return cls(cache, dataset, backbone, how, bank_causes(dataset, backbone, how))

    def at(self, how: Extraction) -> BankLocation:
        """The location of the same bank in another precision; no image is hashed again."""
        return replace(self, how=how, causes=self.causes | {"precision": how.precision})

    @property
    def key(self) -> str:
        """SHA-256 of the causes."""
        return bank_key(self.causes)

    @property
    def folder(self) -> Path:
        """The bank's folder."""
        return bank_folder(self.cache, self.dataset, self.backbone, self.key)

    @property
    def record(self) -> Path:
        """File with the recorded choice of the precision; see ``precision_choice.py``."""
        return precision_record(self.folder)

    @property
    def ready(self) -> bool:
        """Whether the bank exists."""
        return (self.folder / NOTE).is_file()

    def recorded_choice(self) -> Choice | None:
        """The precision, if it is recorded or needs no comparison; else None."""
        return Choice(self.how) if self.ready else recorded_choice(self.record, self.how)

    def chosen(self, remember: bool = True) -> Choice:
        """The precision, after a comparison with float32 on some images if none is recorded."""
        noted = self.recorded_choice()
        if noted is not None:
            return noted
        return choose(self.record, self.dataset, self.backbone, self.how, remember)


def open_or_extract(
    dataset: ImageDataset, backbone: Backbone, cache: Path, how: Extraction | None = None
) -> FeatureBank:
    """The features of `dataset` under `backbone`, memory-mapped.

    A bank that exists is opened: no network is loaded and no image decoded. Otherwise it is
    extracted, together with any other process that wants the same bank meanwhile.

    Parameters
    ----------
    dataset : ImageDataset
    backbone : Backbone
    cache : Path
        Folder of banks.
    how : Extraction, optional
        ``how.shard`` is ignored: the whole bank is extracted.
    """
    how = replace(how or Extraction(), shard=None)
    folder = extract(dataset, backbone, cache, how)
    assert folder is not None
    bank = open_bank(folder)
    skipped = bank.info["skipped"]
    if skipped and how.on_error == "raise":
        raise unreadable_of(skipped)
    info = bank.info | {"dataset": dataset.name, "backbone": backbone.name}
    info |= {
        "left_out": list(dataset.left_out),
        "unread": [entry.as_dict() for entry in dataset.unread],
    }
    return replace(
        bank,
        classnames=dataset.classnames,
        ids=dataset.ids,
        naming=dataset.naming,
        parts=dataset.parts,
        subset=None if dataset.subset is None else np.delete(dataset.subset, _rows(skipped)),
        info=info,
    )


def is_extracted(dataset: ImageDataset, backbone: Backbone, cache: Path, how: Extraction) -> bool:
    """Whether the bank exists, so that opening it needs neither network nor images."""
    place = BankLocation.of(cache, dataset, backbone, how)
    choice = place.recorded_choice()
    return choice is not None and place.at(choice.how).ready


def extract(dataset: ImageDataset, backbone: Backbone, cache: Path, how: Extraction) -> Path | None:
    """The folder of the bank, extracted if necessary; None while other shards are missing."""
    requested = BankLocation.of(cache, dataset, backbone, how)
    if _up_to_date(requested):
        return requested.folder
    if how.device.type == "cpu":
        check_size(backbone.transform.size, min(how.batch, len(dataset)))
    with writing("paths.cache", cache), new_folder(cache):
        choice = requested.chosen()
        place = requested.at(choice.how)
        folder = place.folder
        if _up_to_date(place):
            return folder
        from fewshot.features.extraction.assemble import assemble
        from fewshot.features.extraction.extract import Extractor

        extractor = Extractor(folder, dataset, backbone, choice)
        extractor.run()
        with _exclusive(folder.with_name(f"{folder.name}.lock")):
            if not (folder / NOTE).is_file():  # another process may have been faster
                if len(extractor.chunks.done()) < extractor.plan.chunks:
                    return None
                note = {"key": place.key, "causes": place.causes, "backbone": backbone.name}
                assemble(folder, extractor.chunks, extractor.plan, dataset, note)
            extractor.chunks.remove()
    return folder


def _up_to_date(place: BankLocation) -> bool:
    """Whether the bank exists; one that lacks images which can be read by now is removed."""
    if not place.ready or not _lacks_images(place):
        return place.ready
    with _exclusive(place.folder.with_name(f"{place.folder.name}.lock")):
        if place.ready and _lacks_images(place):  # another process may have been faster
            shutil.rmtree(place.folder)
    return place.ready


def _lacks_images(place: BankLocation) -> bool:
    """Whether images were skipped for want of a plug-in or a setting that is there now."""
    try:
        skipped = json.loads((place.folder / NOTE).read_text(encoding="utf-8"))["skipped"]
        rows = [failure["row"] for failure in skipped if failure.get("remedy")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # damage is reported when the bank is opened
    return any(_can_be_read(place.dataset, row) for row in rows)


def _can_be_read(dataset: ImageDataset, row: int) -> bool:
    try:
        dataset.read(row)
    except UnreadableImageError:
        return False
    return True


def open_bank(folder: Path) -> FeatureBank:
    """Open a stored bank; features are memory-mapped, and file names are read on demand."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        # Copy-on-write: torch wants writable memory, and nothing that is written reaches the file.
        features = np.load(folder / FEATURES, mmap_mode="c", allow_pickle=False)
        expect_scattered_rows(features)
        labels = np.load(folder / LABELS, allow_pickle=False)
        names, parts = tuple(note.pop("classnames")), note.pop("parts")
        note["skipped"]  # a missing key is damage
        if features.shape != (note["images"], note["dim"]) or len(labels) != len(features):
            raise ValueError(
                f"{features.shape} features and {len(labels)} labels, where the note says "
                f"({note['images']}, {note['dim']})"
            )
        if not (folder / PATHS).is_file():
            raise ValueError(f"{PATHS} is missing")
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise FewshotError(
            "paths.cache",
            f"the feature bank {folder} cannot be read: {error}",
            "Delete that folder; it is extracted again.",
        ) from None
    paths = StoredPaths(folder / PATHS, len(features))
    return FeatureBank(features, labels, names, paths, parts and tuple(parts), info=note)


def _rows(skipped: list[dict[str, Any]]) -> NDArray:
    return np.array([image["row"] for image in skipped], dtype=np.int64)


class _exclusive:  # noqa: N801  used as a function
    """Hold the lock of a bank, with a message while waiting for another process."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path)

    def __enter__(self) -> None:
        try:
            self.lock.acquire(timeout=0.2)
        except Timeout:
            print("Another process writes this bank; waiting for it.", file=sys.stderr)
            self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
