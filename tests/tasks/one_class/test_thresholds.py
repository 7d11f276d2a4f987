"""Thresholds and rules against loops, and the fallback of classes without confusers."""

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.rules import (
    RULES,
    Learned,
    Similarities,
    lacking_of,
    rules_named,
    thresholds,
)
from fewshot.tasks.one_class.thresholds import average_negative, closest_negative, log_mean_exp

KNOW = Learned(fixed=0.3, level=0.2, tau=0.05, posterior=(4.0, -2.0, 0.5), gamma=0.25)


def similarities(sizes=(3, 1, 0), n=7):
    """Three classes with 3, 1 and 0 confusers; padding is larger than any similarity."""
    made = torch.Generator().manual_seed(0)
    target, generic = torch.rand(2, 3, n, generator=made).unbind(0)
    confusers = torch.rand(3, n, max(sizes), generator=made)
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    confusers[~mask[:, None].expand(confusers.shape)] = 9.0
    random = torch.rand(3, n, generator=made)
    return Similarities(target, confusers, mask, generic, random)


def by_hand(name, s, confusers, generic, closest):
    """The threshold of one image, from plain numbers."""
    mean = np.mean(confusers)
    level = KNOW.tau * np.log(np.mean(np.exp(np.array(confusers) / KNOW.tau)))
    return {
        "fixed": 0.3,
        "max": max(confusers),
        "anp": mean,
        "anp_ft": 0.25 * mean + 0.75 * 0.3,
        "anp_ft_fitted": 0.25 * mean + 0.2,
        "anp_and_ft": max(mean, 0.3),
        "anp_and_random": max(mean, closest),
        "lme": level,
        "generic": generic,
        "posterior": s - (4 * s - 2 * level + 0.5),
    }[name]


# Rules that judge images jointly have tests of their own: test_two_groups.py.
ALONE = [name for name, rule in RULES.items() if not rule.jointly]


@pytest.mark.parametrize("name", ALONE)
def test_every_rule_equals_plain_arithmetic(name):
    cosines = similarities()
    levels = thresholds(RULES[name], cosines, KNOW)
    for c, size in enumerate((3, 1)):
        for i in range(7):
            confusers = cosines.confusers[c, i, :size].tolist()
            numbers = (float(x[c, i]) for x in (cosines.generic, cosines.random))
            expected = by_hand(name, float(cosines.target[c, i]), confusers, *numbers)
            assert float(levels[c, i]) == pytest.approx(expected, abs=1e-5)


def test_log_mean_exp_lies_between_average_and_closest():
    cosines = similarities((3, 2, 1))
    pair = cosines.confusers, cosines.mask
    low, high = average_negative(*pair), closest_negative(*pair)
    torch.testing.assert_close(log_mean_exp(*pair, 1e-4), high, atol=1e-3, rtol=0)
    torch.testing.assert_close(log_mean_exp(*pair, 1e3), low, atol=1e-3, rtol=0)
    levels = torch.stack([log_mean_exp(*pair, tau) for tau in (1.0, 0.1, 0.01)])
    assert (levels.diff(dim=0) >= -1e-6).all()
    assert (levels >= low - 1e-5).all()
    assert (levels <= high + 1e-5).all()


@pytest.mark.parametrize("name", sorted(set(ALONE) - {"fixed", "generic"}))
def test_a_class_without_confusers_falls_back(name):
    cosines = similarities()
    assert torch.allclose(thresholds(RULES[name], cosines, KNOW)[2], torch.tensor(0.3))
    if "fixed" in RULES[name].needs:
        return
    know = Learned(level=0.1, tau=0.05, posterior=(1.0, 1.0, 0.0))
    torch.testing.assert_close(thresholds(RULES[name], cosines, know)[2], cosines.generic[2])
    bare = Similarities(cosines.target, cosines.confusers, cosines.mask, random=cosines.random)
    levels = thresholds(RULES[name], bare, know)
    assert levels[2].isnan().all()
    assert levels[:2].isfinite().all()


def test_what_rules_lack():
    def lacking(know, **available):
        return lacking_of(list(RULES.values()), know, **available)

    everything = {"confusers": True, "generic": True, "random": True, "vocabulary": True}
    assert lacking(KNOW, **everything) == {}
    reasons = lacking(Learned(), **everything)
    assert set(reasons) == {"fixed", "anp_ft", "anp_ft_fitted", "anp_and_ft", "lme", "posterior"}
    assert "one_class.fixed" in reasons["fixed"]
    assert set(lacking(KNOW, confusers=False, generic=False)) == set(RULES) - {"fixed"}


def test_names_of_rules():
    assert [rule.name for rule in rules_named(["anp", "fixed", "anp"])] == ["anp", "fixed"]
    with pytest.raises(FewshotError, match="Did you mean 'anp'"):
        rules_named(["anpp"])
    for wrong in ([], "anp"):
        with pytest.raises(FewshotError, match="expected"):
            rules_named(wrong)
