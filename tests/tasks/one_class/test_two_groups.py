"""The rule ``two_groups`` against slow references, and the folders that it has to cope with."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.nn.functional import normalize

from fewshot.tasks.one_class import two_groups as module
from fewshot.tasks.one_class.background import background_of
from fewshot.tasks.one_class.confusers.hypernyms import imagenet_kinds
from fewshot.tasks.one_class.confusers.spelling import in_both_numbers
from fewshot.tasks.one_class.decide import decide
from fewshot.tasks.one_class.rules import RULES, Learned, Similarities, thresholds
from fewshot.tasks.one_class.two_groups import (
    feedback,
    log_odds,
    nearness_weights,
    share_level,
    two_group_scores,
    two_groups,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def everything(values):
    return torch.ones(values.shape, dtype=torch.bool)


def test_log_odds_image_by_image():
    made = generator()
    target, names = torch.rand(6, generator=made), torch.rand(6, 9, generator=made)
    weights = torch.rand(9, generator=made)
    kinds = torch.zeros(9, dtype=torch.bool)
    kinds[[2, 5]] = True
    weights[kinds] = 0
    rows = names.double().numpy()
    spread = np.sqrt(np.mean((rows - rows.mean(1, keepdims=True)) ** 2))
    tau = module.TEMPERATURE * spread
    for some in (kinds, torch.zeros_like(kinds)):
        odds = log_odds(target, names, weights, some, everything(target))
        for n in range(6):
            against = sum(
                float(w) * math.exp(s / tau) for w, s in zip(weights, rows[n], strict=True)
            )
            own = math.exp(float(target[n]) / tau)
            if some.any():
                own = own / 2 + np.mean(np.exp(rows[n][some.numpy()] / tau)) / 2
            expected = math.log(own) - math.log(against / float(weights.sum()))
            assert float(odds[n]) == pytest.approx(expected, abs=1e-3)


def test_a_name_near_the_class_hardly_counts():
    target = normalize(torch.tensor([1.0, 0.0, 0.0]), dim=0)
    names = normalize(torch.tensor([[1.0, 0.1, 0], [1.0, 1.0, 0], [0, 0, 1.0]]), dim=-1)
    kept = torch.tensor([True, True, True])
    near, middle, far = nearness_weights(target, names, kept).tolist()
    assert 0 < near < 0.01 < middle < far == pytest.approx(1)
    assert nearness_weights(target, names, ~kept).tolist() == [0, 0, 0]


def test_feedback_image_by_image():
    made = generator(1)
    x = normalize(torch.randn(7, 4, generator=made).double(), dim=-1)
    scores = torch.randn(7, generator=made).double()
    chances = torch.rand(7, generator=made).double()
    rows, p, s = x.numpy(), chances.numpy(), scores.numpy()
    rows = rows - rows.mean(0)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    looks = []
    for i in range(7):
        parts = []
        for weight in (p, 1 - p):
            total = sum(weight[j] * rows[i] @ rows[j] for j in range(7) if j != i)
            parts.append(total / (sum(weight[j] for j in range(7) if j != i) + module.SHRINKAGE))
        looks.append(parts[0] - parts[1])
    looks = np.array(looks)
    mixed = s + module.FEEDBACK * (looks - looks.mean()) / looks.std() * s.std()
    expected = (mixed - mixed.mean()) / mixed.std() * s.std() + s.mean()
    assert np.allclose(feedback(scores, chances, x, everything(scores)).numpy(), expected)


@pytest.mark.parametrize("share", [None, 0.3])
def test_two_groups_by_loops(share):
    scores = torch.randn(20, generator=generator(2)).double() * 2
    scores[:6] += 5
    positive, negative = module.PSEUDO_COUNTS
    if share is not None:
        positive, negative = share * (positive + negative), (1 - share) * (positive + negative)
    k, (m0, m1), v = module.PSEUDO_IMAGES, module.MEANS, module.DEVIATION**2
    low, high, rate, s = m0, m1, positive / (positive + negative), scores.numpy()
    for _ in range(module.STEPS):
        up = rate * norm.pdf(s, high, v**0.5)
        r = up / (up + (1 - rate) * norm.pdf(s, low, v**0.5))
        rate = (r.sum() + positive) / (20 + positive + negative)
        low = (((1 - r) * s).sum() + k * m0) / ((1 - r).sum() + k)
        high = ((r * s).sum() + k * m1) / (r.sum() + k)
        squares = (r * (s - high) ** 2 + (1 - r) * (s - low) ** 2).sum()
        prior = (low - m0) ** 2 + (high - m1) ** 2 + module.DEVIATION**2
        v = (squares + k * prior) / (20 + 3 * k)
    odds = np.log(rate / (1 - rate)) + norm.logpdf(s, high, v**0.5) - norm.logpdf(s, low, v**0.5)
    assert np.allclose(two_groups(scores, everything(scores), share).numpy(), odds)


def folder(positives, negatives, gap=6.0, seed=3, D=16):
    """Evidence and features of images of two kinds, positives first."""
    made = generator(seed)
    evidence = torch.randn(positives + negatives, generator=made) - 3
    evidence[:positives] += gap
    centre = normalize(torch.randn(2, D, generator=made), dim=-1)
    which = (torch.arange(positives + negatives) >= positives).long()
    x = normalize(centre[which] + 0.2 * torch.randn(len(which), D, generator=made), dim=-1)
    return evidence, x


@pytest.mark.parametrize(
    ("positives", "negatives"),
    [(6, 54), (6, 114), (30, 30), (6, 6), (54, 6), (1, 30), (2, 2), (1, 1), (12, 0), (1, 0)],
)
def test_clear_groups_are_found_at_any_share(positives, negatives):
    evidence, x = folder(positives, negatives)
    yes = two_group_scores(evidence, x, everything(evidence)) > 0
    truth = torch.arange(positives + negatives) < positives
    assert yes.equal(truth)


@pytest.mark.parametrize("images", [1, 2, 6, 60, 600])
def test_a_folder_without_the_class_has_no_yes(images):
    evidence, x = folder(0, images)
    assert not (two_group_scores(evidence, x, everything(evidence)) > 0).any()


def test_equal_images_get_equal_scores():
    evidence = torch.full((5,), 1.0)
    scores = two_group_scores(evidence, torch.ones(5, 3), everything(evidence))
    assert scores.isfinite().all() and scores.unique().numel() == 1


def test_padding_and_company_change_nothing():
    evidence, x = folder(4, 16)
    alone = two_group_scores(evidence, x, everything(evidence))
    padded = torch.stack([torch.cat([evidence, torch.full((5,), 50.0)]), torch.randn(25)])
    features = torch.stack([torch.cat([x, torch.ones(5, 16)]), torch.randn(25, 16)])
    mask = torch.stack([torch.arange(25) < 20, torch.ones(25, dtype=torch.bool)])
    both = two_group_scores(padded, features, mask)
    torch.testing.assert_close(both[0, :20], alone)


def test_the_rule_sees_counted_images_alone():
    evidence, x = folder(4, 16)
    nothing = torch.zeros(20, 0), torch.zeros(0, dtype=torch.bool)
    base = Similarities(torch.rand(20), *nothing, evidence=evidence, features=x)
    counted = torch.arange(20) < 9
    scores = base.target - thresholds(
        RULES["two_groups"], replace(base, counted=counted), Learned()
    )
    alone = two_group_scores(evidence[:9], x[:9], everything(evidence[:9]))
    torch.testing.assert_close(scores[:9].double(), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.3, 3), (0.5, 5), (0.99, 10)])
def test_share_level(share, count):
    scores = torch.randn(10, generator=generator(4))
    assert int((scores > share_level(scores, share)).sum()) == count


def test_background_knows_kinds():
    words, names = (
        ("dog", "crane"),
        ("Dalmatian", "tabby cat", "dog", "German Shepherd Dog", "gong"),
    )
    vectors = normalize(torch.randn(5, 8, generator=generator(5)), dim=-1)
    targets = normalize(torch.randn(2, 8, generator=generator(6)), dim=-1)
    background = background_of(words, targets, names, vectors)
    assert background.kinds.tolist() == [[True, False, True, True, False], [False] * 5]
    assert ((background.weights[0] > 0) == torch.tensor([False, True, False, False, True])).all()
    assert background_of(["dog"], targets[:1], ["dog", "dogs"], vectors[:2]) is None


def test_a_kind_of_the_class_is_no_veto():
    """An image that is exactly a Dalmatian is a dog, however far the two words are apart."""
    names = ("Dalmatian", "tabby cat", "gong", "teapot", "barrel")
    vectors = torch.eye(7)[:5]
    target = torch.eye(7)[5]
    background = background_of(["dog"], target[None], names, vectors)
    images = torch.cat([vectors[:1].repeat(3, 1), vectors[1:].repeat(5, 1)])
    none = torch.zeros(0, 7)
    decisions = decide(images, target, none, RULES["two_groups"], background=background)
    assert decisions.yes.tolist() == [True] * 3 + [False] * 20
    ignorant = replace(background, kinds=torch.zeros_like(background.kinds))
    ignorant.weights[:] = 1
    blind = decide(images, target, none, RULES["two_groups"], background=ignorant)
    assert not blind.yes.any()


def test_imagenet_kinds():
    assert imagenet_kinds("Dogs") == imagenet_kinds("dog") and len(imagenet_kinds("dog")) == 118
    assert imagenet_kinds("zorblax") is None
    assert imagenet_kinds("goldfish") == {1}  # a class itself
    assert imagenet_kinds("animal") > imagenet_kinds("bird") > imagenet_kinds("penguin")


@pytest.mark.parametrize(
    ("one", "many"),
    [("shoe", "shoes"), ("dog", "dogs"), ("box", "boxes"), ("cherry", "cherries"), ("toy", "toys"),
     ("wolf", "wolves"), ("mouse", "mice"), ("horse", "horses"), ("bus", "buses"),
     ("house", "houses"), ("glass", "glasses of milk"), ("tomato", "tomatoes"), ("piano", "pianos"),
     ("watch", "watches"), ("sea horse", "sea horses"), ("lens", "lenses"), ("cookie", "cookies"),
     ("knife", "knives"), ("church", "churches"), ("fly", "flies"), ("canoe", "canoes"),
     ("camera", "cameras"), ("cactus", "cacti"),
     ("rhinoceros", "rhinoceroses"), ("emu", "emus")],
)  # fmt: skip
def test_both_numbers(one, many):
    if many == "glasses of milk":
        assert in_both_numbers("glass of milk") == ("glass of milk", many)
        return
    assert in_both_numbers(one) == (one, many)
    assert in_both_numbers(many) == (many, one)


@pytest.mark.parametrize("name", ["scissors", "sheep", "binoculars", "B-52", "fish"])
def test_names_with_one_number(name):
    assert in_both_numbers(name) == (name,)


def test_irregular_plurals_of_wordnet():
    assert in_both_numbers("axes", {"axes": "axis"}) == ("axes", "axis")
    assert in_both_numbers("Shoes_") == ("Shoes", "Shoe")
