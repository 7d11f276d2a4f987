"""Whether a text repeats a key, spelled in any of the usual ways."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from urllib.parse import unquote

# Letters and digits of a key in a row that count as the key: half of one is half a secret.
PIECE = 12
# Escapes inside escapes that are undone.
DEPTH = 5
# A character by its number, as JSON, JavaScript, Python, C, mail and Unicode write it.
ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u\{?([0-9a-f]{4,6})\}?|x([0-9a-f]{2}))|0x([0-9a-f]{2})|%u([0-9a-f]{4})"
    r"|=([0-9a-f]{2})|U\+([0-9a-f]{4,6})",
    re.IGNORECASE,
)


def repeats(key: str, text: str) -> bool:
    """Whether a text holds a key, or `PIECE` characters of it in a row.

    The key counts in other case, backwards, with anything but letters and digits in between, in
    escapes of JSON, URLs, HTML and programs, as hexadecimal or decimal numbers and in base64, alone
    or behind something else (``Basic``). Keys shorter than `PIECE`, such as the "EMPTY" of local
    servers, are no secrets and count only as they are.

    Examples
    --------
    >>> from fewshot.text.llm.leaks import repeats
    >>> repeats("sk-9f8e7d6c5b4a", "See S K: 9F8E 7D6C 5B4A."), repeats("EMPTY", "an empty shell")
    (True, False)
    """
    plain = _unescaped(text)
    if len(_folded(key)) < PIECE:
        return key in text or key in plain
    texts = {_folded(text), _folded(plain)}
    return any(piece in folded for piece in _pieces(key) for folded in texts)


@cache
def _pieces(key: str) -> frozenset[str]:
    """What a folded text with the key in it has in it, for every spelling."""
    plain = _folded(key)
    raw = key.encode()
    numbers = [[f"{byte:02x}" for byte in raw], [str(byte) for byte in raw]]
    return frozenset(
        [
            *_windows(plain, PIECE),
            *_windows(plain[::-1], PIECE),
            *(piece for row in numbers for piece in _windows(row, PIECE)),
            *(piece for text in _in_base64(raw) for piece in _windows(text, PIECE * 4 // 3)),
        ]
    )


def _in_base64(raw: bytes) -> Iterator[str]:
    """The characters of base64 that depend on `raw` alone, behind 0, 1 and 2 other bytes."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        yield _folded(text[before and before + 1 : -1])


def _windows(whole: Sequence[str], length: int) -> Iterator[str]:
    """All parts of some length, joined; the whole if it is shorter."""
    starts = range(max(1, len(whole) - length + 1))
    return ("".join(whole[start : start + length]) for start in starts)


def _folded(text: str) -> str:
    """Letters and digits only, in lower case and the usual width."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _unescaped(text: str) -> str:
    """The text with characters in place of their escapes."""
    for _ in range(DEPTH):
        plain = ESCAPE.sub(_character, unquote(html.unescape(text)))
        if plain == text:
            break
        text = plain
    return text


def _character(escape: re.Match[str]) -> str:
    number = int(next(filter(None, escape.groups())), 16)
    return chr(number) if number < 0x110000 else ""
