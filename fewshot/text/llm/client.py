"""A client for any server that speaks OpenAI's chat protocol, hosted or local."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from fewshot.exceptions import FewshotError, install_command
from fewshot.text.llm.answers import Answer, AnswerError, content, parsed
from fewshot.text.llm.leaks import repeats
from fewshot.text.llm.settings import PLACEHOLDER, LanguageModel

# Response formats for JSON, the strictest first; servers support some of them.
FORMATS = ("json_schema", "json_object", "text")
KEY = "Check the key; it is sent to https and to this machine only."
ELSEWHERE = "Check llm.base_url; questions are not sent on to where a server redirects them."
# By the error's name: what failed where there was no reply.
NO_REPLY = {
    "APITimeoutError": "no answer in time from",
    "RemoteProtocolError": "no HTTP reply from",
}
# Remedies by HTTP status, where no further question would be answered either.
FATAL = {
    401: KEY,
    403: KEY,
    404: "Check llm.model and llm.base_url, which usually ends in /v1.",
    **dict.fromkeys((301, 302, 303, 307, 308), ELSEWHERE),
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
    form : subclass of Answer
        Form of the answer.
    """

    name: str
    system: str
    user: str
    form: type[Answer]

    def messages(self, reason: str | None = None) -> list[dict[str, str]]:
        """The conversation; `reason` states why an earlier answer could not be used."""
        shape = json.dumps(self.form.schema_sent(), ensure_ascii=False)
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
    """A connection to a language model, for the questions of one event loop.

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
        from openai import AsyncOpenAI

        from fewshot.text.llm.connection import Connection, http

        self.settings, self._secret = settings, settings.secret()
        self._connection = Connection(settings)
        try:
            self._server = AsyncOpenAI(
                api_key=self._secret,
                base_url=settings.place,
                max_retries=settings.retries,
                http_client=self._connection,
            )
        except http.InvalidURL:
            problem = "expected a URL of a host that there can be, got another one"
            raise FewshotError("llm.base_url", problem) from None
        self._format = 0
        self._limit = "max_tokens"

    async def answer(
        self, question: Question, reason: str | None = None, ends: float | None = None
    ) -> Any:
        """The answer to `question`, of its form.

        Parameters
        ----------
        question : Question
        reason : str, optional
            As in :meth:`Question.messages`.
        ends : float, optional
            When the time for the question is over, by the clock of the event loop; None: after
            ``llm.time_limit``.

        Raises
        ------
        AnswerError
            The reply cannot be used.
        UnansweredError
            There was no reply.
        """
        from openai import APIError

        try:
            async with asyncio.timeout_at(ends or self.deadline()):
                reply = await self._reply(question, question.messages(reason))
        except TimeoutError:
            where = self.settings.place or "the server"
            raise UnansweredError(f"no answer from {where} until llm.time_limit was over") from None
        except APIError as error:
            raise self._unanswered(error) from None
        answer = parsed(content(reply), question.form)
        if self._repeats_key(str(answer.model_dump())):
            raise AnswerError("it repeats the key")
        return answer

    def deadline(self) -> float:
        """When ``llm.time_limit`` from now is over, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self.settings.time_limit

    async def close(self) -> None:
        """Close the connection."""
        await self._server.close()

    async def _reply(self, question: Question, messages: list[dict[str, str]]) -> bytes:
        """The body of the server's reply, to the strictest format that the server accepts."""
        from openai import BadRequestError, UnprocessableEntityError

        chosen = self._format
        while True:
            options: Any = self._options(FORMATS[chosen], question.form)
            try:
                raw = await self._server.chat.completions.with_raw_response.create(
                    messages=messages,  # type: ignore[arg-type]
                    **options,
                )
            except (BadRequestError, UnprocessableEntityError) as error:
                if "max_completion_tokens" in str(error) and "max_tokens" in options:
                    self._limit = "max_completion_tokens"
                elif chosen + 1 < len(FORMATS):
                    chosen += 1
                else:
                    raise
            else:
                self._format = max(chosen, self._format)  # remember only a format that worked
                return raw.http_response.content

    def _options(self, format_type: str, form: type[Answer]) -> dict[str, Any]:
        settings = self.settings
        response: dict[str, Any] = {"type": format_type}
        if format_type == "json_schema":
            schema = form.schema_sent()
            response["json_schema"] = {"name": "answer", "schema": schema, "strict": True}
        options = {
            "model": settings.model,
            "temperature": settings.temperature,
            "seed": settings.seed,
            self._limit: settings.max_tokens,
            "response_format": response if format_type != "text" else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _repeats_key(self, text: str) -> bool:
        return self._secret != PLACEHOLDER and repeats(self._secret, text)

    def _unanswered(self, error: Any) -> UnansweredError:
        """The error of a failed request, in one line without the key."""
        status = getattr(error, "status_code", None)
        if status is None:
            cause = error if type(error).__name__ == "APITimeoutError" else error.__cause__
            what = NO_REPLY.get(type(cause).__name__, "no connection to")
            where = self.settings.place or "the server"
            fatal = cause is not error and not self._connection.reached
            return UnansweredError(f"{what} {where}", fatal)
        quota = getattr(error, "code", None) == "insufficient_quota"
        said = "" if status in (401, 403) else self._shown(error.message)
        later = self._shown(error.response.headers.get("retry-after", ""))
        reason = f"status {status} {said}".strip() + (f", Retry-After {later}" if later else "")
        remedy = FATAL.get(status, "")
        return UnansweredError(f"{reason}. {remedy}" if remedy else reason, bool(remedy) or quota)

    def _shown(self, message: str) -> str:
        """A server's message in parentheses, short, printable and without the key."""
        clean = str(message)
        if self._secret != PLACEHOLDER:
            clean = clean.replace(self._secret, "***")
        if self._repeats_key(clean):
            return "(not shown, as it repeats the key)"
        clean = "".join(c if c.isprintable() else " " for c in " ".join(clean.split()))
        return f"({clean[:200]})" if clean else ""
