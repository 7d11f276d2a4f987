"""Leave-one-out against scikit-learn; the constant."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import LeaveOneOut as SklearnLeaveOneOut
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NearestCentroid

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.constant import Constant
from fewshot.estimators.loo import LeaveOneOut
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM


@pytest.mark.parametrize(
    ("head", "reference", "dim"),
    [
        (NCM(), NearestCentroid(), 6),
        (LDA(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.25] * 4), 50),
        (LDA(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.25] * 4), 6),
    ],
)
def test_agrees_with_scikit_learn(head, reference, dim):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4, 1, dim)) + 1.5 * rng.normal(size=(6, 4, 5, dim))
    support = Support.of(torch.from_numpy(x))
    predicted = LeaveOneOut().predict(support, head.fit(support)).error
    labels = np.repeat(np.arange(4), 5)
    for e in range(6):
        right = cross_val_score(reference, x[e].reshape(20, dim), labels, cv=SklearnLeaveOneOut())
        assert float(predicted[e]) == pytest.approx(1 - right.mean())


def test_stratified_leaves_one_of_every_class_out():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 3, 1, 8)) + 1.5 * rng.normal(size=(6, 3, 4, 8))
    support = Support.of(torch.from_numpy(x))
    predicted = LeaveOneOut("stratified").predict(support, NCM().fit(support)).error
    for e in range(6):
        wrong = 0
        for k in range(4):
            means = np.delete(x[e], k, axis=1).mean(1)
            distance = ((x[e][:, k, None] - means) ** 2).sum(-1)
            wrong += np.sum(distance.argmin(1) != np.arange(3))
        assert float(predicted[e]) == pytest.approx(wrong / 12)


def test_one_shot_is_refused_per_episode():
    features = torch.randn(2, 3, 3, 5)
    mask = torch.ones(2, 3, 3, dtype=torch.bool)
    mask[0, 1, 1:] = False
    support = Support.of(features, mask)
    prediction = LeaveOneOut().predict(support, NCM().fit(support))
    assert prediction.error.isnan().tolist() == [True, False]
    assert prediction.reason == "leave-one-out needs two shots of every class"
    with pytest.raises(FewshotError, match=r"estimator\.loo\.fold"):
        LeaveOneOut("both").predict(support, NCM().fit(support))


def test_constant_is_the_mean_of_base_errors():
    support = Support.of(torch.randn(3, 2, 2, 4))
    head = NCM().fit(support)
    fitted = Constant().fit(BaseClasses(torch.tensor([0.1, 0.2, 0.6])))
    assert fitted.predict(support, head).error.tolist() == pytest.approx([0.3] * 3)
    prediction = Constant().predict(support, head)
    assert bool(prediction.error.isnan().all())
    assert "no base classes" in prediction.reason
