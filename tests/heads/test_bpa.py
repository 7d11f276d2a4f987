"""Balanced pairwise affinities against the formulas of the paper, one episode at a time."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import BPA, LDA, NCM, PTMAP, heads
from fewshot.heads.base import Query, Support
from fewshot.testing.invariances import batch_equals_loop, queries_set_apart

E, N, K, D, T = 3, 3, 2, 8, 9


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(E, N, K, D)), rng.normal(size=(E, T, D))


def slowly(images, entropy, iterations):
    """Rows of the affinities of one episode: Sinkhorn's algorithm on numbers, not logarithms."""
    directions = images / np.linalg.norm(images, axis=1, keepdims=True)
    kernel = np.exp(-(1 - directions @ directions.T) / entropy)
    np.fill_diagonal(kernel, 0)
    columns = np.ones(len(images))
    for _ in range(iterations):
        rows = 1 / (kernel @ columns)
        columns = 1 / (kernel.T @ rows)
    plan = rows[:, None] * kernel * columns
    plan /= plan.max()
    np.fill_diagonal(plan, 1)
    return plan


def nearest_mean(shots, queries):
    """Decisions by the nearest class mean of rows (N, K, n)."""
    means = shots.mean(1)
    return ((queries[:, None] - means) ** 2).sum(-1).argmin(-1)


@pytest.mark.parametrize(("entropy", "iterations"), [(0.1, 10), (0.4, 3)])
def test_agrees_with_the_formulas(entropy, iterations):
    shots, queries = draw()
    head = BPA("ncm", entropy, iterations).fit(Support.of(torch.tensor(shots)))
    answers = head.predict(Query.of(torch.tensor(queries)))
    for e in range(E):
        rows = slowly(np.concatenate([shots[e].reshape(-1, D), queries[e]]), entropy, iterations)
        expected = nearest_mean(rows[: N * K].reshape(N, K, -1), rows[N * K :])
        assert answers[e].tolist() == expected.tolist()


def test_unequal_shots_and_padding_are_left_out():
    shots, queries = draw()
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[:, 1, 1] = False
    there = torch.ones(E, T, dtype=torch.bool)
    there[:, -2:] = False
    head = BPA(iterations=20).fit(Support.of(torch.tensor(shots), mask))
    answers = head.predict(Query.of(torch.tensor(queries), there))
    for e in range(E):
        few = np.delete(shots[e].reshape(-1, D), 3, axis=0)
        rows = slowly(np.concatenate([few, queries[e, :-2]]), 0.1, 20)
        means = np.stack([rows[[0, 1]].mean(0), rows[2], rows[[3, 4]].mean(0)])
        expected = ((rows[5:, None] - means) ** 2).sum(-1).argmin(-1)
        assert answers[e, :-2].tolist() == expected.tolist()


def test_a_query_set_apart_is_sent_to_the_images_that_are_learned_from():
    """Its row is ``softmax_j(-c_j / entropy + v_j)``, with v of the others."""
    shots, queries = draw()
    learn = torch.arange(T).expand(E, T) < T - 1
    head = BPA(iterations=40).fit(Support.of(torch.tensor(shots)))
    answers = head.predict(Query.of(torch.tensor(queries), None, learn))
    for e in range(E):
        images = np.concatenate([shots[e].reshape(-1, D), queries[e]])
        known = slowly(images[:-1], 0.1, 40)
        directions = images / np.linalg.norm(images, axis=1, keepdims=True)
        kernel = np.exp((directions @ directions.T - 1) / 0.1)
        np.fill_diagonal(kernel, 0)
        columns = np.ones(len(known))
        for _ in range(40):
            columns = 1 / (kernel[:-1, :-1].T @ (1 / (kernel[:-1, :-1] @ columns)))
        plan = kernel[:-1, :-1] * columns / (kernel[:-1, :-1] @ columns)[:, None]
        row = kernel[-1, :-1] * columns
        row = row / row.sum() / plan.max()
        expected = nearest_mean(known[: N * K].reshape(N, K, -1), row[None])
        assert int(answers[e, -1]) == int(expected[0])


def test_queries_help_where_classes_are_clusters_that_a_shot_misses():
    """A shot at the edge of its cluster: the other images say where the cluster lies."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(200, 3, 1, 20, generator=generator)
    images = centres + 1.2 * torch.randn(200, 3, 16, 20, generator=generator)
    support, queries = Support.of(images[:, :, :1]), Query.of(images[:, :, 1:].flatten(1, 2))
    truth = torch.arange(3).repeat_interleave(15)
    accuracy = [
        float((head.fit(support).predict(queries) == truth).double().mean())
        for head in (BPA(entropy=0.2), NCM("cosine"))
    ]
    assert accuracy[0] > accuracy[1] + 0.03


@pytest.mark.parametrize("check", [batch_equals_loop, queries_set_apart])
@pytest.mark.parametrize("head", [LDA(), PTMAP(power=1.0, normalize=False, steps=2)])
def test_goes_with_other_heads(head, check):
    """Also with those to which the number of dimensions says something."""
    check(BPA(head), "unequal")


def test_says_what_its_head_uses():
    assert BPA().uses == {"queries"}
    assert BPA("pt_map").uses == {"queries", "query_prior"}
    assert BPA("ncm", center="base").uses == {"queries", "base"}
    assert BPA("ncm").clone().get_params()["head"] == "ncm"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"head": "zero_shot"}, "head.bpa.head: expected a head that sees features alone"),
        ({"head": "simpleshot"}, "which uses base"),
        ({"head": "nearest"}, "head.bpa.head: expected a registered name, got 'nearest'"),
        ({"head": 3}, "head.bpa.head: expected the name of a head or a Head, got 3"),
        ({"head": "json:loads"}, "head.bpa.head: 'json:loads' is not made from its name"),
        ({"head": "fewshot.heads:Query"}, "head.bpa.head: fewshot.heads:Query: expected a class"),
        ({"head": "no.such.module:Head"}, "head.bpa.head: 'no.such.module:Head' cannot be"),
        ({"entropy": 0}, "head.bpa.entropy"),
        ({"iterations": 0}, "head.bpa.iterations"),
        ({"center": "mean"}, "head.bpa.center"),
    ],
)
def test_refuses_what_it_cannot_do(parameters, words):
    shots, _ = draw()
    with pytest.raises(FewshotError) as caught:
        heads.create("bpa", **parameters).fit(Support.of(torch.tensor(shots)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
