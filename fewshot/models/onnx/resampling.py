"""Pillow's resampling of 8-bit images, in ONNX, bit for bit.

Pillow resamples one axis after the other. An output pixel is a weighted mean of the pixels around
its place, with weights rounded to 22 bits after the point, summed in integers; it is rounded and
clipped to [0, 255] between the axes as well. ONNX's Resize with antialiasing (opset 18) works out
places in float32 and knows one order of the axes only, so that it is up to thirty levels away; and
it has no Lanczos. Here weights are matrices that the graph works out in float64 from the size of
the image, and images are multiplied by them. float32 has 24 bits: weights are split in two halves
of 11, whose products with pixels are summed without rounding.

Only the pixels around an output pixel have weights. Outputs are taken in blocks, each with the
pixels that it needs: else a photograph would be multiplied by a matrix of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from PIL import Image

from fewshot.backbones.transform import LARGEST
from fewshot.models.onnx.graph import Graph, Value, integers

BITS = 22  # of weights, after the point
HALF = 2**11  # what the upper half of a weight counts
BLOCK = 16  # outputs


def bilinear(x: Value) -> Value:
    """``1 - x``, for distances x in [0, 1)."""
    return 1 - x


def bicubic(x: Value) -> Value:
    """Keys's cubic with a = -1/2, for distances x in [0, 2)."""
    a = -0.5
    inner = (x * (a + 2) - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return inner.where(x < 1.0, outer)


def lanczos(x: Value) -> Value:
    """``sinc(x) sinc(x / 3)``, for distances x in [0, 3)."""
    return _sinc(x) * _sinc(x / 3)


def _sinc(x: Value) -> Value:
    angle = x * math.pi
    return (angle.apply("Sin") / angle).where(x > 0.0, 1.0)


# Pixels on either side, and weights by distance; "nearest" is no mean.
FILTERS: dict[str, tuple[float, Callable[[Value], Value]]] = {
    "bilinear": (1.0, bilinear),
    "bicubic": (2.0, bicubic),
    "lanczos": (3.0, lanczos),
}


@dataclass(frozen=True, eq=False)
class Axis:
    """An axis of the image on its way to an axis of the square.

    Attributes
    ----------
    length : Value
        Pixels of the image, a scalar, int64.
    resized : Value
        Pixels of it after resizing, of which a window is kept.
    places : Value of shape (S,)
        Numbers in [0, resized) of the pixels that are kept.
    """

    length: Value
    resized: Value
    places: Value

    @cached_property
    def scale(self) -> Value:
        """Pixels of the image per pixel after resizing, float64."""
        return self.length.to(np.float64) / self.resized.to(np.float64)


@dataclass(frozen=True, eq=False)
class Taps:
    """Weights of the pixels of the image, and which pixels those are, in nb blocks of outputs.

    Attributes
    ----------
    upper, lower : Value of shape (nb, BLOCK, L)
        Halves of the weights, float32: ``weight = HALF upper + lower``, in units of 2^-22.
    pixels : Value of shape (nb, L)
        Numbers of pixels, from `first`.
    first, last : Value
        The range of pixels, scalars: none before `first`, nor from `last` on.
    """

    upper: Value
    lower: Value
    pixels: Value
    first: Value
    last: Value


def taps(graph: Graph, axis: Axis, size: int, interpolation: str) -> Taps:
    """Weights for an axis of a square of `size` pixels; the last block is filled up."""
    blocks = -(-size // BLOCK)
    reach, weight = FILTERS[interpolation]
    numbers = graph.constant(np.minimum(np.arange(blocks * BLOCK), size - 1), np.int64)
    places = axis.places.at(numbers).reshape(blocks, BLOCK)
    stretch = axis.scale.maximum(1.0)
    centre = (places.to(np.float64) + 0.5) * axis.scale
    from_ = (centre - stretch * reach + 0.5).to(np.int64).maximum(0)
    until = (centre + stretch * reach + 0.5).to(np.int64).minimum(axis.length)
    start, end = from_.at(0, 1), until.at(BLOCK - 1, 1)  # (nb,)
    width = (end - start).apply("ReduceMax", keepdims=0)
    pixels = start.reshape(blocks, 1) + integers(graph, width)  # (nb, L)
    each = pixels.reshape(blocks, 1, -1)
    inside = (each >= from_.reshape(blocks, BLOCK, 1)) & (each < until.reshape(blocks, BLOCK, 1))
    distance = (each.to(np.float64) - centre.reshape(blocks, BLOCK, 1) + 0.5).apply("Abs")
    distance = distance * (1.0 / stretch)
    inside = inside & (distance < reach)
    weights = weight(distance).where(inside, 0.0)
    total = weights.apply("ReduceSum", graph.constant([2], np.int64), keepdims=1)
    upper, lower = _halves(weights / total)
    first, last = start.at(0), end.at(blocks - 1)
    return Taps(upper, lower, pixels.minimum(last - 1) - first, first, last)


def _halves(weights: Value) -> tuple[Value, Value]:
    """Weights rounded to 22 bits, as two halves."""
    # Half away from zero, as C does it by adding a half before cutting off.
    rounded = (weights * 2.0**BITS + weights.apply("Sign") * 0.5).to(np.int64).to(np.float64)
    upper = (rounded / float(HALF)).apply("Round")
    return upper.to(np.float32), (rounded - upper * float(HALF)).to(np.float32)


def resampled(graph: Graph, image: Value, taps: Taps, size: int) -> Value:
    """Pixels (B, C, size, m), uint8, of an image (B, C, n, m) along its third axis."""
    parts = image.at(taps.pixels.within(graph), 2).to(np.float32)  # (B, C, nb, L, m)
    upper, lower = (
        half.within(graph).apply("MatMul", parts).to(np.int32) for half in (taps.upper, taps.lower)
    )  # (B, C, nb, BLOCK, m)
    levels = (upper * HALF + lower + 2 ** (BITS - 1)).maximum(0) / 2**BITS
    blocks = -(-size // BLOCK)
    rows = levels.minimum(255).to(np.uint8).apply(
        "Reshape", graph.constant([0, 0, blocks * BLOCK, -1], np.int64)
    )  # fmt: skip
    if size == blocks * BLOCK:
        return rows
    start, end = (graph.constant([number], np.int64) for number in (0, size))
    return rows.between(start, end, [2])


def nearest_pixels(graph: Graph, axis: Axis) -> Value:
    """Numbers (S,) of the pixels of the image that "nearest" takes.

    Pillow adds the scale up from pixel to pixel, and its rounding errors with it.
    """
    steps = integers(graph, axis.resized).to(np.float64) * 0.0 + axis.scale
    first = integers(graph, axis.resized) < 1
    steps = (steps * 0.5).where(first, steps)
    sums = steps.apply("CumSum", graph.constant(0, np.int64))
    return sums.at(axis.places).to(np.int64).minimum(axis.length - 1)


def columns_first(rows: Axis, columns: Axis) -> Value:
    """Whether Pillow resamples columns before rows; what is rounded between makes them differ.

    Pillow 13 weighs the pixels that are saved; older ones do it for very long strips alone.
    """
    # Of images that would be too large, the transform asks Pillow for the window alone.
    large = rows.resized * columns.resized > LARGEST
    tall, wide = (
        axis.places.shape().at(0).minimum(axis.resized).where(large, axis.resized)
        for axis in (rows, columns)
    )
    saved = rows.length - tall
    if pillow_weighs_orders():
        return (saved > 0) & (saved > (columns.length - wide) * 2)
    return (saved > 0) & (rows.length > columns.length * 100)


@cache
def pillow_weighs_orders() -> bool:
    """Whether this Pillow begins with columns where that is less work."""
    pattern = ((np.arange(120) ** 2 % 7 > 3) * 255).astype(np.uint8).reshape(40, 3)
    image, filter_ = Image.fromarray(pattern), Image.Resampling.BICUBIC
    at_once = image.resize((2, 8), filter_)
    by_rows = image.resize((2, 40), filter_).resize((2, 8), filter_)
    return at_once.tobytes() != by_rows.tobytes()
