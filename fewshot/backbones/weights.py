"""Files of weights: where they are found, and how they are read without running what is in them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fewshot.exceptions import FewshotError

SECONDS_FOR_THE_HUB = 5


def local_weights(name: str, given: str | None, folder: Path) -> Path | None:
    """A weights file that the user put somewhere: `given`, or ``folder/name.*``."""
    if given:
        path = Path(str(given)).expanduser()
        if not path.is_file():
            what = "a folder" if path.is_dir() else "nothing there"
            raise FewshotError("backbone.weights", f"expected a file, got {what}: {str(path)!r}")
        return path
    for suffix in (".safetensors", ".pth", ".pt", ".bin"):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    return None


def from_hub(repository: str, files: Sequence[str], name: str, folder: Path) -> Path:
    """The first of `files` that the hub's cache has, else that the hub has.

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
            except Exception as error:  # the hub's client raises whatever its transport does
                failure = error
    except Exception as error:
        failure = error
    raise out_of_reach(name, f"{files[0]} of the hub's {repository}", folder, failure) from None


def _call_hub() -> None:
    """Raise soon if the hub does not answer; its client would go on trying for a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get_session().head(constants.ENDPOINT, timeout=SECONDS_FOR_THE_HUB)


def out_of_reach(name: str, source: str, folder: Path, error: Exception) -> FewshotError:
    """The message for weights that are neither here nor to be had."""
    return FewshotError(
        "backbone",
        f"the weights of {name!r} are not on this machine and cannot be downloaded "
        f"({type(error).__name__}: {_brief(error)})",
        f"Get {source} on a machine that can and put it at {folder / (name + '.safetensors')} (or "
        ".pth, .bin), or set backbone.weights=FILE.",
    )


def read_state_dict(name: str, path: Path) -> dict[str, Any]:
    """Tensors by name from a ``.safetensors`` file or a checkpoint of torch; no code is run.

    Raises
    ------
    FewshotError
        Damaged, or not tensors alone.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        return _state_of(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        raise _not_only_tensors(path, "Python objects") from None
    except Exception as error:  # a damaged file can make the parsers raise anything
        if "TorchScript" in str(error):
            raise _not_only_tensors(path, "a TorchScript program") from None
        raise unfit(name, path, error) from None


def _state_of(checkpoint: Any) -> dict[str, Any]:
    """The state dict of a checkpoint of timm, of open_clip or of one's own."""
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
    """The message for a weights file that does not belong to the architecture, or is damaged."""
    return FewshotError(
        "backbone.weights",
        f"{path} does not load into {name!r} ({_brief(error)})",
        "Is it complete, and of this architecture?",
    )


def _brief(error: Exception, width: int = 200) -> str:
    """The message of an error in one line that is not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < width else f"{text[: width - 3]}..."
