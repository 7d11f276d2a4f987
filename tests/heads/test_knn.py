"""Nearest neighbours against scikit-learn and faiss."""

import faiss
import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.knn import KNN, euclidean_distances

E, N, K, D, T = 5, 4, 6, 7, 30


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    support = rng.normal(size=(E, N, 1, D)) + rng.normal(size=(E, N, K, D)) + 1
    query = rng.normal(size=(E, T, D)) + 1
    query[:, :3] = support[:, 0, :3]  # at distance zero
    mask = rng.random((E, N, K)) < 0.8
    mask[..., 0] = True
    return support, mask, query


@pytest.mark.parametrize("k", [1, 3, 5, 8])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_agrees_with_scikit_learn(drawn, k, metric, weights):
    support, mask, query = drawn
    head = KNN(k, metric, weights)
    head.fit(Support.of(torch.from_numpy(support), torch.from_numpy(mask)))
    scores = head.scores(Query.of(torch.from_numpy(query))).numpy()
    labels = np.repeat(np.arange(N), K)
    for e in range(E):
        kept = mask[e].ravel()
        reference = KNeighborsClassifier(k, metric=metric, weights=weights, algorithm="brute")
        reference.fit(support[e].reshape(-1, D)[kept], labels[kept])
        expected = reference.predict_proba(query[e])
        # The rank that decides equal votes adds less than half a vote.
        got = np.floor(scores[e] * k + 1e-9) / k if weights == "uniform" else scores[e]
        np.testing.assert_allclose(got, expected, atol=1e-6)
        clear = np.sort(expected, -1)[:, -1] - np.sort(expected, -1)[:, -2] > 1e-6
        np.testing.assert_array_equal(
            scores[e].argmax(-1)[clear], reference.predict(query[e])[clear]
        )


def test_neighbours_are_those_of_faiss(drawn):
    support, _, query = (one.astype(np.float32) for one in drawn)
    distances = euclidean_distances(
        torch.from_numpy(query), torch.from_numpy(support.reshape(E, -1, D))
    )
    near, places = distances[:, 3:].topk(4, largest=False)
    for e in range(E):
        index = faiss.IndexFlatL2(D)
        index.add(np.ascontiguousarray(support[e].reshape(-1, D)))
        squared, expected = index.search(np.ascontiguousarray(query[e, 3:]), 4)
        np.testing.assert_array_equal(places[e], expected)
        np.testing.assert_allclose(near[e].square(), squared, rtol=1e-4)


def test_equal_votes_go_to_the_nearest():
    support = Support.of(torch.tensor([3.0, 1.0, 2.0]).view(1, 3, 1, 1))
    scores = KNN(3).fit(support).scores(Query.of(torch.zeros(1, 1, 1)))
    assert scores[0, 0].argsort(descending=True).tolist() == [1, 2, 0]
    assert float(scores.max() - scores.min()) < 0.5 / 3
    # A vote more wins against a nearer neighbour.
    support = Support.of(torch.tensor([[1.0, 9.0], [2.0, 3.0]]).view(1, 2, 2, 1))
    assert KNN(3).fit(support).predict(Query.of(torch.zeros(1, 1, 1))).item() == 1


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_more_neighbours_than_shots_are_all_shots(drawn, weights):
    support, mask, query = (torch.from_numpy(one) for one in drawn)
    mask = mask.clone()
    mask[..., 1:] = False
    head = KNN(50, "euclidean", weights).fit(Support.of(support, mask))
    scores, nearest = head.scores(Query.of(query)), KNN(1).fit(Support.of(support, mask))
    assert bool(scores.isfinite().all())
    assert torch.equal(scores.argmax(-1), nearest.predict(Query.of(query)))


def test_far_from_the_origin(drawn):
    support, mask, query = (torch.from_numpy(one) for one in drawn)
    near = KNN(3).fit(Support.of(support, mask)).predict(Query.of(query))
    moved = KNN(3).fit(Support.of((support + 1000).float(), mask))
    assert (moved.predict(Query.of((query + 1000).float())) == near).double().mean() > 0.98


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (KNN(0), r"head\.knn\.k: expected an integer >= 1, got 0"),
        (KNN(metric="cosin"), r"head\.knn\.metric: .* Did you mean 'cosine'"),
        (KNN(weights="equal"), r"head\.knn\.weights: expected one of 'uniform', 'distance'"),
    ],
)
def test_bad_parameters(head, match):
    with pytest.raises(FewshotError, match=match):
        head.fit(Support.of(torch.ones(1, 2, 1, 3)))
