"""A client for any server that speaks OpenAI's chat protocol, hosted or local."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from threading import Event
from typing import Any

from fewshot.exceptions import FewshotError, install_command
from fewshot.text.llm.answers import AnswerError, Schema, parsed
from fewshot.text.llm.settings import PLACEHOLDER, LanguageModel

# Response formats for JSON, the strictest first; servers support some of them.
FORMS = ("json_schema", "json_object", "text")
FATAL = {
    401: "Check the key; it is sent to https and to this machine only.",
    403: "Check the key; it is sent to https and to this machine only.",
    404: "Check llm.model and llm.base_url, which usually ends in /v1.",
}


@dataclass(frozen=True)
class Question:
    """One question to a language model.

    Attributes
    ----------
    name : str
        Name of the subject of the question, such as a class.
    system : str
        The instruction, without anything from a data set.
    user : str
        Data of the question as JSON; anything from a data set is here.
    schema : dict
        JSON schema of the answer.
    """

    name: str
    system: str
    user: str
    schema: Schema

    def messages(self, reason: str | None = None) -> list[dict[str, str]]:
        """The conversation; `reason` states why an earlier answer could not be used."""
        shape = json.dumps(self.schema, ensure_ascii=False)
        end = f"\n\nAnswer with one JSON object that fits this schema and nothing else: {shape}"
        if reason:
            end += f"\n\nAn earlier answer could not be used because {reason}. Take care of that."
        return [
            {"role": "system", "content": self.system + end},
            {"role": "user", "content": self.user},
        ]


class UnansweredError(Exception):
    """A question got no answer; `fatal` if further questions would not get one either."""

    def __init__(self, reason: str, fatal: bool = False) -> None:
        super().__init__(reason)
        self.fatal = fatal


class Client:
    """A connection to a language model, safe to share among threads.

    Parameters
    ----------
    settings : LanguageModel

    Raises
    ------
    FewshotError
        The library ``openai`` is not installed, or there is no key where one is needed.
    """

    def __init__(self, settings: LanguageModel) -> None:
        if find_spec("openai") is None:
            raise FewshotError(
                "llm",
                "language models are asked through the package openai, which is not installed",
                f"Run: {install_command('llm')}.",
            )
        from openai import OpenAI

        self.settings, self._secret = settings, settings.secret()
        # Retries are done by this class: with a time limit per question, and stopped by an event.
        self._server = OpenAI(api_key=self._secret, base_url=settings.place, max_retries=0)
        self._reached = False
        self._form = 0
        self._limit = "max_tokens"

    def answer(self, question: Question, stop: Event, reason: str | None = None) -> Any:
        """The answer to `question`, which fits its schema.

        Raises
        ------
        AnswerError
            The reply cannot be used.
        UnansweredError
            There was no reply.
        """
        reply = self._reply(question, question.messages(reason), stop)
        if self._secret != PLACEHOLDER and self._secret in reply:
            raise AnswerError("it repeats the key")
        return parsed(content(reply), question.schema)

    def _reply(self, question: Question, messages: list[dict[str, str]], stop: Event) -> str:
        """The body of the server's reply, with retries."""
        from openai import APIError

        deadline = time.monotonic() + self.settings.time_limit
        for attempt in range(self.settings.retries + 1):
            remaining = deadline - time.monotonic()
            try:
                return self._request(question, messages, min(self.settings.timeout, remaining))
            except APIError as error:
                trouble = self._unanswered(error)
                headers = getattr(getattr(error, "response", None), "headers", None)
                again = not trouble.fatal and is_transient(getattr(error, "status_code", None))
            wait = wait_before(attempt, self.settings.backoff, headers)
            if not again or attempt == self.settings.retries:
                raise trouble from None
            if time.monotonic() + wait >= deadline:
                raise UnansweredError(f"{trouble} until llm.time_limit was over") from None
            if stop.wait(wait):
                raise UnansweredError("stopped")
        raise AssertionError("the last attempt returns or raises")

    def _request(self, question: Question, messages: list[dict[str, str]], timeout: float) -> str:
        """Send one request; if the server rejects its format, use the next less strict one."""
        from openai import BadRequestError, UnprocessableEntityError

        form = self._form
        while True:
            options: Any = self._options(FORMS[form], question.schema)
            try:
                raw = self._server.chat.completions.with_raw_response.create(
                    messages=messages,  # type: ignore[arg-type]
                    timeout=timeout,
                    **options,
                )
            except (BadRequestError, UnprocessableEntityError) as error:
                if "max_completion_tokens" in str(error) and "max_tokens" in options:
                    self._limit = "max_completion_tokens"
                elif form + 1 < len(FORMS):
                    form += 1
                else:
                    raise
            else:
                self._reached = True
                self._form = max(form, self._form)  # remember only a format that worked
                return str(raw.http_response.text)

    def _options(self, form: str, schema: Schema) -> dict[str, Any]:
        settings = self.settings
        response: dict[str, Any] = {"type": form}
        if form == "json_schema":
            response["json_schema"] = {"name": "answer", "schema": schema, "strict": True}
        options = {
            "model": settings.model,
            "temperature": settings.temperature,
            "seed": settings.seed,
            self._limit: settings.max_tokens,
            "response_format": response if form != "text" else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _unanswered(self, error: Any) -> UnansweredError:
        """The error of a failed request, in one line without the key."""
        status = getattr(error, "status_code", None)
        if status is None:
            slow = type(error).__name__ == "APITimeoutError"
            where = self.settings.place or "the server"
            what = "no answer in time from" if slow else "no connection to"
            # A server that was never there is a typing error rather than a hiccup.
            return UnansweredError(f"{what} {where}", not slow and not self._reached)
        self._reached = True
        quota = getattr(error, "code", None) == "insufficient_quota"
        said = "" if status in (401, 403) else self._shown(error.message)
        reason = f"status {status} {said}".strip()
        remedy = FATAL.get(status, "")
        return UnansweredError(f"{reason}. {remedy}" if remedy else reason, bool(remedy) or quota)

    def _shown(self, message: str) -> str:
        """A server's message, short, printable and without the key."""
        clean = str(message)
        if self._secret != PLACEHOLDER:
            clean = clean.replace(self._secret, "***")
        clean = "".join(c if c.isprintable() else " " for c in " ".join(clean.split()))
        return f"({clean[:200]})" if clean else ""


def content(reply: str) -> str:
    """The text of the model in the body of a chat completion.

    Raises
    ------
    AnswerError
        The body has another form, or the model refused or was cut off.
    """
    try:
        choice = json.loads(reply)["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        ended = choice.get("finish_reason")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise AnswerError("the server's reply is not in the form of a chat completion") from None
    if refusal:
        raise AnswerError("the model refused")
    if ended == "length":
        raise AnswerError("it was cut off at llm.max_tokens")
    if ended == "content_filter":
        raise AnswerError("a filter of the server held it back")
    if not isinstance(text, str):
        raise AnswerError("it is empty")
    return text


# Longest back-off in seconds; a server may request a longer one.
LONGEST = 60.0


TRANSIENT = frozenset({408, 409, 425, 429})


def is_transient(status: int | None) -> bool:
    """Whether a failure with an HTTP status (None: no reply) may be temporary."""
    return status is None or status in TRANSIENT or status >= 500


def wait_before(attempt: int, backoff: float, headers: Mapping[str, str] | None) -> float:
    """Seconds before the retry after attempt number `attempt`, counted from 0.

    The maximum of the header Retry-After (seconds or a date, RFC 9110 section 10.2.3) and an
    exponential back-off with random jitter of up to a half, so that requests that failed together
    are not repeated together.
    """
    delay = min(backoff * 2.0**attempt, LONGEST)
    delay *= 1 - 0.5 * secrets.SystemRandom().random()
    return max(delay, retry_after(headers or {}))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of the header Retry-After; 0 if it is missing or malformed.

    Examples
    --------
    >>> from fewshot.text.llm.client import retry_after
    >>> retry_after({"retry-after": "3"}), retry_after({"retry-after": "soon"})
    (3.0, 0.0)
    """
    value = headers.get("retry-after")
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(seconds, 0.0)
