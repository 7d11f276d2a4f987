"""Predicting the error of an episode from its support alone."""

from fewshot.registry import Registry

estimators = Registry("estimator")
estimators.add(
    "auto",
    "fewshot.errors.auto:Auto",
    "the recommended one: calibrated, on base classes if there are any, with an interval",
)
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
    "margin_t",
    "fewshot.errors.margin_t:MarginT",
    "margin with Student-t tails",
)
estimators.add(
    "empirical_bayes",
    "fewshot.errors.empirical_bayes:EmpiricalBayes",
    "margins under a prior from base classes; margin where shots and prior disagree",
)
estimators.add(
    "loo", "fewshot.errors.loo:LeaveOneOut", "leave-one-out error; needs two shots of every class"
)
estimators.add(
    "kfold", "fewshot.errors.kfold:KFold", "repeated stratified k-fold cross-validation error"
)
estimators.add(
    "bootstrap632",
    "fewshot.errors.bootstrap632:Bootstrap632",
    ".632+ bootstrap error (Efron and Tibshirani 1997)",
)
estimators.add(
    "davies_bouldin",
    "fewshot.errors.davies_bouldin:DaviesBouldin",
    "regression on the Davies-Bouldin index; learns from base-class episodes",
)
estimators.add(
    "stack",
    "fewshot.errors.calibrated:Stack",
    "several estimators as one, by regression on base-class episodes",
)
estimators.add(
    "constant",
    "fewshot.errors.constant:Constant",
    "mean error of base-class episodes: the baseline to beat",
)
estimators.add(
    "oracle_sigma",
    "fewshot.errors.oracle:OracleSigma",
    "gaussian with the true variances; sees the queries: an upper bound, not an estimate",
)
estimators.add(
    "oracle",
    "fewshot.errors.oracle:Oracle",
    "true means and variances; sees the queries: an upper bound, not an estimate",
)

__all__ = ["estimators"]
