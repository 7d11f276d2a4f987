"""The connection to a language model: ``openai`` asks and retries; a server's part is bounded.

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
    """HTTP for a client of ``openai``.

    A request ends after `seconds`, however the server spaces its bytes, and a reply after
    `answers.LARGEST` bytes. Redirects are not followed. What is tried again is decided here rather
    than by the server: ``openai`` obeys the header ``x-should-retry``, which is replaced.

    Parameters
    ----------
    seconds : float
        For one request.
    proxies : bool
        Whether the proxies that environment variables name are used.

    Attributes
    ----------
    reached : bool
        Whether the server has replied at least once.
    """

    def __init__(self, seconds: float, proxies: bool) -> None:
        super().__init__(follow_redirects=False, timeout=seconds, trust_env=proxies)
        self.seconds, self.reached = seconds, False

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


def connect(settings: LanguageModel, secret: str) -> tuple[openai.AsyncOpenAI, Connection]:
    """The client of ``openai`` for a language model, and its connection.

    What stays on this machine is sent past proxies, which would read the key.
    """
    connection = Connection(settings.timeout, proxies=not settings.is_loopback)
    client = openai.AsyncOpenAI(
        api_key=secret,
        base_url=settings.place,
        timeout=settings.timeout,
        max_retries=settings.retries,
        # Compressed replies could unpack to any size.
        default_headers={"Accept-Encoding": "identity"},
        http_client=connection,
    )
    return client, connection


async def _beginning(response: Any) -> bytes:
    """The first bytes of a response, a few more than `answers.LARGEST` if there are more."""
    body = bytearray()
    try:
        async with aclosing(response.aiter_raw()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > answers.LARGEST:
                    break
    finally:
        await response.aclose()
    return bytes(body)
