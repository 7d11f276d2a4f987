"""Text files of users: which encodings are read, what is no text, and keys that come twice."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError
from fewshot.files import LARGEST_TEXT, regular_file

NULS_WITHIN = 4096  # characters; UTF-16 without its mark has one in every second
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, argument: str, largest: int | None = LARGEST_TEXT) -> str:
    """A file as text with ``\\n`` between lines: UTF-8, or UTF-16 with a byte order mark.

    Excel writes UTF-16 as "Unicode text". Other encodings are an error, as a guess could change
    the names of classes and files without a word.
    """
    try:
        content = regular_file(argument, path, largest).read_bytes()
    except OSError as error:
        raise FewshotError(argument, f"cannot read {str(path)!r}: {error.strerror}") from None
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except ValueError as error:
        raise _undecodable(content, error, path, argument) from None
    if "\0" in text[:NULS_WITHIN]:
        raise FewshotError(
            argument,
            f"cannot parse {path}: it has NUL characters, as a file that is no text",
            "Save it as UTF-8.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _undecodable(content: bytes, error: ValueError, path: Path, argument: str) -> FewshotError:
    start = getattr(error, "start", 0)
    line = content.count(b"\n", 0, start) + 1
    return FewshotError(
        argument,
        f"cannot parse {path}, line {line}: {error}",
        "Save it as UTF-8 (in Excel, as 'CSV UTF-8'); from Windows' usual encoding: "
        "iconv -f cp1252 -t utf-8 OLD > NEW.",
    )


def without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, as ``object_pairs_hook``; raises ValueError where a key comes twice."""
    expect_unique([key for key, _ in pairs])
    return dict(pairs)


def expect_unique(keys: Sequence[Any]) -> None:
    """Raise ValueError where a key that is text comes twice.

    Others are no keys, and may be huge.
    """
    texts = [key for key in keys if isinstance(key, str)]
    if len(set(texts)) < len(texts):
        raise ValueError(f"key {next(key for key in texts if texts.count(key) > 1)!r} comes twice")
