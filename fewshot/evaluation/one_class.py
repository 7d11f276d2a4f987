"""``fewshot task=one_class``: features, names and base classes from the configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.build import (
    as_base,
    described_backbone,
    features_of,
    labels_only,
    other_dataset,
)
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.features.data_warnings import data_warnings
from fewshot.paths import card
from fewshot.report.text.left_out import left_out_text
from fewshot.tasks.engine.judged_part import judged_part
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.one_class.names import (
    Encode,
    encoder_of,
    name_vectors,
    say_left_out,
    without_text,
)
from fewshot.tasks.one_class.plan import Base, judged_classes, tasks_of
from fewshot.tasks.one_class.scores import NameVectors
from fewshot.tasks.one_class.settings import OneClassSettings
from fewshot.tasks.one_class.task import OneClassResult, Recall, evaluate_one_class

TEXT = frozenset({"text"})


class OneClassNouns(NamedTuple):
    """Inputs of one-class tasks.

    Attributes
    ----------
    wanted : OneClassSettings
    bank : FeatureBank
    names : NameVectors
    base : Base or None
    taxonomy : mapping or None
        From the data set's card.
    absent : dict of str to str
        Unavailable sources of confusers, and the reason.
    """

    wanted: OneClassSettings
    bank: FeatureBank
    names: NameVectors
    base: Base | None
    taxonomy: Mapping[str, Any] | None
    absent: dict[str, str]


def one_class_run(
    settings: dict[str, Any], engine: Settings, recall: Recall
) -> tuple[FeatureBank, OneClassResult, list[dict[str, Any]]]:
    """Evaluate the one-class tasks of a configuration, unless `recall` has the cells.

    Returns
    -------
    bank : FeatureBank
    result : OneClassResult
    left_out : list of dict
        Rules and sources of confusers that were not used: ``head``, ``shots`` and ``reason``.
    """
    task_settings, bank, names, base, taxonomy, absent = one_class_nouns(settings, engine.device)
    with tqdm(total=task_settings.tasks, unit="task", desc="tasks", disable=None) as bar:
        with_progress = replace(engine, progress=bar.update)
        result = evaluate_one_class(
            bank, names, task_settings, with_progress, settings["seed"],
            base=base, taxonomy=taxonomy, recall=recall,
        )  # fmt: skip
    if result.left_out:
        print(f"fewshot: left out: {left_out_text(result.left_out)}", file=sys.stderr)
    unavailable = [
        {"head": f"source {source}", "shots": None, "reason": why} for source, why in absent.items()
    ]
    return bank, result, [*result.left_out, *unavailable]


def one_class_nouns(settings: dict[str, Any], device: torch.device) -> OneClassNouns:
    """Return features, names and base classes; checks that tasks can be drawn first."""
    task_settings = OneClassSettings.of(settings["one_class"])
    source = settings["text"]["source"]
    expect(
        source == "templates",
        "text.source",
        f"expected templates for task=one_class, as confusers have no descriptions, got {source}",
    )

    def check(bank: FeatureBank) -> None:
        tasks_of(bank, task_settings, settings["seed"], _taxonomy(bank))

    part = settings["episodes"]["part"]
    bank, encode = _named_bank(settings, device, lambda loaded: check(judged_part(loaded, part)))
    bank = judged_part(bank, part)
    names, absent = name_vectors(settings, task_settings, bank, judged_classes(bank), encode)
    say_left_out(absent)
    base = _base(settings, task_settings, device, bank, names, encode)
    return OneClassNouns(task_settings, bank, names, base, _taxonomy(bank), absent)


def _taxonomy(bank: FeatureBank) -> Mapping[str, Any] | None:
    """Return the taxonomy of the data set's card, or None."""
    taxonomy: Mapping[str, Any] | None = card(str(bank.info.get("dataset", ""))).get("taxonomy")
    return taxonomy


def _named_bank(
    settings: dict[str, Any],
    device: torch.device,
    check: Callable[[FeatureBank], object] | None = None,
) -> tuple[FeatureBank, Encode | None]:
    """Return features with text vectors, and the encoder of names; None for a file of features."""
    datasets: list[ImageDataset] = []

    def note(dataset: ImageDataset) -> None:
        datasets.append(dataset)
        backbone = described_backbone(settings, dataset)
        if not backbone.has_text:  # fails before the extraction, which may take an hour
            backbone.load_dual(device)
        if check is not None:
            check(labels_only(dataset))

    bank = features_of(settings, device, TEXT, note)
    for warning in data_warnings(bank):
        print(f"fewshot: {warning}", file=sys.stderr)
    if bank.text is None:
        raise without_text(bank)
    if not datasets:
        if check is not None:
            check(bank)
        return bank, None
    backbone = described_backbone(settings, datasets[0])
    return bank, encoder_of(settings, datasets[0].name, backbone, device)


def _base(
    settings: dict[str, Any],
    task_settings: OneClassSettings,
    device: torch.device,
    bank: FeatureBank,
    names: NameVectors,
    encode: Encode | None,
) -> Base | None:
    """Return the base classes of the data set or of another one; None without either."""
    if task_settings.learn_from is None:
        classes = bank.classes("base")
        return (
            _base_of(settings, task_settings, bank, classes, names, encode)
            if len(classes)
            else None
        )
    dataset = other_dataset(settings, str(task_settings.learn_from))
    other, other_encode = _named_bank(settings | {"dataset": dataset}, device)
    if other.hash() == bank.hash():
        raise FewshotError(
            "one_class.learn_from",
            "expected other images than those that are judged, got these: "
            f"{task_settings.learn_from}",
            "Leave it null, and mark classes as base: dataset.split=random.",
        )
    if other.dim != bank.dim:
        raise FewshotError("one_class.learn_from", f"expected features of {bank.dim} dimensions, "
                           f"as those that are judged, got {other.dim}")  # fmt: skip
    classes = other.classes(None if other.parts is None else "base")
    return _base_of(settings, task_settings, as_base(other), classes, names, other_encode)


def _base_of(
    settings: dict[str, Any],
    task_settings: OneClassSettings,
    bank: FeatureBank,
    classes: NDArray,
    names: NameVectors,
    encode: Encode | None,
) -> Base | None:
    """Return base classes with confusers of the same sources as the judged classes have."""
    expect(
        len(classes) >= 2,
        "dataset.split",
        f"expected two base classes or more to learn from, got {len(classes)}",
        "Give more base classes, or another data set: one_class.learn_from.",
    )
    same_sources = replace(task_settings, sources=tuple(names.confusers) or ("oracle",))
    vectors, absent = name_vectors(settings, same_sources, bank, classes, encode)
    say_left_out({f"{source}, to learn from": why for source, why in absent.items()})
    return Base(bank, vectors, classes)
