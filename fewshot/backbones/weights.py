"""Lookup and download of files of weights."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fewshot.download_errors import DownloadFailure, download_failure
from fewshot.downloads import fetch, quiet
from fewshot.exceptions import FewshotError, expect
from fewshot.files import file_digests

SECONDS_FOR_THE_HUB = 5
SHA256 = re.compile("[0-9a-f]{64}")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def candidates(
    name: str, folder: Path, repository: str = "", files: Sequence[str] = ()
) -> list[Path]:
    """Paths of weights files that a user may have placed, in order of preference.

    ``folder/name.*``, then what ``hf download OWNER/NAME --local-dir`` gives for
    ``folder/OWNER/NAME`` or ``folder/NAME``.
    """
    places = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    roots = [folder / repository, folder / repository.rpartition("/")[2]] if repository else []
    return places + [root / file for root in roots for file in files]


def local_weights(
    name: str, weights: str | None, folder: Path, repository: str = "", files: Sequence[str] = ()
) -> Path | None:
    """A weights file of the user: `weights`, or one of the ``candidates``; None without any."""
    if weights:
        path = Path(str(weights)).expanduser()
        if not path.is_file():
            what = "a folder" if path.is_dir() else "nothing there"
            raise FewshotError("backbone.weights", f"expected a file, got {what}: {str(path)!r}")
        return path
    places = candidates(name, folder, repository, files)
    return next((path for path in places if path.is_file()), None)


def torch_cache() -> Path:
    """Folder of the downloads of torch.hub, by its environment variables."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{base}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def content_digest(path: Path, cache: Path | None) -> str:
    """SHA-256 of a file, cached in the folder `cache` under the file's path."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return file_digests([path], None if cache is None else cache / f"{digest}.json")[0]


def check_sha256(sha256: object) -> None:
    """Raise unless the setting ``backbone.sha256`` is null or 64 hexadecimal digits."""
    fine = sha256 is None or (
        isinstance(sha256, str) and re.fullmatch("[0-9a-fA-F]{64}", sha256) is not None
    )
    expect(fine, "backbone.sha256", f"expected 64 hexadecimal digits, got {sha256!r}")


def checked(path: Path, sha256: str | None, cache: Path | None, remedy: str = "") -> Path:
    """`path`, if its SHA-256 equals or begins with `sha256`; None skips the check.

    Raises
    ------
    FewshotError
        Other content: names the file and what to do.
    """
    if sha256 is None:
        return path
    digest = content_digest(path, cache)
    expect(
        digest.startswith(sha256.lower()),
        "backbone.weights",
        f"{path} is truncated, or another file: expected SHA-256 {sha256}, got {digest}",
        remedy or "Delete it and fetch it again; or, if it is meant, set backbone.sha256=null.",
    )
    return path


def hub_page(repository: str) -> str:
    """Address of a repository of the hub; empty for none."""
    return f"https://huggingface.co/{repository}" if repository else ""


class OutOfReachError(FewshotError):
    """Weights that are neither on this machine nor can be downloaded; `failure` says why."""

    failure: DownloadFailure


def from_hub(repository: str, files: Sequence[str], name: str, folder: Path) -> Path:
    """The first of `files` in the hub's cache, else the first on the hub.

    Only a file that the repository lacks makes the next one of interest: any other failure is the
    one to report. The client tries again by itself, and continues where a download broke off.

    Raises
    ------
    OutOfReachError
        Neither; says why, and what to put into which folder.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    for file in files:
        cached = try_to_load_from_cache(repository, file)
        if isinstance(cached, str):
            return Path(cached)
    server, page = str(urlsplit(constants.ENDPOINT).hostname), f"{constants.ENDPOINT}/{repository}"
    storage = f"HF_HOME, now {constants.HF_HUB_CACHE}"
    lacking = f"its repository {page} has no {' and no '.join(files)}"
    failure = DownloadFailure("missing", lacking, "")
    with quiet("huggingface_hub"):
        try:
            _call_hub()
            for file in files:
                try:
                    return Path(hf_hub_download(repository, file))
                except Exception as error:
                    if download_failure(error).kind != "missing":
                        raise
        except Exception as error:  # the hub's client raises errors of any type
            failure = download_failure(error, server, page, storage)
    raise out_of_reach(name, f"{files[0]} of the hub's {repository}", folder, failure) from None


def _call_hub() -> None:
    """Raise within seconds if the hub does not answer; its client would retry for a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    get_session().head(constants.ENDPOINT, timeout=SECONDS_FOR_THE_HUB)


def hub_sha256(path: Path) -> str | None:
    """The SHA-256 in the name of a large file in the hub's cache, which its client never checks."""
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) else None


def from_url(url: str, name: str, folder: Path, sha256: str | None = None) -> Path:
    """A file of torch's cache, downloaded if necessary.

    Parameters
    ----------
    url : str
    name : str
        Of the model, for messages.
    folder : Path
        Where a user may put the file.
    sha256 : str, optional
        What the SHA-256 of a download begins with.

    Raises
    ------
    OutOfReachError
        Says why, and what to put into which folder.
    """
    file = url.rpartition("/")[2]
    target = torch_cache() / file
    if target.is_file():
        return target
    try:
        return fetch(url, target, sha256)
    except (OSError, ValueError) as error:
        storage = f"TORCH_HOME, now {torch_cache()}"
        failure = download_failure(error, urlsplit(url).hostname or url, storage=storage)
        raise out_of_reach(name, url, folder, failure, file) from None


def out_of_reach(
    name: str, source: str, folder: Path, failure: DownloadFailure, file: str = ""
) -> OutOfReachError:
    """The error for weights that are neither on this machine nor can be downloaded."""
    place = str(folder / file) if file else f"{folder / name}.safetensors (or .pth, .bin)"
    error = OutOfReachError(
        "backbone",
        f"the weights of {name!r} are not on this machine and cannot be downloaded: {failure.what}",
        f"{failure.remedy} {'Or get' if failure.remedy else 'Get'} {source} on a machine that can "
        f"and put it at {place}, or set backbone.weights=FILE.",
    )
    error.failure = failure
    return error
