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
heads.add(
    "ridge",
    "fewshot.tasks.segmentation.heads.ridge:Ridge",
    "least squares on the classes of pixels, in closed form",
)
heads.add(
    "logistic",
    "fewshot.tasks.segmentation.heads.logistic:Logistic",
    "logistic regression of pixels",
)
heads.add(
    "dense_knn",
    "fewshot.tasks.segmentation.heads.dense_knn:DenseKNN",
    "votes of the nearest annotated tokens by cosine",
)
heads.add(
    "linear_probe",
    "fewshot.tasks.segmentation.heads.linear_probe:LinearProbe",
    "batch normalisation and a 1x1 layer, trained by SGD",
)
heads.add(
    "repri",
    "fewshot.tasks.segmentation.heads.repri:RePRI",
    "a class against the background, adapted to every query image",
)
heads.add(
    "auto",
    "fewshot.tasks.segmentation.heads.auto:Auto",
    "the best of several heads on support images that are held out",
)
