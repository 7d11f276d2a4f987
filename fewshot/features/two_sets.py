"""Shots from one data set, queries from another with the same class names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import folded
from fewshot.datasets.part_names import NOVEL
from fewshot.episodes.class_pool import TEST, TRAIN
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.bank import OF_ALL_ROWS, FeatureBank
from fewshot.features.data_warnings import named
from fewshot.memory import expect_fits

SETTING = "episodes.queries_from"


def with_queries_of(
    shots: FeatureBank, queries: FeatureBank, missing: str = "raise", part: str | None = None
) -> FeatureBank:
    """One bank of two: ``subset`` is "train" for the images of `shots`, "test" for the others.

    Samplers draw shots and unlabelled images from the first and queries from the second (domain
    shift; as ImageNet and ImageNet-V2). Classes are matched by their names, or else by their
    identifiers, without regard to case, Unicode form and the choice among ``_``, ``-`` and space.
    Names, text vectors and parts are those of `shots`. Where a set comes split by image, shots are
    its training images, queries its test images. Base classes keep the images of `shots` alone.

    Parameters
    ----------
    shots, queries : FeatureBank
        Of one backbone.
    missing : {"raise", "drop"}
        What to do about classes of `shots` that `queries` does not have. What only `queries` has is
        left out.
    part : {"novel", "validation", "base"}, optional
        The classes that episodes will be drawn from; "novel" by default.

    Returns
    -------
    FeatureBank
        ``info["dataset"]`` is ``"A -> B"``, ``info["queries_from"]`` is B.

    Raises
    ------
    FewshotError
        Features of different lengths, backbones or normalisation; a class that is missing; no class
        in common.
    """
    expect_choice("episodes.min_images", missing, ("raise", "drop"))
    _check_alike(shots, queries)
    match = matched_classes(shots, queries)
    judged = _judged(shots, part)
    missed = np.flatnonzero(judged & (match < 0))
    if missing == "raise" or len(missed) == judged.sum():
        _check_missing(shots, queries, missed)
    kept = np.flatnonzero((match >= 0) | ~judged)
    number = np.full(len(shots.classnames) + 1, -1)
    number[kept] = np.arange(len(kept))
    target = np.full(len(queries.classnames) + 1, -1)
    partners = np.flatnonzero(judged & (match >= 0))
    target[match[partners]] = number[partners]
    first = _rows(shots, number, TRAIN, np.flatnonzero(judged))
    second = _rows(queries, target, TEST)
    return _joined(shots, queries, kept, (first, number), (second, target))


def expect_single(bank: FeatureBank, where: str) -> None:
    """Raise if the bank is of two data sets, which `where` (a sampler, a task) cannot draw from."""
    expect("queries_from" not in bank.info, SETTING, f"expected null with {where}")


def matched_classes(shots: FeatureBank, queries: FeatureBank) -> NDArray:
    """Number of the class of `queries` for every class of `shots`; -1 where there is none: (C,).

    Raises
    ------
    FewshotError
        Two classes of a set have the same name, apart from its spelling.
    """
    by_name = _numbers(queries.classnames, queries)
    by_id = _numbers(queries.identifiers, queries)
    match = np.full(len(shots.classnames), -1)
    for c, words in enumerate(zip(shots.classnames, shots.identifiers, strict=True)):
        for word in map(folded, words):
            if match[c] < 0:
                match[c] = by_name.get(word, by_id.get(word, -1))
    taken = match[match >= 0]
    twice = [queries.classnames[c] for c in np.flatnonzero(np.bincount(taken, minlength=1) > 1)]
    expect(
        not twice, SETTING,
        f"two classes of {_name(shots)} match {twice[:1]} of {_name(queries)}",
        "Rename one of them: dataset.classnames.",
    )  # fmt: skip
    return match


def _numbers(names: Sequence[str], bank: FeatureBank) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for c, name in enumerate(names):
        other = numbers.setdefault(folded(name), c)
        if other != c:
            raise FewshotError(
                SETTING,
                f"classes {names[other]!r} and {name!r} of {_name(bank)} differ in spelling only",
                "Classes are matched by name: rename one of them.",
            )
    return numbers


def _judged(bank: FeatureBank, part: str | None) -> NDArray:
    """Classes (C,), bool, that queries are drawn from: of the part, and not without images."""
    judged = np.zeros(len(bank.classnames), dtype=bool)
    judged[bank.classes()] = True
    if bank.parts is not None:
        judged &= np.array([name == (part or NOVEL) for name in bank.parts])
    return judged


def _rows(bank: FeatureBank, number: NDArray, subset: str, split: NDArray | None = None) -> NDArray:
    """Rows of the classes that are kept; of those in `split`, all by default, in their subset.

    Sets of which no image is in this subset have all their images.
    """
    kept = number[bank.labels] >= 0
    if bank.subset is not None and bool((bank.subset == subset).any()):
        within = np.ones(len(bank), dtype=bool) if split is None else np.isin(bank.labels, split)
        kept &= (bank.subset == subset) | ~within
    return np.flatnonzero(kept)


def _joined(
    shots: FeatureBank,
    queries: FeatureBank,
    kept: NDArray,
    *sides: tuple[NDArray, NDArray],
) -> FeatureBank:
    """The bank of both: rows and new numbers of classes on either side."""
    pairs = list(zip((shots, queries), sides, strict=True))
    dtype = np.result_type(shots.features.dtype, queries.features.dtype)
    total = sum(len(rows) for rows, _ in sides)
    expect_fits(SETTING, total, shots.dim * dtype.itemsize, "images of two data sets")
    paths = None
    if shots.paths is not None and queries.paths is not None:
        paths = tuple(bank.paths[row] for bank, (rows, _) in pairs if bank.paths for row in rows)
    ids, parts, text = shots.ids, shots.parts, shots.text
    return replace(
        shots,
        features=np.concatenate([bank.features[rows].astype(dtype) for bank, (rows, _) in pairs]),
        labels=np.concatenate([number[bank.labels[rows]] for bank, (rows, number) in pairs]),
        classnames=tuple(shots.classnames[c] for c in kept),
        paths=paths,
        subset=np.repeat([TRAIN, TEST], [len(rows) for rows, _ in sides]),
        ids=None if ids is None else tuple(ids[c] for c in kept),
        parts=None if parts is None else tuple(parts[c] for c in kept),
        text=None if text is None else text[kept],
        info=_info(shots, queries, kept),
    )


def _info(shots: FeatureBank, queries: FeatureBank, kept: NDArray) -> dict[str, Any]:
    """What is known of the first, and which is the second."""
    info = {key: value for key, value in shots.info.items() if key not in OF_ALL_ROWS}
    absent = sorted(set(range(len(shots.classnames))) - set(kept.tolist()))
    info |= {
        "dataset": f"{_name(shots)} -> {_name(queries)}",
        "queries_from": _name(queries),
        "without_queries": [shots.classnames[c] for c in absent],
    }
    if "key" in shots.info and "key" in queries.info:
        names = repr((shots.hash(), queries.hash(), [shots.classnames[c] for c in kept]))
        info["key"] = hashlib.sha256(names.encode()).hexdigest()
    return info


def _check_alike(shots: FeatureBank, queries: FeatureBank) -> None:
    """Raise unless features of both can be compared."""
    for what, first, second in (
        ("features of equal length", shots.dim, queries.dim),
        ("features of equal normalisation", shots.normalize, queries.normalize),
        ("features of one backbone", _backbone(shots), _backbone(queries)),
    ):
        expect(
            first == second or "unknown" in (first, second), SETTING,
            f"expected {what}, got {first} in {_name(shots)} and {second} in {_name(queries)}",
        )  # fmt: skip


def _check_missing(shots: FeatureBank, queries: FeatureBank, missed: NDArray) -> None:
    """Raise if there are classes of `shots`, (C,), that `queries` does not have."""
    if not len(missed):
        return
    names, others = ([bank.classnames[c] for c in bank.classes()] for bank in (shots, queries))
    has_some = len(missed) < len(names)
    raise FewshotError(
        SETTING,
        f"{len(missed)} of {len(shots.classnames)} classes have no queries: "
        f"{named([shots.classnames[c] for c in missed])}; {_name(queries)} has {named(others)}",
        "Set episodes.min_images=drop to leave them out, or rename them: dataset.classnames."
        if has_some
        else "Classes are matched by their names; rename those of one set: dataset.classnames.",
    )


def _name(bank: FeatureBank) -> str:
    return str(bank.info.get("dataset", "features"))


def _backbone(bank: FeatureBank) -> str:
    return str(bank.info.get("backbone", "unknown"))
