"""Tensors of checkpoints: read without running code, and told apart from other files."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError
from fewshot.file_kinds import kind_of
from fewshot.memory import memory_error

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, TORCH = "a safetensors file", "a PyTorch checkpoint"
BREAKS_OFF = "that breaks off"
ORDER = "fewshot_order"  # of tensors, in the metadata of a safetensors file
KEYS = re.compile(r'(Missing|Unexpected) key\(s\) in state_dict: ((?:"[^"]*"(?:, )?)+)')
NO_TENSOR = re.compile(r'the parameter named "([^"]+)", expected torch\.Tensor')
SHAPES = re.compile(r"size mismatch for (\S+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]")


def only_tensors(stored: Mapping[str, Any]) -> dict[str, Tensor]:
    """The entries of a checkpoint that are tensors, in its order."""
    from torch import Tensor

    return {str(name): values for name, values in stored.items() if isinstance(values, Tensor)}


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values of tensors, in their order."""
    import torch

    digest = hashlib.sha256()
    for name, values in tensors.items():
        digest.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        raw = values.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def write_state_dict(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as a ``.safetensors`` file that `read_state_dict` gives back in their order.

    The format alone sorts them.
    """
    from safetensors.torch import save

    own = {name: values.detach().clone().contiguous() for name, values in tensors.items()}
    path.write_bytes(save(own, {ORDER: json.dumps([*own])}))


def read_state_dict(name: str, path: Path) -> dict[str, Any]:
    """Tensors by name from a ``.safetensors`` file or a checkpoint of torch; no code is run.

    Raises
    ------
    FewshotError
        Another kind of file, damaged, or not tensors alone.
    """
    import torch

    _expect_weights(name, path)
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return _state_of(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", str(error))
        raise _not_only_tensors(
            path, f"Python objects{f' ({named[1]})' if named else ''}"
        ) from None
    except Exception as error:  # a damaged file can make the parsers raise anything
        if memory := memory_error(error, "Free memory of other programs."):
            raise memory from None
        if "TorchScript" in str(error):
            raise _not_only_tensors(path, "a TorchScript program") from None
        raise unfit(name, path, error) from None


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        names = [*file.keys()]
        order = json.loads((file.metadata() or {}).get(ORDER, "null"))
        if order is not None and sorted(order) == sorted(names):
            names = order
        return {name: file.get_tensor(name) for name in names}


def _expect_weights(name: str, path: Path) -> None:
    """Raise for a file that is something else than its name says, by its first bytes.

    The kinds of weights are for torch and safetensors to judge, and so is what is not recognised.
    """
    kind = kind_of(path)
    suffix = ".safetensors" if path.suffix == ".safetensors" else ".pth"
    right = {".safetensors": (SAFETENSORS,), ".pth": (TORCH, "a pickle", "a tar archive")}[suffix]
    if kind is None or (kind.startswith(right) and BREAKS_OFF not in kind):
        return
    remedy = "Delete it and fetch it again, or name another with backbone.weights=FILE."
    for other, named in ((SAFETENSORS, ".safetensors"), (TORCH, ".pth")):
        if kind.startswith(other) and named != suffix:
            remedy = f"Name it {path.with_suffix(named).name}."
    problem = f"{path} does not load into {name!r}: it is {kind}"
    raise FewshotError("backbone.weights", problem, remedy)


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
    differences = mismatches(str(error))
    return FewshotError(
        "backbone.weights",
        f"{path} does not load into {name!r} ({differences or brief(error)})",
        "It is a checkpoint of another architecture, or not complete."
        if differences
        else "Is it complete, and of this architecture?",
    )


def mismatches(text: str) -> str:
    """The first differences that ``load_state_dict`` of torch reports, in one line.

    Parameters
    ----------
    text : str
        Its error message, which may name hundreds of parameters.

    Returns
    -------
    str
        Empty for another message.
    """
    keys = [(kind, re.findall('"([^"]*)"', names)) for kind, names in KEYS.findall(text)]
    parts = [f"not a tensor: {key}" for key in NO_TENSOR.findall(text)[:1]]
    parts += [f"{kind} keys: {some(names)}" for kind, names in keys]
    shapes = [f"{key} is ({got}), expected ({want})" for key, got, want in SHAPES.findall(text)]
    if shapes:
        parts.append(f"size mismatch: {some(shapes, 2)}")
    return "; ".join(parts)


def some(names: Sequence[str], count: int = 3) -> str:
    """The first of `names` and how many more there are; "none" for none.

    Examples
    --------
    >>> some(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    rest = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + rest if names else "none"
