"""Settings of the language model: the group ``llm`` of a configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_number,
    expect_positive_int,
)
from fewshot.text.llm.leaks import repeats

KEY_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")
LONGEST_URL = 2000
# Sent where a server wants no key: the library insists on one.
PLACEHOLDER = "none"


@dataclass(frozen=True)
class LanguageModel:
    """An OpenAI-compatible endpoint and the parameters of requests.

    Attributes
    ----------
    model : str
        As the server calls it.
    base_url : str, optional
        Any server that speaks OpenAI's protocol, with its version, for instance
        ``http://localhost:11434/v1``; None: the environment variable OPENAI_BASE_URL, else OpenAI's
        own.
    key : str, optional
        The NAME of the environment variable that holds the key, never the key.
    temperature : float in [0, 2], optional
        None leaves it to the server; some models accept nothing else.
    seed : int >= 0, optional
        Passed on to the server; None leaves it to the server.
    timeout : float > 0
        Seconds for one request.
    retries : int >= 0
        Further requests after a refusal for now (429), an error of the server or a timeout.
    concurrency : int >= 1
        Requests under way at a time.
    max_tokens : int >= 1, optional
        Of an answer, thoughts included; None leaves it to the server.
    time_limit : float > 0
        Seconds for one question with all its retries and waits.
    """

    model: str | None = None
    base_url: str | None = None
    key: str | None = "OPENAI_API_KEY"
    temperature: float | None = 0
    seed: int | None = None
    timeout: float = 60
    retries: int = 4
    concurrency: int = 4
    max_tokens: int | None = 2000
    time_limit: float = 600
    place: str | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        check_key_name(self.key)
        expect(
            isinstance(self.model, str) and bool(self.model.strip()),
            "llm.model",
            f"expected the name of a language model, got {self.model!r}",
            "Say for instance llm.model=NAME llm.base_url=http://localhost:11434/v1.",
        )
        url = self.base_url or os.environ.get("OPENAI_BASE_URL") or None
        if url is not None:
            check_url(url)
        object.__setattr__(self, "place", url)
        if self.temperature is not None:
            expect_number("llm.temperature", self.temperature, 0, 2)
        for name in ("timeout", "time_limit"):
            expect_number(f"llm.{name}", getattr(self, name), 0, above=True)
        expect_positive_int("llm.retries", self.retries, 0)
        expect_positive_int("llm.concurrency", self.concurrency)
        for name in ("seed", "max_tokens"):
            if getattr(self, name) is not None:
                expect_positive_int(f"llm.{name}", getattr(self, name), int(name != "seed"))

    def secret(self) -> str:
        """The key to send, or a placeholder for a server without keys.

        A key crosses a network encrypted or not at all.

        Raises
        ------
        FewshotError
            The official server, and no key; or a key that no header can carry.
        """
        key = (os.environ.get(self.key) or "").strip() if self.key else ""
        if not (key.isascii() and key.isprintable()):
            raise FewshotError("llm.key", f"what {self.key} holds is no key: odd characters")
        if self.place is None and not key:
            raise FewshotError(
                "llm.key",
                f"expected a key in the environment variable {self.key or 'that it names'}, got "
                "none",
                "Export it, or say where a server without keys is: "
                "llm.base_url=http://localhost:11434/v1.",
            )
        return key if key and self.private else PLACEHOLDER

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return bool(LOOPBACK.fullmatch(urlsplit(self.place or "").hostname or ""))

    @property
    def private(self) -> bool:
        """Whether requests are encrypted or stay on this machine."""
        return urlsplit(self.place or "https:").scheme == "https" or self.is_loopback


def check_no_secret(llm: Mapping[str, Any]) -> None:
    """Raise if the settings ``llm``, which runs record, contain a key or a password."""
    check_key_name(llm["key"])
    if llm["base_url"] is not None:
        check_url(llm["base_url"])
    key = (os.environ.get(llm["key"]) or "").strip() if llm["key"] else ""
    for name in ("model", "base_url"):
        hidden = not (key and repeats(key, str(llm[name])))
        problem = f"expected a value without the key, got one with what {llm['key']} holds"
        expect(hidden, f"llm.{name}", problem, "Runs record this setting.")


def check_key_name(key: object) -> None:
    """Raise unless `key` is the name of an environment variable, or None.

    The value is not quoted: it may be the key itself.
    """
    fine = key is None or (isinstance(key, str) and KEY_NAME.fullmatch(key))
    expect(
        bool(fine),
        "llm.key",
        "expected the name of an environment variable in capitals, got something else (not shown "
        "here)",
        "Put the key into OPENAI_API_KEY and leave llm.key alone; if a key was typed here, replace "
        "it: shells remember what is typed.",
    )


def check_url(url: object) -> None:
    """Raise unless `url` is http or https, with a host and without a password.

    What is no URL is not quoted either: it may be a key, or a password beside an odd character.
    """
    remedy = "Say for instance llm.base_url=http://localhost:11434/v1."
    problem = "expected a URL of http or https, got something else (not shown here)"
    try:
        parts = urlsplit(str(url))
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        fine = fine and ("%" not in parts.netloc or parts.netloc.startswith("["))  # a zone of IPv6
        fine = fine and str(url).isprintable() and len(str(url)) <= LONGEST_URL
    except ValueError:
        fine, parts = False, urlsplit("")
    if "@" in str(url) or parts.query or parts.fragment:
        fine = False
        problem = "expected a URL without user, password and query, got one (not shown here)"
    expect(fine, "llm.base_url", problem, remedy)
