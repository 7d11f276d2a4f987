"""Model files: one safetensors file with a JSON header; no code is in it and none is run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, regular_file
from fewshot.models.header import Header

KEY, VERSION_KEY = "fewshot", "fewshot_model_version"  # of the metadata of the safetensors file
VERSION = 1
SUFFIX = ".fewshot"


class ModelFile(NamedTuple):
    """The content of a model file."""

    header: Header
    tensors: dict[str, Tensor]


def damaged(argument: str, path: Path, what: str) -> FewshotError:
    """The error for a model file whose content does not hold together."""
    return FewshotError(argument, f"the model file {path} is damaged: {what}")


def write_model(path: Path, header: Header, tensors: dict[str, Tensor]) -> None:
    """Write a model file, whole or not at all."""
    from safetensors.torch import save_file

    text = json.dumps(asdict(header), ensure_ascii=False, allow_nan=False)
    metadata = {KEY: text, VERSION_KEY: str(VERSION)}
    with atomic_path(path) as partial:
        save_file({n: t.contiguous() for n, t in tensors.items()}, str(partial), metadata)


def read_model(path: Path, argument: str = "model") -> ModelFile:
    """Read a model file.

    Raises
    ------
    FewshotError
        No such file, another kind of file, torn, or written by a later version.
    """
    from pydantic import TypeAdapter, ValidationError
    from safetensors import SafetensorError, safe_open

    try:
        regular_file(argument, path, None)
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise FewshotError(argument, f"{path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise FewshotError(argument, f"{path} is no model file, or torn: {error}") from None
    version = metadata.get(VERSION_KEY)
    if version != str(VERSION):
        raise FewshotError(argument, f"{path} is no model file of version {VERSION}: {version}")
    try:
        header = TypeAdapter(Header).validate_json(metadata.get(KEY, ""))
    except ValidationError as error:
        first = error.errors()[0]
        raise FewshotError(argument, f"{path}: {first['loc']}: {first['msg']}") from None
    return ModelFile(header, tensors)
