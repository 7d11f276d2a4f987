"""Supports and queries check what they are given."""

from dataclasses import fields

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import (
    Context,
    Head,
    Query,
    Support,
)


def test_no_head_can_see_labels():
    assert {field.name for field in fields(Query)} == {"features", "mask", "learn_from"}
    assert {field.name for field in fields(Support)} == {"features", "mask", "context"}
    known = {"text", "logit_scale", "base_mean", "base_covariance", "base_images", "gaussians"}
    known |= {"base_episodes"}  # labelled, of other classes
    assert {field.name for field in fields(Context)} == known


@pytest.mark.parametrize(
    ("features", "mask", "message"),
    [
        (torch.zeros(2, 3, 4), None, "expected"),
        (torch.zeros(2, 3, 4, 5, dtype=torch.long), None, "expected floats"),
        (torch.zeros(2, 3, 4, 5), torch.ones(2, 3), "expected bool"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, dtype=torch.bool), "has no shot"),
    ],
)
def test_bad_supports(features, mask, message):
    with pytest.raises(FewshotError, match=message):
        Support.of(features, mask)


@pytest.mark.parametrize("value", [3e37, 1e-30, float("inf"), float("nan")])
def test_supports_that_cannot_be_squared(value):
    features = torch.ones(2, 3, 4, 5)
    features[..., 0] = value
    fine = torch.full((2, 3, 4, 5), value) if value < 1 else features
    with pytest.raises(FewshotError, match=r"^support: expected features whose squares"):
        Support.of(fine)
    if not value < 1:
        with pytest.raises(FewshotError, match=r"^query: expected features whose squares"):
            Query.of(features[:, 0])
    Support.of(torch.zeros(2, 3, 4, 5))
    if value in (3e37, 1e-30):
        Support.of(fine.double())  # whose squares are numbers of float64
        mask = torch.zeros(2, 3, 4, dtype=torch.bool)
        mask[..., 0] = True
        shots = torch.ones(2, 3, 4, 5)
        shots[..., 1:, :] = value
        Support.of(shots, mask)  # the padding does not count


class Nowhere(Head):
    """Scores that are no numbers for the last query."""

    def fit(self, support):
        return self

    def scores(self, query):
        scores = query.features[..., :3].clone()
        scores[:, -1] = torch.nan
        return scores


def test_no_class_wins_among_scores_that_are_no_numbers():
    query = torch.arange(30.0).reshape(1, 6, 5)
    with pytest.raises(FewshotError, match=r"^head=Nowhere: expected finite scores"):
        Nowhere().predict(Query.of(query))
    mask = torch.arange(6)[None] < 5  # the last is padding
    assert Nowhere().predict(Query.of(query, mask)).tolist()[0][:5] == [2] * 5


def test_only_those_who_say_so_get_no_shots():
    nothing = torch.zeros(2, 3, 0, 5)
    with pytest.raises(FewshotError, match="has no shot"):
        Support.of(nothing)
    support = Support.of(nothing, least_shots=0)
    assert support.mask.shape == (2, 3, 0)
    assert support.counts.tolist() == [[0, 0, 0]] * 2
    with pytest.raises(FewshotError, match="without shots there are no class means"):
        support.means()
    with pytest.raises(FewshotError, match="has no shot"):
        Support.of(torch.zeros(2, 3, 1, 5), torch.zeros(2, 3, 1, dtype=torch.bool), least_shots=0)


def test_means_and_counts_follow_the_mask():
    features = torch.arange(12.0).reshape(1, 2, 3, 2)
    mask = torch.tensor([[[True, True, False], [True, True, True]]])
    support = Support.of(features, mask)
    assert support.counts.tolist() == [[2, 3]]
    assert support.means().tolist() == [[[1.0, 2.0], [8.0, 9.0]]]
    assert not support.complete
    assert support.deviations()[0, 0, 2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["ncm", "taskres", "tim", "lp_plus_plus", "transclip"])
def test_half_precision_is_computed_in_single(name):
    generator = torch.Generator().manual_seed(0)
    shots, text = torch.randn(1, 3, 2, 8, generator=generator), torch.eye(3, 8)[None]
    queries = torch.randn(1, 6, 8, generator=generator)
    support = Support.of(shots.half(), None, Context(text, 20.0))
    scores = heads.create(name).fit(support).scores(Query.of(queries.half()))
    exact = Support.of(shots.half().float(), None, Context(text, 20.0))
    expected = heads.create(name).fit(exact).scores(Query.of(queries.half().float()))
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected)


def test_a_context_gets_the_dtype_of_the_features():
    context = Context(torch.eye(3, 8)[None], base_mean=torch.zeros(8))
    support = Support.of(torch.ones(1, 3, 2, 8, dtype=torch.float64), None, context)
    assert support.context.text.dtype == support.context.base_mean.dtype == torch.float64
    with pytest.raises(FewshotError, match="query: expected floats"):
        Query.of(torch.zeros(1, 3, 8, dtype=torch.long))
