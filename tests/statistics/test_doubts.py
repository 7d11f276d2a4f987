"""Doubts about labels: against a slow transcription, and their chance rate on Gaussian classes."""

import math

import numpy as np
import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.statistics import doubts, label_doubts, outlier_chances


def tasks(E=3, N=4, K=5, D=12, separation=2.0, seed=0, uneven=False):
    """Gaussian classes (E, N, K, D); with `uneven` classes of 2 to K images, padding not zero."""
    rng = np.random.default_rng(seed)
    features = separation * rng.normal(size=(E, N, 1, D)) + rng.normal(size=(E, N, K, D))
    mask = np.ones((E, N, K), bool)
    if uneven:
        mask = np.arange(K) < rng.integers(2, K + 1, (E, N, 1))
    return torch.from_numpy(features), torch.from_numpy(mask)


def exchanged(features, task=0):
    """The features with the first shots of classes 0 and 1 exchanged, both labels wrong."""
    wrong = features.clone()
    wrong[task, 0, 0], wrong[task, 1, 0] = features[task, 1, 0], features[task, 0, 0]
    return wrong


def slow_margins(classes):
    """Margins of all shots of one task, a list of arrays (K_c, D), by refitting without each."""
    scatter = sum(((shots - shots.mean(0)) ** 2).sum() for shots in classes)
    variance = scatter / sum(len(shots) - 1 for shots in classes)
    margins, rivals = [], []
    for c, shots in enumerate(classes):
        for k, shot in enumerate(shots):
            distances = []
            for j, others in enumerate(classes):
                rest = np.delete(others, k, 0) if j == c else others
                squared = ((shot - rest.mean(0)) ** 2).sum() if len(rest) else np.nan
                distances.append(squared - variance / max(1, len(rest)))
            label = distances[c]
            distances[c] = np.inf
            margins.append((min(distances) - label) / variance)
            rivals.append(int(np.argmin(distances)))
    return np.array(margins), np.array(rivals)


@pytest.mark.parametrize("uneven", [False, True])
def test_margins_are_those_of_class_means_refitted_without_the_shot(uneven):
    features, mask = tasks(uneven=uneven)
    doubts = label_doubts(features, mask)
    for task in range(len(features)):
        classes = [features[task, c, mask[task, c]].numpy() for c in range(mask.shape[1])]
        margins, rivals = slow_margins(classes)
        np.testing.assert_allclose(doubts.margins[task][mask[task]], margins, rtol=1e-9)
        assert doubts.rivals[task][mask[task]].tolist() == rivals.tolist()
    assert doubts.margins[~mask].isnan().all()
    assert bool((doubts.chances[~mask] == 1).all())


def test_first_rank_is_the_lowest_margin_and_ranks_are_a_permutation_with_padding_last():
    features, mask = tasks(E=6, separation=0.7, uneven=True)
    doubts = label_doubts(features, mask)
    lowest = doubts.margins.nan_to_num(torch.inf).flatten(1).argmin(1)
    assert doubts.ranks.flatten(1).argmin(1).tolist() == lowest.tolist()
    for task in range(6):
        assert sorted(doubts.ranks[task].flatten().tolist()) == list(range(20))
        shots = int(mask[task].sum())
        assert sorted(doubts.ranks[task][mask[task]].tolist()) == list(range(shots))


def test_chances_do_not_fall_along_the_list():
    features, mask = tasks(E=8, K=8, separation=0.8)
    doubts = label_doubts(features, mask)
    order = doubts.ranks.flatten(1).argsort(1)
    chances = doubts.chances.flatten(1).gather(1, order)
    assert bool((chances.diff(dim=1) >= 0).all())
    assert bool(((chances >= 0) & (chances <= 1)).all())


@pytest.mark.parametrize("shots", [2, 3, 5, 10])
@pytest.mark.parametrize("separation", [0.3, 0.6, 1.5])
def test_chance_rate_holds_on_gaussian_classes(shots, separation):
    """No more than the level of tasks without wrong labels, by more than chance (400 tasks)."""
    features, mask = tasks(400, 4, shots, 12, separation, seed=shots)
    lowest = label_doubts(features, mask).chances.flatten(1).amin(1)
    for level in (0.01, 0.05):
        slack = 3 * math.sqrt(level * (1 - level) / 400)
        assert (lowest < level).double().mean() <= level + slack


def test_chance_rate_is_not_idle():
    """Where classes overlap it is not merely never reached: some clean tasks have low chances."""
    features, mask = tasks(400, 4, 5, 12, 0.6)
    lowest = label_doubts(features, mask).chances.flatten(1).amin(1)
    assert 0.02 < (lowest < 0.2).double().mean() < 0.26


def test_wrong_labels_are_first_and_below_the_level_in_separated_classes():
    features, mask = tasks(E=20, separation=3.0)
    wrong = torch.zeros_like(mask)
    for task in range(20):
        features = exchanged(features, task)
        wrong[task, 0, 0] = wrong[task, 1, 0] = True
    doubts = label_doubts(features, mask)
    assert bool((doubts.ranks[wrong] < 2).all())
    assert (doubts.chances[wrong] < 0.05).double().mean() > 0.9
    assert bool((doubts.chances[~wrong] > 0.05).all())
    assert doubts.rivals[0, 0, 0] == 1 and doubts.rivals[0, 1, 0] == 0


