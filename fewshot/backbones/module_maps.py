"""Maps of a user's network, which says by its output what it has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.base import DenseEncoder, Layers
from fewshot.backbones.dense import chosen_layers, intermediate_maps, is_even, run_dense
from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError

EVEN = 64  # pixels that the strides of nearly all networks divide
REMEDY = (
    "Let it return maps (B, D, h, w) or patch tokens (B, h w, D) without a class token, or a list "
    "of those."
)


def module_maps(
    module: nn.Module, name: str, device: torch.device, layers: Layers, size: int
) -> DenseEncoder:
    """Maps of a module.

    It has the interface of timm's models (``forward_intermediates`` and ``feature_info``), or it
    returns maps (B, D, h, w), or tokens (B, L, D) of a square grid where it is shown a square; or
    a list of those, one for each layer. Strides are read off what comes back for a square image.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
        For messages.
    device : torch.device
    layers : {"last", "multilayer"} or list of int
    size : int
        Side of the first square that is tried.

    Raises
    ------
    FewshotError
        Features of another shape, or strides that are not whole.
    """
    infos: Any = getattr(module, "feature_info", None)
    listed = isinstance(infos, list | tuple) and all(
        isinstance(info, Mapping) and "reduction" in info for info in infos
    )
    if listed and hasattr(module, "forward_intermediates"):
        return intermediate_maps(module, name, device, layers)
    strides = _strides(module.eval(), name, size)
    numbers = chosen_layers(layers, strides, name)

    def maps(images: Tensor) -> list[Tensor]:
        outputs = _outputs(module(images))
        return [_as_map(outputs[number], images, strides[number], name) for number in numbers]

    return run_dense(module, device, maps, name, math.lcm(*strides), is_even(strides))


def _strides(module: nn.Module, name: str, size: int) -> list[int]:
    """Pixels per column of every output, for the first of two squares that gives whole ones."""
    first = next(module.parameters(), torch.empty(0))
    problem: FewshotError | None = None
    for side in dict.fromkeys((size, math.ceil(size / EVEN) * EVEN)):
        try:
            with torch.inference_mode():
                outputs = _outputs(module(torch.zeros(1, 3, side, side, device=first.device)))
            return [_stride(output, side, name) for output in outputs]
        except FewshotError as error:
            problem = problem or error
        except (RuntimeError, AssertionError, ValueError) as error:
            text = f"{name!r} does not take images of {side} x {side} pixels: {brief(error)}"
            problem = problem or FewshotError("backbone", text)
    assert problem is not None
    raise problem


def _outputs(output: Any) -> Sequence[Any]:
    return output if isinstance(output, list | tuple) and output else [output]


def _stride(output: Any, side: int, name: str) -> int:
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    problem = f"{name!r} gives no dense features: expected maps (1, D, h, w), got {shape}"
    if not isinstance(output, Tensor) or output.ndim not in (3, 4):
        raise FewshotError("backbone", problem, REMEDY)
    if output.ndim == 4:
        rows, columns = output.shape[2:]
    else:
        rows = columns = math.isqrt(output.shape[1])
    if rows != columns or not rows or (output.ndim == 3 and rows * rows != output.shape[1]):
        raise FewshotError("backbone", f"{problem} of {side} x {side} pixels", REMEDY)
    if side % rows:
        problem = f"{name!r} gives {rows} x {columns} features of {side} x {side} pixels"
        raise FewshotError(
            "backbone", problem, "Set backbone.size to a multiple of the pixels per feature."
        )
    return side // rows


def _as_map(output: Tensor, images: Tensor, stride: int, name: str) -> Tensor:
    """Tokens (B, L, D) as a map; a map as it is."""
    if output.ndim != 3:
        return output
    rows, columns = (side // stride for side in images.shape[-2:])
    if output.shape[1] != rows * columns:
        raise FewshotError(
            "backbone",
            f"expected {rows} x {columns} tokens of {images.shape[-2]} x {images.shape[-1]} pixels "
            f"from {name!r}, got {output.shape[1]}",
            REMEDY,
        )
    return output.mT.unflatten(2, (rows, columns))
