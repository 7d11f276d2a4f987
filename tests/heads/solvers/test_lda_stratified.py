"""LDA without the k-th shots of all classes, against fits of the head on the rest."""

import numpy as np
import pytest
import torch

from fewshot.estimators.held_out import _stratified, stratified_scores
from fewshot.heads.base import Support
from fewshot.heads.lda import LDA
from fewshot.heads.solvers import lda_stratified as closed


def support(seed=0, ways=4, shots=12, dim=20, fewer=(0, 3, 0, 1), scale=1.0, shift=0.0):
    """Correlated features of unequal classes."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dim, dim))
    features = rng.normal(size=(1, ways, shots, dim)) @ mixing + 3 * rng.normal(size=(ways, 1, dim))
    mask = torch.ones(1, ways, shots, dtype=torch.bool)
    for n, lacking in enumerate(fewer):
        mask[0, n, shots - lacking :] = False
    return Support.of(torch.from_numpy(features * scale + shift), mask)


def refitted(head, shots, monkeypatch):
    """The scores by as many fits as there are shots."""
    with monkeypatch.context() as patch:
        patch.setattr(LDA, "leave_one_of_each_out", lambda *_: None)
        return _stratified(head, shots, shots.mask.shape[-1])


@pytest.mark.parametrize("shrinkage", ["auto", 0.2, 1.0])
@pytest.mark.parametrize("priors", ["uniform", "empirical"])
def test_as_by_refitting(monkeypatch, shrinkage, priors):
    head, shots = LDA(shrinkage, priors), support()
    assert head.leave_one_of_each_out(shots) is not None
    expected = refitted(head, shots, monkeypatch)
    torch.testing.assert_close(
        stratified_scores(head, shots), expected, rtol=1e-9, atol=1e-9, equal_nan=True
    )


def constant(shots):
    """A dimension without variance in one class, one with none anywhere, one that one shot has."""
    features = shots.features.clone()
    features[0, 1, :, 3] = 0.7
    features[..., 5] = -2.0
    features[0, :, :, 8] = 0.1
    features[0, 2, 4, 8] = 5.0
    return Support.of(features, shots.mask)


def copies(shots):
    """All shots of one class are the same."""
    features = shots.features.clone()
    features[0, 0] = features[0, 0, 0]
    return Support.of(features, shots.mask)


@pytest.mark.parametrize(
    "shots",
    [
        constant(support()), copies(support()), support(scale=1e-9), support(shift=1e4),
        support(shots=10, dim=40, fewer=()), support(seed=3, shots=30, dim=64),
    ],
    ids=["constant", "copies", "small", "far from zero", "as many as dimensions", "more"],
)  # fmt: skip
def test_hard_cases(monkeypatch, shots):
    head = LDA()
    assert head.leave_one_of_each_out(shots) is not None
    expected = refitted(head, shots, monkeypatch)
    torch.testing.assert_close(
        stratified_scores(head, shots), expected, rtol=1e-6, atol=1e-6, equal_nan=True
    )


def test_several_episodes_are_each_as_alone():
    both = support(seed=1, fewer=()), support(seed=2, fewer=())
    joined = Support.of(torch.cat([shots.features for shots in both]))
    scores = LDA().leave_one_of_each_out(joined)
    for e, shots in enumerate(both):
        assert torch.equal(scores[e], LDA().leave_one_of_each_out(shots)[0])


@pytest.mark.parametrize(
    "shots", [support(shots=7, dim=9, fewer=()), support(dim=60), support(fewer=(5, 0, 0, 0))]
)
def test_refits_where_that_is_no_more_work(shots):
    assert LDA().leave_one_of_each_out(shots) is None


def test_refits_where_scatters_need_too_much_memory(monkeypatch):
    monkeypatch.setattr(closed, "MOST_BYTES", 4 * 20 * 20 * 8 - 1)
    assert LDA().leave_one_of_each_out(support()) is None
