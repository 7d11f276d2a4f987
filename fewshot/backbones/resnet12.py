"""The ResNet-12 of the few-shot literature, from a local checkpoint.

Four blocks of three 3 x 3 convolutions, LeakyReLU(0.1), halved by max pooling, averaged over space:
Lee et al., Meta-Learning with Differentiable Convex Optimization (MetaOptNet), CVPR 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    Encode,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.checkpoints import only_tensors, read_state_dict, some, unfit
from fewshot.backbones.dense import check_layers, intermediate_maps
from fewshot.backbones.transform import IMAGENET_MEAN, IMAGENET_STD, Transform
from fewshot.backbones.weights import check_sha256, checked, local_weights
from fewshot.exceptions import FewshotError, expect_choice

# Keys of the network in the checkpoints of public code bases.
NESTED = ("params", "model_sd", "network", "net", "embedding", "backbone", "encoder", "feature")
FIRST = re.compile(r"(|.*\.)layer1\.(0\.)?conv1\.weight")
CLASSIFIER = re.compile(r"(fc|classifier|linear|logits?|head|\w*(rot|aux)\w*)\.")


class ResNet12Backbone(Backbone):
    """640 pooled features of 84-pixel images; other widths are read off the checkpoint.

    Parameters
    ----------
    name : str
    folders : Folders
    weights : str
        A checkpoint of MetaOptNet, FEAT, DeepEMD, Meta-Baseline, easyfsl's ``feat_resnet12``...;
        else ``resnet12.*`` in the folder of weights.
    sha256 : str, optional
        What that file must hash to.
    size, crop_pct, interpolation, mean, std
        The transform: images are resized to 92 pixels and cut to 84 by default. Some code bases
        trained with other statistics; theirs are the right ones for their checkpoints.
    """

    def __init__(
        self,
        name: str = "resnet12",
        folders: Folders | None = None,
        weights: str | None = None,
        feature: str = "pooled",
        sha256: str | None = None,
        size: int | None = None,
        crop_pct: float = 84 / 92,
        interpolation: str = "bilinear",
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        expect_choice("backbone.feature", feature, ["pooled"])
        check_sha256(sha256)
        self.name, self.feature = name, feature
        self.folders = folders or Folders(Path())
        self.weights, self.sha256 = weights, sha256
        self.transform = Transform(84 if size is None else size, crop_pct, interpolation, mean, std)

    def weights_file(self) -> Path:
        """The setting `weights`, or a file in the folder of weights."""
        path = local_weights("resnet12", self.weights, self.folders.weights)
        if path is None:
            raise FewshotError(
                "backbone.weights",
                f"{self.name!r} has no published weights: expected a checkpoint, got nothing",
                "Set backbone.weights=FILE, or put the file at "
                f"{self.folders.weights / 'resnet12.pth'}.",
            )
        return checked(path, self.sha256, self.folders.cache)

    def architecture(self) -> dict[str, Any]:
        """Name of the network; its widths follow from the weights."""
        return {"resnet12": 1}

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of the blocks."""
        return only_tensors(blocks_of(read_state_dict(self.name, self.weights_file())))

    def load(self, device: torch.device) -> Encode:
        """The four blocks and the average over space."""
        return run_frozen(self._loaded(), device)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of the blocks."""
        layers = check_layers(layers)
        return intermediate_maps(self._loaded(), self.name, device, layers)

    def _loaded(self) -> ResNet12:
        """The network with its weights."""
        path = self.weights_file()
        try:
            return network_of(blocks_of(read_state_dict(self.name, path)))
        except (RuntimeError, ValueError) as error:
            raise unfit(self.name, path, error) from None


class Block(nn.Module):
    """Residual block of three convolutions with a projection and max pooling by 2."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        for i, channels in enumerate((inside, width, width), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(width))
        self.downsample = nn.Sequential(
            nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.relu = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Residual block with pooling: (B, inside, S, S) to (B, width, S/2, S/2)."""
        out = x
        for i in (1, 2, 3):
            out = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(out))
            out = out + self.downsample(x) if i == 3 else out
            out = self.relu(out)
        return nn.functional.max_pool2d(out, 2)


class ResNet12(nn.Module):
    """ResNet-12 without classifier: images (B, 3, S, S) to features (B, widths[-1])."""

    # Pixels per column of the blocks' maps, as timm's networks say it.
    feature_info = tuple({"reduction": stride} for stride in (2, 4, 8, 16))

    def __init__(self, widths: Sequence[int] = (64, 160, 320, 640)) -> None:
        super().__init__()
        for i, (inside, width) in enumerate(zip((3, *widths[:-1]), widths, strict=True), start=1):
            self.add_module(f"layer{i}", Block(inside, width))

    def forward(self, x: Tensor) -> Tensor:
        """Four blocks, then the mean over space."""
        return self.forward_intermediates(x, [3])[0].mean((2, 3))

    def forward_intermediates(self, x: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Maps (B, D, S / stride, S / stride) of some blocks, in the order of computation."""
        outputs = []
        for number, block in enumerate(self.children()):
            x = block(x)
            if number in indices:
                outputs.append(x)
        return outputs


def network_of(stored: dict[str, Any]) -> ResNet12:
    """A network with the widths and values of the stored tensors.

    Raises
    ------
    ValueError
        Tensors are missing or too many: names some.
    RuntimeError
        Their shapes do not belong together.
    """
    firsts = (stored.get(f"layer{i}.conv1.weight") for i in range(1, 5))
    widths = [len(w) if isinstance(w, Tensor) and w.ndim == 4 else 1 for w in firsts]
    network = ResNet12(widths)
    expected = {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
    missing = sorted(expected - stored.keys())
    unexpected = sorted(stored.keys() - network.state_dict().keys())
    if missing or unexpected:
        raise ValueError(f"missing: {some(missing)}; unexpected: {some(unexpected)}")
    network.load_state_dict(stored)
    return network


def blocks_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of the blocks as ``layerN.*``, under any prefix; without classifiers.

    Raises
    ------
    ValueError
        There is no ``layer1.conv1`` in it: names some of what there is.
    """
    for key in NESTED:
        inner = checkpoint.get(key)
        if isinstance(inner, Mapping):
            return blocks_of(inner)
    firsts = [match for match in map(FIRST.fullmatch, map(str, checkpoint)) if match]
    if not firsts:
        present = ", ".join(map(str, list(checkpoint)[:4]))
        raise ValueError(f"missing: layer1.0.conv1.weight; there are {present}...")
    # Tensors outside the prefix belong to other modules of the method.
    prefix = firsts[0][1]
    inside = {
        key.removeprefix(prefix): v for key, v in checkpoint.items() if key.startswith(prefix)
    }
    return {
        re.sub(r"^(layer\d+)\.0\.", r"\1.", key): values
        for key, values in inside.items()
        if not CLASSIFIER.match(key)
    }
