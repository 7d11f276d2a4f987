"""Estimators of the error of an episode from its support and, some of them, unlabelled images."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.estimators.auto import Auto as Auto
    from fewshot.estimators.auto import AutoSupport as AutoSupport
    from fewshot.estimators.base import BaseClasses as BaseClasses
    from fewshot.estimators.base import ErrorEstimator as ErrorEstimator
    from fewshot.estimators.base import Prediction as Prediction
    from fewshot.estimators.bootstrap632 import Bootstrap632 as Bootstrap632
    from fewshot.estimators.calibration.calibrated import Stack as Stack
    from fewshot.estimators.constant import Constant as Constant
    from fewshot.estimators.davies_bouldin import DaviesBouldin as DaviesBouldin
    from fewshot.estimators.em_disagreement import EMDisagreement as EMDisagreement
    from fewshot.estimators.empirical_bayes import EmpiricalBayes as EmpiricalBayes
    from fewshot.estimators.gaussian import Gaussian as Gaussian
    from fewshot.estimators.kfold import KFold as KFold
    from fewshot.estimators.label_free import AverageConfidence as AverageConfidence
    from fewshot.estimators.label_free import (
        AverageThresholdedConfidence as AverageThresholdedConfidence,
    )
    from fewshot.estimators.label_free import (
        ConfidenceOptimalTransport as ConfidenceOptimalTransport,
    )
    from fewshot.estimators.label_free import DifferenceOfConfidences as DifferenceOfConfidences
    from fewshot.estimators.label_free import (
        GeneralizationDisagreement as GeneralizationDisagreement,
    )
    from fewshot.estimators.label_free import MaNo as MaNo
    from fewshot.estimators.label_free import NuclearNorm as NuclearNorm
    from fewshot.estimators.loo import LeaveOneOut as LeaveOneOut
    from fewshot.estimators.margin import Margin as Margin
    from fewshot.estimators.margin_t import MarginT as MarginT
    from fewshot.estimators.oracle import Oracle as Oracle
    from fewshot.estimators.oracle import OracleSigma as OracleSigma
    from fewshot.estimators.probabilities import held_out_temperature as held_out_temperature
    from fewshot.estimators.unlabelled import Unlabelled as Unlabelled
    from fewshot.estimators.winning import winning_probability as winning_probability

estimators = Registry("estimator", "fewshot.estimators", "fewshot.estimators.base:ErrorEstimator")
estimators.add(
    "auto",
    "fewshot.estimators.auto:Auto",
    "the recommended one: calibrated, on base classes if there are any, with an interval",
)
estimators.add(
    "auto_support",
    "fewshot.estimators.auto:AutoSupport",
    "auto from the support alone, also where episodes have unlabelled images",
)
estimators.add(
    "em_disagreement",
    "fewshot.estimators.em_disagreement:EMDisagreement",
    "disagreement with a mixture fitted to shots and unlabelled images; needs unlabelled images",
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
    "confidence",
    "fewshot.estimators.label_free:AverageConfidence",
    "1 - mean confidence on unlabelled images (Hendrycks and Gimpel 2017)",
)
estimators.add(
    "doc",
    "fewshot.estimators.label_free:DifferenceOfConfidences",
    "held-out error plus the fall of confidence on unlabelled images (Guillory et al. 2021)",
)
estimators.add(
    "atc",
    "fewshot.estimators.label_free:AverageThresholdedConfidence",
    "unlabelled images below a threshold of confidence (Garg et al. 2022)",
)
estimators.add(
    "gde",
    "fewshot.estimators.label_free:GeneralizationDisagreement",
    "disagreement of half-support heads on unlabelled images (Jiang et al. 2022)",
)
estimators.add(
    "cot",
    "fewshot.estimators.label_free:ConfidenceOptimalTransport",
    "transport of confidences on unlabelled images to equal shares of labels (Lu et al. 2023)",
)
estimators.add(
    "nuclear_norm",
    "fewshot.estimators.label_free:NuclearNorm",
    "1 - nuclear norm of probabilities of unlabelled images (Deng et al. 2023)",
)
estimators.add(
    "mano",
    "fewshot.estimators.label_free:MaNo",
    "1 - matrix norm of normalised logits of unlabelled images (Xie et al. 2024)",
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
    "AutoSupport": "auto",
    "AverageConfidence": "label_free",
    "AverageThresholdedConfidence": "label_free",
    "BaseClasses": "base",
    "Bootstrap632": "bootstrap632",
    "ConfidenceOptimalTransport": "label_free",
    "Constant": "constant",
    "DaviesBouldin": "davies_bouldin",
    "DifferenceOfConfidences": "label_free",
    "EMDisagreement": "em_disagreement",
    "EmpiricalBayes": "empirical_bayes",
    "ErrorEstimator": "base",
    "Gaussian": "gaussian",
    "GeneralizationDisagreement": "label_free",
    "KFold": "kfold",
    "LeaveOneOut": "loo",
    "MaNo": "label_free",
    "Margin": "margin",
    "MarginT": "margin_t",
    "NuclearNorm": "label_free",
    "Oracle": "oracle",
    "OracleSigma": "oracle",
    "Prediction": "base",
    "Stack": "calibration.calibrated",
    "Unlabelled": "unlabelled",
    "held_out_temperature": "probabilities",
    "winning_probability": "winning",
}
__all__ = ["estimators", *_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)
