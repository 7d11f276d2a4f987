"""Maps of the stages of torchvision's networks, found by running them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fewshot.backbones.base import DenseEncoder, Layers
from fewshot.backbones.dense import chosen_layers, run_dense
from fewshot.backbones.folding import folded
from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError

DEPTH = 2  # of modules that may be the end of a stage: ``layer4``, ``features.18``
SIDES = 96, 160  # pixels of the image that shows the stages


class Stage(NamedTuple):
    """The last module that gives maps of a stride.

    Attributes
    ----------
    module : str
        Its place in the network.
    stride : int
        Pixels of the image per column of the map.
    channels_last : bool
        Whether its maps are (B, h, w, D), as those of Swin.
    """

    module: str
    stride: int
    channels_last: bool


def stage_maps(network: Any, name: str, device: torch.device, layers: Layers) -> DenseEncoder:
    """Maps of the stages of a network of torchvision.

    The maps of a stage are those of its last module: for the last stage, what the network pools
    (of MobileNetV2 the 1280 channels after the last convolution).

    Raises
    ------
    FewshotError
        The network does not take such images, or has no such layers.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    try:
        stages = stages_of(network.eval())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise FewshotError(
            "backbone", f"{name!r} does not take images of any size: {brief(error)}"
        ) from None
    if not stages:
        raise FewshotError(
            "backbone", f"{name!r} has no maps whose size is proportional to the image's"
        )
    strides = [stage.stride for stage in stages]
    numbers = chosen_layers(layers, strides, name)
    chosen = [stages[number] for number in numbers]
    nodes = {stage.module: str(i) for i, stage in enumerate(chosen)}
    network = folded(network, lambda model, images: [model(images)], SIDES)
    extractor = create_feature_extractor(network, return_nodes=nodes)

    def maps(images: Tensor) -> list[Tensor]:
        outputs = extractor(images)
        return [
            outputs[str(i)].movedim(-1, 1) if stage.channels_last else outputs[str(i)]
            for i, stage in enumerate(chosen)
        ]

    multiple = math.lcm(*strides[: max(numbers) + 1])
    return run_dense(extractor, device, maps, name, multiple, even=False)


def stages_of(network: nn.Module) -> list[Stage]:
    """The stages of a network in evaluation mode, by increasing stride."""
    seen: dict[int, Stage] = {}

    def record(module: str, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            return
        for channels_last, sides in ((False, output.shape[2:]), (True, output.shape[1:3])):
            stride = _stride(sides)
            if stride is not None:
                seen[stride] = Stage(module, stride, channels_last)
                return

    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: record(name, output))
        for name, module in network.named_modules()
        if name and name.count(".") < DEPTH
    ]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, *SIDES))
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[stride] for stride in sorted(seen)]


def _stride(sides: Sequence[int]) -> int | None:
    """Pixels per column of a map; None if its size is not proportional to the image's."""
    strides = {image / max(side, 1) for image, side in zip(SIDES, sides, strict=True)}
    (stride, *others) = strides
    return None if others or stride != int(stride) else int(stride)
