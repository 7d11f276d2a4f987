"""Loading or downloading a data set by torchvision, with one-line errors."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fewshot.download_errors import brief, download_failure
from fewshot.downloads import time_limit
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.file_kinds import kind_of

# What servers and tools leave in place of data.
NO_DATA = (
    "an empty file",
    "a file full of zeros",
    "a Git LFS",
    "an HTML page",
    "a text",
    "a JSON",
    "an XML",
)


def maker_of(source: str) -> Any:
    """The class of ``torchvision.datasets`` called `source`."""
    from torchvision import datasets

    names = [name for name in datasets.__all__ if not name.startswith("_")]
    if source not in names:
        raise FewshotError(
            "dataset.source",
            f"expected a class of torchvision.datasets, got {source!r}",
            suggestion(str(source), names),
        )
    return getattr(datasets, source)


def build(
    source: str, root: Path, arguments: Mapping[str, Any], download: bool, facts: Mapping[str, Any]
) -> Any:
    """A torchvision data set from what lies under `root`, else from its download.

    Parameters
    ----------
    source : str
        A class of ``torchvision.datasets``.
    root : Path
    arguments : mapping
        For the class: which split, which annotation.
    download : bool
    facts : mapping
        The card: ``sources``, ``checksums``.

    Raises
    ------
    FewshotError
        Not there, damaged, or not to be downloaded.
    """
    maker = maker_of(source)
    takes = inspect.signature(maker).parameters
    for unknown in sorted(arguments.keys() - takes.keys()):
        raise FewshotError(
            "dataset.options",
            f"torchvision's {source} has no {unknown!r}",
            suggestion(unknown, takes),
        )
    reason, remedy = "there is no such folder", ""
    if root.is_dir():
        try:
            return maker(str(root), **arguments)
        except Exception as error:  # half-extracted and damaged sets raise errors of any type
            reason = _line(error)
    if download and "download" in takes:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with time_limit():
                return maker(str(root), **arguments, download=True)
        except Exception as error:  # no network, no room, a checksum that differs
            reason, remedy = _of_download(error, facts)
    raise FewshotError(
        "dataset",
        f"torchvision cannot load {facts.get('name', source)} from {str(root)!r}: {reason}"
        + _damaged(root, facts),
        f"{remedy} {_how_to_get(source, root, facts, download)}",
    ) from None


def _line(error: Exception) -> str:
    # Without torchvision's advice on `download`, an argument that is already set.
    return brief(error).removesuffix(" You can use download=True to download it").rstrip(".")


def _of_download(error: Exception, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Why torchvision's download failed, and what to do about it."""
    # torchvision's address, where the error has it: older releases ask elsewhere than the card.
    addresses = (getattr(error, "url", None), *facts.get("sources", []), "")
    address = next(filter(None, addresses), "")
    failure = download_failure(error, urlsplit(address).hostname or "the server")
    if failure.kind in ("unknown", "hash"):  # torchvision's words for several things
        return _line(error), ""
    return failure.what, failure.remedy


def _damaged(root: Path, facts: Mapping[str, Any]) -> str:
    """Note on archives whose MD5 differs from the published one; "" if there are none."""
    there = {
        path: md5 for path, md5 in facts.get("checksums", {}).items() if (root / path).is_file()
    }
    wrong = [path for path, md5 in there.items() if md5 and _md5(root / path) != md5]
    text = f"; {', '.join(wrong)} there is damaged, its MD5 differs" if wrong else ""
    for path, md5 in there.items():
        kind = kind_of(root / path)
        if kind and kind.startswith(NO_DATA) and (path in wrong or not md5):
            text += f"; {path} is {kind}"
    return text


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _how_to_get(source: str, root: Path, facts: Mapping[str, Any], download: bool) -> str:
    """Instructions: which files to put into `root` and where to download them."""
    if "obtain" in facts:  # no download for programs
        return f"{facts['obtain']} The folder is {str(root)!r}."
    urls, files = facts.get("sources", []), facts.get("checksums", {})
    if not urls:
        return f"torchvision's documentation of {source} says what it expects there."
    listed = ", ".join(f"{path} (MD5 {md5})" if md5 else path for path, md5 in files.items())
    put = "Put" if download else "Set dataset.download=true, or put"
    return f"{put} {listed} into {str(root)!r}, from {', '.join(urls)}; it is extracted there."


def expect_source(source: str | None) -> str:
    """`source` as str; raise if it is empty."""
    expect(
        bool(source),
        "dataset.source",
        "expected a class of torchvision.datasets, got nothing",
        "Say for instance: fewshot dataset=flowers102.",
    )
    return str(source)
