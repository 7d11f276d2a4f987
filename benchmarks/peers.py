"""Other libraries' classifiers on the episodes of this one, called as they document: one at a time.

Each adapter takes a bank and episodes and gives the accuracy of every episode, so that times and
answers are of the same work on the same features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ShrunkCovariance

from fewshot.episodes import EpisodeSet
from fewshot.features import FeatureBank

Predict = Callable[[NDArray, NDArray, NDArray], NDArray]


@dataclass(frozen=True)
class Peer:
    """A classifier of another library.

    Attributes
    ----------
    name : str
    make : callable
        Gives ``predict(shots (S, D), labels (S,), queries (T, D)) -> (T,)``.
    settings : mapping
        With which the head here is the same method.
    """

    name: str
    make: Callable[[], Predict]
    settings: Mapping[str, Any] = field(default_factory=dict)


def peer_accuracy(peer: Peer, bank: FeatureBank, episodes: EpisodeSet) -> NDArray:
    """Accuracy (E,) of a peer, episode after episode."""
    labels = np.repeat(np.arange(episodes.ways), episodes.shots)
    truth = np.repeat(np.arange(episodes.ways), episodes.largest_query)
    predict, right = peer.make(), []
    for support, query in zip(episodes.support, episodes.query, strict=True):
        shots, queries = (bank.features[rows.reshape(-1)] for rows in (support, query))
        right.append(np.mean(predict(shots, labels, queries) == truth))
    return np.array(right)


def easyfsl(method: str) -> Callable[[], Predict]:
    """A method of easyfsl on features, with its default parameters."""

    def make() -> Predict:
        from easyfsl import methods

        model = getattr(methods, method)(backbone=torch.nn.Identity()).eval()

        def predict(shots: NDArray, labels: NDArray, queries: NDArray) -> NDArray:
            with torch.no_grad():
                model.process_support_set(torch.from_numpy(shots), torch.from_numpy(labels))
                return model(torch.from_numpy(queries)).argmax(1).numpy()

        return predict

    return make


def sklearn(module: str, name: str, **parameters: Any) -> Callable[[], Predict]:
    """A classifier of scikit-learn."""

    def make() -> Predict:
        import importlib

        kind = getattr(importlib.import_module(f"sklearn.{module}"), name)

        def predict(shots: NDArray, labels: NDArray, queries: NDArray) -> NDArray:
            return kind(**parameters).fit(shots, labels).predict(queries)

        return predict

    return make


LDA = sklearn("discriminant_analysis", "LinearDiscriminantAnalysis",
              solver="lsqr", shrinkage="auto")  # fmt: skip
QDA = sklearn("discriminant_analysis", "QuadraticDiscriminantAnalysis",
              solver="eigen", covariance_estimator=ShrunkCovariance(shrinkage=0.5))  # fmt: skip

# By name of the head here. Where a library has no such method, there is no entry.
PEERS = {
    "ncm": Peer("easyfsl PrototypicalNetworks", easyfsl("PrototypicalNetworks")),
    "simpleshot": Peer("easyfsl SimpleShot", easyfsl("SimpleShot"), {"center": "none"}),
    "bd_cspn": Peer("easyfsl BDCSPN", easyfsl("BDCSPN")),
    "laplacian_shot": Peer("easyfsl LaplacianShot", easyfsl("LaplacianShot")),
    "tim": Peer("easyfsl TIM", easyfsl("TIM"), {"preset": "easyfsl"}),
    "pt_map": Peer("easyfsl PTMAP", easyfsl("PTMAP"), {"normalize": False, "negative": "zero"}),
    "lda": Peer("scikit-learn LDA", LDA),
    "qda": Peer("scikit-learn QDA", QDA, {"pooling": 0.0}),
    "logistic": Peer(
        "scikit-learn LogisticRegression", sklearn("linear_model", "LogisticRegression")
    ),
    "svm": Peer("scikit-learn LinearSVC", sklearn("svm", "LinearSVC")),
    "ridge": Peer("scikit-learn RidgeClassifier", sklearn("linear_model", "RidgeClassifier")),
    "knn": Peer(
        "scikit-learn KNeighborsClassifier",
        sklearn("neighbors", "KNeighborsClassifier", n_neighbors=1),
    ),
}
