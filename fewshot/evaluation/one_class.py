"""``fewshot task=one_class``: features, names and base classes as the configuration says."""

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
    """What one-class tasks are made of.

    Attributes
    ----------
    wanted : OneClassSettings
    bank : FeatureBank
    names : NameVectors
    base : Base or None
    taxonomy : mapping or None
        That of the data set's card.
    absent : dict of str to str
        Sources of confusers that are not at hand, and why.
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
    """Judge what the configuration describes, unless `recall` has it from earlier runs.

    Returns
    -------
    bank : FeatureBank
    result : OneClassResult
    out : list of dict
        Rules and sources of confusers that lack something: ``head``, ``shots`` and ``reason``.
    """
    wanted, bank, names, base, taxonomy, absent = one_class_nouns(settings, engine.device)
    with tqdm(total=wanted.tasks, unit="task", desc="tasks", disable=None) as bar:
        now = replace(engine, progress=bar.update)
        result = evaluate_one_class(
            bank, names, wanted, now, settings["seed"],
            base=base, taxonomy=taxonomy, recall=recall,
        )  # fmt: skip
    if result.left_out:
        print(f"fewshot: left out: {left_out_text(result.left_out)}", file=sys.stderr)
    gone = [{"head": f"source {one}", "shots": None, "reason": why} for one, why in absent.items()]
    return bank, result, [*result.left_out, *gone]


def one_class_nouns(settings: dict[str, Any], device: torch.device) -> OneClassNouns:
    """Features, names and base classes; nothing is extracted before the tasks can be drawn."""
    wanted = OneClassSettings.of(settings["one_class"])
    source = settings["text"]["source"]
    expect(
        source == "templates",
        "text.source",
        f"expected templates for task=one_class, as confusers have no descriptions, got {source}",
    )

    def check(bank: FeatureBank) -> None:
        tasks_of(bank, wanted, settings["seed"], _taxonomy(bank))

    part = settings["episodes"]["part"]
    bank, encode = _named_bank(settings, device, lambda own: check(judged_part(own, part)))
    bank = judged_part(bank, part)
    names, absent = name_vectors(settings, wanted, bank, judged_classes(bank), encode)
    say_left_out(absent)
    base = _base(settings, wanted, device, bank, names, encode)
    return OneClassNouns(wanted, bank, names, base, _taxonomy(bank), absent)


def _taxonomy(bank: FeatureBank) -> Mapping[str, Any] | None:
    """That of the data set's card, where it has one."""
    found: Mapping[str, Any] | None = card(str(bank.info.get("dataset", ""))).get("taxonomy")
    return found


def _named_bank(
    settings: dict[str, Any],
    device: torch.device,
    check: Callable[[FeatureBank], object] | None = None,
) -> tuple[FeatureBank, Encode | None]:
    """Features with text vectors, and what encodes other names; None for features of a file."""
    seen: list[ImageDataset] = []

    def note(dataset: ImageDataset) -> None:
        seen.append(dataset)
        backbone = described_backbone(settings, dataset)
        if not backbone.has_text:  # better now than after an hour of work
            backbone.load_dual(device)
        if check is not None:
            check(labels_only(dataset))

    bank = features_of(settings, device, TEXT, note)
    for warning in data_warnings(bank):
        print(f"fewshot: {warning}", file=sys.stderr)
    if bank.text is None:
        raise without_text(bank)
    if not seen:
        if check is not None:
            check(bank)
        return bank, None
    backbone = described_backbone(settings, seen[0])
    return bank, encoder_of(settings, seen[0].name, backbone, device)


def _base(
    settings: dict[str, Any],
    wanted: OneClassSettings,
    device: torch.device,
    bank: FeatureBank,
    names: NameVectors,
    encode: Encode | None,
) -> Base | None:
    """Base classes of the data set, or another data set's; None without either."""
    if wanted.learn_from is None:
        classes = bank.classes("base")
        return _base_of(settings, wanted, bank, classes, names, encode) if len(classes) else None
    dataset = other_dataset(settings, str(wanted.learn_from))
    other, own_encode = _named_bank(settings | {"dataset": dataset}, device)
    if other.hash() == bank.hash():
        raise FewshotError(
            "one_class.learn_from",
            f"expected other images than those that are judged, got these: {wanted.learn_from}",
            "Leave it null, and mark classes as base: dataset.split=random.",
        )
    if other.dim != bank.dim:
        raise FewshotError("one_class.learn_from", f"expected features of {bank.dim} dimensions, "
                           f"as those that are judged, got {other.dim}")  # fmt: skip
    classes = other.classes(None if other.parts is None else "base")
    return _base_of(settings, wanted, as_base(other), classes, names, own_encode)


def _base_of(
    settings: dict[str, Any],
    wanted: OneClassSettings,
    bank: FeatureBank,
    classes: NDArray,
    names: NameVectors,
    encode: Encode | None,
) -> Base | None:
    """Base classes with confusers from the sources of the classes that are judged."""
    expect(
        len(classes) >= 2,
        "dataset.split",
        f"expected two base classes or more to learn from, got {len(classes)}",
        "Give more base classes, or another data set: one_class.learn_from.",
    )
    same = replace(wanted, sources=tuple(names.confusers) or ("oracle",))
    own, absent = name_vectors(settings, same, bank, classes, encode)
    say_left_out({f"{source}, to learn from": why for source, why in absent.items()})
    return Base(bank, own, classes)
