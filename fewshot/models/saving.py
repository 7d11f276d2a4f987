"""Write a fitted classifier as a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from fewshot.backbones.base import Backbone
from fewshot.backbones.checkpoints import tensors_digest
from fewshot.exceptions import FewshotError
from fewshot.models.card import model_card
from fewshot.models.file import as_packed, model_to_write, write_model
from fewshot.models.header import Header
from fewshot.models.heads import head_tensors
from fewshot.models.parts import parts_of, taken_apart
from fewshot.models.weights import to_pack
from fewshot.tasks.classification.labelling.fitted import FittedClassifier

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier


def save_classifier(classifier: Classifier, path: str | Path, with_weights: bool = False) -> None:
    """Write it to a file, with the weights of its network or a reference to them.

    Raises
    ------
    FewshotError
        The file cannot be written, something else than a model is there, or the head or the
        weights are none that a file can hold.
    """
    fitted, target = classifier.fitted_, model_to_write("path", path)
    tensors = head_tensors(fitted) | part_tensors(fitted)
    network = classifier.network_
    backbone = None if network is None else network.backbone
    header, weights = weights_to_save(classifier.header_, backbone, with_weights)
    write_model(target, replace(header, card=model_card(header)), tensors | as_packed(weights))


def part_tensors(fitted: FittedClassifier) -> dict[str, Tensor]:
    """Tensors of the parts of a classifier, by the names that they have in a model file."""
    tensors: dict[str, Tensor] = {}
    for name in parts_of():
        tensors |= taken_apart(name, getattr(fitted, name))[1]
    return tensors


def weights_to_save(
    header: Header, backbone: Backbone | None, packed: bool
) -> tuple[Header, dict[str, Tensor]]:
    """The header with a note of whether weights are packed, and those that are.

    Raises
    ------
    FewshotError
        There are none, or they cannot be packed.
    """
    note = header.backbone
    if note is None or backbone is None:
        if packed:
            problem = "a model of features has no network whose weights could be packed"
            raise FewshotError("with_weights", problem)
        return header, {}
    tensors = to_pack(backbone, note) if packed else {}
    digest = tensors_digest(tensors) if packed else ""
    weights = replace(note.weights, packed=packed, packed_sha256=digest)
    return replace(header, backbone=replace(note, weights=weights)), tensors
