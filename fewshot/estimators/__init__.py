"""Estimators of the error of an episode from its support alone."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.estimators.auto import Auto as Auto
    from fewshot.estimators.base import BaseClasses as BaseClasses
    from fewshot.estimators.base import ErrorEstimator as ErrorEstimator
    from fewshot.estimators.base import Prediction as Prediction
    from fewshot.estimators.bootstrap632 import Bootstrap632 as Bootstrap632
    from fewshot.estimators.calibration.calibrated import Stack as Stack
    from fewshot.estimators.constant import Constant as Constant
    from fewshot.estimators.davies_bouldin import DaviesBouldin as DaviesBouldin
    from fewshot.estimators.empirical_bayes import EmpiricalBayes as EmpiricalBayes
    from fewshot.estimators.gaussian import Gaussian as Gaussian
    from fewshot.estimators.kfold import KFold as KFold
    from fewshot.estimators.loo import LeaveOneOut as LeaveOneOut
    from fewshot.estimators.margin import Margin as Margin
    from fewshot.estimators.margin_t import MarginT as MarginT
    from fewshot.estimators.oracle import Oracle as Oracle
    from fewshot.estimators.oracle import OracleSigma as OracleSigma
    from fewshot.estimators.winning import winning_probability as winning_probability

estimators = Registry("estimator", "fewshot.estimators", "fewshot.estimators.base:ErrorEstimator")
estimators.add(
    "auto",
    "fewshot.estimators.auto:Auto",
    "the recommended one: calibrated, on base classes if there are any, with an interval",
)
estimators.add(
    "gaussian",
    "fewshot.estimators.gaussian:Gaussian",
    "isotropic Gaussians at unbiased distances (Bendou et al. 2023); models nearest class mean",
)
estimators.add(
    "margin",
    "fewshot.estimators.margin:Margin",
    "Gaussian margins of the fitted head; exact for two ways",
)
estimators.add(
    "margin_t",
    "fewshot.estimators.margin_t:MarginT",
    "margin with Student-t tails",
)
estimators.add(
    "empirical_bayes",
    "fewshot.estimators.empirical_bayes:EmpiricalBayes",
    "margins under a prior from base classes; margin where shots and prior disagree",
)
estimators.add(
    "loo",
    "fewshot.estimators.loo:LeaveOneOut",
    "leave-one-out error; needs two shots of every class",
)
estimators.add(
    "kfold", "fewshot.estimators.kfold:KFold", "repeated stratified k-fold cross-validation error"
)
estimators.add(
    "bootstrap632",
    "fewshot.estimators.bootstrap632:Bootstrap632",
    ".632+ bootstrap error (Efron and Tibshirani 1997)",
)
estimators.add(
    "davies_bouldin",
    "fewshot.estimators.davies_bouldin:DaviesBouldin",
    "regression on the Davies-Bouldin index; learns from base-class episodes",
)
estimators.add(
    "stack",
    "fewshot.estimators.calibration.calibrated:Stack",
    "several estimators as one, by regression on base-class episodes",
)
estimators.add(
    "constant",
    "fewshot.estimators.constant:Constant",
    "mean error of base-class episodes: the baseline to beat",
)
estimators.add(
    "oracle_sigma",
    "fewshot.estimators.oracle:OracleSigma",
    "gaussian with the true variances; sees the queries: an upper bound, not an estimate",
)
estimators.add(
    "oracle",
    "fewshot.estimators.oracle:Oracle",
    "true means and variances; sees the queries: an upper bound, not an estimate",
)

# Classes and functions by the module that has them.
_HOMES = {
    "Auto": "auto",
    "BaseClasses": "base",
    "Bootstrap632": "bootstrap632",
    "Constant": "constant",
    "DaviesBouldin": "davies_bouldin",
    "EmpiricalBayes": "empirical_bayes",
    "ErrorEstimator": "base",
    "Gaussian": "gaussian",
    "KFold": "kfold",
    "LeaveOneOut": "loo",
    "Margin": "margin",
    "MarginT": "margin_t",
    "Oracle": "oracle",
    "OracleSigma": "oracle",
    "Prediction": "base",
    "Stack": "calibration.calibrated",
    "winning_probability": "winning",
}
__all__ = ["estimators", *_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)
