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

# How to ask for JSON, the strictest first; servers know some of these.
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
        What it is about.
    system : str
        What is asked, without anything from a data set.
    user : str
        What it is asked about; anything from a data set stands here, as JSON.
    schema : dict
        JSON schema of the answer.
    """

    name: str
    system: str
    user: str
    schema: Schema

    def messages(self, reason: str | None = None) -> list[dict[str, str]]:
        """The conversation; with `reason`, that a first answer could not be used for it."""
        shape = json.dumps(self.schema, ensure_ascii=False)
        end = f"\n\nAnswer with one JSON object that fits this schema and nothing else: {shape}"
        if reason:
            end += f"\n\nAn earlier answer could not be used because {reason}. Take care of that."
        return [
            {"role": "system", "content": self.system + end},
            {"role": "user", "content": self.user},
        ]


class UnansweredError(Exception):
    """No answer to a question; `fatal` if no other question will get one either."""

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
        # Retries are ours: they know a limit for the whole question and stop when told to.
        self._server = OpenAI(api_key=self._secret, base_url=settings.place, max_retries=0)
        self._reached = False
        self._form = 0
        self._limit = "max_tokens"

    def answer(self, question: Question, stop: Event, reason: str | None = None) -> Any:
        """The answer to `question`, which fits its schema.

        Raises
        ------
        AnswerError
            What came back cannot be used.
        UnansweredError
            Nothing came back.
        """
        reply = self._reply(question, question.messages(reason), stop)
        if self._secret != PLACEHOLDER and self._secret in reply:
            raise AnswerError("it repeats the key")
        return parsed(content(reply), question.schema)

    def _reply(self, question: Question, messages: list[dict[str, str]], stop: Event) -> str:
        """The body of the server's answer, after as many attempts as it takes and may take."""
        from openai import APIError

        ends = time.monotonic() + self.settings.time_limit
        for attempt in range(self.settings.retries + 1):
            left = ends - time.monotonic()
            try:
                return self._request(question, messages, min(self.settings.timeout, left))
            except APIError as error:
                trouble = self._unanswered(error)
                headers = getattr(getattr(error, "response", None), "headers", None)
                again = not trouble.fatal and passes(getattr(error, "status_code", None))
            wait = wait_before(attempt, self.settings.backoff, headers)
            if not again or attempt == self.settings.retries:
                raise trouble from None
            if time.monotonic() + wait >= ends:
                raise UnansweredError(f"{trouble} until llm.time_limit was over") from None
            if stop.wait(wait):
                raise UnansweredError("stopped")
        raise AssertionError("the last attempt returns or raises")

    def _request(self, question: Question, messages: list[dict[str, str]], timeout: float) -> str:
        """One request; where the server refuses its form, at once the next laxer one."""
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
                self._form = max(form, self._form)  # only what worked is remembered
                return str(raw.http_response.text)

    def _options(self, form: str, schema: Schema) -> dict[str, Any]:
        given = self.settings
        response: dict[str, Any] = {"type": form}
        if form == "json_schema":
            response["json_schema"] = {"name": "answer", "schema": schema, "strict": True}
        options = {
            "model": given.model,
            "temperature": given.temperature,
            "seed": given.seed,
            self._limit: given.max_tokens,
            "response_format": response if form != "text" else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _unanswered(self, error: Any) -> UnansweredError:
        """What went wrong, in one line without the key."""
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
    """What the model said, out of the body of a chat completion.

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


# Longest wait of our own choice; a server may ask for more.
LONGEST = 60.0


PASSING = frozenset({408, 409, 425, 429})


def passes(status: int | None) -> bool:
    """Whether an HTTP status (None: no answer at all) may be another one later."""
    return status is None or status in PASSING or status >= 500


def wait_before(attempt: int, backoff: float, headers: Mapping[str, str] | None) -> float:
    """Seconds before the retry after attempt number `attempt`, counted from 0.

    What the server says (Retry-After, seconds or a date, RFC 9110 section 10.2.3), but not less
    than an exponential back-off of which a random part of up to a half is taken off, so that
    requests that failed together do not come back together.
    """
    own = min(backoff * 2.0**attempt, LONGEST)
    own *= 1 - 0.5 * secrets.SystemRandom().random()
    return max(own, retry_after(headers or {}))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the header Retry-After asks for; 0 without it or if it makes no sense.

    Examples
    --------
    >>> from fewshot.text.llm.client import retry_after
    >>> retry_after({"retry-after": "3"}), retry_after({"retry-after": "soon"})
    (3.0, 0.0)
    """
    said = headers.get("retry-after")
    if said is None:
        return 0.0
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(seconds, 0.0)
