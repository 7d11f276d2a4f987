"""Choice of half precision, if the device supports it and the features stay the same.

The choice depends on the kind of device and on the cosine of the features to those in float32,
never on timings, so that the same images on the same machine give the same features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import Encode
from fewshot.exceptions import expect_choice
from fewshot.hardware import computes_in_bfloat16

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
LEAST_COSINE = 0.999


def resolve(precision: str, device: torch.device) -> str:
    """The precision that ``features.precision`` stands for on a device, before any check.

    "auto" is bfloat16 on an accelerator or a CPU that computes in it, float32 elsewhere.
    """
    expect_choice("features.precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    return "bfloat16" if computes_in_bfloat16(device) else "float32"


def at_precision(encode: Encode, precision: str, device: torch.device) -> Encode:
    """A network at a precision: under autocast, or in float32 without CUDA's shortcuts.

    Parameters
    ----------
    encode : callable
        As from ``Backbone.load``: images (B, 3, S, S) to features (B, D).
    precision : {"float32", "bfloat16", "float16"}
    device : torch.device
        Where it runs.
    """
    if precision == "float32":
        return _without_tf32(encode) if device.type == "cuda" else encode

    def encode_low(images: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=getattr(torch, precision)):
            return encode(images).float()

    return encode_low


def _without_tf32(encode: Encode) -> Encode:
    def encode_full(images: Tensor) -> Tensor:
        with tf32_off():
            return encode(images)

    return encode_full


@contextmanager
def tf32_off() -> Iterator[None]:
    """Let convolutions and matrix products on CUDA use all 24 bits of float32.

    By default PyTorch rounds the inputs of convolutions to TF32's 11 bits, so that "float32"
    features agree with those of a CPU in three digits only.
    """
    switches: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = False
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def compare(encode: Encode, images: Tensor, precision: str, device: torch.device) -> dict[str, Any]:
    """Similarity of features at a lower precision to those in float32.

    Parameters
    ----------
    encode : callable
        The network, at no precision in particular.
    images : Tensor of shape (B, 3, S, S)
        Normalised, on the device.

    Returns
    -------
    dict
        ``images``, B; ``cosine``, the least over them, rounded to six digits; -1 where features
        are not finite.
    """
    full, low = (
        # To the CPU first: not every device has float64.
        at_precision(encode, level, device)(images).cpu().double()
        for level in ("float32", precision)
    )
    cosine = torch.cosine_similarity(full, low, dim=1).nan_to_num(-1.0)
    return {"images": len(images), "cosine": round(float(cosine.min()), 6)}


def verdict(check: dict[str, Any], precision: str) -> str:
    """The precision to use: float32 if the lower one distorts features or was not compared."""
    return precision if check.get("cosine", -1.0) > LEAST_COSINE else "float32"
