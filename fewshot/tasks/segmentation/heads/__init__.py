"""Heads of few-shot segmentation, a method per file, found by name."""

from __future__ import annotations

from fewshot.registry import Registry

heads = Registry(
    "head", "fewshot.segmentation_heads", base="fewshot.tasks.segmentation.heads.base:DenseHead"
)
heads.add(
    "pixel_lda",
    "fewshot.tasks.segmentation.heads.pixel_lda:PixelLDA",
    "linear discriminant analysis of pixels, in closed form",
)
heads.add(
    "prototype",
    "fewshot.tasks.segmentation.heads.prototype:Prototype",
    "cosine with the mean of every class's pixels",
)
