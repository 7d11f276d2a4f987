"""The transform of images as an ONNX graph: the pixels of `fewshot.backbones.transform`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fewshot.backbones.transform import Transform
from fewshot.models.onnx.graph import Graph, Value, integers
from fewshot.models.onnx.resampling import (
    Axis,
    Taps,
    columns_first,
    nearest_pixels,
    resampled,
    taps,
)

if TYPE_CHECKING:
    from onnx import GraphProto

IMAGE, PIXELS = "image", "pixels"
PREFIX = "transform/"


def transform_graph(transform: Transform) -> GraphProto:
    """A graph from ``image`` (B, H, W, 3) to ``pixels`` (B, 3, S, S), both uint8.

    Height and width are those of the images that come, the same within a batch.
    """
    graph, size = Graph(PREFIX), transform.size
    image = graph.value(IMAGE, np.uint8)
    shape = image.shape()
    height, width = shape.at(1), shape.at(2)
    tall, wide = _resized(transform, height, width)
    rows, inside_rows = _window(graph, height, tall, size)
    columns, inside_columns = _window(graph, width, wide, size)
    if transform.interpolation == "nearest":
        kept = image.at(nearest_pixels(graph, rows), 1).at(nearest_pixels(graph, columns), 2)
        pixels = kept.permuted(0, 3, 1, 2)
    else:
        pixels = _filtered(graph, image, rows, columns, transform)
    if transform.resize == "longest":  # the others fill the square
        inside = inside_rows.reshape(size, 1) & inside_columns.reshape(1, size)
        colour = graph.constant(np.reshape(transform.fill, (1, 3, 1, 1)), np.uint8)
        pixels = pixels.where(inside, colour)
    pixels = pixels.renamed(PIXELS)
    inputs = [image.described(["batch", "height", "width", 3])]
    return graph.proto(PIXELS, inputs, [pixels.described(["batch", 3, size, size])])


def _resized(transform: Transform, height: Value, width: Value) -> tuple[Value, Value]:
    """Height and width after resizing, as `Transform.resized` rounds them."""
    edge = math.floor(transform.size / transform.crop_pct)
    if transform.resize == "squash":
        return height * 0 + edge, width * 0 + edge
    if transform.resize == "longest":
        ratio = height.maximum(width).to(np.float64) / float(edge)
        tall, wide = ((n.to(np.float64) / ratio).apply("Round") for n in (height, width))
        return tall.to(np.int64).maximum(1), wide.to(np.int64).maximum(1)
    upright = width <= height

    def other(long: Value, short: Value) -> Value:
        return ((long * edge).to(np.float64) / short.to(np.float64)).to(np.int64)

    tall = other(height, width).where(upright, edge)
    return tall, (width * 0 + edge).where(upright, other(width, height))


def _window(graph: Graph, length: Value, resized: Value, size: int) -> tuple[Axis, Value]:
    """An axis with the centre of it that is kept, and which of the S places (S,) are on it."""
    across = resized.minimum(size)
    left = ((resized - across).to(np.float64) / 2.0).apply("Round").to(np.int64)
    before = (across * -1 + size) / 2  # what is filled
    place = integers(graph, size) - before
    inside = (place >= 0) & (place < across)
    places = (place + left).maximum(0).minimum(resized - 1)
    return Axis(length, resized, places), inside


def _filtered(graph: Graph, image: Value, rows: Axis, columns: Axis, transform: Transform) -> Value:
    """Pixels (B, 3, S, S) of an image (B, H, W, 3), resampled along both axes."""
    size = transform.size
    down, across = (taps(graph, axis, size, transform.interpolation) for axis in (rows, columns))
    starts, ends = _pair(down.first, across.first), _pair(down.last, across.last)
    image = image.between(starts, ends, [1, 2])

    def along_rows_first(inner: Graph) -> Value:
        upright = image.within(inner).permuted(0, 3, 2, 1)
        return _both(inner, upright, across, down, size)

    def along_columns_first(inner: Graph) -> Value:
        lying = image.within(inner).permuted(0, 3, 1, 2)
        return _both(inner, lying, down, across, size).permuted(0, 1, 3, 2)

    return graph.branches(columns_first(rows, columns), along_columns_first, along_rows_first)


def _both(graph: Graph, image: Value, first: Taps, second: Taps, size: int) -> Value:
    """Resampled along the third axis, then along the fourth, which becomes the third."""
    once = resampled(graph, image, first, size).permuted(0, 1, 3, 2)
    return resampled(graph, once, second, size)


def _pair(first: Value, second: Value) -> Value:
    """Two scalars as a tensor (2,)."""
    return first.reshape(1).apply("Concat", second.reshape(1), axis=0)
