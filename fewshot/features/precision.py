"""Half precision where the machine is faster at it and the features stay the same."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import Encode
from fewshot.exceptions import expect_choice

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
LEAST_COSINE = 0.999


def resolve(wish: str, device: torch.device) -> str:
    """The precision that ``features.precision`` stands for on a device, before any check.

    "auto" is bfloat16 on an accelerator or a CPU that computes in it, float32 elsewhere.
    """
    expect_choice("features.precision", wish, PRECISIONS)
    if wish != "auto":
        return wish
    return "bfloat16" if computes_in_bfloat16(device) else "float32"


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, rather than imitating it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # public in no release so far
    return any(getattr(torch.cpu, name, bool)() for name in names)


def at_precision(encode: Encode, precision: str, device: torch.device) -> Encode:
    """`encode` under autocast; as it is for float32."""
    if precision == "float32":
        return encode

    def encode_low(images: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=getattr(torch, precision)):
            return encode(images).float()

    return encode_low


def compare(encode: Encode, images: Tensor, precision: str, device: torch.device) -> dict[str, Any]:
    """How near features at a lower precision are to those in float32, and how much faster.

    Parameters
    ----------
    encode : callable
        In float32.
    images : Tensor of shape (B, 3, S, S)
        Normalised, on the device.

    Returns
    -------
    dict
        ``images``; ``cosine``, the least over them; ``speedup``, in units of float32's time.
    """
    low = at_precision(encode, precision, device)
    rows, seconds = [], []
    for one in (encode, low):
        one(images)  # kernels are chosen and compiled in the first call
        begun = time.perf_counter()
        rows.append(one(images).double().cpu())
        seconds.append(time.perf_counter() - begun)
    cosine = torch.cosine_similarity(rows[0], rows[1], dim=1).nan_to_num(-1.0)
    return {
        "images": len(images),
        "cosine": round(float(cosine.min()), 6),
        "speedup": round(seconds[0] / seconds[1], 2),
    }


def verdict(check: dict[str, Any], wish: str, precision: str) -> str:
    """The precision to take: float32 again where the lower one distorts or does not help."""
    slow = wish == "auto" and check["speedup"] <= 1
    return "float32" if check["cosine"] <= LEAST_COSINE or slow else precision
