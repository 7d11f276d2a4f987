"""Dataclasses of numbers and tensors as parts of a model file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from torch import Tensor

from fewshot.tasks.classification.labelling.prediction_sets import PredictionSets
from fewshot.tasks.classification.labelling.probabilities import Probabilities
from fewshot.tasks.classification.labelling.strangers import Strangers

# Of a fitted classifier, by the name of its attribute.
PARTS: dict[str, type[Any]] = {
    "probabilities": Probabilities,
    "sets": PredictionSets,
    "strangers": Strangers,
}
Part = TypeVar("Part")


def taken_apart(name: str, part: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Values for the header, and tensors by ``name.field``, of a dataclass of both."""
    content = {entry.name: getattr(part, entry.name) for entry in fields(part)}
    tensors = {f"{name}.{k}": v for k, v in content.items() if isinstance(v, Tensor)}
    return {k: v for k, v in content.items() if not isinstance(v, Tensor)}, tensors


def put_together(
    kind: type[Part], name: str, values: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Part:
    """The dataclass of `taken_apart`; lists of JSON become tuples."""
    content = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    prefix = f"{name}."
    content |= {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return kind(**content)
