"""Batch norms folded into the convolutions before them: fewer passes over large maps."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

CLOSE = 1e-4  # of the largest value of a map

Run = Callable[[Any, Tensor], Sequence[Tensor]]


class Pair(NamedTuple):
    """Names of a convolution and of the batch norm that takes what it gives."""

    convolution: str
    norm: str


def folded(model: Any, run: Run, sides: tuple[int, int]) -> Any:
    """A network in evaluation mode without its batch norms, as far as they can be folded.

    A batch norm with fixed statistics is an affine map per channel, as is the end of a convolution.
    Which follow each other is seen by running the network.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode; left as it is.
    run : callable
        From the network, or a copy of it, and images (B, 3, H, W) to its outputs.
    sides : (int, int)
        H and W of random images to run and compare it on.

    Returns
    -------
    torch.nn.Module
        A copy, if that gives the same outputs; else `model`.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return model
    images = torch.randn(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    copied = copy.deepcopy(model)
    try:
        with torch.no_grad():
            pairs, expected = _pairs(copied, run, images)
            for pair in pairs:
                _fold(copied, pair)
            actual = run(copied, images)
    except (RuntimeError, AssertionError, ValueError):  # it does not take such images
        return model
    return copied if all(map(_close, actual, expected)) else model


def _close(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=0, atol=CLOSE * float(expected.abs().max()))


def _pairs(model: Any, run: Run, images: Tensor) -> tuple[list[Pair], Sequence[Tensor]]:
    """Convolutions and the norms that take their output, each used once; and the outputs."""
    # Tensors are kept, or their ids would be those of others later.
    sources: dict[int, tuple[str, Tensor]] = {}
    pairs: list[Pair] = []
    uses: Counter[str] = Counter()

    def follow(name: str, module: nn.Module, value: Tensor) -> None:
        uses[name] += 1
        if isinstance(module, nn.Conv2d):
            sources[id(value)] = name, value
        elif id(value) in sources:
            pairs.append(Pair(sources[id(value)][0], name))

    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: follow(
                name, module, output if isinstance(module, nn.Conv2d) else inputs[0]
            )
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) or _is_foldable(module)
    ]
    try:
        outputs = run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in pairs if all(uses[name] == 1 for name in pair)], outputs


def _is_foldable(module: nn.Module) -> bool:
    """Whether it is torch's batch norm with statistics, or timm's, which has its activation."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_var is None:
        return False
    return type(module) is nn.BatchNorm2d or {"act", "drop"} <= dict(module.named_children()).keys()


def _fold(model: Any, pair: Pair) -> None:
    convolution, norm = (model.get_submodule(name) for name in pair)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps,
        norm.weight, norm.bias,
    )  # fmt: skip
    parent, _, child = pair.norm.rpartition(".")
    after = [module for module in norm.children() if not isinstance(module, nn.Identity)]
    setattr(model.get_submodule(parent), child, nn.Sequential(*after))
