"""Base-class episodes, their errors and moments, and functions mapped over episodes."""

import numpy as np
import pytest
import torch

from fewshot.episodes import sample_episodes
from fewshot.features import make_bank
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM
from fewshot.tasks.engine import supports
from fewshot.tasks.engine.base_classes import evaluate_base_classes
from fewshot.tasks.engine.base_drawing import draw_base_episodes
from fewshot.tasks.engine.batches import load_support
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.supports import map_supports

CPU = torch.device("cpu")


def make(classes=12, images=12, base=8, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), images)
    features = rng.normal(size=(classes, 10))[labels] + rng.normal(size=(len(labels), 10))
    split = np.where(labels < base, "base", "novel")
    return make_bank(features.astype(np.float32), labels, split=split)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("limit", [100, 4000, 1 << 20])
def test_a_function_over_supports_is_a_loop(monkeypatch, limit, threads):
    monkeypatch.setattr(supports, "SUPPORT_BYTES", limit)
    bank = make()
    episodes = sample_episodes(bank.labels, 4, 3, 5, 30)

    def function(support, head):
        assert head is not unfitted and head.weights_.shape == (len(support.features), 4, 10)
        return torch.cat([support.means(), head.weights_], -1)

    unfitted = LDA(0.3)
    pieces = map_supports(bank, episodes, unfitted, function, device=CPU, threads=threads)
    outputs = torch.cat(list(pieces))
    for e in range(30):
        support = load_support(bank, episodes, e, e + 1, CPU)
        expected = torch.cat([support.means(), LDA(0.3).fit(support).weights_], -1)
        torch.testing.assert_close(outputs[e : e + 1], expected)
    assert not hasattr(unfitted, "weights_")


def test_evaluate_base_classes_is_of_base_classes_and_goes_together():
    bank = make()
    base = draw_base_episodes(bank, 4, 3, "all", 25, seed=7)
    base_classes = evaluate_base_classes(bank, base, NCM(), device=CPU)
    assert base_classes.has_episodes and base.classes == 8
    assert set(base_classes.members.unique().tolist()) <= set(range(8))
    assert base_classes.moments.means.shape == (8, 10)
    by_class, _ = actual_errors(bank, base.episodes, NCM(), device=CPU)
    np.testing.assert_array_equal(base_classes.errors_by_class, by_class)
    np.testing.assert_allclose(base_classes.errors, by_class.mean(-1))
    torch.testing.assert_close(base_classes.covariance, base_classes.moments.covariance)
    # The episodes that are mapped are those whose errors are known, in that order.
    firsts = base_classes.map(lambda support, head: support.features[:, :, 0])
    rows = torch.from_numpy(base.episodes.support[:, :, 0])
    torch.testing.assert_close(firsts, torch.from_numpy(bank.features)[rows])
    assert (torch.from_numpy(bank.labels)[rows] == base_classes.members).all()


def test_base_episodes_depend_on_the_seed_and_not_on_the_novel_ones():
    bank = make()
    first, second, other = (draw_base_episodes(bank, 4, 3, 5, 25, seed) for seed in (1, 1, 2))
    assert first.episodes.hash() == second.episodes.hash() != other.episodes.hash()
    more = draw_base_episodes(bank, 4, 3, 5, 40, 1).episodes
    np.testing.assert_array_equal(more.support[:25], first.episodes.support)


@pytest.mark.parametrize(
    ("settings", "reason", "moments"),
    [
        ({"base": 0}, "no base/novel split", False),
        ({"base": 3}, "only 3 base classes", True),
        ({"base": 8, "images": 3}, "too few images", True),
    ],
)
def test_no_base_episodes_have_a_reason(settings, reason, moments):
    bank = make(**settings)
    base = draw_base_episodes(bank, 4, 3, "all", 25, seed=7)
    base_classes = evaluate_base_classes(bank, base, NCM(), device=CPU)
    assert base.episodes is None and reason in base.reason == base_classes.reason
    assert not base_classes.has_episodes and base_classes.errors is None
    assert (base_classes.moments is not None) == (base_classes.covariance is not None) == moments


def test_base_classes_with_one_image_have_no_moments():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(5), np.repeat(np.arange(5, 9), 8)])
    split = np.where(labels < 5, "base", "novel")
    bank = make_bank(rng.normal(size=(len(labels), 4)), labels, split=split)
    base = draw_base_episodes(bank, 3, 1, "all", 10, seed=0)
    base_classes = evaluate_base_classes(bank, base, NCM(), device=CPU)
    assert base_classes.moments is None and base_classes.covariance is None
