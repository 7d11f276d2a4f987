"""Model files: one safetensors file with a JSON header; no code is in it and none is run."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from fewshot import __version__
from fewshot.backbones.checkpoints import tensors_digest
from fewshot.exceptions import FewshotError, shown
from fewshot.file_kinds import kind_of
from fewshot.files import atomic_path, file_to_write, path_error, path_of, regular_file, writing
from fewshot.models.header import Header, fault_of
from fewshot.units import size

KEY, VERSION_KEY = "fewshot", "fewshot_model_version"  # of the metadata of the safetensors file
WRITER_KEY, CHECKSUM_KEY = "fewshot_version", "fewshot_sha256"
VERSION = 1
SUFFIX = ".fewshot"
NETWORK = "network."  # begins the names of packed weights
LARGEST_HEADER = 32 << 20  # bytes; 1,000 classes take less than one MiB
SAFETENSORS = "a safetensors file"
AGAIN = "Copy or download it again, or fit it anew by `fewshot fit`."
EXPECTED = "expected a model file, as `fewshot fit` writes them"

Content = tuple[dict[str, Any], dict[str, Tensor]]
# From the version of a file to the next one: its header, as JSON has it, and its tensors.
MIGRATIONS: dict[int, Callable[[dict[str, Any], dict[str, Tensor]], Content]] = {}


class ModelFile(NamedTuple):
    """The content of a model file.

    Attributes
    ----------
    header : Header
    tensors : dict of str to Tensor
        All but packed weights.
    """

    header: Header
    tensors: dict[str, Tensor]


def damaged(argument: str, path: Path, what: str) -> FewshotError:
    """The error for a model file whose content does not hold together."""
    return FewshotError(argument, f"the model file {path} is damaged: {what}", AGAIN)


def model_to_write(argument: str, value: object, inputs: Iterable[object] = ()) -> Path:
    """The place of a model file: where nothing is yet, or a model file that it replaces.

    Raises
    ------
    FewshotError
        No path, a folder, one of the inputs, or a file of another kind.
    """
    path = path_of(argument, value)
    replaceable = ("an empty file", *([SAFETENSORS] if _is_model(path) else []))
    return file_to_write(argument, value, inputs, f"model{SUFFIX}", replaceable, "a model file")


def write_model(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    FewshotError
        It cannot be written there.
    """
    from safetensors.torch import save

    text = json.dumps(asdict(header), ensure_ascii=False, allow_nan=False)
    _check_text(text)
    # Tensors may share memory, which the format does not allow.
    stored = {n: t.detach().clone().contiguous() for n, t in tensors.items()}
    metadata = {KEY: text, VERSION_KEY: str(VERSION), WRITER_KEY: __version__,
                CHECKSUM_KEY: checksum(text, stored)}  # fmt: skip
    content = save(stored, metadata)
    with writing("path", path), atomic_path(path) as partial:
        partial.write_bytes(content)  # by Python, so that the umask holds


def checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the header and of all tensors but packed weights, which have one of their own."""
    own = {name: tensors[name] for name in sorted(tensors) if not name.startswith(NETWORK)}
    return hashlib.sha256(f"{text}{tensors_digest(own)}".encode()).hexdigest()


def _check_text(text: str) -> None:
    """Raise for names of folders that are no text in the encoding of the system."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        name = shown(text[max(0, error.start - 20) : error.end + 20])
        raise FewshotError(
            "path", f"a name is no text that a model file can hold: {name}", "Rename the folder."
        ) from None


def read_model(path: Path, argument: str = "model") -> ModelFile:
    """Read a model file, but for packed weights.

    Raises
    ------
    FewshotError
        No such file, another kind of file, torn or changed, or written by a later version.
    """
    metadata, tensors = _content(path, argument)
    version = _version(path, argument, metadata)
    stored = tensors
    try:
        values = json.loads(metadata[KEY])
        for number in range(version, VERSION):
            values, tensors = MIGRATIONS[number](values, tensors)
        header = _validated(values)
    except (KeyError, ValueError, RecursionError) as error:
        raise damaged(argument, path, _reason(error)) from None
    fault = fault_of(header) or _fault_of(tensors)
    if fault is not None:
        raise damaged(argument, path, fault)
    if metadata.get(CHECKSUM_KEY) != checksum(metadata[KEY], stored):
        raise damaged(argument, path, "its content is not what was written")
    return ModelFile(header, tensors)


