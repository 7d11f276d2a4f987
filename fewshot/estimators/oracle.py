"""Upper bounds: the Gaussian model with parameters estimated from the labelled queries."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.decision_space import DecisionSpace
from fewshot.estimators.distances import DISTANCES
from fewshot.estimators.gaussian import class_variances, corrected_points, nearest_point_error
from fewshot.exceptions import expect_choice, expect_repeats
from fewshot.heads.base import Head, Support

NEEDS_QUERIES = "an oracle needs the labelled queries: it is an upper bound, not an estimate"
ONE_QUERY = "one query per class shows no variance"
NO_QUERY = "a class has no query"


class OracleEstimator(ErrorEstimator):
    """Base class of predictions by a model whose parameters come from the labelled queries.

    It is not an estimator: it shows how much of a model's error is due to the few shots and how
    much to the model. ``predict`` is undefined; only
    :func:`fewshot.tasks.engine.episodes.predicted_errors` calls ``predict_knowing``.
    """

    sees_queries = True

    def predict(self, support: Support, head: Head) -> Prediction:
        """Return NaN for every episode, as there are no queries."""
        return Prediction.undefined(support, NEEDS_QUERIES)

    @abstractmethod
    def predict_knowing(self, support: Support, head: Head, queries: Support) -> Prediction:
        """Return predicted errors (E,) of `head`, fitted on `support`, from labelled queries.

        `queries` has features (E, N, Q, D), by way, and a mask for its padding. NaN if a class
        has no query.
        """


class OracleSigma(OracleEstimator):
    """The Gaussian model with the variances of the queries; its means come from the support.

    As :class:`~fewshot.estimators.gaussian.Gaussian` with ``covariance="free"``, but ``s_c`` is
    known: over the D dimensions for the distances of step 3 (the authors take that one from the
    support, which leaves one shot undefined), over the N - 1 dimensions of the decisions for
    the samples of step 5. From Bendou et al. (2023).

    Parameters
    ----------
    distances : {"closed_form", "tabulated"}
        Correction of the distances between class means, as in
        :class:`~fewshot.estimators.gaussian.Gaussian`.
    samples : int >= 1
        Samples per class, as in :class:`~fewshot.estimators.gaussian.Gaussian`.
    iterations : int >= 0
        Iterations of the scaling, as in :class:`~fewshot.estimators.gaussian.Gaussian`.
    """

    references = ("bendou2023statistical",)

    def __init__(
        self, distances: str = "closed_form", samples: int = 512, iterations: int = 50
    ) -> None:
        self.distances = distances
        self.samples = samples
        self.iterations = iterations
        expect_choice("estimator.oracle_sigma.distances", distances, DISTANCES)
        expect_repeats("estimator.oracle_sigma.samples", samples)
        expect_repeats("estimator.oracle_sigma.iterations", iterations, minimum=0)

    def predict_knowing(self, support: Support, head: Head, queries: Support) -> Prediction:
        """Return errors (E,) of the support's corrected means with the queries' variances."""
        space = DecisionSpace.of(support.means())
        true_means = query_means(queries)
        deviations = queries.deviations(true_means)
        squares = torch.linalg.vector_norm(deviations, dim=(2, 3)).double().square()
        whole = class_variances(squares / true_means.shape[-1], queries.counts, 0.0)
        points = corrected_points(space, whole, support, self.distances, self.iterations)
        inside = decision_variances(space, deviations, queries.counts)
        error = nearest_point_error(points, points, inside, self.samples)
        return mask_unobserved(error.to(true_means.dtype), queries)


class Oracle(OracleEstimator):
    """Gaussian classes with the means and the variances of the queries.

    Parameters
    ----------
    classifier : {"support", "queries"}
        Means that classify the samples. Those of the support are the means of nearest class mean,
        so that the only assumption is that classes are isotropic Gaussians in the N - 1 dimensions.
        The authors use those of the queries: the error of nearest class mean with infinitely many
        shots, independent of the support.
    samples : int >= 1
        Samples per class, as in :class:`~fewshot.estimators.gaussian.Gaussian`.
    """

    references = ("bendou2023statistical",)

    def __init__(self, classifier: str = "support", samples: int = 512) -> None:
        self.classifier = classifier
        self.samples = samples
        expect_choice("estimator.oracle.classifier", classifier, ("support", "queries"))
        expect_repeats("estimator.oracle.samples", samples)

    def predict_knowing(self, support: Support, head: Head, queries: Support) -> Prediction:
        """Return errors (E,) of nearest mean on isotropic Gaussians with the queries' moments."""
        true_means = query_means(queries)
        means = support.means() if self.classifier == "support" else true_means
        space = DecisionSpace.of(means)
        centres = space.project((true_means - means.mean(1, keepdim=True))[:, :, None])[:, :, 0]
        inside = decision_variances(space, queries.deviations(true_means), queries.counts)
        error = nearest_point_error(space.points, centres, inside, self.samples)
        return mask_unobserved(error.to(true_means.dtype), queries)


def query_means(queries: Support) -> Tensor:
    """Class means (E, N, D); zero for a class without a query."""
    return queries.features.sum(2) / queries.counts.clamp_min(1)[..., None]


def decision_variances(space: DecisionSpace, deviations: Tensor, counts: Tensor) -> Tensor:
    """Variances (E, N) per dimension of the decisions, of deviations (E, N, Q, D)."""
    squares = space.project(deviations).square().sum((2, 3))
    return class_variances(squares / space.rank[:, None], counts, 0.0)


def mask_unobserved(error: Tensor, queries: Support) -> Prediction:
    """Set errors (E,) to NaN if a class has no query, or if every class has only one."""
    present = (queries.counts > 0).all(-1)
    many = (queries.counts > 1).any(-1)
    reason = ONE_QUERY if bool(present.all()) else NO_QUERY
    return Prediction.of(error, present & many, reason)
