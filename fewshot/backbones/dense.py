"""Maps of features of whole images, from stages of convolutional networks and from tokens.

Which maps, by default, is as in the linear evaluations of DINOv2 (Oquab et al., TMLR 2024, appendix
B.3) and of the benchmark of few-shot segmentation (Bensaid et al., arXiv 2401.11311): the last four
blocks of a transformer. Of a network whose stages get coarser, the last three.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.base import DenseEncoder, Layers
from fewshot.backbones.folding import folded
from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError, expect, shown, suggestion
from fewshot.memory import is_out_of_memory

ARGUMENT = "segmentation.layers"
NAMED = ("last", "multilayer")
STAGES, BLOCKS = 3, 4  # that "multilayer" means
FINEST = 16  # the stride of tokens of networks of several strides, unless it is set

Maps = Callable[[Tensor], Sequence[Tensor]]


def check_layers(layers: object) -> str | list[int]:
    """The setting ``segmentation.layers``: "last", "multilayer" or a list of integers.

    Raises
    ------
    FewshotError
        Something else.
    """
    if isinstance(layers, str) and layers in NAMED:
        return layers
    numbers = not isinstance(layers, str) and isinstance(layers, Sequence) and len(layers) > 0
    if numbers and all(isinstance(n, int) and not isinstance(n, bool) for n in layers):  # type: ignore[attr-defined]
        return list(layers)  # type: ignore[call-overload]
    hint = suggestion(layers, NAMED) if isinstance(layers, str) else ""
    raise FewshotError(
        ARGUMENT, f"expected last, multilayer or a list of integers, got {shown(layers)}", hint
    )


def chosen_layers(layers: Layers, strides: Sequence[int], name: str) -> list[int]:
    """Numbers of layers, from 0, in the order in which they were asked for.

    Parameters
    ----------
    layers : {"last", "multilayer"} or list of int
    strides : sequence of int
        Of every layer that there is, or of equal ones (a transformer's).
    name : str
        Of the network, for messages.

    Raises
    ------
    FewshotError
        No such layer, or the same twice.
    """
    count = len(strides)
    if isinstance(layers, str):
        most = 1 if layers == "last" else BLOCKS if is_even(strides) else STAGES
        return list(range(count))[-most:]
    what = "blocks" if is_even(strides) else "stages"
    for number in layers:
        expect(
            -count <= number < count,
            ARGUMENT,
            f"{name!r} has {count} {what}, 0 to {count - 1} or {-count} to -1; got {number}",
        )
    numbers = [number % count for number in layers]
    expect(
        len(set(numbers)) == len(numbers),
        ARGUMENT,
        f"expected each of the {what} once, got {list(layers)} of {count}",
    )
    return numbers


def is_even(strides: Sequence[int]) -> bool:
    """Whether all layers have one stride, as a transformer's blocks."""
    return len(set(strides)) == 1 and len(strides) > 1


def intermediate_maps(model: Any, name: str, device: torch.device, layers: Layers) -> DenseEncoder:
    """Maps of a network with the interface of timm's models, ``forward_intermediates``.

    Tokens of a transformer pass its final norm, whichever block they come from; class tokens and
    registers are left out.

    Raises
    ------
    FewshotError
        The network gives no intermediate features, or has no such layers.
    """
    if getattr(model, "forward_intermediates", None) is None:
        raise FewshotError("backbone", f"{name!r} gives no intermediate features")
    infos = list(model.feature_info)
    strides = [int(info["reduction"]) for info in infos]
    numbers = chosen_layers(layers, strides, name)
    accepted = inspect.signature(model.forward_intermediates).parameters
    wanted = {"norm": True, "stop_early": True, "intermediates_only": True, "output_fmt": "NCHW"}
    settings = {key: value for key, value in wanted.items() if key in accepted}
    order = sorted(numbers)

    def run(network: Any, images: Tensor) -> list[Tensor]:
        outputs = network.forward_intermediates(images, indices=order, **settings)
        by_number = dict(zip(order, outputs, strict=True))
        return [by_number[number] for number in numbers]

    multiple = math.lcm(*strides[: max(numbers) + 1])
    model = folded(model.eval(), run, (2 * multiple, 3 * multiple))
    maps = partial(run, model)
    return run_dense(model, device, maps, name, multiple, is_even(strides))


def run_dense(
    model: nn.Module, device: torch.device, maps: Maps, name: str, multiple: int, even: bool
) -> DenseEncoder:
    """`model` in evaluation mode, without gradients, on `device`.

    Parameters
    ----------
    model : torch.nn.Module
    device : torch.device
    maps : callable
        Runs `model`: images (B, 3, H, W) to maps (B, D_l, h_l, w_l).
    name : str
        For messages.
    multiple : int
        Of pixels that H and W have to be.
    even : bool
        Whether all layers of the network have one stride, which is then that of tokens.

    Raises
    ------
    FewshotError
        The network gives no maps, or does not take images of every size.
    """
    layout = torch.channels_last
    model = model.eval().requires_grad_(False).to(device).to(memory_format=layout)

    def run(images: Tensor) -> list[Tensor]:
        model.eval()  # whatever else holds the network may have put it into training
        with torch.inference_mode():
            inputs = images.to(device, memory_format=layout)
            return [check_map(output, images, name).float() for output in maps(inputs)]

    def encode(images: Tensor) -> list[Tensor]:
        size = " x ".join(map(str, images.shape[-2:]))
        try:
            return run(images)
        except (RuntimeError, AssertionError, ValueError) as error:
            if isinstance(error, FewshotError) or is_out_of_memory(error):
                raise
            raise FewshotError(
                "backbone",
                f"{name!r} does not take images of {size} pixels: {brief(error)}",
                "Take a network for images of any size (of timm's transformers: with "
                "dynamic_img_size=True), for instance backbone=efficientnet_lite0.",
            ) from None

    sides = 2 * multiple, 3 * multiple
    probe = encode(torch.zeros(1, 3, *sides))
    strides = tuple(_stride(output, sides, name) for output in probe)
    dims = tuple(output.shape[1] for output in probe)
    return DenseEncoder(encode, multiple, strides, dims, default_stride(strides, even))


def default_stride(strides: Sequence[int], even: bool) -> int:
    """The stride of tokens unless it is set: 16, where that fits the maps and not all are `even`.

    Examples
    --------
    >>> default_stride([8, 16, 32], False), default_stride([14, 14], True)
    (16, 14)
    >>> default_stride([4], False), default_stride([12, 24], False)
    (4, 12)
    """
    if even:
        return strides[0]
    if max(strides) >= FINEST and all(s % FINEST == 0 or FINEST % s == 0 for s in strides):
        return FINEST
    return max((s for s in strides if s <= FINEST), default=min(strides))


def check_map(output: object, images: Tensor, name: str) -> Tensor:
    """`output`, if it is maps (B, D, h, w) of the images."""
    if isinstance(output, Tensor) and output.ndim == 4 and len(output) == len(images):
        return output
    got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise FewshotError(
        "backbone",
        f"expected maps ({len(images)}, D, h, w) of {name!r}, got {got}",
    )


def _stride(output: Tensor, sides: tuple[int, int], name: str) -> int:
    """Pixels from one column of a map to the next, the same in rows."""
    rows, columns = output.shape[-2:]
    stride = sides[0] // max(rows, 1)
    expect(
        rows * stride == sides[0] and columns * stride == sides[1],
        "backbone",
        f"expected maps whose size is proportional to the image's, got {rows} x {columns} of "
        f"{sides[0]} x {sides[1]} pixels from {name!r}",
    )
    return stride
