"""Loading or downloading a data set by torchvision, with one-line errors."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError, expect, suggestion

LONGEST_REASON = 200  # characters of a message of torchvision


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
    reason: Exception | str = "there is no such folder"
    if root.is_dir():
        try:
            return maker(str(root), **arguments)
        except Exception as error:  # half-extracted and damaged sets raise errors of any type
            reason = error
    if download and "download" in takes:
        try:
            root.mkdir(parents=True, exist_ok=True)
            return maker(str(root), **arguments, download=True)
        except Exception as error:  # no network, no room, a checksum that differs
            reason = error
    raise FewshotError(
        "dataset",
        f"torchvision cannot load {facts.get('name', source)} from {str(root)!r}: {_line(reason)}"
        + _damaged(root, facts),
        _how_to_get(source, root, facts, download),
    ) from None


def _line(reason: Exception | str) -> str:
    text = " ".join(str(reason).split()) or type(reason).__name__
    # Without torchvision's advice on `download`, an argument that is already set.
    text = text.removesuffix(" You can use download=True to download it").rstrip(".")
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _damaged(root: Path, facts: Mapping[str, Any]) -> str:
    """Note on archives whose MD5 differs from the published one; "" if there are none."""
    wrong = [
        path
        for path, md5 in facts.get("checksums", {}).items()
        if md5 and (root / path).is_file() and _md5(root / path) != md5
    ]
    return f"; {', '.join(wrong)} there is damaged, its MD5 differs" if wrong else ""


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
