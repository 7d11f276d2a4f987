"""Parsing of a language model's answers: JSON in a text, checked by a pydantic model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Text that reasoning models of local servers put before their answer.
THOUGHTS = re.compile(r"<think>(?:[^<]|<(?!/?think>))*+</think>")
START = re.compile(r'\{\s*["}]')
# Starts of objects that come to nothing, after which a text holds no JSON: each costs a reading.
MOST_STARTS = 100
# Bytes of a server's reply, envelope and thoughts included; of a longer one only these are read.
LARGEST = 2**20
# First bytes of replies that are something else.
STARTS = {
    b"<": "a page",
    b"\x1f\x8b": "compressed",
    b"(\xb5/\xfd": "compressed",
    b"data:": "a stream of events",
}
# What is sent of a JSON schema, in this order.
KEYWORDS = ("type", "properties", "required", "additionalProperties", "items")
# Types of pydantic's errors, and what the value would have to be.
KINDS = {"string_type": "string", "list_type": "array"}


class AnswerError(Exception):
    """An answer cannot be used; the message never quotes the answer."""


class Answer(BaseModel):
    """Base class of the forms of answers: an object with exactly the fields of the subclass."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def schema_sent(cls) -> dict[str, Any]:
        """The JSON schema for a language model, without pydantic's titles."""
        return _plain(cls.model_json_schema())


Form = TypeVar("Form", bound=Answer)


def parsed(text: str, form: type[Form]) -> Form:
    """The value in `text` that fits `form`.

    Servers without JSON answers wrap it into prose or a code block: the last object of the text
    that fits counts.

    Raises
    ------
    AnswerError
        There is none.

    Examples
    --------
    >>> from fewshot.text.llm.answers import Answer, parsed
    >>> class Named(Answer):
    ...     name: str
    >>> parsed('Sure! {"name": "crab"}', Named).name
    'crab'
    """
    if not text.strip():
        raise AnswerError("it is empty")
    reason = "it holds no JSON"
    for last, value in enumerate(reversed(list(_objects(THOUGHTS.sub("", text))))):
        try:
            return form.model_validate(value)
        except ValidationError as error:
            reason = reason if last else _fault(error)
    raise AnswerError(reason)


def content(reply: bytes) -> str:
    """The text of the model in the body of a chat completion.

    Raises
    ------
    AnswerError
        The body is too large or has another form, or the model refused or was cut off.
    """
    if len(reply) > LARGEST:
        raise AnswerError(f"the server's reply is larger than {LARGEST} bytes")
    try:
        choice = _Completion.model_validate_json(reply).choices[0]
    except ValidationError:
        known = (words for start, words in STARTS.items() if reply.lstrip().startswith(start))
        shape = "".join(f", but {words}" for words in known)
        problem = f"the server's reply is not in the form of a chat completion{shape}"
        raise AnswerError(problem) from None
    if choice.message.refusal:
        raise AnswerError("the model refused")
    if choice.finish_reason == "length":
        raise AnswerError("it was cut off at llm.max_tokens")
    if choice.finish_reason == "content_filter":
        raise AnswerError("a filter of the server held it back")
    return choice.message.content or ""


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    """The part of a chat completion that is read; servers leave out much of the rest."""

    choices: list[_Choice] = Field(min_length=1)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The `KEYWORDS` of a JSON schema and of those inside it."""
    plain = {keyword: schema[keyword] for keyword in KEYWORDS if keyword in schema}
    if "properties" in plain:
        plain["properties"] = {name: _plain(inner) for name, inner in plain["properties"].items()}
    if "items" in plain:
        plain["items"] = _plain(plain["items"])
    return plain


def _fault(error: ValidationError) -> str:
    """The first fault of an answer in words, without any of its content."""
    fault = error.errors(include_url=False, include_input=False)[0]
    kind, place = fault["type"], fault["loc"]
    if kind == "missing":
        return f"the answer has no {place[-1]!r}"
    if kind == "extra_forbidden":
        return "the answer has properties that were not asked for"
    where = repr(place[0]) + "".join(f"[{number}]" for number in place[1:])
    return f"{where} is no {KINDS.get(kind, 'value that was asked for')}"


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects in a text, from left to right."""
    decoder, place, failures = json.JSONDecoder(), 0, 0
    while failures < MOST_STARTS and (start := START.search(text, place)):
        try:
            value, place = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            place, failures = start.end() - 1, failures + 1
        else:
            yield value
