"""A run of one-class tasks: features, names and base classes, then all cells together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.features.data_warnings import data_warnings
from fewshot.features.two_sets import expect_single
from fewshot.paths import card
from fewshot.results.result import Result
from fewshot.results.schema import LeftOut
from fewshot.tasks.base import TaskOutput
from fewshot.tasks.engine.judged_part import as_base, judged_part
from fewshot.tasks.one_class.cells import evaluate_one_class
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

if TYPE_CHECKING:
    from fewshot.evaluation.evaluation import Evaluation
    from fewshot.evaluation.sources import Source
    from fewshot.tasks.one_class.task import OneClass

TEXT = frozenset({"text"})


@dataclass(frozen=True)
class OneClassInputs:
    """Inputs of one-class tasks.

    Attributes
    ----------
    settings : OneClassSettings
    bank : FeatureBank
    names : NameVectors
    base : Base or None
    taxonomy : mapping or None
        From the data set's card.
    absent : dict of str to str
        Unavailable sources of confusers, and the reason.
    """

    settings: OneClassSettings
    bank: FeatureBank
    names: NameVectors
    base: Base | None
    taxonomy: Mapping[str, Any] | None
    absent: dict[str, str]


def one_class_run(task: OneClass, evaluation: Evaluation) -> TaskOutput:
    """Evaluate the one-class tasks of an evaluation, unless its store has all cells of a seed.

    Cells are compared with each other, so that they are taken from earlier runs together.
    """
    inputs = one_class_inputs(evaluation)
    cells: list[Result] = []
    left_out: list[LeftOut] = []
    total = inputs.settings.tasks * len(evaluation.seeds)
    with evaluation.progress(total, "task") as running:
        for seed in evaluation.seeds:
            result = evaluate_one_class(
                inputs.bank, inputs.names, inputs.settings, running.settings, seed,
                base=inputs.base, taxonomy=inputs.taxonomy, recall=evaluation.store.recall,
            )  # fmt: skip
            cells += result.cells
            left_out += [entry for entry in result.left_out if entry not in left_out]
    evaluation.notices.left_out(left_out)
    left_out += [
        {"head": f"source {source}", "shots": None, "reason": why}
        for source, why in inputs.absent.items()
    ]
    return TaskOutput(inputs.bank, cells, [], left_out, [])


def one_class_inputs(evaluation: Evaluation) -> OneClassInputs:
    """Return features, names and base classes; checks that tasks can be drawn first."""
    source, settings = evaluation.source, OneClassSettings.of(evaluation.options)
    texts = source.settings["text"]["source"]
    expect(
        texts == "templates",
        "text.source",
        f"expected templates for task=one_class, as confusers have no descriptions, got {texts}",
    )
    part = evaluation.sampling.part

    def check(labels: FeatureBank) -> None:
        bank = judged_part(labels, part)
        for seed in evaluation.seeds:
            tasks_of(bank, settings, seed, _taxonomy(bank))

    bank, encode = _named_bank(source, evaluation, check)
    expect_single(bank, "task=one_class")
    bank = judged_part(bank, part)
    names, absent = name_vectors(source.settings, settings, bank, judged_classes(bank), encode)
    say_left_out(absent)
    base = _base(evaluation, settings, bank, names, encode)
    return OneClassInputs(settings, bank, names, base, _taxonomy(bank), absent)


def _taxonomy(bank: FeatureBank) -> Mapping[str, Any] | None:
    """Return the taxonomy of the data set's card, or None."""
    taxonomy: Mapping[str, Any] | None = card(str(bank.info.get("dataset", ""))).get("taxonomy")
    return taxonomy


def _named_bank(
    source: Source, evaluation: Evaluation, check: Any = None
) -> tuple[FeatureBank, Encode | None]:
    """Return features with text vectors, and the encoder of names; None for given features."""
    device = evaluation.settings.device

    def before(labels: FeatureBank) -> None:
        backbone = source.backbone()
        if backbone is not None:
            backbone.check_text()  # before the extraction, which may take an hour
        if check is not None:
            check(labels)

    bank = source.bank(TEXT, before)
    for warning in data_warnings(bank):
        evaluation.notices.warn(warning)
    if bank.text is None:
        raise without_text(bank)
    backbone = source.backbone()
    if backbone is None:
        if check is not None:
            check(bank)
        return bank, None
    dataset = str(bank.info.get("dataset", "features"))
    return bank, encoder_of(source.settings, dataset, backbone, device)


def _base(
    evaluation: Evaluation,
    settings: OneClassSettings,
    bank: FeatureBank,
    names: NameVectors,
    encode: Encode | None,
) -> Base | None:
    """Return the base classes of the data set or of another one; None without either."""
    source = evaluation.source
    if settings.learn_from is None:
        classes = bank.classes("base")
        if not len(classes):
            return None
        return _base_of(source, settings, bank, classes, names, encode)
    other_source = source.other(str(settings.learn_from), "one_class.learn_from")
    other, other_encode = _named_bank(other_source, evaluation)
    if other.hash() == bank.hash():
        raise FewshotError(
            "one_class.learn_from",
            f"expected other images than those that are judged, got these: {settings.learn_from}",
            "Leave it null, and mark classes as base: dataset.split=random.",
        )
    if other.dim != bank.dim:
        raise FewshotError("one_class.learn_from", f"expected features of {bank.dim} dimensions, "
                           f"as those that are judged, got {other.dim}")  # fmt: skip
    classes = other.classes(None if other.parts is None else "base")
    return _base_of(other_source, settings, as_base(other), classes, names, other_encode)


def _base_of(
    source: Source,
    settings: OneClassSettings,
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
    same_sources = replace(settings, sources=tuple(names.confusers) or ("oracle",))
    vectors, absent = name_vectors(source.settings, same_sources, bank, classes, encode)
    say_left_out({f"{name}, to learn from": why for name, why in absent.items()})
    return Base(bank, vectors, classes)
