"""PT-MAP against easyfsl's, and the settings that easyfsl does not have."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Query, Support
from fewshot.heads.pt_map import PTMAP, power_transform

E, N, K, D, T = 5, 4, 3, 20, 24
AS_EASYFSL = {"normalize": False, "negative": "zero"}


def draw(seed=0):
    """Features of unit length, some negative: (E, N, K, D) and (E, T, D), float64."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(E, N, 1, D)) + 0.5
    shots = means + 1.5 * rng.normal(size=(E, N, K, D))
    queries = (means + 1.5 * rng.normal(size=(E, N, T // N, D))).reshape(E, T, D)
    return (normalize(torch.tensor(one), dim=-1) for one in (shots, queries))


@pytest.mark.parametrize(
    "settings", [{}, {"power": 0.8, "transport": 4.0}, {"rate": 0.4, "steps": 3}]
)
def test_agrees_with_easyfsl(settings):
    methods = pytest.importorskip("easyfsl.methods")
    shots, queries = draw()
    scores = PTMAP(**AS_EASYFSL, **settings).fit(Support.of(shots)).scores(Query.of(queries))
    names = {"power": "power_factor", "transport": "lambda_regularization",
             "rate": "fine_tuning_lr", "steps": "fine_tuning_steps"}  # fmt: skip
    for e in range(E):
        peer = methods.PTMAP(
            torch.nn.Identity(), **{names[name]: value for name, value in settings.items()}
        )
        peer.process_support_set(shots[e].flatten(0, 1), torch.arange(N).repeat_interleave(K))
        # easyfsl stops when the next round changes little, a little before it arrives.
        torch.testing.assert_close(scores[e].softmax(-1), peer(queries[e]), rtol=0, atol=5e-4)


def test_unit_length_after_the_transform():
    shots, queries = (one.abs() for one in draw())
    ready = (normalize((one + 1e-6).sqrt(), dim=-1) for one in (shots, queries))
    transformed = PTMAP(power=1.0, normalize=False).fit(Support.of(next(ready)))
    expected = transformed.scores(Query.of(next(ready)))
    scores = PTMAP().fit(Support.of(shots)).scores(Query.of(queries))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)


def test_the_authors_centring():
    """Shots minus their mean, queries minus theirs, both at unit length before and after."""
    shots, queries = (one.abs() for one in draw())
    shots, queries = (normalize((one + 1e-6).sqrt(), dim=-1) for one in (shots, queries))
    shots = normalize(shots - shots.mean((1, 2), keepdim=True), dim=-1)
    queries = normalize(queries - queries.mean(1, keepdim=True), dim=-1)
    # The power of one adds 1e-6 and mirrors what is negative.
    ready = PTMAP(power=1.0, normalize=False, steps=20).fit(Support.of(shots))
    expected = ready.scores(Query.of(queries))
    shots, queries = (one.abs() for one in draw())
    scores = PTMAP(preset="paper").fit(Support.of(shots)).scores(Query.of(queries))
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-3)
    named = PTMAP(center="each", steps=20).fit(Support.of(shots)).scores(Query.of(queries))
    assert torch.equal(scores, named)
    with pytest.raises(FewshotError, match=r"head\.pt_map\.preset: expected one of .* 'author'"):
        PTMAP(preset="author").fit(Support.of(shots))


def test_negative_features():
    x = torch.tensor([-4.0, 0.0, 4.0])
    assert power_transform(x, 0.5, mirror=True).tolist() == pytest.approx([-2, 1e-3, 2], abs=1e-5)
    assert power_transform(x, 0.5, mirror=False).tolist() == pytest.approx(
        [1e-3, 1e-3, 2], abs=1e-5
    )


@pytest.mark.parametrize("settings", [{}, AS_EASYFSL])
def test_classes_get_their_shares(settings):
    shots, queries = draw(2)
    shares = PTMAP(**settings).fit(Support.of(shots)).scores(Query.of(queries)).softmax(-1)
    torch.testing.assert_close(shares.sum(1), torch.full((E, N), T / N).double(), rtol=0, atol=2e-6)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[:, 0, 1:] = False
    head = PTMAP(**settings, prior="support").fit(Support.of(shots, mask))
    total = head.scores(Query.of(queries)).softmax(-1).sum(1)
    expected = torch.tensor([1.0, 3.0, 3.0, 3.0]).double().expand(E, N) * T / 10
    torch.testing.assert_close(total, expected, rtol=0, atol=2e-6)


def test_features_of_any_size_have_an_answer():
    shots, queries = (1e3 * one for one in draw())
    head = PTMAP(normalize=False).fit(Support.of(shots))
    assert bool(head.scores(Query.of(queries)).isfinite().all())


@pytest.mark.parametrize("number", [0, 1, 7])
def test_few_queries(number):
    shots, queries = draw()
    head = PTMAP().fit(Support.of(shots))
    scores = head.scores(Query.of(queries[:, :number]))
    assert scores.shape == (E, number, N)
    assert bool(scores.isfinite().all())
    masked = head.scores(Query.of(queries, torch.arange(T).expand(E, T) < number))
    assert bool(masked.isfinite().all())
    torch.testing.assert_close(masked[:, :number], scores, rtol=0, atol=1e-6)
    assert head.uses == {"queries", "query_prior"}


@pytest.mark.parametrize(
    "wrong",
    [{"power": 0}, {"power": 1.5}, {"negative": "drop"}, {"transport": 0}, {"rate": 2},
     {"steps": -1}, {"prior": "queries"}],
)  # fmt: skip
def test_bad_parameters(wrong):
    (name,) = wrong
    with pytest.raises(FewshotError, match=rf"head\.pt_map\.{name}: expected"):
        PTMAP(**wrong).fit(Support.of(torch.zeros(1, 2, 1, 3)))
