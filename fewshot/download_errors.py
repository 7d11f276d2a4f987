"""Why a download failed, in a phrase, and what to do about it.

Clients raise errors of many types (urllib's, requests', httpx's, the Hugging Face hub's, torch's),
often one inside the other. They are told apart by status codes, system errors and the names of
their types, so that no client is imported. Messages never contain tokens, passwords or the signed
part of an address.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import IncompleteRead
from typing import Any
from urllib.error import ContentTooShortError

AGAIN = "Start again."
PROXY = "Check HTTPS_PROXY, NO_PROXY and HF_ENDPOINT"
LOG_IN = "run `hf auth login` or set HF_TOKEN"
LONGEST = 200  # characters of a client's message
SECRETS = (
    (re.compile(r"\bhf_\w{6,}"), "hf_..."),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 ..."),
    (re.compile(r"(?<=://)[^\s/@]+@"), ""),  # user and password
    (re.compile(r"(https?://[^\s?'\")>]+)\?[^\s'\")>]*"), r"\1"),  # signed addresses
)


class BrokenOffError(OSError):
    """A download that ended before its announced length."""


class OtherContentError(OSError):
    """A whole download with content that is not what was asked for."""


@dataclass(frozen=True)
class DownloadFailure:
    """A failed download in words.

    Attributes
    ----------
    kind : str
        "missing" for a file that is not there while its server answers; see `RULES` for others.
    what : str
        What happened, as a phrase.
    remedy : str
        What to do, as sentences.
    """

    kind: str
    what: str
    remedy: str


@dataclass(frozen=True)
class _Case:
    """The errors that a failed download raised, outermost first, and where it came from."""

    errors: list[BaseException]
    server: str
    page: str
    storage: str
    status: int | None
    text: str

    def has(self, *names: str) -> bool:
        """Whether the type of an error, or one that it derives from, has one of these names."""
        kinds = {kind.__name__ for error in self.errors for kind in type(error).__mro__}
        return not kinds.isdisjoint(names)

    def is_a(self, *types: type[BaseException]) -> bool:
        return any(isinstance(error, types) for error in self.errors)

    def says(self, pattern: str) -> bool:
        """Whether a message has it: clients that raise anew drop the errors inside."""
        return re.search(pattern, self.text) is not None

    def system(self, *codes: int) -> bool:
        """Whether an error has one of these numbers of `errno`; those of TLS count otherwise."""
        others = [error for error in self.errors if not isinstance(error, ssl.SSLError)]
        return any(getattr(error, "errno", None) in codes for error in others)


def download_failure(
    error: BaseException, server: str = "the server", page: str = "", storage: str = ""
) -> DownloadFailure:
    """Describe the failure of a download.

    Parameters
    ----------
    error : BaseException
        What the client raised; its causes are looked at too.
    server : str
        Name of the host, for the phrase.
    page : str
        Address of the page where terms of use are accepted.
    storage : str
        Where the client puts files, and the setting that moves it, for a full disk.

    Examples
    --------
    >>> download_failure(TimeoutError("timed out"), "huggingface.co").what
    'huggingface.co did not answer in time'
    """
    errors = list(_chain(error))
    text = " ".join(" ".join(str(e) for e in errors).split())
    case = _Case(errors, server, page, storage, _status(errors, text), text)
    for kind, applies, words in RULES:
        if applies(case):
            what, remedy = words(case)
            return DownloadFailure(kind, what, remedy)
    return DownloadFailure("unknown", f"{type(error).__name__}: {brief(error)}", "")


def brief(error: BaseException, width: int = LONGEST) -> str:
    """The message of an error in one line of at most `width` characters, without secrets."""
    text = without_secrets(" ".join(str(error).split())) or type(error).__name__
    text = text if text.endswith("...") else text.rstrip(".")
    return text if len(text) <= width else f"{text[: width - 3]}..."


def without_secrets(text: str) -> str:
    """`text` without tokens, passwords and the parameters of addresses.

    Examples
    --------
    >>> without_secrets("GET https://me:pw@host/f?X-Signature=1 with Bearer hf_abcdefgh")
    'GET https://host/f with Bearer ...'
    """
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    if token and len(token) > 3:
        text = text.replace(token, "...")
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, then those that it was raised from or holds, each once."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        context = None if current.__suppress_context__ else current.__context__
        held = (getattr(current, "reason", None), *getattr(current, "args", ()))
        inner = (current.__cause__, context, *held)
        waiting += [other for other in inner if isinstance(other, BaseException)]


def _status(errors: list[BaseException], text: str) -> int | None:
    """The HTTP status of the first error that has one, or that urllib's message tells."""
    for error in errors:
        response = getattr(error, "response", None)
        for code in (getattr(response, "status_code", None), getattr(error, "code", None)):
            if isinstance(code, int) and 100 <= code < 600:
                return code
    told = re.search(r"HTTP Error (\d{3})\b", text)
    return int(told[1]) if told else None


def _retry_after(case: _Case) -> str:
    """ "retry after 30 s" as the server put it, or an empty string."""
    for error in case.errors:
        headers = getattr(getattr(error, "response", error), "headers", None)
        value = headers.get("Retry-After") if isinstance(headers, Mapping) or headers else None
        if value and str(value).isdigit():
            return f"; it asks to wait {value} s"
    return ""


def _gated(case: _Case) -> tuple[str, str]:
    where = f" at {case.page}" if case.page else " on its page"
    if case.status == 403:
        return (
            "its owners give access on conditions, and the account of your token has none",
            f"Accept the terms{where} with that account, wait for the owners where they decide, "
            "and allow the token to read gated repositories.",
        )
    return (
        "its owners give access to accounts that have accepted their terms",
        f"Accept the terms{where}, then {LOG_IN}.",
    )


