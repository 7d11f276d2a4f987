"""Moments of base classes, and the ridge predictor, against scikit-learn and simulation."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge

from fewshot.text.gaussians.predictors import predictors
from fewshot.text.gaussians.predictors.base import LEAST, BaseMoments
from fewshot.text.gaussians.predictors.ridge import RidgePredictor
from fewshot.text.gaussians.regression import ridge

C, P, D = 20, 5, 3


def moments_of(features):
    """Of arrays (M_c, D), one per class."""
    means, variances = (np.stack([f(x) for x in features]) for f in (mean, unbiased))
    counts = torch.tensor([len(x) for x in features], dtype=torch.float64)
    numbers = torch.arange(len(features))
    return BaseMoments(numbers, counts, torch.from_numpy(means), torch.from_numpy(variances))


def mean(features):
    return features.mean(0)


def unbiased(features):
    return features.var(0, ddof=1)


def drawn(seed=0, images=(2, 40)):
    """Text vectors (C, P), and moments of images whose means and spreads follow from them."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(C, P))
    means, logs = text @ rng.normal(size=(P, D)), 0.3 * text @ rng.normal(size=(P, D))
    features = [
        mean + np.exp(log / 2) * rng.normal(size=(rng.integers(*images), D))
        for mean, log in zip(means, logs, strict=True)
    ]
    return torch.from_numpy(text).float(), moments_of(features), features


def test_pooled_variances_are_those_of_all_images_around_their_class():
    _, moments, features = drawn()
    apart = np.concatenate([x - x.mean(0) for x in features])
    expected = (apart**2).sum(0) / (len(apart) - C)
    np.testing.assert_allclose(moments.pooled.numpy(), expected)


@pytest.mark.parametrize("images", [2, 3, 6, 30])
def test_log_variances_are_unbiased(images):
    rng = np.random.default_rng(images)
    classes, variances = 4000, np.array([0.01, 1.0, 9.0, 100.0])
    features = rng.normal(size=(classes, images, 4)) * np.sqrt(variances)
    result = moments_of(features).log_variances().numpy()
    error = result.std(0) / math.sqrt(classes)
    assert (np.abs(result.mean(0) - np.log(variances)) < 4 * error).all()
    naive = np.log(features.var(1, ddof=1)).mean(0)
    assert (naive < np.log(variances) - 4 * error).all()


def test_each_class_has_the_correction_of_its_own_count():
    _, moments, _ = drawn()
    result = moments.log_variances() - moments.variances.log()
    for row, count in zip(result, moments.counts, strict=True):
        freedom = float(count) - 1
        # digamma at half-integers, by its recurrence: psi(x + 1) = psi(x) + 1 / x
        x, digamma = (
            (0.5, -np.euler_gamma - 2 * math.log(2)) if freedom % 2 else (1, -np.euler_gamma)
        )
        while x < freedom / 2:
            x, digamma = x + 1, digamma + 1 / x
        expected = torch.full((D,), math.log(freedom / 2) - digamma).double()
        torch.testing.assert_close(row, expected)


def test_dimensions_without_variance_stay_finite():
    _, moments, _ = drawn()
    moments.variances[:, 0] = 0
    moments.variances[3, 1] = 0
    freedom = (moments.counts - 1)[:, None]
    pooled = (moments.variances * freedom).sum(0) / freedom.sum()
    torch.testing.assert_close(moments.pooled[0], LEAST * pooled.mean())
    torch.testing.assert_close(moments.pooled[1:], pooled[1:])
    logs = moments.log_variances()
    assert logs.isfinite().all()
    bias = logs[3, 2] - moments.variances[3, 2].log()
    torch.testing.assert_close(logs[3, 1], (LEAST * moments.pooled[1]).log() + bias)


def test_both_regressions_are_those_of_scikit_learn():
    text, moments, _ = drawn()
    predictor = RidgePredictor().fit(text, moments)
    X = text.double().numpy()
    typical = (np.linalg.svd(X - X.mean(0), compute_uv=False) ** 2).mean()
    new = torch.randn(4, P, generator=torch.Generator().manual_seed(1))
    result = predictor.predict(new)
    for targets, fit, predictions, held_out in (
        (moments.means, predictor.means_, result[0], predictor.held_out_means_),
        (
            moments.log_variances(),
            predictor.log_variances_,
            result[1],
            predictor.held_out_log_variances_,
        ),
    ):
        Y, model = targets.numpy(), Ridge(fit.penalty * typical, solver="svd")
        expected = model.fit(X, Y).predict(new.double().numpy())
        np.testing.assert_allclose(predictions.numpy(), expected)
        others = [np.delete(np.arange(C), c) for c in range(C)]
        left_out = [model.fit(X[o], Y[o]).predict(X[c : c + 1])[0] for c, o in enumerate(others)]
        np.testing.assert_allclose(held_out.numpy(), np.stack(left_out))


def test_penalties_are_chosen_apart_and_means_count_in_units_of_spread():
    text, moments, _ = drawn()
    moments.means[:, 0] = 10 * torch.randn(C, generator=torch.Generator().manual_seed(2))
    moments.variances[:, 0] *= 1e6  # noise in units of features, next to nothing in spreads
    predictor = RidgePredictor().fit(text, moments)
    alone = ridge(text.double(), moments.means[:, 1:], weights=1 / moments.pooled[1:])
    unweighted = ridge(text.double(), moments.means)
    assert predictor.means_.penalty == alone.penalty < unweighted.penalty


def test_better_than_the_mean_of_the_base_classes():
    text, moments, _ = drawn(images=(30, 60))
    predictor = RidgePredictor().fit(text, moments)
    for result, truth in (
        (predictor.held_out_means_, moments.means),
        (predictor.held_out_log_variances_, moments.log_variances()),
    ):
        assert (result - truth).square().mean() < 0.3 * (truth - truth.mean(0)).square().mean()


def test_a_rank_holds_for_both():
    text, moments, _ = drawn()
    predictor = predictors.create("ridge", rank=1).fit(text, moments)
    for fit in (predictor.means_, predictor.log_variances_):
        assert np.linalg.matrix_rank(fit.weights.numpy()) == 1
    assert predictor.get_params() == {"rank": 1}


def test_what_is_learned_goes_to_a_file_and_back(workplace):
    text, moments, _ = drawn()
    predictor = RidgePredictor().fit(text, moments)
    save_file(predictor.tensors(), "predictor.safetensors")
    again = RidgePredictor().load(load_file("predictor.safetensors"))
    for result, expected in zip(again.predict(text), predictor.predict(text), strict=True):
        assert torch.equal(result, expected)
        assert result.dtype == torch.float64
