"""Label propagation against the formulas of the papers, one episode at a time."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import NCM, LabelPropagation
from fewshot.heads.base import Query, Support

E, N, K, D, T = 3, 3, 2, 5, 12


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(E, N, K, D)), rng.normal(size=(E, T, D))


def graph(nodes, rank):
    """Weights between all nodes of one episode."""
    distances = np.linalg.norm(nodes[:, None] - nodes, axis=-1)
    widths = np.sort(distances, axis=1)[:, min(rank, len(nodes) - 1)]  # the first is the node
    weights = np.exp(-(distances**2) / np.outer(widths, widths))
    np.fill_diagonal(weights, 0)
    return weights, widths


def slowly(shots, queries, alpha, rank, normalize):
    """Labels of the queries of one episode, by summing the walks of the labels."""
    nodes = np.concatenate([shots.reshape(-1, D), queries])
    weights, _ = graph(nodes, rank)
    degree = weights.sum(1)
    similar = weights / np.sqrt(np.outer(degree, degree))
    labels = np.zeros((len(nodes), N))
    for c in range(N):
        labels[c * K : (c + 1) * K, c] = 1
        if normalize:
            labels[:, c] /= (labels[:, c] * np.sqrt(degree)).sum()
    reached = labels
    for _ in range(4000):  # of the fixed point F = alpha S F + Y
        reached = alpha * similar @ reached + labels
    answers = reached[N * K :]
    return answers / answers.sum(1, keepdims=True)


@pytest.mark.parametrize(("alpha", "rank"), [(0.99, 7), (0.5, 2), (0.9, 50)])
@pytest.mark.parametrize("normalize", [True, False])
def test_agrees_with_the_formulas(alpha, rank, normalize):
    shots, queries = draw()
    head = LabelPropagation(alpha, rank, normalize).fit(Support.of(torch.tensor(shots)))
    scores = head.scores(Query.of(torch.tensor(queries))).numpy()
    for e in range(E):
        expected = slowly(shots[e], queries[e], alpha, rank, normalize)
        np.testing.assert_allclose(scores[e], expected, atol=1e-9)


def test_a_query_set_apart_has_the_labels_of_its_neighbours():
    shots, queries = draw()
    learn = torch.arange(T).expand(E, T) < T - 1
    head = LabelPropagation().fit(Support.of(torch.tensor(shots)))
    scores = head.scores(Query.of(torch.tensor(queries), None, learn)).numpy()
    for e in range(E):
        np.testing.assert_allclose(
            scores[e, :-1], slowly(shots[e], queries[e, :-1], 0.99, 7, True), atol=1e-9
        )
        nodes = np.concatenate([shots[e].reshape(-1, D), queries[e, :-1]])
        weights, widths = graph(nodes, 7)
        degree = weights.sum(1)
        labels = np.repeat(np.eye(N), K, 0)
        labels /= (labels * np.sqrt(degree[: N * K, None])).sum(0)
        labels = np.concatenate([labels, np.zeros((T - 1, N))])
        similar = weights / np.sqrt(np.outer(degree, degree))
        reached = np.linalg.solve(np.eye(len(nodes)) - 0.99 * similar, labels)
        distances = np.linalg.norm(nodes - queries[e, -1], axis=1)
        width = np.sort(distances)[6]
        near = np.exp(-(distances**2) / (width * widths)) / np.sqrt(degree)
        expected = near @ reached
        np.testing.assert_allclose(scores[e, -1], expected / expected.sum(), atol=1e-9)


def test_labels_follow_chains_of_images():
    """Two half circles, one shot at an end of each: the nearest mean cuts across them."""
    angle = torch.linspace(0, torch.pi, 40, dtype=torch.float64)
    upper = torch.stack([angle.cos(), angle.sin()], -1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], -1)
    support = Support.of(torch.stack([upper[-1:], lower[-1:]])[None])
    query = Query.of(torch.cat([upper[:-1], lower[:-1]])[None])
    truth = torch.arange(2).repeat_interleave(39)
    accuracy = [
        float((head.fit(support).predict(query) == truth).double().mean())
        for head in (LabelPropagation(neighbour=2), NCM())
    ]
    assert accuracy[0] > 0.95 > accuracy[1]


def test_without_normalized_labels_one_class_takes_most():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(60, 5, 1, 30, generator=generator)
    images = centres + torch.randn(60, 5, 16, 30, generator=generator)
    support, query = Support.of(images[:, :, :1]), Query.of(images[:, :, 1:].flatten(1, 2))
    truth = torch.arange(5).repeat_interleave(15)
    accuracy = [
        float(
            (LabelPropagation(0.99, 7, normalize).fit(support).predict(query) == truth)
            .double()
            .mean()
        )
        for normalize in (True, False)
    ]
    assert accuracy[0] > accuracy[1] + 0.1


def test_copies_and_far_images_have_scores():
    shots = torch.zeros(1, 2, 3, 4)
    shots[0, 1] = 1.0
    query = torch.tensor([[[0.0] * 4, [1.0] * 4, [1e6] * 4]]).repeat(1, 5, 1)
    scores = LabelPropagation(neighbour=2).fit(Support.of(shots)).scores(Query.of(query))
    assert bool(scores.isfinite().all())
    assert scores[0, :2].argmax(-1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"alpha": 1.0}, "head.label_propagation.alpha"),
        ({"alpha": -0.1}, "head.label_propagation.alpha"),
        ({"neighbour": 0}, "head.label_propagation.neighbour"),
        ({"normalize_labels": 1}, "head.label_propagation.normalize_labels"),
        ({"center": "base"}, "head.label_propagation.center"),
    ],
)
def test_refuses_what_it_cannot_do(parameters, words):
    shots, _ = draw()
    with pytest.raises(FewshotError) as caught:
        LabelPropagation(**parameters).fit(Support.of(torch.tensor(shots)))
    assert words in str(caught.value)
