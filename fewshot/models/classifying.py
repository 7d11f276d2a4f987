"""Labels of images, or of features, by a fitted classifier; nothing is kept of the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.images import VARIABLE, unreadable_of
from fewshot.datasets.unread import unread_warning
from fewshot.evaluation.notices import AsWarnings, Notices
from fewshot.evaluation.predict_inputs import is_features, read_as
from fewshot.exceptions import FewshotError, expect, expect_choice
from fewshot.features.bank import FeatureBank, make_bank
from fewshot.features.given import load_unlabelled_features
from fewshot.features.ranges import unit_length
from fewshot.models.header import Header
from fewshot.models.inputs import images_to_label, is_feature_array
from fewshot.models.labels import Labels
from fewshot.progress import bar
from fewshot.tasks.classification.labelling.labels import (
    BUDGET,
    LEVEL,
    Label,
    ModelFacts,
    answers_of,
    reviewed,
)
from fewshot.tasks.classification.labelling.prediction_sets import check_set_level

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier

LIMIT = "dataset.max_pixels"  # a setting of runs
ROWS = 4096  # features that are classified at a time


class Rows(NamedTuple):
    """Features (b, D) as the head takes them, their files, and images that could not be read."""

    features: Tensor
    files: Sequence[str]
    failures: list[dict[str, Any]]


def classify(
    classifier: Classifier,
    images: Any,
    *,
    budget: float = BUDGET,
    level: float = LEVEL,
    on_error: str = "skip",
    notices: Notices | None = None,
) -> Labels:
    """Labels of images with their doubts, in the order in which the images are listed.

    Images are decoded and encoded concurrently, batch by batch; what is kept of them is the answer.
    A head that looks at all images together (transductive) gets all features at once.

    Parameters
    ----------
    classifier : Classifier
        Fitted.
    images : path or several, PIL images, arrays; or features
        Images, and folders of them at any depth; uint8 arrays (H, W, 3); a file or a bank of
        features, or an array (M, D).
    budget : float in [0, 1)
        Expected share of wrong labels among those that nobody is asked to look at.
    level : float in (0, 1)
        Of the sets of classes.
    on_error : {"skip", "raise"}
        What to do about images that cannot be read: leave them out and name them, or stop.
    notices : Notices, optional
        Told of images of kinds that are not read; warnings of Python by default.

    Raises
    ------
    FewshotError
        No image there, none that can be read, features of another network, a share out of range.
    """
    _check(budget, level, on_error)
    fitted, notices = classifier.fitted_, notices or AsWarnings()
    dataset, batches = _source(classifier, images, notices)
    together = "queries" in fitted.head.uses
    labels: list[Label] = []
    failures: list[dict[str, Any]] = []
    for rows in _joined(batches) if together else batches:
        failures += map(_without_setting, rows.failures)
        if failures and on_error == "raise":
            raise unreadable_of(failures[:1])
        with torch.inference_mode():
            labels += answers_of(fitted, rows.features, rows.files, level)
    if not labels:
        raise _none_read(failures)
    return Labels(
        reviewed(labels, budget),
        failures,
        fitted.classnames,
        budget,
        level,
        facts_of(classifier.header_),
        dataset,
    )


def _none_read(failures: Sequence[Mapping[str, Any]]) -> FewshotError:
    first, many = failures[0], len(failures)
    start = f"none of {many:,} images can be read; " if many > 1 else "cannot read image "
    problem = f"{start}{first['path']}: {first['reason']}"
    return FewshotError("images", problem, str(first.get("remedy", "")))


def _without_setting(failure: dict[str, Any]) -> dict[str, Any]:
    """Why an image cannot be read, in words that do not name a setting of runs."""
    texts = {key: str(failure[key]) for key in ("reason", "remedy") if key in failure}
    for setting, here in ((f"{LIMIT} or ", ""), (LIMIT, VARIABLE)):
        texts = {key: text.replace(setting, here) for key, text in texts.items()}
    return failure | texts


def facts_of(header: Header) -> ModelFacts:
    """What reports say of a classifier."""
    name = None if header.backbone is None else header.backbone.name
    facts = ModelFacts(
        header.name, str(header.head["name"]), name, header.images, created=header.created
    )
    error = header.error
    if error is None:
        return facts
    return ModelFacts(
        facts.name, facts.head, facts.backbone, facts.images, error.error, error.lower, error.upper,
        error.level, error.note, facts.created,
    )  # fmt: skip


def _check(budget: float, level: float, on_error: str) -> None:
    expect(
        isinstance(budget, int | float) and 0 <= budget < 1,
        "budget",
        f"expected a share of at least 0 and below 1, got {budget!r}",
    )
    check_set_level(level)
    expect_choice("on_error", on_error, ("skip", "raise"))


def _source(
    classifier: Classifier, images: Any, notices: Notices
) -> tuple[ImageDataset | None, Iterator[Rows]]:
    """The images, None if there are features alone; and features batch by batch."""
    entries = list(images) if isinstance(images, list | tuple) else [images]
    expect(len(entries) > 0, "images", "expected images or folders of images, got none")
    if is_feature_array(images) or all(is_features(entry) for entry in entries):
        entries = [images] if is_feature_array(images) else entries
        banks = [_bank_of(classifier, entry, notices) for entry in entries]
        return None, _of_banks(banks)
    for entry in entries:
        problem = f"expected images alone or features alone, got both: {entry}"
        expect(not is_features(entry), "images", problem)
    if classifier.network_ is None:
        shown = str(entries[0]) if isinstance(entries[0], str | Path) else type(entries[0]).__name__
        raise FewshotError(
            "images",
            f"expected features, as those that the classifier was fitted on, got {shown}",
            "Give a file of them, as .npz with an array features (M, D).",
        )
    dataset = _named(images_to_label(images), entries)
    if warning := unread_warning(dataset.unread):
        notices.warn(warning)
    return dataset, _of_images(classifier, dataset)


def _named(dataset: ImageDataset, entries: list[Any]) -> ImageDataset:
    """The images by the names that a script looks for them by: ``./`` in front is kept."""
    places = [str(entry) for entry in entries if isinstance(entry, str | Path)]
    dotted = {str(Path(place)) for place in places if place.startswith("./")}
    if not dotted:
        return dataset
    return replace(dataset, paths=tuple(_as_given(path, dotted) for path in dataset.paths))


def _as_given(path: str, dotted: set[str]) -> str:
    """The path with ``./`` in front, if it or a folder above it was given with it."""
    if Path(path).is_absolute():
        return path
    above = {path, *map(str, Path(path).parents)}
    return f"./{path}" if above & dotted else path


def _of_images(classifier: Classifier, dataset: ImageDataset) -> Iterator[Rows]:
    """Features of images under the network of the classifier, with a progress bar."""
    network, first = classifier.network_, 0
    assert network is not None
    with bar(len(dataset), "classifying", "image") as progress:
        for batch in network.stream(dataset):
            lost = {failure["row"] for failure in batch.failures}
            count = len(batch.features) + len(lost)
            rows = range(first, first + count)
            files = [dataset.paths[row] for row in rows if row not in lost]
            features = batch.features
            if classifier.header_.normalize == "l2":
                features = unit_length(features)
            yield Rows(features, files, batch.failures)
            progress.update(count)
            first += count


def _of_banks(banks: Sequence[FeatureBank]) -> Iterator[Rows]:
    """Features at hand; rows without a path are named by their number, over all banks."""
    first = 0
    for bank in banks:
        for start in range(0, len(bank), ROWS):
            rows = range(start, min(start + ROWS, len(bank)))
            features = bank.take(
                torch.arange(rows.start, rows.stop)
            ).float()  # as the head has them
            files = [bank.paths[row] if bank.paths else str(first + row) for row in rows]
            yield Rows(features, files, [])
        first += len(bank)


def _bank_of(classifier: Classifier, data: Any, notices: Notices) -> FeatureBank:
    """Features as they are at hand, after a look at whether they are those of the classifier."""
    bank = _opened(data, notices)
    form, note = classifier.fitted_.head.linear(), classifier.header_.backbone
    dim = note.dim if note is not None else bank.dim if form is None else form.weights.shape[-1]
    problem = f"expected {dim}-d features, as the classifier was fitted on, got {bank.dim}-d ones"
    expect(bank.dim == dim, "images", problem)
    name = str(bank.info.get("backbone", "unknown"))
    if note is not None and name not in ("unknown", note.name):
        problem = f"expected features of {note.name}, as the classifier was fitted on, got features"
        raise FewshotError("images", f"{problem} of {name}")
    return replace(bank, normalize=classifier.header_.normalize)


def _opened(data: Any, notices: Notices) -> FeatureBank:
    if isinstance(data, FeatureBank):
        return data
    if is_feature_array(data):
        features = torch.as_tensor(np.asarray(data)).float().numpy()
        return make_bank(features, np.zeros(len(features), dtype=np.int64), ["unlabelled"])
    bank = read_as("images", load_unlabelled_features, str(data))
    for notice in bank.info.get("notices", ()):
        notices.warn(notice)
    return bank


def _joined(batches: Iterator[Rows]) -> Iterator[Rows]:
    """All of them as one batch."""
    every = list(batches)
    parts = [rows.features for rows in every if len(rows.features)]
    features = torch.cat(parts) if parts else torch.empty((0, 0))
    files = [file for rows in every for file in rows.files]
    yield Rows(features, files, [failure for rows in every for failure in rows.failures])
