"""Probabilities of a fitted head: temperature and shrinkage."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.estimators.calibration.temperatures import (
    OTHERS,
    load_score_calibrator,
    score_evidence,
)
from fewshot.estimators.probabilities import matched_temperature
from fewshot.heads import heads
from fewshot.heads.base import Query, Support
from fewshot.tasks.classification.labelling.probabilities import (
    Probabilities,
    fit_probabilities,
    score_temperatures,
)

HEADS = ("ncm", "lda", "ridge", "logistic", "knn", "qda", "svm")


def images(ways=4, shots=5, queries=30, spread=1.0, dim=12, seed=0, episodes=1):
    """A support of Gaussian classes at unit length, and queries (E, N, Q, D)."""
    generator = torch.Generator().manual_seed(seed)
    means = 0.7 * torch.randn(episodes, ways, 1, dim, generator=generator)
    noise = torch.randn(episodes, ways, shots + queries, dim, generator=generator)
    rows = torch.nn.functional.normalize(means + spread * noise, dim=-1)
    return Support.of(rows[:, :, :shots]), rows[:, :, shots:]


def fitted(name="ncm", error=0.2, **options):
    support, queries = images(**options)
    head = heads.create(name).fit(support)
    scores = head.scores(Query.of(queries.flatten(1, 2)))[0]
    return support, head, scores, fit_probabilities(support, head, error)


def slow_temperature(scores, confidence):
    """Temperature on a fine grid at which the mean largest probability is nearest."""
    grid = np.exp(np.linspace(-6, 6, 6001)) * scores.std()
    best, nearest = None, np.inf
    for temperature in grid:
        logits = scores / temperature
        p = np.exp(logits - logits.max(-1, keepdims=True))
        mean = (p / p.sum(-1, keepdims=True)).max(-1).mean()
        if abs(mean - confidence) < nearest:
            best, nearest = temperature, abs(mean - confidence)
    return best


def test_the_matched_temperature_gives_the_wanted_confidence():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 20, 4)) * np.array([1e-3, 1.0, 1e6])[:, None, None]
    wanted = np.array([0.4, 0.7, 0.95])
    temperature = matched_temperature(
        torch.from_numpy(scores), torch.full((3, 20), 1 / 20), torch.from_numpy(wanted)
    )
    for e in range(3):
        assert float(temperature[e]) == pytest.approx(slow_temperature(scores[e], wanted[e]), 0.003)


def test_images_without_weight_do_not_count():
    scores = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[0.25, 0.25, 0.0, 0.25, 0.25, 0.0]])
    kept = scores[:, [0, 1, 3, 4]]
    scores[:, [2, 5]] = torch.nan
    alone = matched_temperature(kept, torch.full((1, 4), 0.25), torch.tensor([0.6]))
    assert matched_temperature(scores, weights, torch.tensor([0.6])) == pytest.approx(alone)


def test_coefficients_of_the_package_are_finite_and_say_where_they_are_from():
    calibrator = load_score_calibrator()
    assert {"ncm", "lda", "ridge", "logistic", "knn", OTHERS} <= calibrator.heads.keys()
    assert calibrator.notes
    assert {row["group"] for row in calibrator.left_out} == {
        row["group"] for row in calibrator.fitted_on
    }


@pytest.mark.parametrize("name", ["ncm", "ridge", "qda"])
def test_the_temperature_is_that_of_its_formula(name):
    support, head, _, made = fitted(name, shots=3)
    evidence = score_evidence(support, head, torch.tensor([0.2]))
    entry = load_score_calibrator().temperatures(head)
    row = int(np.flatnonzero(entry.shots == 3)[0])
    constant, ways, matched, likely = entry.coefficients[row]
    _, to_unit, to_matched = evidence.covariates[0].tolist()
    unit = float(evidence.unit[0])
    logarithm = constant + ways * np.log(4 / 5) + matched * to_unit + likely * to_matched
    assert made.temperature == pytest.approx(unit * np.exp(logarithm))
    assert made.shrinkage == pytest.approx(entry.floors[row] * 0.2)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("shots", [1, 2, 5])
def test_probabilities_are_proper_and_follow_the_scores(name, shots):
    _, _, scores, made = fitted(name, shots=shots)
    p = made.of(scores)
    assert p.dtype == torch.float64
    assert p.sum(-1) == pytest.approx(1.0)
    assert bool((p > 0).all())
    assert bool((p.gather(-1, scores.argsort(-1)).diff(dim=-1) >= 0).all())


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("shots", [1, 4])
def test_more_predicted_error_is_less_confidence(name, shots):
    support, head, scores, _ = fitted(name, shots=shots)
    confidences = [
        float(fit_probabilities(support, head, error).of(scores).amax(-1).mean())
        for error in (0.02, 0.2, 0.6)
    ]
    assert confidences == sorted(confidences, reverse=True)


class Scaled:
    """A head whose scores are those of another one, times a factor and of other units."""

    def __init__(self, head, factor):
        self.head, self.factor = head, factor

    def __getattr__(self, name):
        return getattr(self.head, name)

    def scores(self, query):
        return self.head.scores(query) * self.factor

    def clone(self):
        return Scaled(self.head.clone(), self.factor)

    def fit(self, support):
        return Scaled(self.head.fit(support), self.factor)

    def leave_one_of_each_out(self, support):
        return None


@pytest.mark.parametrize("factor", [1e-30, 1000.0, 1e30])
@pytest.mark.parametrize("shots", [1, 3])
def test_scores_in_other_units_have_the_same_probabilities(factor, shots):
    support, queries = images(shots=shots)
    query = Query.of(queries.flatten(1, 2))
    answers = []
    for scale in (1.0, factor):
        head = Scaled(heads.create("ncm"), scale).fit(support)
        answers.append(fit_probabilities(support, head, 0.2).of(head.scores(query)))
    assert answers[0].flatten().tolist() == pytest.approx(answers[1].flatten().tolist(), rel=1e-4)


@pytest.mark.parametrize("name", ["ncm", "lda", "knn"])
def test_the_order_of_the_classes_does_not_matter(name):
    support, _, _, made = fitted(name)
    order = torch.tensor([2, 0, 3, 1])
    other = Support.of(support.features[:, order])
    again = fit_probabilities(other, heads.create(name).fit(other), 0.2)
    assert again.temperature == pytest.approx(made.temperature, rel=1e-4)
    assert again.shrinkage == made.shrinkage


@pytest.mark.parametrize("name", ["ncm", "lda", "ridge", "knn"])
def test_classes_may_have_different_numbers_of_shots(name):
    support, queries = images(shots=5)
    mask = torch.arange(5) < torch.tensor([1, 2, 3, 5])[:, None]
    uneven = Support.of(support.features, mask[None])
    head = heads.create(name).fit(uneven)
    made = fit_probabilities(uneven, head, 0.2)
    p = made.of(head.scores(Query.of(queries.flatten(1, 2)))[0])
    assert 0.4 < float(p.amax(-1).mean()) < 0.95


def test_a_batch_is_many_supports():
    support, _ = images(episodes=3, spread=2.0)
    errors = torch.tensor([0.1, 0.3, 0.5])
    head = heads.create("lda")
    batch = score_temperatures(support, head.clone().fit(support), errors)
    for e in range(3):
        part = support[e : e + 1]
        made = fit_probabilities(part, head.clone().fit(part), float(errors[e]))
        assert float(batch[0][e]) == pytest.approx(made.temperature, rel=1e-4)
        assert float(batch[1][e]) == pytest.approx(made.shrinkage)


@pytest.mark.parametrize(("ways", "counted"), [(2, 2), (20, 20), (30, 20)])
def test_more_ways_than_were_fitted_count_as_the_most_of_them(ways, counted):
    support, _ = images(ways=ways, shots=2, queries=1)
    evidence = score_evidence(support, heads.create("ncm").fit(support), torch.tensor([0.2]))
    assert float(evidence.covariates[0, 0]) == pytest.approx(np.log(counted / 5))


def test_without_a_predicted_error_it_is_predicted():
    support, head, _, _ = fitted(spread=0.1)
    easy = fit_probabilities(support, head)
    assert easy.shrinkage < fit_probabilities(support, head, 0.5).shrinkage


@pytest.mark.parametrize("shots", [1, 2])
def test_images_that_are_all_alike_have_equal_probabilities(shots):
    support = Support.of(torch.ones(1, 3, shots, 4))
    head = heads.create("ncm").fit(support)
    made = fit_probabilities(support, head, 0.6)
    assert made.of(head.scores(Query.of(torch.ones(1, 2, 4)))) == pytest.approx(1 / 3)


def test_perfect_separation_is_not_certainty():
    _, _, scores, made = fitted(spread=1e-3, error=0.0)
    assert 0.9 < float(made.of(scores).amax(-1).mean()) < 1.0


@pytest.mark.parametrize("size", [1e-38, 1e38, 1e300])
def test_scores_at_the_ends_of_the_range_of_numbers(size):
    scores = size * torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    p = Probabilities(size, 0.1).of(scores)
    assert p[0].tolist() == pytest.approx(Probabilities(1.0, 0.1).of(scores / size)[0].tolist())
    assert p[1] == pytest.approx(1 / 3)
    p = Probabilities(1.0, 0.1).of(scores.float() if size < 1e300 else scores)
    assert bool(p.isfinite().all())
    assert p.sum(-1) == pytest.approx(1.0)


def test_what_they_rest_on_is_said():
    assert fitted("ncm", shots=1)[3].held_out == 0
    assert fitted("ncm", shots=3)[3].held_out == 12
    assert fitted("ncm")[3].learned_on == "this head"
    assert fitted("qda")[3].learned_on == "other heads"
    for name, shots in (("ncm", 1), ("ncm", 3), ("qda", 1), ("qda", 3)):
        assert fitted(name, shots=shots)[3].sentence().endswith(".")
    sentences = {replace(fitted("ncm")[3], held_out=n).sentence() for n in (0, 12)}
    assert len(sentences) == 2
