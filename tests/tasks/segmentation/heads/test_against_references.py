"""Heads against scikit-learn and against loops written by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from torch.nn.functional import interpolate

from fewshot.tasks.segmentation.heads.base import DenseSupport, SupportImage
from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN
from fewshot.tasks.segmentation.heads.logistic import Logistic
from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA
from fewshot.tasks.segmentation.heads.prototype import Prototype
from fewshot.tasks.segmentation.heads.ridge import Ridge
from fewshot.testing.dense_supports import D, annotated_image, dense_support


def pixels(support):
    """Tokens (R, D), a row for each class that a token stands for, classes (R,) and weights."""
    rows = [
        (token.numpy(), c, float(weight))
        for image in support.images
        for token, labels in zip(image.tokens.double(), image.labels, strict=True)
        for c, weight in enumerate(labels)
        if weight > 0
    ]
    return (np.array(column) for column in zip(*rows, strict=True))


@pytest.fixture(params=[True, False], ids=["soft", "hard"])
def support(request):
    return dense_support(3, soft=request.param)


@pytest.fixture(scope="module")
def query():
    return annotated_image(50).tokens


def differences(scores):
    """What decides: scores less their mean over the classes."""
    scores = np.asarray(scores, dtype=np.float64)
    return scores - scores.mean(1, keepdims=True)


@pytest.mark.parametrize("tau", [1.0, 0.0])
def test_pixel_lda_is_discriminant_analysis_of_repeated_pixels(query, tau):
    """Where every token stands for pixels of one class, repeated 16 times as upsampling does."""
    support = dense_support(3, soft=False)
    support = DenseSupport(  # classes of unequal shares
        [i._replace(labels=i.labels * torch.tensor([1.0, 2.0, 0.5])) for i in support.images], 3
    )
    tokens, classes, weights = pixels(support)
    repeats = weights.astype(int)
    X, y = tokens.repeat(repeats, 0), classes.repeat(repeats)
    reference = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=0.2, priors=None if tau else [1 / 3] * 3
    )
    # scikit-learn shrinks every class towards its own variance, weighted by the priors: give it
    # the shrunk covariance of the pooled deviations.
    means = np.stack([X[y == c].mean(0) for c in range(3)])
    pooled = np.cov((X - means[y]).T, bias=True)

    class Pooled:
        def fit(self, rows):
            level = np.trace(pooled) / D
            self.covariance_ = 0.8 * pooled + 0.2 * level * np.eye(D)
            return self

    reference.set_params(shrinkage=None, covariance_estimator=Pooled()).fit(X, y)
    head = PixelLDA(0.2, tau).fit(support)
    np.testing.assert_allclose(
        differences(head.scores(query, (3, 4))),
        differences(reference.decision_function(query.double().numpy())),
        rtol=1e-4,
        atol=1e-3,
    )


def test_moments_are_those_of_features_upsampled_by_a_factor():
    """Labels that are constant on the blocks of an exact factor are those of repeated features."""
    image = annotated_image(4, grid=(3, 4), soft=False)
    grid = image.tokens.T.reshape(1, D, 3, 4)
    upsampled = interpolate(grid, scale_factor=4, mode="nearest")[0].flatten(1).T
    classes = image.labels.argmax(1).reshape(1, 1, 3, 4).float()
    mask = interpolate(classes, scale_factor=4, mode="nearest").flatten().long()
    every_pixel = SupportImage(upsampled, torch.eye(3)[mask], (12, 16))
    first = PixelLDA().fit(DenseSupport([image], 3)).map_
    second = PixelLDA().fit(DenseSupport([every_pixel], 3)).map_
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.03, 2.0])
def test_ridge_is_scikit_learns(support, query, penalty):
    tokens, classes, weights = pixels(support)
    centre = np.average(tokens, axis=0, weights=weights)
    variance = np.average((tokens - centre) ** 2, axis=0, weights=weights).mean()
    reference = SklearnRidge(penalty * variance * weights.sum())
    reference.fit(tokens, np.eye(3)[classes], sample_weight=weights)
    np.testing.assert_allclose(
        Ridge(penalty, tau=1).fit(support).scores(query, (3, 4)),
        reference.predict(query.double().numpy()),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("penalty", [0.003, 0.3])
def test_logistic_is_scikit_learns(support, query, penalty):
    tokens, classes, weights = pixels(support)
    means = np.stack(
        [np.average(tokens[classes == c], axis=0, weights=weights[classes == c]) for c in range(3)]
    )
    variance = np.average((tokens - means[classes]) ** 2, axis=0, weights=weights).mean()
    reference = LogisticRegression(
        C=1 / (penalty * variance * weights.sum()), tol=1e-8, max_iter=10_000
    ).fit(tokens, classes, sample_weight=weights)
    head = Logistic(penalty, tolerance=1e-7, max_iterations=2000).fit(support)
    np.testing.assert_allclose(
        differences(head.scores(query, (3, 4))),
        differences(reference.decision_function(query.double().numpy())),
        atol=2e-3,
    )


def test_logistic_converges_within_its_default_tolerance(support, query):
    loose, tight = Logistic().fit(support), Logistic(tolerance=1e-8).fit(support)
    torch.testing.assert_close(
        loose.scores(query, (3, 4)).softmax(1),
        tight.scores(query, (3, 4)).softmax(1),
        atol=0.01,
        rtol=0,
    )


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.02), (5, 0.1), (1000, 0.5)])
def test_dense_knn_is_a_loop_over_tokens(support, query, k, temperature):
    expected = torch.zeros(len(query), 3, dtype=torch.float64)
    for t, token in enumerate(query.double()):
        neighbours = []
        for image in support.images:
            for key, labels in zip(image.tokens.double(), image.labels.double(), strict=True):
                cosine = float(token @ key / (token.norm() * key.norm()))
                neighbours.append((cosine, labels / labels.sum()))
        nearest = sorted(neighbours, key=lambda pair: -pair[0])[:k]
        for cosine, shares in nearest:
            expected[t] += math.exp((cosine - nearest[0][0]) / temperature) * shares
    expected /= expected.sum(1, keepdim=True)
    scores = DenseKNN(k, temperature).fit(support).scores(query, (3, 4))
    torch.testing.assert_close(scores.double(), expected, atol=1e-4, rtol=1e-4)


def test_dense_knn_in_blocks_is_the_same(support, query, monkeypatch):
    whole = DenseKNN(4).fit(support).scores(query, (3, 4))
    monkeypatch.setattr("fewshot.tasks.segmentation.heads.dense_knn.BLOCK", 40)
    torch.testing.assert_close(DenseKNN(4).fit(support).scores(query, (3, 4)), whole)


def test_prototype_is_masked_average_pooling_and_cosine(query):
    """PANet: means of features under the mask, here of unit length, and the cosine with them."""
    support = dense_support(3)
    scores = Prototype().fit(support).scores(query, (3, 4))
    for c in range(3):
        total, count = torch.zeros(D), 0.0
        for image in support.images:
            for token, labels in zip(image.tokens, image.labels, strict=True):
                total += labels[c] * token / token.norm()
                count += float(labels[c])
        mean = total / count
        for t, token in enumerate(query):
            cosine = float(token @ mean / (token.norm() * mean.norm()))
            assert float(scores[t, c]) == pytest.approx(cosine, abs=1e-5)
