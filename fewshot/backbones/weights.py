"""Lookup of files of weights, and reading them without running code in them."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError, expect
from fewshot.files import file_digests
from fewshot.memory import memory_error

SECONDS_FOR_THE_HUB = 5
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def candidates(
    name: str, folder: Path, repository: str = "", files: Sequence[str] = ()
) -> list[Path]:
    """Paths of weights files that a user may have placed, in order of preference.

    ``folder/name.*``, then what ``huggingface-cli download OWNER/NAME --local-dir`` gives for
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


def from_hub(repository: str, files: Sequence[str], name: str, folder: Path) -> Path:
    """The first of `files` in the hub's cache, else the first on the hub.

    Raises
    ------
    FewshotError
        Neither; says what to put into which folder.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    for file in files:
        cached = try_to_load_from_cache(repository, file)
        if isinstance(cached, str):
            return Path(cached)
    failure: Exception = FileNotFoundError(repository)
    try:
        _call_hub()
        for file in files:
            try:
                return Path(hf_hub_download(repository, file))
            except Exception as error:  # the hub's client raises errors of any type
                failure = error
    except Exception as error:
        failure = error
    raise out_of_reach(name, f"{files[0]} of the hub's {repository}", folder, failure) from None


def _call_hub() -> None:
    """Raise within seconds if the hub does not answer; its client would retry for a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get_session().head(constants.ENDPOINT, timeout=SECONDS_FOR_THE_HUB)


def out_of_reach(
    name: str, source: str, folder: Path, error: Exception, file: str = ""
) -> FewshotError:
    """The error for weights that are neither on this machine nor can be downloaded."""
    place = str(folder / file) if file else f"{folder / name}.safetensors (or .pth, .bin)"
    return FewshotError(
        "backbone",
        f"the weights of {name!r} are not on this machine and cannot be downloaded "
        f"({type(error).__name__}: {_brief(error)})",
        f"Get {source} on a machine that can and put it at {place}, or set backbone.weights=FILE.",
    )


def read_state_dict(name: str, path: Path) -> dict[str, Any]:
    """Tensors by name from a ``.safetensors`` file or a checkpoint of torch; no code is run.

    Raises
    ------
    FewshotError
        Damaged, or not tensors alone.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        return _state_of(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        raise _not_only_tensors(path, "Python objects") from None
    except Exception as error:  # a damaged file can make the parsers raise anything
        if memory := memory_error(error, "Free memory of other programs."):
            raise memory from None
        if "TorchScript" in str(error):
            raise _not_only_tensors(path, "a TorchScript program") from None
        raise unfit(name, path, error) from None


def _state_of(checkpoint: Any) -> dict[str, Any]:
    """The state dict in a checkpoint of timm, of open_clip or of a user."""
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    if not isinstance(checkpoint, dict) or not checkpoint:
        raise ValueError(f"holds a {type(checkpoint).__name__}, not tensors by name")
    return checkpoint


def _not_only_tensors(path: Path, what: str) -> FewshotError:
    return FewshotError(
        "backbone.weights",
        f"expected tensors only, and {path} is damaged or holds {what}, which could run code and "
        "are never loaded",
        "Where you trust it, save the network's state_dict() as .safetensors.",
    )


def unfit(name: str, path: Path, error: Exception) -> FewshotError:
    """The error for a weights file that does not fit the architecture, or is damaged."""
    return FewshotError(
        "backbone.weights",
        f"{path} does not load into {name!r} ({_brief(error)})",
        "Is it complete, and of this architecture?",
    )


def _brief(error: Exception, width: int = 200) -> str:
    """The message of an error in one line of at most `width` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < width else f"{text[: width - 3]}..."
