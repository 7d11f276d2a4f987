"""Zero-shot scores are scaled cosines."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.zero_shot import ZeroShot


def draw():
    generator = torch.Generator().manual_seed(0)
    text = normalize(torch.randn(3, 4, 10, generator=generator), dim=-1)
    shots = torch.randn(3, 4, 2, 10, generator=generator)
    return shots, text, torch.randn(3, 20, 10, generator=generator)


def test_unit_length_queries_get_scaled_cosines():
    shots, text, query = draw()
    head = ZeroShot().fit(Support.of(shots, context=Context(text, 50.0)))
    expected = 50 * cosine_similarity(query[:, :, None], text[:, None], dim=-1)
    torch.testing.assert_close(head.scores(Query.of(normalize(query, dim=-1))), expected)
    assert torch.equal(head.predict(Query.of(query)), expected.argmax(-1))  # whatever the length
    assert head.uses == {"text"}


def test_shots_are_ignored():
    shots, text, query = draw()
    one = ZeroShot().fit(Support.of(shots, context=Context(text)))
    other = ZeroShot().fit(Support.of(torch.zeros_like(shots[:, :, :1]), context=Context(text)))
    assert torch.equal(one.scores(Query.of(query)), other.scores(Query.of(query)))
    assert not bool(one.linear().response.any())


def test_no_shot_is_needed():
    shots, text, query = draw()
    none = Support.of(shots[:, :, :0], context=Context(text), least_shots=ZeroShot().least_shots)
    some = Support.of(shots, context=Context(text))
    scores = [ZeroShot().fit(one).scores(Query.of(query)) for one in (none, some)]
    assert torch.equal(*scores)


def test_without_text():
    with pytest.raises(FewshotError, match=r"head=zero_shot: this head reads class names.*encoder"):
        ZeroShot().fit(Support.of(draw()[0]))
