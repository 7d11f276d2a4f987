"""HTTP to a language model, below the client of ``openai``, which asks and retries.

Imports ``openai``, which takes half a second: import this module where a question is asked.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib import import_module
from typing import Any

import openai

from fewshot.text.llm import answers
from fewshot.text.llm.settings import LanguageModel

# httpx up to openai 2, its successor httpx2 from openai 3 on.
http: Any = import_module(openai.DefaultAsyncHttpxClient.__base__.__module__.partition(".")[0])
# Besides errors of the server (5xx) and timeouts.
TRANSIENT = frozenset({408, 409, 425, 429})


def is_transient(status: int, body: bytes) -> bool:
    """Whether a request may succeed later that was answered with an HTTP status and a body."""
    return (status in TRANSIENT or status >= 500) and b'"insufficient_quota"' not in body


class Connection(openai.DefaultAsyncHttpxClient):
    """HTTP with bounds on what a server can do.

    A request ends after ``llm.timeout``, however the server spaces its bytes, and a reply after
    `answers.LARGEST` bytes. Redirects are not followed. What is tried again is decided here rather
    than by the server: ``openai`` obeys the header ``x-should-retry``, which is replaced.

    Attributes
    ----------
    reached : bool
        Whether the server has replied at least once.
    """

    def __init__(self, settings: LanguageModel) -> None:
        super().__init__(
            follow_redirects=False,
            timeout=settings.timeout,
            trust_env=not settings.is_loopback,  # a proxy would read a key that is sent to http
            headers={"Accept-Encoding": "identity"},  # compressed replies unpack to any size
        )
        self.seconds, self.reached = settings.timeout, False

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """Send a request once; return its response, read already.

        Raises
        ------
        openai.APIConnectionError
            The server cannot be reached and never was: a typing error rather than a hiccup, which
            ``openai`` does not try again.
        """
        try:
            async with asyncio.timeout(self.seconds):
                response = await super().send(request, stream=True, **options)
                body = await _beginning(response)
        except TimeoutError:
            raise http.ReadTimeout("no whole reply in time", request=request) from None
        except http.ConnectError:
            if self.reached:
                raise
            raise openai.APIConnectionError(request=request) from None
        self.reached = True
        headers = http.Headers(response.headers)
        headers.pop("content-encoding", None)
        again = is_transient(response.status_code, body)
        headers["x-should-retry"] = "true" if again else "false"
        return http.Response(response.status_code, headers=headers, content=body, request=request)


async def _beginning(response: Any) -> bytes:
    """The first bytes of a response, a few more than `answers.LARGEST` if there are more."""
    body = bytearray()
    async with aclosing(response), aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > answers.LARGEST:
                break
    return bytes(body)
