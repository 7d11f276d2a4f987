"""Dataclasses of numbers and tensors as parts of a model file, and back."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import or_
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from torch import Tensor

from fewshot.heads.base import Support
from fewshot.tasks.classification.labelling.fitted import FittedClassifier

Part = TypeVar("Part")


def parts_of(kind: type[Any] = FittedClassifier) -> dict[str, type[Any]]:
    """The dataclasses among the fields of a fitted classifier, by their names; shots aside."""
    return {
        name: hint
        for name, hint in _hints(kind).items()
        if isinstance(hint, type) and is_dataclass(hint) and hint is not Support
    }


def taken_apart(name: str, part: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Values for the header, in types of JSON, and tensors by ``name.field``, of a dataclass.

    Its fields are numbers, strings, None, tuples and mappings of them, tensors, and dataclasses of
    these. Infinity and NaN become strings, as JSON has neither.
    """
    values, tensors = dict[str, Any](), dict[str, Tensor]()
    for entry in fields(part):
        value = getattr(part, entry.name)
        if isinstance(value, Tensor):
            tensors[f"{name}.{entry.name}"] = value
        elif is_dataclass(value):
            values[entry.name], below = taken_apart(f"{name}.{entry.name}", value)
            tensors |= below
        else:
            values[entry.name] = _plain(value)
    return values, tensors


def put_together(
    kind: type[Part], name: str, values: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Part:
    """The dataclass of `taken_apart`.

    Raises
    ------
    ValueError
        Something is missing, too much, or of another type: says what.
    """
    content: dict[str, Any] = {}
    hints = _hints(kind)
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is no object of JSON")
    if unknown := sorted(values.keys() - hints.keys()):
        raise ValueError(f"{name} has no {unknown[0]!r}")
    for key, hint in hints.items():
        place = f"{name}.{key}"
        nested = _dataclass_of(hint)
        if nested is not None and isinstance(values.get(key), Mapping):
            content[key] = put_together(nested, place, values[key], tensors)
        elif place in tensors and _takes_tensor(hint):
            content[key] = tensors[place]
        elif key in values:
            content[key] = _checked(hint, place, values[key])
    try:
        return kind(**content)
    except TypeError as error:
        missing = [entry.name for entry in fields(kind) if entry.name not in content]  # type: ignore[arg-type]
        raise ValueError(f"{name} lacks {missing[0]!r}" if missing else str(error)) from None


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {entry.name: hints[entry.name] for entry in fields(kind)}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _dataclass_of(hint: Any) -> type[Any] | None:
    return next((entry for entry in _alternatives(hint) if is_dataclass(entry)), None)  # type: ignore[return-value]


def _takes_tensor(hint: Any) -> bool:
    return Tensor in _alternatives(hint)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _checked(hint: Any, place: str, value: Any) -> Any:
    """A value as a type hint asks for it: lists as tuples, and "Infinity" as a number."""
    from pydantic import TypeAdapter, ValidationError

    # Tensors and dataclasses were looked for before.
    kinds = [k for k in _alternatives(hint) if k is not Tensor and not is_dataclass(k)]
    wanted: Any = reduce(or_, kinds) if kinds else type(None)
    try:
        return TypeAdapter(wanted).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{place}: {error.errors()[0]['msg']}") from None
