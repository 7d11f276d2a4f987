"""Classifiers on frozen features."""

from fewshot.registry import Registry

heads = Registry("head")
heads.add("ncm", "fewshot.heads.ncm:NCM", "nearest class mean (prototypes), Euclidean")
heads.add(
    "lda",
    "fewshot.heads.lda:LDA",
    "linear discriminant analysis, Ledoit-Wolf shrinkage; nearest class mean at one shot",
)

__all__ = ["heads"]
