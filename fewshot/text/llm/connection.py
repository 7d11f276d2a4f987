"""HTTP to a language model, below the client of ``openai``, which asks and retries.

Imports ``openai``, which takes half a second: import this module where a question is asked.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import aclosing, suppress
from importlib import import_module
from threading import Thread
from typing import Any

import openai

from fewshot.text.llm import answers
from fewshot.text.llm.settings import LanguageModel

# httpx up to openai 2, its successor httpx2 from openai 3 on.
http: Any = import_module(openai.DefaultAsyncHttpxClient.__base__.__module__.partition(".")[0])
# All that is read of a reply's headers: others claim encodings and character sets, or hold a key.
WAITS = ("retry-after", "retry-after-ms")
# Besides errors of the server (5xx) and timeouts.
TRANSIENT = frozenset({408, 409, 425, 429})


def is_transient(status: int, body: bytes) -> bool:
    """Whether a request may succeed later that was answered with an HTTP status and a body."""
    return (status in TRANSIENT or status >= 500) and b'"insufficient_quota"' not in body


class Connection(openai.DefaultAsyncHttpxClient):
    """HTTP with bounds on what a server can do.

    A request ends after ``llm.timeout``, however the server spaces its bytes, and a reply after
    `answers.LARGEST` bytes. Redirects are not followed. What is tried again is decided here rather
    than by the server: ``openai`` obeys the header ``x-should-retry``, which is replaced; of the
    server's headers only `WAITS` are passed on.

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
        # The layer below logs headers of replies, which may repeat the key, for whoever logs all.
        logging.getLogger(http.__name__.replace("httpx", "httpcore")).setLevel(logging.INFO)

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
                options |= {"stream": True, "follow_redirects": False}
                response = await super().send(request, **options)
                body = await _beginning(response)
        except TimeoutError:
            raise http.ReadTimeout("no whole reply in time", request=request) from None
        except http.ConnectError:
            if self.reached:
                raise
            raise openai.APIConnectionError(request=request) from None
        self.reached = True
        headers = {name: response.headers[name] for name in WAITS if name in response.headers}
        again = is_transient(response.status_code, body)
        headers["x-should-retry"] = "true" if again else "false"
        return http.Response(response.status_code, headers=headers, content=body, request=request)


class Loop(asyncio.SelectorEventLoop):
    """An event loop that does not outlast its work when a name server is silent.

    The threads in which other loops look up hosts are waited for at the end, and nothing stops
    them; those of this one end with the process.
    """

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        """As :func:`socket.getaddrinfo`."""
        answer = self.create_future()

        def settle(result: Any, error: Exception | None) -> None:
            if answer.done():  # nobody waits any more
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def look_up() -> None:
            result, error = None, None
            try:
                result = socket.getaddrinfo(*args, **options)
            except (OSError, ValueError) as reason:
                error = reason
            with suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(settle, result, error)

        Thread(target=look_up, daemon=True).start()
        return await answer


async def _beginning(response: Any) -> bytes:
    """The first bytes of a response, a few more than `answers.LARGEST` if there are more."""
    body = bytearray()
    async with aclosing(response), aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > answers.LARGEST:
                break
    return bytes(body)
