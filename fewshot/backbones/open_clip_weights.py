"""Lookup and download of the weights of open_clip's models, and checks of their files."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.backbones.base import Folders
from fewshot.backbones.weights import (
    checked,
    from_hub,
    from_url,
    local_weights,
)
from fewshot.exceptions import FewshotError

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def hub_place(config: dict[str, Any]) -> tuple[str, Sequence[str]]:
    """Repository of the weights and names of its files in order of preference."""
    repository, _, file = config.get("hf_hub", "").rpartition("/")
    return repository, (str(Path(file).with_suffix(".safetensors")), file) if file else HUB_FILES


def weights_of(label: str, weights: str | None, config: dict[str, Any], folder: Path) -> Path:
    """The weights file: the setting, in `folder`, in the hub's cache, or downloaded.

    Parameters
    ----------
    label : str
        ``<model>-<tag>``, the name under which `folder` may have it.
    weights : str, optional
    config : dict
        open_clip's settings of the tag.
    folder : Path

    Raises
    ------
    FewshotError
        Out of reach; says what to put where.
    """
    repository, files = hub_place(config)
    path = local_weights(label, weights, folder, repository, files)
    if path:
        return path
    original = folder / Path(config.get("url", "")).name
    try:
        if repository:
            return from_hub(repository, files, label, folder)
        return from_url(config["url"], label, folder)
    except FewshotError:
        if original.is_file():  # the file name that the authors of the model use
            return original
        raise


def refuse_program(path: Path, label: str, config: dict[str, Any], folders: Folders) -> None:
    """Raise for OpenAI's original files, which are TorchScript, and for damaged copies of them.

    The hub has the same tensors as safetensors. OpenAI's addresses contain the SHA-256.
    """
    url = config.get("url", "")
    published = re.search(r"openaipublic.*/([0-9a-f]{64})/", url)
    genuine = ""
    if published and path.name == Path(url).name:
        remedy = "Fetch it again; or, if it is another file, give it another name."
        checked(path, published.group(1), folders.cache, remedy)
        genuine = " (it is OpenAI's original, undamaged)"
    if not _is_torchscript(path):
        return
    repository, files = hub_place(config)
    source = f"{files[0]} of the hub's {repository}" if repository else "it as safetensors"
    raise FewshotError(
        "backbone.weights",
        f"expected tensors only, and {path} is a TorchScript program, which is never run{genuine}",
        f"Get {source} and put it at {folders.weights / label}.safetensors; open_clip_torch 3 "
        "knows where it is.",
    )


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False
