"""Decisions on images from vectors alone, against formulas written out."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.tasks.one_class.decide import decide, learned_from
from fewshot.tasks.one_class.rules import RULES, Learned
from fewshot.tasks.one_class.scores import NameVectors


@pytest.fixture
def vectors():
    """Images (6, 5), a class name (5,), confusers (3, 5) and a generic name (5,)."""
    rows = torch.randn(11, 5, generator=torch.Generator().manual_seed(3))
    rows = normalize(rows, dim=-1)
    return rows[:6], rows[6], rows[7:10], rows[10]


def test_rules_image_by_image(vectors):
    images, target, confusers, generic = vectors
    know = Learned(fixed=0.3, level=-0.1, tau=0.2, posterior=(4.0, -3.0, 0.5))
    for name in ("max", "anp_ft", "anp_ft_fitted", "generic", "posterior"):
        decisions = decide(*vectors[:3], RULES[name], know, generic)
        for n, image in enumerate(images):
            s = [float(image @ confuser) for confuser in confusers]
            level = 0.2 * np.log(np.mean([np.exp(cosine / 0.2) for cosine in s]))
            logit = 4 * float(image @ target) - 3 * level + 0.5
            score = {
                "max": float(image @ target) - max(s),
                "anp_ft": float(image @ target) - (np.mean(s) + 0.3) / 2,
                "anp_ft_fitted": float(image @ target) - (np.mean(s) / 2 - 0.1),
                "generic": float(image @ (target - generic)),
                "posterior": logit,
            }[name]
            assert float(decisions.score[n]) == pytest.approx(score, abs=1e-5)
            assert bool(decisions.yes[n]) == (score > 0)
            assert float(decisions.posterior[n]) == pytest.approx(
                1 / (1 + np.exp(-logit)), abs=1e-5
            )


def test_without_confusers(vectors):
    images, target, confusers, generic = vectors
    alone = images, target, confusers[:0]
    for name in ("max", "anp"):
        assert not decide(*alone, RULES[name]).yes.any()  # nothing to go by
        stood_in = decide(*alone, RULES[name], generic=generic)
        assert torch.allclose(stood_in.threshold, images @ generic)
    know = Learned(fixed=0.1, tau=0.2, posterior=(1.0, 1.0, 0.0))
    fixed = decide(*alone, RULES["anp_ft"], know, generic)
    assert torch.allclose(fixed.threshold, torch.full((6,), 0.1))
    assert fixed.posterior is None


def test_a_threshold_is_learned_between_the_classes():
    """Images at a cosine of .8 with their class name and 0 with all others."""
    labels = np.repeat(np.arange(4), 5)
    features = np.zeros((20, 5), dtype=np.float32)
    features[np.arange(20), labels], features[:, 4] = 0.8, 0.6
    bank = FeatureBank(features, labels, ("a", "b", "c", "d"), normalize="l2")
    names = NameVectors(torch.eye(5)[:4])
    learned = learned_from(bank, names, Learned())
    assert learned.fixed == pytest.approx(0.4)
    assert learned.posterior is None
    assert learned_from(bank, names, Learned(0.7)).fixed == 0.7
    with pytest.raises(FewshotError, match="two classes"):
        learned_from(bank.take_rows(np.arange(5)), names, Learned())
