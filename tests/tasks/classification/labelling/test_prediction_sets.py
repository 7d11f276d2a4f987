"""Sets of classes: always with the label, larger for more coverage, and as often right as said."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot.exceptions import FewshotError
from fewshot.heads import NCM, Query, Support
from fewshot.statistics import conformal_quantile
from fewshot.tasks.classification.labelling.prediction_sets import (
    PredictionSets,
    fit_prediction_sets,
)
from fewshot.tasks.classification.labelling.probabilities import Probabilities
from fewshot.tasks.classification.labelling.reference_quantiles import (
    ERRORS,
    QUANTILES,
    SEVERAL_SHOTS_DISTANCES,
    SEVERAL_SHOTS_NONCONFORMITY,
    SINGLE_SHOT_DISTANCES,
    SINGLE_SHOT_NONCONFORMITY,
    WAYS,
    atoms,
    nonconformity_like,
)

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def sets_of(nonconformity, error=0.3):
    return PredictionSets(
        tuple(nonconformity), (1.0,) * len(nonconformity), nonconformity_like(5, error)
    )


def support_of(shots=4, counts=None, spread=1.0, seed=0):
    """A task of four Gaussian classes in 12 dimensions."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 1, 12, generator=torch.Generator().manual_seed(9))
    features = centres + spread * torch.randn(4, shots, 12, generator=generator)
    mask = torch.ones(4, shots, dtype=torch.bool)
    if counts is not None:
        mask = torch.arange(shots) < torch.tensor(counts)[:, None]
    return Support.of(features[None], mask[None])


def fitted(support, error=None):
    return fit_prediction_sets(support, NCM().fit(support), Probabilities(2.0), error)


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.05, 0.7))
@settings(max_examples=50, deadline=None)
def test_sets_grow_with_the_level_and_have_the_label(nonconformity, error):
    sets = sets_of(nonconformity, error)
    probabilities = torch.rand(20, 5, generator=torch.Generator().manual_seed(0)).double()
    probabilities /= probabilities.sum(-1, keepdim=True)
    members = [sets.members(probabilities, level) for level in LEVELS]
    for smaller, larger in itertools.pairwise(members):
        assert (larger | ~smaller).all()
    assert members[0].gather(-1, probabilities.argmax(-1, keepdim=True)).all()


def test_many_shots_decide_alone():
    scores = torch.rand(20000, generator=torch.Generator().manual_seed(2)).double() ** 2
    for level in LEVELS:
        alone = 1 - float(conformal_quantile(scores, level))
        assert sets_of(scores.tolist()).threshold(level) == pytest.approx(alone, abs=0.005)


def test_few_shots_still_leave_classes_out():
    few = sets_of([0.1, 0.2])
    assert conformal_quantile(torch.tensor([0.1, 0.2]), 0.9) == torch.inf
    assert 0 < few.threshold(0.9) < 0.5
    assert 0 < sets_of([]).threshold(0.9) < 0.5


def test_harder_tasks_and_shots_that_did_badly_make_sets_larger():
    assert sets_of([], 0.2).threshold(0.9) < sets_of([], 0.05).threshold(0.9)
    assert sets_of([0.9] * 20).threshold(0.9) < sets_of([0.1] * 20).threshold(0.9)


@pytest.mark.parametrize("counts", [None, (4, 2, 1, 3), (1, 1, 1, 1)])
def test_fitted_on_shots_that_were_left_out(counts):
    support = support_of(counts=counts)
    sets = fitted(support)
    held = sum(c for c in counts or (4,) * 4 if c > 1)
    assert len(sets.nonconformity) == len(sets.weights) == held
    assert all(0 <= value <= 1 for value in sets.nonconformity)
    assert sum(sets.weights) <= held + 1e-9
    if counts is None:
        assert sets.weights == pytest.approx([1.0] * 16)


def test_classes_count_alike():
    sets = fitted(support_of(counts=(4, 2, 1, 3)))
    by_class = [sum(sets.weights[i:j]) for i, j in ((0, 4), (4, 6), (6, 9))]
    assert by_class == pytest.approx([by_class[0]] * 3)


def test_a_predicted_error_says_what_other_tasks_are_like():
    support = support_of(shots=2)
    assert fitted(support, 0.05).threshold(0.9) > fitted(support, 0.6).threshold(0.9)


def test_single_shots_leave_the_threshold_to_the_number_of_classes():
    thresholds = [
        PredictionSets((), (), nonconformity_like(ways, None)).threshold(0.9)
        for ways in (2, 3, 10, 40, 80, 1000)
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[4] == pytest.approx(thresholds[3] / 2)
    assert thresholds[5] > 0
    assert fitted(support_of(shots=1), 0.05) == fitted(support_of(shots=1), 0.6)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_true_classes_are_in_the_sets_of_exchangeable_images(level):
    """With 25 shots of each class the coverage is theirs, up to the pooled images."""
    covered = []
    for seed in range(6):
        support = support_of(shots=25, spread=2.2, seed=seed)
        head, new = NCM().fit(support), support_of(shots=100, spread=2.2, seed=100 + seed)
        scores = head.scores(Query.of(new.features.flatten(1, 2)))[0]
        members = fitted(support).members(Probabilities(2.0).of(scores), level)
        truth = torch.arange(4).repeat_interleave(100)
        covered.append(members.gather(-1, truth[:, None]).double().mean())
    assert abs(float(torch.stack(covered).mean()) - level) < 0.05


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 90, float("nan")])
def test_a_level_is_a_share(level):
    with pytest.raises(FewshotError, match="level"):
        sets_of([]).members(torch.ones(1, 2) / 2, level)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (SINGLE_SHOT_DISTANCES, WAYS),
        ((SEVERAL_SHOTS_DISTANCES,), (0,)),
        (SINGLE_SHOT_NONCONFORMITY, WAYS),
        (SEVERAL_SHOTS_NONCONFORMITY, ERRORS),
    ],
)
def test_tables_are_quantiles(rows, names):
    assert list(names) == sorted(names)
    assert len(rows) == len(names)
    for row in rows:
        assert len(row) == len(QUANTILES)
        assert list(row) == sorted(row)
        assert float(atoms(row).quantile(0.9)) == pytest.approx(row[5], abs=0.02)
