"""Forecast the error of heads fitted on a few labelled images, under several backbones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.datasets.base import ImageDataset
from fewshot.estimators.auto import Auto
from fewshot.estimators.calibration.intervals import check_level
from fewshot.evaluation.forecasts import Forecasts, Sources
from fewshot.evaluation.named import heads_of_classes_alike
from fewshot.evaluation.networks import Network, Usable, network_named
from fewshot.evaluation.notices import AsWarnings, Notices
from fewshot.evaluation.predict_inputs import (
    UnlabelledImages,
    argument_of,
    is_features,
    labelled_bank,
    labelled_folder,
    unlabelled_features,
    unlabelled_images,
)
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    expect_positive_int,
    expect_repeats,
)
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.progress import counted_work
from fewshot.tasks.calibration.choosing import space_of
from fewshot.tasks.classification.forecast.choice import in_order
from fewshot.tasks.classification.forecast.forecast import Forecast, forecast
from fewshot.tasks.classification.forecast.learning_curve import MORE, check_share
from fewshot.tasks.classification.forecast.next_labels import NEXT

BACKBONES, HEADS = ("efficientnet_lite0",), ("ncm", "lda", "ridge", "logistic")
NAMED = 5  # classes in an error


def predict(
    images: Any,
    *,
    backbone: str | Iterable[str] = BACKBONES,
    head: str | Head | Iterable[str | Head] = HEADS,
    base: Any = None,
    unlabelled: Any = None,
    query: Any = None,
    target: float | None = None,
    more: int | Iterable[int] = MORE,
    next_labels: int | None = None,
    calibrator: str | None = None,
    level: float = 0.9,
    on_error: str = "skip",
    device: str = "auto",
    weights: str | Path | None = None,
    size: int | None = None,
    notices: Notices | None = None,
) -> Forecasts:
    """Predict the error of classifiers fitted on a few labelled images; no validation set needed.

    Parameters
    ----------
    images : str, Path or FeatureBank
        A folder with a sub-folder of images per class; or features: a bank, or a file with
        labels, which get unit length as those of images do.
    backbone : str, or several
        As for `fewshot.extract`. Of several, those that cannot be used, as without weights, are
        left out with a warning.
    head : str, Head, or several
    base : str, Path or FeatureBank, optional
        Other classes with labels, of the same kind of images: a sharper prediction.
    unlabelled : path, or several, optional
        Images without labels, or folders of them at any depth, most of them of the classes: a much
        sharper prediction, beside the one from the support alone. Shots among them and copies are
        left out. With features as the support: a file or bank of features, or an array (U, D).
    query : path, or several, optional
        Images to label (``.label()``), or folders of them. They count as unlabelled images too.
    target : float in (0, 1), optional
        Error to reach: the answer says how many images per class it takes.
    more : int, or several
        Further images per class to look ahead to.
    next_labels : int, optional
        How many of the unlabelled images to list that should be labelled next, 10 by default.
    calibrator : str, optional
        JSON of ``fewshot calibrate``.
    level : float
        Nominal coverage of the intervals.
    on_error : {"skip", "raise"}
        What to do about images that cannot be read. Those that are passed over are named.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    size : int, optional
        Input of the network in pixels.
    notices : Notices, optional
        What warns; Python's warnings by default.

    Returns
    -------
    Forecasts
        Prints as the terminal does. ``.answer`` in sentences; ``.best``, ``.table``, ``.curve``,
        ``.target(0.05)``, ``.confusion``, ``.suspects``, ``.next_labels``, ``.unlabelled_curve``
        and ``.scores``; ``.page(path)``, ``.label(images)``.

    Raises
    ------
    FewshotError
        No such folder, fewer than two classes, a class of which no image can be read, an unknown
        head, no backbone that can be used; unlabelled images that are all shots.
    """
    names = [backbone] if isinstance(backbone, str) else list(backbone)
    expect(bool(names), "backbone", "expected at least one, got none")
    heads = heads_of_classes_alike(head)
    _check_needs(heads)
    steps = further_images(more)
    if target is not None:
        check_share("target", target)
    if next_labels is not None:
        expect_positive_int("next_labels", next_labels)
        expect(unlabelled is not None or query is not None, "next_labels",
               "expected unlabelled or query images to choose from, got none")  # fmt: skip
    expect_choice("on_error", on_error, ("skip", "raise"))
    estimator = Auto(calibrator=calibrator, level=check_level("level", level))
    estimator.general()  # a wrong calibrator is said before images are read
    notices = notices or AsWarnings()
    if is_features(images):
        expect(query is None, "query", "expected a folder of images to go with it, got features")
        read = _read_features(images, base, unlabelled)
    else:
        usable = Usable(names, notices)
        folders = _folders(images, base, on_error)
        others = unlabelled_images(unlabelled, query, folders["support"], notices)
        networks = usable.of(
            usable.names,
            lambda name: network_named(
                name, device=device, weights=weights, size=size, on_error=on_error
            ),
            last=False,
        )
        read = _read_images(usable, networks, folders, others)
    rows: list[Forecast] = []
    for parts in counted_work(read.banks, "predictions", "backbones"):
        support = parts["support"]
        estimator.general().check_space(space_of(support))
        further = read.sources.unlabelled[_name(support)]
        rows += forecast(
            support,
            heads,
            base=parts.get("base"),
            unlabelled=None if further is None else further.features,
            estimator=estimator,
            more=steps,
        )
    read.sources.heads.update(heads)
    return Forecasts(
        in_order(rows),
        _sizes(read.banks[0]["support"]),
        [
            image
            for parts in read.banks
            for bank in parts.values()
            for image in bank.info["skipped"]
        ],
        level,
        read.notes,
        read.sources,
        target,
        NEXT if next_labels is None else next_labels,
    )


def _check_needs(heads: Mapping[str, Head]) -> None:
    """Raise for a head that needs more than labelled features, which are all that there is."""
    for name, head in heads.items():
        if head.uses & {"text", "text_gaussians"}:
            raise FewshotError(
                "head",
                f"{name} reads class names, and here heads see the labelled images alone",
                f"Take another; `fewshot head={name}` evaluates it, with texts.",
            )
        if "base" in head.uses and head.get_params().get("center") == "base":
            raise FewshotError(
                "head",
                f"{name} centres features on base classes, and here heads see the labelled images "
                "alone",
                f"In Python take head=fewshot.heads.{type(head).__name__}(center='support').",
            )


def further_images(more: int | Iterable[int]) -> list[int]:
    """Numbers of further images per class, each once, in order.

    Raises
    ------
    FewshotError
        None, or one that is no positive integer.
    """
    entries = [more] if isinstance(more, int) else list(more)
    expect(bool(entries), "more", "expected at least one number of images, got none")
    for entry in entries:
        expect_repeats("more", entry)
    return sorted(set(entries))


@dataclass(frozen=True, eq=False)
class _Read:
    """Features of every backbone by kind ("support", "base", ...), and where they are from."""

    banks: list[dict[str, FeatureBank]]
    sources: Sources
    notes: tuple[str, ...]


def _folders(images: Any, base: Any, on_error: str) -> dict[str, ImageDataset]:
    labelled = {"support": images} | ({} if base is None else {"base": base})
    return {kind: labelled_folder(data, kind, on_error) for kind, data in labelled.items()}


def _read_features(images: Any, base: Any, unlabelled: Any) -> _Read:
    labelled = {"support": images} | ({} if base is None else {"base": base})
    banks = {kind: labelled_bank(data, kind) for kind, data in labelled.items()}
    support = banks["support"]
    further, notes = unlabelled_features(unlabelled, support)
    file = "" if isinstance(images, FeatureBank) else Path(images).expanduser().resolve().stem
    name = _name(support)
    sources = Sources(file, supports={name: support}, unlabelled={name: further})
    return _Read([banks], sources, notes)


def _read_images(
    usable: Usable,
    networks: Mapping[str, Network],
    folders: Mapping[str, ImageDataset],
    others: UnlabelledImages,
) -> _Read:
    """Features of all images under every network."""
    datasets = {**folders, **others.datasets}
    banks = usable.of(
        networks,
        lambda name: {kind: _bank(networks[name], kind, data) for kind, data in datasets.items()},
    )
    sources = Sources(folders["support"].name, images=folders["support"], others=others.datasets)
    for name, parts in banks.items():
        support = parts["support"]
        _check_classes(folders["support"], support)
        sources.supports[_name(support)] = support
        sources.unlabelled[_name(support)] = others.rows_of(parts)
        sources.networks[_name(support)] = networks[name]
    return _Read([*banks.values()], sources, others.notes)


def _bank(extract: Network, kind: str, images: ImageDataset) -> FeatureBank:
    """Features of images; errors about these name the argument that they came by."""
    try:
        return extract(images)
    except FewshotError as error:
        if error.argument != "dataset":
            raise
        raise FewshotError(argument_of(kind), error.problem, error.remedy) from None


def _check_classes(images: ImageDataset, bank: FeatureBank) -> None:
    """Raise if no image of some class can be read."""
    lost = sorted(set(images.labels.tolist()) - set(bank.labels.tolist()))
    if not lost:
        return
    names = [images.classnames[c] for c in lost]
    more = f" and {len(names) - NAMED} more" * (len(names) > NAMED)
    first = next(image for image in bank.info["skipped"] if images.labels[image["row"]] == lost[0])
    raise FewshotError(
        "images",
        f"expected an image of every class that can be read, got none of "
        f"{', '.join(names[:NAMED])}{more} ({first['path']}: {first['reason']})",
        "Mend the images, or remove the folder.",
    )


def _name(bank: FeatureBank) -> str:
    return str(bank.info.get("backbone", "unknown"))


def _sizes(bank: FeatureBank) -> dict[str, int]:
    size = np.bincount(bank.labels, minlength=len(bank.classnames))
    return {name: int(size[c]) for c, name in enumerate(bank.classnames) if size[c]}