def test_a_class_of_one_shot_gets_no_doubt_but_is_a_rival():
    features, mask = tasks(E=1, separation=3.0)
    mask[0, 2, 1:] = False
    features[0, 0, 0] = features[0, 2, 0] + 0.1
    doubts = label_doubts(features, mask)
    assert doubts.margins[0, 2, 0].isnan() and doubts.chances[0, 2, 0] == 1
    assert doubts.rivals[0, 0, 0] == 2 and doubts.chances[0, 0, 0] < 0.05
    alone = torch.zeros_like(mask)
    alone[..., 0] = True
    nothing = label_doubts(features, alone)
    assert nothing.margins.isnan().all() and bool((nothing.chances == 1).all())
    assert bool((outlier_chances(features, alone) == 1).all())


def test_shots_that_do_not_count_are_judged_and_change_no_mean():
    features, mask = tasks(E=2)
    counted = mask.clone()
    counted[:, 0, 0] = False
    far = features.clone()
    far[:, 0, 0] = features[:, 1].mean(1)
    doubts, moved = label_doubts(features, mask, counted), label_doubts(far, mask, counted)
    rest = counted.clone()
    shift = (moved.margins - doubts.margins)[rest].abs().max()
    assert shift < 1e-9
    assert bool((moved.margins[:, 0, 0] < 0).all()) and bool((moved.rivals[:, 0, 0] == 1).all())


def test_tasks_do_not_depend_on_their_batch_scale_or_place():
    features, mask = tasks(E=4, separation=0.8, uneven=True)
    whole = label_doubts(features, mask)
    for task in range(4):
        single = label_doubts(features[task : task + 1], mask[task : task + 1])
        torch.testing.assert_close(single.margins[0], whole.margins[task], equal_nan=True)
        shots = mask[task]
        assert single.ranks[0][shots].tolist() == whole.ranks[task][shots].tolist()
    other = label_doubts(1e-3 * features + 7, mask)
    torch.testing.assert_close(other.margins, whole.margins, equal_nan=True, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(other.chances, whole.chances, rtol=1e-5, atol=1e-8)


def test_equal_features_are_no_reason_for_doubt():
    features = torch.ones(1, 3, 4, 5)
    doubts = label_doubts(features)
    assert bool((doubts.chances == 1).all()) and bool((outlier_chances(features) == 1).all())


def test_outlier_is_far_from_all_classes_and_no_wrong_label():
    features, mask = tasks(E=10, D=40, separation=2.0)
    odd = features.clone()
    odd[:, 2, 1] += 25 * torch.nn.functional.normalize(torch.randn(40, dtype=torch.double,
        generator=torch.Generator().manual_seed(0)), dim=0)  # fmt: skip
    chances = outlier_chances(odd, mask)
    assert bool((chances[:, 2, 1] < 0.05).all())
    chances[:, 2, 1] = 1
    assert (chances.flatten(1).amin(1) < 0.05).sum() <= 1
    clean = outlier_chances(*tasks(300, 5, 5, 40)).flatten(1).amin(1)
    assert (clean < 0.05).double().mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    # A wrong label is near another class.
    assert bool((outlier_chances(exchanged(features), mask)[0, :2, 0] > 0.05).all())


def test_many_wrong_labels_in_a_large_task_do_not_hide_each_other():
    features, mask = tasks(1, 10, 60, 32, separation=2.0)
    wrong = torch.zeros_like(mask)
    for c in range(10):
        features[0, c, :3], features[0, (c + 1) % 10, 3:6] = (
            features[0, (c + 1) % 10, 3:6].clone(),
            features[0, c, :3].clone(),
        )
        wrong[0, c, :3] = wrong[0, (c + 1) % 10, 3:6] = True
    doubts = label_doubts(features, mask)
    listed = doubts.chances < 0.05
    assert bool(listed[wrong].all()) and not bool(listed[~wrong].any())


@pytest.mark.parametrize(
    ("features", "mask"),
    [
        (torch.zeros(2, 3, 4), None),
        (torch.zeros(2, 3, 4, 5, dtype=torch.long), None),
        (torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 5, dtype=torch.bool)),
        (torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4)),
    ],
)
def test_shapes_and_types_are_checked(features, mask):
    with pytest.raises(FewshotError, match="expected"):
        label_doubts(features, mask)
    with pytest.raises(FewshotError, match="expected"):
        outlier_chances(features, mask)


def test_of_many_classes_the_most_doubtful_labels_alone_are_judged(monkeypatch):
    features, mask = tasks(E=2, N=6, K=6, separation=0.4, seed=3)
    every = label_doubts(features, mask)
    monkeypatch.setattr(doubts, "PAIRS", 1)
    monkeypatch.setattr(doubts, "FEWEST", 2)
    few = label_doubts(features, mask)
    judged = (few.chances < 1).flatten(1).sum(1)
    assert (judged <= 2).all() and ((every.chances < 1).flatten(1).sum(1) >= judged).all()
    for task in range(2):
        first = few.ranks[task].flatten().argmin()
        assert first == every.ranks[task].flatten().argmin()
        assert few.chances[task].flatten()[first] == every.chances[task].flatten()[first]
