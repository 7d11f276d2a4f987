"""Predictors of the mean and the variances of a class's features from its text vector."""

from fewshot.registry import Registry

predictors = Registry("text.predictor")
predictors.add(
    "ridge",
    "fewshot.text.gaussians.predictors.ridge:RidgePredictor",
    "closed form, penalty by leave-one-out",
)
predictors.add(
    "network",
    "fewshot.text.gaussians.predictors.network:NetworkPredictor",
    "the paper's two-layer network",
)

__all__ = ["predictors"]
