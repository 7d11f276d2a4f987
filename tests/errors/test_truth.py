"""Every estimator against the true error of the fitted head, on Gaussians that are known."""

import functools

import numpy as np
import pytest
import torch
from scipy.stats import norm, spearmanr

from fewshot.errors import estimators
from fewshot.errors.base import BaseClasses, Moments
from fewshot.errors.margin import margins_of, rival_covariance, rivals
from fewshot.errors.oracle import OracleEstimator
from fewshot.errors.orthant import orthant_probability
from fewshot.heads import heads
from fewshot.heads.base import Support, linear_scores

D, WAYS, EPISODES, BASE_EPISODES, CLASSES = 24, 4, 150, 250, 60
NAMES = [name for name in estimators if not issubclass(estimators[name].load(), OracleEstimator)]


def variances(kind):
    """Within and between classes, per dimension."""
    if kind == "isotropic":
        return np.ones(D), np.full(D, 0.2)
    return np.geomspace(4.0, 0.05, D), np.geomspace(2.0, 0.04, D)


def true_errors(means, within, head):
    """Errors (E,) of a fitted linear head on N(means_c, diag(within)), by integration."""
    form = head.linear()
    margins = margins_of(linear_scores(means, form.weights, form.biases))
    scatter = (form.weights * torch.from_numpy(within)) @ form.weights.mT
    return 1 - orthant_probability(rivals(margins), rival_covariance(scatter), points=1024)


def draw(kind, shots, episodes, members, class_means, seed):
    within, _ = variances(kind)
    rng = np.random.default_rng(seed)
    means = class_means[members]
    x = means[:, :, None] + within**0.5 * rng.normal(size=(episodes, WAYS, shots, D))
    return torch.from_numpy(means), Support.of(torch.from_numpy(x))


@functools.cache
def episodes(kind, head, shots):
    """Supports, the fitted head, its true errors; and what base classes say."""
    within, between = variances(kind)
    rng = np.random.default_rng(0)
    base_means, novel_means = rng.normal(size=(2, CLASSES, D)) * between**0.5
    members = [
        np.stack([rng.permutation(CLASSES)[:WAYS] for _ in range(n)])
        for n in (BASE_EPISODES, EPISODES)
    ]
    truths, supports, fitted = [], [], []
    for i, (own, means) in enumerate(zip(members, (base_means, novel_means), strict=True)):
        mu, support = draw(kind, shots, len(own), own, means, seed=i)
        fitted.append(heads.create(head).fit(support))
        truths.append(true_errors(mu, within, fitted[-1]))
        supports.append(support)
    moments = Moments(
        torch.from_numpy(base_means),
        torch.full((CLASSES,), 1e4).double(),
        torch.from_numpy(np.diag(within)),
    )
    base = BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(supports[0], fitted[0]),
        errors_by_class=truths[0],
        members=torch.from_numpy(members[0]),
    )
    return supports[1], fitted[1], truths[1].mean(-1).numpy(), base


def predicted(name, kind, head, shots, **parameters):
    support, fitted, truth, base = episodes(kind, head, shots)
    prediction = estimators.create(name, **parameters).fit(base).predict(support, fitted)
    return prediction.error.numpy(), truth, prediction