def _repository(case: _Case) -> tuple[str, str]:
    if not case.says("credentials|token is"):
        return (
            f"{case.server} has no such repository, or it is private",
            f"Check the name; for a private one {LOG_IN}.",
        )
    return (
        f"{case.server} refuses the token (HTTP 401)",
        "Log in again with `hf auth login`, or renew or unset HF_TOKEN.",
    )


def _limit(case: _Case) -> tuple[str, str]:
    return (
        f"{case.server} had too many requests from here (HTTP 429{_retry_after(case)})",
        f"Wait, then start again; the hub's limit is higher for those who {LOG_IN}.",
    )


def _storage(case: _Case) -> str:
    return f" ({case.storage})" if case.storage else ""


Rule = tuple[str, Callable[[_Case], bool], Callable[[_Case], tuple[str, str]]]

# In this order: what is wrong here, between here and there, and there.
RULES: tuple[Rule, ...] = (
    (
        "disk",
        lambda c: c.system(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        lambda c: ("the disk is full", f"Free some space, or move the downloads{_storage(c)}."),
    ),
    (
        "permission",
        lambda c: c.system(errno.EACCES, errno.EPERM, errno.EROFS),
        lambda c: (
            f"the folder of downloads cannot be written{_storage(c)}",
            "Change its permissions, or move the downloads.",
        ),
    ),
    (
        "offline",
        lambda c: c.has("OfflineModeIsEnabled") or c.says("HF_HUB_OFFLINE"),
        lambda c: ("HF_HUB_OFFLINE forbids downloads", "Unset it."),
    ),
    (
        "gated",
        lambda c: c.has("GatedRepoError") or c.says("is a gated"),
        _gated,
    ),
    (
        "proxy",
        lambda c: c.has("ProxyError") or c.status == 407 or c.says("Tunnel connection"),
        lambda c: (f"the proxy does not let it through ({_last(c)})", f"{PROXY}."),
    ),
    (
        "certificate",
        lambda c: c.is_a(ssl.SSLError) or c.has("SSLError") or c.says("CERTIFICATE_VERIFY"),
        lambda c: (
            f"no trusted connection to {c.server} ({_last(c)})",
            "Check the clock; behind a proxy that opens connections, name its certificates with "
            "SSL_CERT_FILE and REQUESTS_CA_BUNDLE.",
        ),
    ),
    (
        "name",
        lambda c: (
            c.is_a(socket.gaierror)
            or c.has("NameResolutionError")
            or c.says("Name or service not known|name resolution|getaddrinfo|nodename nor servname")
        ),
        lambda c: (
            f"no network: the name of {c.server} cannot be resolved",
            "Check the connection, HTTPS_PROXY and NO_PROXY.",
        ),
    ),
    (
        "repository",
        lambda c: c.status == 401 or c.has("RepositoryNotFoundError", "DatasetNotFoundError"),
        _repository,
    ),
    ("limit", lambda c: c.status == 429, _limit),
    (
        "missing",
        lambda c: c.status == 404 or (len(c.errors) == 1 and c.is_a(FileNotFoundError)),
        lambda c: (f"{c.server} no longer has it (HTTP 404)", ""),
    ),
    (
        "forbidden",
        lambda c: c.status is not None and 400 <= c.status < 500,
        lambda c: (f"{c.server} refuses it (HTTP {c.status})", f"{PROXY}; or {LOG_IN}."),
    ),
    (
        "server",
        lambda c: c.status is not None and c.status >= 500,
        lambda c: (
            f"{c.server} has a fault (HTTP {c.status}{_retry_after(c)})",
            "Try again later.",
        ),
    ),
    (
        "another answer",
        lambda c: c.has("FileMetadataError") or c.says("an HTML page"),
        lambda c: (
            f"something else answered in place of {c.server}, such as a proxy or a log-in page",
            f"{PROXY}.",
        ),
    ),
    (
        "time",
        lambda c: (
            c.is_a(TimeoutError) or c.has("TimeoutException", "Timeout") or c.says("timed out")
        ),
        lambda c: (
            f"{c.server} did not answer in time",
            "Try again, or check HTTPS_PROXY.",
        ),
    ),
    (
        "connection",
        lambda c: (
            c.is_a(ConnectionRefusedError)
            or c.has("ConnectError", "NewConnectionError")
            or c.says("Couldn't reach|Connection refused|Network is unreachable")
            or c.system(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
        ),
        lambda c: (
            f"no connection to {c.server} ({_last(c)})",
            "Check the network, HTTPS_PROXY and NO_PROXY.",
        ),
    ),
    (
        "broken off",
        lambda c: (
            c.is_a(BrokenOffError, IncompleteRead, ContentTooShortError, ConnectionError)
            or c.has("RemoteProtocolError", "ReadError", "ChunkedEncodingError", "ProtocolError")
            or c.says("Consistency check failed")
        ),
        lambda c: (f"the download broke off ({_last(c)})", AGAIN),
    ),
    (
        "hash",
        lambda c: c.is_a(OtherContentError) or c.says("(?i)invalid hash value|checksum|corrupted"),
        lambda c: (f"what arrived is not what was published ({_last(c)})", AGAIN),
    ),
    (
        "archive",
        lambda c: c.is_a(EOFError, tarfile.ReadError, zipfile.BadZipFile, zlib.error),
        lambda c: (f"the archive is damaged or not complete ({_last(c)})", "Delete it. " + AGAIN),
    ),
)


def _last(case: _Case) -> str:
    """The innermost message that says something."""
    spoken: list[Any] = [error for error in case.errors if str(error).strip()]
    return brief(spoken[-1], 120) if spoken else type(case.errors[-1]).__name__