def packed_weights(path: Path, argument: str = "model") -> dict[str, Tensor]:
    """The weights that are packed in a model file, by the names and in the order of the network."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            names = sorted(n for n in file.keys() if n.startswith(NETWORK))  # noqa: SIM118
            return {
                name.removeprefix(NETWORK).partition(".")[2]: file.get_tensor(name)
                for name in names
            }
    except OSError as error:
        raise _unreadable(argument, path, error) from None
    except SafetensorError as error:
        raise damaged(argument, path, str(error)) from None


def as_packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network under the names that they have in a model file."""
    return {f"{NETWORK}{i:06d}.{name}": t for i, (name, t) in enumerate(tensors.items())}


def _content(path: Path, argument: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        regular_file(argument, path, None)
        _check_kind(path, argument)
        with safe_open(str(path), "pt") as file:
            names = [n for n in file.keys() if not n.startswith(NETWORK)]  # noqa: SIM118
            # Copies, as what is mapped into memory has another alignment, and other roundings.
            return file.metadata() or {}, {name: file.get_tensor(name).clone() for name in names}
    except OSError as error:
        raise _unreadable(argument, path, error) from None
    except SafetensorError as error:
        raise damaged(argument, path, str(error)) from None


def _unreadable(argument: str, path: Path, error: OSError) -> FewshotError:
    if isinstance(error, FileNotFoundError):
        return FewshotError(argument, f"{EXPECTED}, got nothing there: {path}")
    return path_error(error, argument, path) or FewshotError(argument, f"{path}: {error}")


def _check_kind(path: Path, argument: str) -> None:
    """Raise for a file that is no safetensors file, is torn, or has a hostile header."""
    with path.open("rb") as file:  # where it may not be read, that is the reason
        start = file.read(8)
    kind = kind_of(path)
    if kind is None or not kind.startswith(SAFETENSORS):
        raise FewshotError(argument, f"{EXPECTED}, got {kind or 'another kind of file'}: {path}")
    if kind != SAFETENSORS:
        raise damaged(argument, path, "it breaks off")
    length = struct.unpack("<Q", start)[0]
    if length > LARGEST_HEADER:
        raise damaged(argument, path, f"a header of {size(length)}, at most {size(LARGEST_HEADER)}")


def _version(path: Path, argument: str, metadata: Mapping[str, str]) -> int:
    """The version of the format of a file."""
    text = metadata.get(VERSION_KEY)
    if text is None:
        problem = f"{EXPECTED}, got a safetensors file of something else: {path}"
        raise FewshotError(argument, problem)
    version = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if version > VERSION:
        writer = shown(metadata.get(WRITER_KEY, "a later version")).strip("'")
        raise FewshotError(
            argument,
            f"{path} was written by fewshot {writer} in version {version} of the format of model "
            f"files, and fewshot {__version__} reads versions up to {VERSION}",
            f"Upgrade fewshot to {writer}.",
        )
    if version < 1:
        raise damaged(argument, path, f"its version is {shown(text)}")
    return version


def _validated(values: object) -> Header:
    from pydantic import TypeAdapter

    # As JSON, in which tuples are lists; strict, so that no text becomes a number.
    return TypeAdapter(Header).validate_json(json.dumps(values), strict=True)


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place or 'its header'}: {first['msg']}"
    return "its header is missing" if isinstance(error, KeyError) else "its header is no JSON"


def _fault_of(tensors: Mapping[str, Tensor]) -> str | None:
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            return f"{name} has NaN or infinity"
    return None


def _is_model(path: Path) -> bool:
    """Whether there is a model file, of whatever version, whose header can be read."""
    from safetensors import SafetensorError, safe_open

    try:
        if not path.is_file() or kind_of(path) != SAFETENSORS:
            return False
        with safe_open(str(path), "pt") as file:
            return VERSION_KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False
