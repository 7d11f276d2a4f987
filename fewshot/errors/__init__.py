"""Predicting the error of an episode from its support alone."""

from fewshot.registry import Registry

estimators = Registry("estimator")
estimators.add(
    "gaussian",
    "fewshot.errors.gaussian:Gaussian",
    "isotropic Gaussians at unbiased distances (Bendou et al. 2023); models nearest class mean",
)
estimators.add(
    "margin",
    "fewshot.errors.margin:Margin",
    "Gaussian margins of the fitted head; exact for two ways",
)
estimators.add(
    "loo", "fewshot.errors.loo:LeaveOneOut", "leave-one-out error; needs two shots of every class"
)
estimators.add(
    "constant",
    "fewshot.errors.constant:Constant",
    "mean error of base-class episodes: the baseline to beat",
)

__all__ = ["estimators"]
