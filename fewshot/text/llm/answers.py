"""Parsing of a language model's answers: JSON in a text, checked against a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
KINDS: dict[str, Any] = {"object": dict, "array": list, "string": str}
# Text that reasoning models of local servers put before their answer.
THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)


class AnswerError(Exception):
    """An answer cannot be used; the message never quotes the answer."""


def object_schema(**properties: Schema) -> Schema:
    """The schema of an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parsed(text: str, schema: Schema) -> Any:
    """The value in `text` that fits `schema`.

    Servers without JSON answers wrap it into prose or a code block: the last object of the text
    that fits counts.

    Raises
    ------
    AnswerError
        There is none.

    Examples
    --------
    >>> from fewshot.text.llm.answers import object_schema, parsed
    >>> parsed('Sure! {"name": "crab"}', object_schema(name={"type": "string"}))
    {'name': 'crab'}
    """
    if not text.strip():
        raise AnswerError("it is empty")
    values = list(_objects(THOUGHTS.sub("", text)))
    if not values:
        raise AnswerError("it holds no JSON")
    fitting = [value for value in values if fault(value, schema) is None]
    if not fitting:
        raise AnswerError(str(fault(values[-1], schema)))
    return fitting[-1]


def fault(value: Any, schema: Schema, place: str = "the answer") -> str | None:
    """Reason why `value` does not fit `schema`; None if it fits.

    Of JSON schema: ``type`` (object, array, string), ``properties``, ``required``,
    ``additionalProperties: false`` and ``items``.
    """
    kind = schema["type"]
    if not isinstance(value, KINDS[kind]):
        return f"{place} is no {kind}"
    inner: list[tuple[Any, Schema, str]] = []
    if kind == "array":
        inner = [(item, schema["items"], f"{place}[{n}]") for n, item in enumerate(value)]
    elif kind == "object":
        properties = schema["properties"]
        for key in schema.get("required", ()):
            if key not in value:
                return f"{place} has no {key!r}"
        if not schema.get("additionalProperties", True) and value.keys() - properties.keys():
            return f"{place} has properties that were not asked for"
        inner = [(value[key], properties[key], repr(key)) for key in properties if key in value]
    return next(filter(None, (fault(*arguments) for arguments in inner)), None)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects in a text, from left to right."""
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield value
        start = text.find("{", end)
