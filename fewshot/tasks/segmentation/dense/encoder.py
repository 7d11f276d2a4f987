"""Dense features of single images: a grid of tokens, and where they lie in the image."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from fewshot.backbones.base import Backbone, DenseEncoder, Layers
from fewshot.backbones.dense import check_layers
from fewshot.backbones.transform import INTERPOLATION
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.extraction.precision import tf32_off
from fewshot.hardware import available_cores, torch_threads
from fewshot.memory import memory_error
from fewshot.tasks.segmentation.dense.bilinear import Placement
from fewshot.tasks.segmentation.dense.sizes import LOWER, InputSize, check_memory, grid, padded

# Increased when the same images and settings give other tokens.
FORMAT = 1
STRIDE = "segmentation.stride"


class Tokens(NamedTuple):
    """Dense features of an image.

    Attributes
    ----------
    features : Tensor of shape (T, D), float32
        Row by row of the grid, on the CPU.
    grid : (int, int)
        Rows and columns, T = rows * columns.
    placement : Placement
    """

    features: Tensor
    grid: tuple[int, int]
    placement: Placement


class DenseFeatures:
    """The dense features of a backbone at a size, stride and choice of layers.

    The network is loaded on first use. Several threads may call ``tokens`` at a time; on a CPU each
    runs it with one core, so that an image has the same tokens to the last bit whatever the number
    of threads.

    Parameters
    ----------
    backbone : Backbone
    size : str
        ``native``, ``short:N``, ``tokens:N`` or ``paper``; see ``sizes.py``.
    stride : int, optional
        Pixels of the resized image per token; None: 16, of a transformer its patch. Finer maps are
        averaged and coarser ones upsampled onto that grid.
    layers : {"last", "multilayer"} or list of int
        See ``Backbone.load_dense``.
    device : torch.device, optional
        The CPU by default.
    """

    def __init__(
        self,
        backbone: Backbone,
        size: str | InputSize = "short:384",
        stride: int | None = None,
        layers: Layers = "multilayer",
        device: torch.device | None = None,
    ) -> None:
        if stride is not None:
            expect_positive_int(STRIDE, stride)
        self.backbone, self.size = backbone, InputSize.of(size)
        self.layers, self.requested_stride = check_layers(layers), stride
        self.device = torch.device("cpu") if device is None else device
        self._lock = Lock()
        self._flops: dict[tuple[int, int], int] = {}

    @cached_property
    def _loaded(self) -> DenseEncoder:
        return self.backbone.load_dense(self.device, self.layers)

    @property
    def encoder(self) -> DenseEncoder:
        """The network."""
        with self._lock:
            return self._loaded

    @cached_property
    def stride(self) -> int:
        """Pixels of the resized image per token."""
        encoder = self.encoder
        stride = self.requested_stride or encoder.default_stride
        fits = all(stride % finest == 0 or finest % stride == 0 for finest in encoder.strides)
        if not fits:
            maps = ", ".join(map(str, sorted(set(encoder.strides))))
            raise FewshotError(
                STRIDE,
                f"{self.backbone.name!r} has features every {maps} pixels: expected a multiple or "
                f"a divisor, got {stride}",
                f"Set {STRIDE}=null for {encoder.default_stride}.",
            )
        expect(
            self.size.kind != "short" or stride <= self.size.number,
            STRIDE,
            f"expected at most the {self.size.number} pixels of the short side of {self.size}, got "
            f"{stride}: a token would be larger than the image",
            "Set it lower, or segmentation.size higher.",
        )
        return stride

    @cached_property
    def multiple(self) -> int:
        """Multiple of pixels to which images are padded."""
        return math.lcm(self.encoder.multiple, self.stride)

    @property
    def dim(self) -> int:
        """D, the channels of all maps."""
        return sum(self.encoder.dims)

    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides the tokens of an image, JSON types only."""
        transform = self.backbone.transform
        return {
            "format": FORMAT,
            "architecture": self.backbone.architecture(),
            "weights": self.backbone.weights_digest,
            "mean": list(transform.mean),
            "std": list(transform.std),
            "interpolation": transform.interpolation,
            "size": str(self.size),
            "stride": self.stride,
            "layers": self.layers,
        }

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height to which an image is resized."""
        return self.size.resized(width, height, self.stride, self.multiple)

    def input_pixels(self, width: int, height: int) -> int:
        """Pixels that the network sees of an image of this size, padding included."""
        return math.prod(padded(self.resized(width, height), self.multiple))

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of this size."""
        return grid(self.resized(width, height), self.stride)

    def placement(self, width: int, height: int) -> Placement:
        """Where the tokens of an image of this size lie."""
        across, down = self.resized(width, height)
        resized = (across, down)
        return Placement((height, width), (down, across), self.stride, grid(resized, self.stride))

    def tokens(self, image: Image.Image) -> Tokens:
        """Tokens of an RGB image.

        Raises
        ------
        FewshotError
            An input that does not fit into memory, or that the network does not take; features
            that are not finite.
        """
        try:
            return self._tokens(image)
        except (RuntimeError, MemoryError) as error:
            if memory := memory_error(error, LOWER):
                raise memory from None
            raise

    def _tokens(self, image: Image.Image) -> Tokens:
        resized = self.resized(*image.size)
        rows, columns = grid(resized, self.stride)
        pixels = self._pixels(image, resized)
        # Sums that cores share have other last bits; threads share images instead.
        cores = torch_threads(1) if self.device.type == "cpu" else nullcontext()
        with torch.inference_mode(), cores:
            maps = self._encode(self.backbone.transform.normalise(pixels.to(self.device)))
            joined = on_grid(maps, self.stride, pixels.shape[-2:])[:, :, :rows, :columns]
            features = joined[0].permute(1, 2, 0).reshape(rows * columns, -1).cpu()
        expect(
            bool(features.isfinite().all()),
            "backbone",
            f"{self.backbone.name!r} gives features that are not finite",
            "Check its weights.",
        )
        return Tokens(features, (rows, columns), self.placement(*image.size))

    def flops(self, width: int, height: int) -> int:
        """Multiply-adds of the network for an image of this size; cached."""
        across, down = padded(self.resized(width, height), self.multiple)
        if (across, down) not in self._flops:
            self._flops[across, down] = self._count(across, down)
        return self._flops[across, down]

    def _count(self, width: int, height: int) -> int:
        from torch.nn.attention import SDPBackend, sdpa_kernel
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH):  # the fused kernels of CPUs are not counted
            self.encoder.encode(torch.zeros(1, 3, height, width))
        return counter.get_total_flops() // 2

    def _encode(self, images: Tensor) -> list[Tensor]:
        if self.device.type != "cuda":
            return self.encoder.encode(images)
        encoder = self.encoder
        with self._lock, tf32_off():  # a switch of the whole process: threads take turns
            return encoder.encode(images)

    def _pixels(self, image: Image.Image, resized: tuple[int, int]) -> Tensor:
        """Resized pixels (1, 3, H, W), uint8, the last row and column repeated as padding."""
        (across, down), (width, height) = resized, padded(resized, self.multiple)
        check_memory(width, height)
        if image.size != resized:
            image = image.resize(resized, INTERPOLATION[self.backbone.transform.interpolation])
        buffer = np.empty((height, width, 3), np.uint8)
        buffer[:down, :across] = np.asarray(image)
        buffer[down:, :across] = buffer[down - 1 : down, :across]
        buffer[:, across:] = buffer[:, across - 1 : across]
        return torch.from_numpy(buffer).permute(2, 0, 1)[None]


def threads_of(device: torch.device, wanted: int | None = None) -> int:
    """Threads that read and encode images: all cores unless told, one for an accelerator."""
    return wanted or available_cores() if device.type == "cpu" else 1


def on_grid(maps: list[Tensor], stride: int, sides: tuple[int, ...]) -> Tensor:
    """Maps of several strides on one grid, concatenated (B, D, H / stride, W / stride).

    Finer maps are averaged over the tokens' squares; coarser ones are interpolated bilinearly.

    Parameters
    ----------
    maps : list of Tensor of shape (B, D_l, H / stride_l, W / stride_l)
    stride : int
        Every stride_l divides it or is a multiple of it.
    sides : (int, int)
        H and W, multiples of it.
    """
    rows, columns = sides[0] // stride, sides[1] // stride
    return torch.cat([_resampled(level, rows, columns) for level in maps], dim=1)


def _resampled(features: Tensor, rows: int, columns: int) -> Tensor:
    height, width = features.shape[-2:]
    if (height, width) == (rows, columns):
        return features
    if height >= rows:
        return avg_pool2d(features, (height // rows, width // columns))
    return interpolate(features, (rows, columns), mode="bilinear", align_corners=False)
