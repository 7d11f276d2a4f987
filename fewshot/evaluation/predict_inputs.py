"""Inputs of a prediction: labelled images or features, and unlabelled ones without copies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.datasets.unread import unread_warning
from fewshot.evaluation.build import warn_left_out
from fewshot.evaluation.notices import Notices
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank, make_bank
from fewshot.features.given import is_feature_file, load_features, load_unlabelled_features
from fewshot.features.paths import is_bank
from fewshot.features.row_keys import row_keys
from fewshot.files import path_error
from fewshot.paths import places_of_environment
from fewshot.units import counted

UNLABELLED, QUERY = "unlabelled", "query"
# Mixtures of the classes compare all images with all others.
MOST_IMAGES = 3000


class UnlabelledRows(NamedTuple):
    """Features (U, D) of unlabelled images, and their files: paths, or row numbers as text."""

    features: NDArray
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class UnlabelledImages:
    """Images that are unlabelled, each once, and none of them a shot.

    Attributes
    ----------
    datasets : dict of str to ImageDataset
        To extract: "unlabelled", "query" (whole, as its images are labelled).
    rows : dict of str to ndarray of int
        Of these images those that count as unlabelled.
    notes : tuple of str
        What was left out.
    """

    datasets: dict[str, ImageDataset]
    rows: dict[str, NDArray]
    notes: tuple[str, ...]

    @property
    def query(self) -> ImageDataset | None:
        """The images to label."""
        return self.datasets.get(QUERY)

    def rows_of(self, banks: dict[str, FeatureBank]) -> UnlabelledRows | None:
        """The unlabelled images; None if there are none.

        Images that could not be read are not in the banks.
        """
        kept = {kind: self._kept(banks[kind], kind) for kind in self.datasets}
        if not any(map(len, kept.values())):
            return None
        features = [_taken(banks[kind], rows) for kind, rows in kept.items()]
        files = (_files(banks[kind])[row] for kind, rows in kept.items() for row in rows)
        return UnlabelledRows(np.concatenate(features), tuple(files))

    def _kept(self, bank: FeatureBank, kind: str) -> NDArray:
        read = np.delete(
            np.arange(len(self.datasets[kind])), [image["row"] for image in bank.info["skipped"]]
        )
        return np.flatnonzero(np.isin(read, self.rows[kind]))


def argument_of(kind: str) -> str:
    """The argument of `fewshot.predict` that data of a kind ("support", "base", ...) come by."""
    return "images" if kind == "support" else kind


def labelled_bank(data: Any, kind: str) -> FeatureBank:
    """Features that are given, at unit length, all classes alike."""
    argument = argument_of(kind)
    expect(is_features(data), argument, f"expected features, as the support is, got {data}")
    if isinstance(data, FeatureBank):
        bank = data
    else:
        bank = read_as(argument, lambda path: load_features("features", path), str(data))
    for notice in bank.info.get("notices", ()):
        print(f"fewshot: {notice}", file=sys.stderr)
    skipped = bank.info.get("skipped", [])
    return replace(bank, parts=None, normalize="l2", info=bank.info | {"skipped": skipped})


def labelled_folder(data: Any, kind: str, on_error: str) -> ImageDataset:
    """The images of a folder with a sub-folder per class, or listed ones.

    Raises
    ------
    FewshotError
        No such folder, or no images in it.
    """
    if isinstance(data, ImageDataset):
        warn_left_out(data)
        return data
    argument = argument_of(kind)
    expect(isinstance(data, str | Path), argument, f"expected a folder of images, got {data!r}")
    try:
        folder = Path(os.path.realpath(Path(data).expanduser()))  # `resolve` fails for loops
        folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a path that no file can have
        raise path_error(error, argument, data) or error from None
    name = folder.name
    settings = {"kind": "folder", "name": name, "root": str(data), "split": "none"}
    try:
        dataset = load_dataset(settings | {"on_error": on_error}, places_of_environment())
    except FewshotError as error:
        if error.argument != "dataset.root":
            raise
        raise FewshotError(argument, error.problem, error.remedy) from None
    assert isinstance(dataset, ImageDataset)
    classes = len(np.unique(dataset.labels))
    expect(  # before any network is loaded
        classes > 1,
        argument,
        f"expected two classes or more, got {classes}",
        "Give a sub-folder of images per class.",
    )
    warn_left_out(dataset)
    return dataset


def unlabelled_images(
    unlabelled: Any, query: Any, support: ImageDataset, notices: Notices
) -> UnlabelledImages:
    """The unlabelled images among `unlabelled` and `query`, paths or listed images.

    Raises
    ------
    FewshotError
        Features, no images there, or shots alone in `unlabelled`.
    """
    datasets = {
        kind: _listed(data, kind, notices)
        for kind, data in ((QUERY, query), (UNLABELLED, unlabelled))
        if data is not None
    }
    seen = set(_content(support))
    shots, rows, notes = frozenset(seen), dict[str, NDArray](), list[str]()
    for kind, dataset in datasets.items():
        content, before = _content(dataset), seen - shots
        rows[kind] = _first_of_each(content, seen)
        notes += _left_out(kind, content, shots, before, len(rows[kind]))
    if UNLABELLED in datasets:
        _check_left(datasets[UNLABELLED], shots, rows)
        chosen, note = _sampled(rows[UNLABELLED], MOST_IMAGES - len(rows.get(QUERY, ())))
        notes += note
        datasets[UNLABELLED] = replace(datasets[UNLABELLED].take_rows(chosen), name=UNLABELLED)
        rows[UNLABELLED] = np.arange(len(chosen))
        if not len(chosen):
            del datasets[UNLABELLED], rows[UNLABELLED]
    if QUERY in rows:
        rows[QUERY], note = _sampled(rows[QUERY], MOST_IMAGES)
        notes += note
    return UnlabelledImages(datasets, rows, tuple(notes))


def read_as(argument: str, read: Callable[[str], FeatureBank], path: str) -> FeatureBank:
    """Features from a file; errors name the argument in place of the setting of runs."""
    try:
        return read(path)
    except FewshotError as error:
        setting, _, file = error.argument.partition("=")
        if setting != "dataset.path":
            raise
        problem = f"{file}: {error.problem}" if file else error.problem
        raise FewshotError(argument, problem, error.remedy) from None


def unlabelled_features(
    data: Any, support: FeatureBank
) -> tuple[UnlabelledRows | None, tuple[str, ...]]:
    """Features of unlabelled images, at unit length, and notes on what was left out.

    Parameters
    ----------
    data : path, FeatureBank or array of shape (U, D), or several
    support : FeatureBank

    Raises
    ------
    FewshotError
        Images, features of another network, or shots alone.
    """
    if data is None:
        return None, ()
    notes: list[str] = []
    entries = _several(data)
    expect(bool(entries), UNLABELLED, "expected features, got none")
    banks = [_bank(entry, support, notes) for entry in entries]
    keys = np.concatenate([_keys(bank) for bank in banks])
    shots = frozenset(_keys(support).tolist())
    content = keys.tolist()
    rows = _first_of_each(content, set(shots))
    notes += _left_out(UNLABELLED, content, shots, set(), len(rows))
    expect(len(rows) > 0, UNLABELLED, *_shots_alone(len(content)))
    rows, note = _sampled(rows, MOST_IMAGES)
    first = np.cumsum([0, *map(len, banks)])
    parts = [
        _taken(bank, rows[(rows >= start) & (rows < start + len(bank))] - start)
        for bank, start in zip(banks, first, strict=False)
    ]
    files = [
        name for bank, start in zip(banks, first, strict=False) for name in _files(bank, start)
    ]
    return UnlabelledRows(np.concatenate(parts), tuple(files[row] for row in rows)), (*notes, *note)


def is_features(data: Any) -> bool:
    """Whether it is a bank, or the path of features; a path that no file can have is none."""
    if isinstance(data, FeatureBank):
        return True
    if not isinstance(data, str | Path):
        return False
    try:
        return is_feature_file(data) or is_bank(Path(data).expanduser())
    except (OSError, RuntimeError, ValueError) as error:
        if path_error(error) is None:
            raise
        return False  # whoever reads it says why


def _listed(data: Any, kind: str, notices: Notices) -> ImageDataset:
    if isinstance(data, ImageDataset):
        return data
    paths = _several(data)
    expect(bool(paths), kind, "expected images or folders of images, got none")
    for path in paths:
        expected = "expected images or folders of images, as the support is"
        if is_features(path) or not isinstance(path, str | Path):
            shown = str(path) if isinstance(path, str | Path) else type(path).__name__
            raise FewshotError(kind, f"{expected}, got features: {shown}")
    dataset = load_files([str(path) for path in paths], kind)
    if warning := unread_warning(dataset.unread):
        notices.warn(warning)
    return dataset


def _several(data: Any) -> list[Any]:
    return list(data) if isinstance(data, list | tuple) else [data]


def _content(dataset: ImageDataset) -> Sequence[str]:
    """Hashes of what is in the files; without files no image is taken for a copy of another."""
    if dataset.digests is not None:
        return dataset.digests()
    return [f"{dataset.name} {id(dataset)} {row}" for row in range(len(dataset))]


def _first_of_each(content: Iterable[Any], seen: set[Any]) -> NDArray:
    """Rows of contents that were not seen before; `seen` grows by them."""
    rows = []
    for row, entry in enumerate(content):
        if entry not in seen:
            seen.add(entry)
            rows.append(row)
    return np.array(rows, dtype=np.int64)


def _left_out(
    kind: str, content: Sequence[Any], shots: frozenset[Any], queries: set[Any], kept: int
) -> Iterator[str]:
    """Notes on images that are shots, queries, or copies of images that are there already."""
    of_shots = sum(entry in shots for entry in content)
    of_queries = sum(entry in queries for entry in content)
    whose = "query image" if kind == QUERY else "unlabelled image"
    for count, where, do in (
        (of_shots, "among the labelled ones", "not counted as unlabelled"),
        (of_queries, "among the query images", "counted once"),
    ):
        if count:
            are = "is" if count == 1 else "are"
            yield f"{counted(count, whose)} {are} {where} as well, and {do}"
    if copies := len(content) - of_shots - of_queries - kept:
        are = "is a copy" if copies == 1 else "are copies"
        yield f"{counted(copies, whose)} {are} of others, and counted once"


def _check_left(dataset: ImageDataset, shots: frozenset[Any], rows: dict[str, NDArray]) -> None:
    if not any(map(len, rows.values())) and all(entry in shots for entry in _content(dataset)):
        raise FewshotError(UNLABELLED, *_shots_alone(len(dataset)))


def _shots_alone(images: int) -> tuple[str, str]:
    return (
        f"expected other images than the shots, got {counted(images, 'image')}, all of them shots",
        "Give images of the same kind that have no labels.",
    )


def _sampled(rows: NDArray, most: int) -> tuple[NDArray, list[str]]:
    """At most so many of the rows, at random, in order."""
    most = max(0, most)
    if len(rows) <= most:
        return rows, []
    chosen = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return chosen, [f"of {len(rows):,} unlabelled images {most:,} were taken at random"]


def _bank(data: Any, support: FeatureBank, notes: list[str]) -> FeatureBank:
    """Features without labels, in the space of the support."""
    if isinstance(data, str | Path):
        expect(is_features(data), UNLABELLED, f"expected features, as the support is, got {data}")
        bank = read_as(UNLABELLED, load_unlabelled_features, str(data))
        notes += bank.info.get("notices", ())
        labelled = bank.info["labelled"]
    elif isinstance(data, FeatureBank):
        bank, labelled = data, len(data.classnames) > 1
    else:
        expect(
            len(getattr(data, "shape", ())) == 2,
            UNLABELLED,
            f"expected features (M, D), a bank or a file of them, got {type(data).__name__}",
        )
        bank, labelled = make_bank(data, np.zeros(len(data), dtype=np.int64), ["unlabelled"]), False
    expect(
        bank.dim == support.dim,
        UNLABELLED,
        f"expected {support.dim}-d features, as those of the support, got {bank.dim}-d ones",
    )
    names = [str(entry.info.get("backbone", "unknown")) for entry in (support, bank)]
    expect(
        names[0] == names[1] or "unknown" in names,
        UNLABELLED,
        f"expected features of {names[0]}, as those of the support, got features of {names[1]}",
    )
    if labelled:
        notes.append("labels of unlabelled features were not looked at")
    return replace(bank, parts=None, normalize=support.normalize)


def _files(bank: FeatureBank, first: int = 0) -> Sequence[str]:
    """Paths, or the numbers of the rows from `first` on."""
    return bank.paths or [str(first + row) for row in range(len(bank))]


def _keys(bank: FeatureBank) -> NDArray:
    return row_keys(np.asarray(bank.features, np.float32))


def _taken(bank: FeatureBank, rows: NDArray) -> NDArray:
    import torch

    features: NDArray = bank.take(torch.from_numpy(rows)).float().numpy()
    return features
