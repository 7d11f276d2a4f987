"""Download of single files: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from fewshot.download_errors import BrokenOffError, OtherContentError
from fewshot.file_kinds import kind_of
from fewshot.files import atomic_path
from fewshot.progress import bar

SECONDS_TO_ANSWER = 30
SECONDS_BETWEEN = 1.0
ATTEMPTS = 3
PIECE = 2**20


def fetch(url: str, target: Path, sha256: str | None = None) -> Path:
    """Download `url` to `target`; a partial file never stands under that name.

    Connections that break off, time out or meet a fault of the server are tried again.

    Parameters
    ----------
    url : str
    target : Path
        Its folder is created.
    sha256 : str, optional
        What the SHA-256 of the content begins with.

    Raises
    ------
    OSError
        Of the connection or the file system; see `download_errors` for words.
    """
    for attempt in range(ATTEMPTS):
        try:
            with atomic_path(target) as partial:
                _fetch_to(url, partial, sha256)
            return target
        except (BrokenOffError, TimeoutError, ConnectionResetError, HTTPError) as error:
            client_fault = isinstance(error, HTTPError) and error.code < 500
            if client_fault or attempt == ATTEMPTS - 1:
                raise
            time.sleep(SECONDS_BETWEEN * 2**attempt)
    raise AssertionError("unreachable")


def _fetch_to(url: str, path: Path, sha256: str | None) -> None:
    digest = hashlib.sha256()
    request = Request(url, headers={"User-Agent": "fewshot"})
    with urlopen(request, timeout=SECONDS_TO_ANSWER) as response, path.open("wb") as file:
        length = response.headers.get("Content-Length")
        total = int(length) if str(length).isdigit() else None
        what = f"downloading {url.partition('?')[0].rpartition('/')[2]}"
        with bar(total or 0, what, "byte", unit_scale=True, leave=False) as progress:
            while piece := response.read(PIECE):
                file.write(piece)
                digest.update(piece)
                progress.update(len(piece))
        size = file.tell()
    if total is not None and size != total:
        raise BrokenOffError(f"{size:,} of {total:,} bytes arrived")
    kind = kind_of(path) or "the content"
    if sha256 and not digest.hexdigest().startswith(sha256.lower()):
        raise OtherContentError(
            f'invalid hash value (expected "{sha256}", got "{digest.hexdigest()}") of {kind}'
        )
    if kind.startswith("an HTML page"):
        raise OtherContentError(f"{kind} arrived")


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Keep warnings of clients off the terminal, where an error takes one line."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def time_limit(seconds: float = SECONDS_TO_ANSWER) -> Iterator[None]:
    """Limit how long new connections of clients without a limit of their own wait for an answer."""
    before: Any = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
