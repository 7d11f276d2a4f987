"""Scores of one class that can be compared between queries."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.ncm import NCM
from fewshot.heads.transformed_ncm import TransformedNCM
from fewshot.heads.verifier import Verifier, verifier, verifying_heads
from fewshot.heads.zero_shot import ZeroShot


def draw(shots=3):
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(4, 5, shots, 10, generator=generator, dtype=torch.float64)
    text = torch.randn(4, 5, 10, generator=generator, dtype=torch.float64)
    mean = torch.randn(10, generator=generator, dtype=torch.float64)
    query = torch.randn(4, 20, 10, generator=generator, dtype=torch.float64)
    return support, Context(text, base_mean=mean), query


def verify(head, support, context, query):
    return head.clone().fit(Support.of(support, context=context)).verify(Query.of(query))


def test_ncm_gives_squared_distances():
    support, context, query = draw()
    scores = verify(NCM(), support, context, query)
    expected = -(query[:, :, None] - support.mean(2)[:, None]).square().sum(-1)
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("center", ["none", "base"])
def test_ncm_gives_cosines(center):
    support, context, query = draw()
    origin = context.base_mean if center == "base" else 0
    scores = verify(NCM("cosine", center), support, context, query)
    points, means = query - origin, support.mean(2) - origin
    torch.testing.assert_close(scores, cosine_similarity(points[:, :, None], means[:, None], -1))


def test_transformed_ncm_measures_transformed_features():
    support, context, query = draw()
    scores = verify(TransformedNCM(center="base"), support, context, query)
    points, shots = query - context.base_mean, support - context.base_mean
    points, shots = (one / one.norm(dim=-1, keepdim=True) for one in (points, shots))
    expected = -(points[:, :, None] - shots.mean(2)[:, None]).square().sum(-1)
    torch.testing.assert_close(scores, expected)
    by_cosine = verify(TransformedNCM("cosine", "base"), support, context, query)
    expected = cosine_similarity(points[:, :, None], shots.mean(2)[:, None], -1)
    torch.testing.assert_close(by_cosine, expected)


def test_zero_shot_gives_cosines_whatever_the_length_of_the_query():
    support, context, query = draw(0)
    head = ZeroShot().fit(Support.of(support, context=context, least_shots=0))
    expected = cosine_similarity(query[:, :, None], context.text[:, None], -1)
    torch.testing.assert_close(head.verify(Query.of(7 * query)), expected)


@pytest.mark.parametrize("head", [NCM("cosine", "support"), TransformedNCM(center="support")])
def test_an_origin_that_follows_the_other_classes_is_refused(head):
    with pytest.raises(FewshotError, match=r"head\.ncm\.center: expected 'base' or 'none'"):
        verify(head, *draw())


def test_who_verifies():
    assert {"ncm", "simpleshot", "zero_shot"} <= set(verifying_heads())
    assert isinstance(verifier("ncm", NCM()), Verifier)
    with pytest.raises(FewshotError, match=r"^head=lda: .* only ranks classes.*simpleshot"):
        verifier("lda", heads.create("lda"))
    with pytest.raises(FewshotError, match=r"^head=tim: .* scores all queries together"):
        verifier("tim", heads.create("tim"))
