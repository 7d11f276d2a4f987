"""Coefficients of temperatures: fitted to scores of new images, kept as JSON."""

import json

import numpy as np
import pytest
import torch

from fewshot.estimators.calibration.temperatures import (
    OTHERS,
    ScoreCalibrator,
    ScoreEvidence,
    Temperatures,
    load_score_calibrator,
)
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.tasks.calibration.temperatures import (
    LEAST,
    PENALTY,
    ScoreCell,
    ScorePlan,
    _figures,
    fit_score_calibrator,
    fit_temperatures,
    score_cells,
)

TRUE = (-0.7, -0.2, 0.6, 0.3, 0.5)  # constant, ways, matched, likely, floor


def cell(group="a", ways=4, shots=3, episodes=40, queries=5, seed=0, head="ncm"):
    """Scores whose labels are right as often as the true coefficients say."""
    rng = np.random.default_rng((seed, ways, shots, ord(group)))
    unit = np.exp(rng.normal(size=episodes))
    x = np.stack([np.full(episodes, np.log(ways / 5)), *rng.normal(size=(2, episodes))], -1)
    x[:, 1:] *= shots > 1
    error = rng.uniform(0.05, 0.5, episodes)
    temperature = unit * np.exp(TRUE[0] + x @ TRUE[1:4])
    labels = np.repeat(np.arange(ways), queries)
    # Scores of random classes, moved so that the label is drawn from its probability.
    scores = 2 * rng.normal(size=(episodes, len(labels), ways)) * temperature[:, None, None]
    p = np.exp(scores / temperature[:, None, None])
    floor = (TRUE[4] * error)[:, None, None]
    p = (1 - floor) * p / p.sum(-1, keepdims=True) + floor / ways
    drawn = (p.cumsum(-1) > rng.uniform(size=(*p.shape[:2], 1))).argmax(-1)
    order = (np.arange(ways) - labels[:, None] + drawn[..., None]) % ways
    scores = np.take_along_axis(scores, order, -1)
    evidence = ScoreEvidence(
        *map(torch.from_numpy, (unit, x, np.full(episodes, float(shots)), error))
    )
    return ScoreCell(
        group, "set", "net", head, ways, shots, evidence,
        torch.from_numpy(scores), torch.from_numpy(labels),
    )  # fmt: skip


def slow_loss(parameters, cells, weights):
    """Mean log loss over groups and their episodes, image by image."""
    constant, *slopes, floor = parameters
    sums, sizes = {}, {}
    for part in cells:
        for e in range(len(part.scores)):
            x = part.evidence.covariates[e].numpy()
            unit, error = float(part.evidence.unit[e]), float(part.evidence.error[e])
            temperature = unit * np.exp(constant + x @ slopes)
            losses = []
            for z, label in zip(part.scores[e].numpy(), part.labels.tolist(), strict=True):
                p = np.exp((z - z.max()) / temperature)
                p = p / p.sum()
                losses.append(-np.log((1 - floor * error) * p[label] + floor * error / len(z)))
            sums[part.group] = sums.get(part.group, 0) + np.mean(losses)
            sizes[part.group] = sizes.get(part.group, 0) + 1
    total = sum(weights.get(group, 1.0) for group in sums)
    loss = sum(weights.get(group, 1.0) * sums[group] / sizes[group] for group in sums) / total
    return loss + PENALTY * np.square(slopes).sum()


def test_the_fit_has_the_least_log_loss():
    cells = [cell("a", 3, episodes=6), cell("a", 2, episodes=4), cell("b", 3, episodes=5)]
    weights = {"b": 3.0}
    fitted = fit_temperatures(cells, weights)
    ours = np.append(fitted.coefficients[0], fitted.floors[0])
    least = slow_loss(ours, cells, weights)
    for place in range(5):
        for step in (-0.03, 0.03):
            other = ours.copy()
            other[place] += step
            if 0 <= other[-1] <= 1:
                assert slow_loss(other, cells, weights) > least


def test_coefficients_are_recovered_from_many_tasks():
    cells = [cell(g, N, K, 200) for g in "abc" for N in (2, 5) for K in (1, 3)]
    fitted = fit_temperatures(cells, {})
    assert fitted.shots.tolist() == [1, 3]
    assert fitted.coefficients[1] == pytest.approx(np.array(TRUE[:4]), abs=0.1)
    assert fitted.coefficients[0, :2] == pytest.approx(np.array(TRUE[:2]), abs=0.15)
    assert fitted.coefficients[0, 2:].tolist() == [0, 0]
    assert fitted.floors == pytest.approx(TRUE[4], abs=0.15)


def test_a_calibrator_says_how_it_does_on_groups_left_out_and_is_the_same_when_read(tmp_path):
    cells = [cell(g, 3, K, 6, head=h) for g in "abc" for h in ("ncm", "lda") for K in (1, 2)]
    made = fit_score_calibrator(cells, notes="How it was made.", fitted_on=[{"group": "a"}])
    assert made.heads.keys() == {"ncm", "lda", OTHERS}
    assert {(row["group"], row["head"]) for row in made.left_out} == {
        (g, h) for g in "abc" for h in ("ncm", "lda")
    }
    made.save(tmp_path / "made.json")
    read = load_score_calibrator(tmp_path / "made.json")
    assert (read.notes, read.fitted_on, read.left_out) == (
        made.notes, made.fitted_on, made.left_out,
    )  # fmt: skip
    evidence = cells[0].evidence
    for name, entry in made.heads.items():
        for ours, again in zip(entry.of(evidence), read.heads[name].of(evidence), strict=True):
            assert ours.tolist() == pytest.approx(again.tolist(), rel=1e-3)


def test_results_of_a_group_left_out_are_finite_where_a_probability_is_zero():
    """As JSON has no infinity; with a floor of zero a probability can be beyond float64."""
    sure = cell("a")._replace(scores=1e6 * cell("a").scores)
    flat = Temperatures(np.array([1.0]), np.array([[-9.0, 0.0, 0.0, 0.0]]), np.zeros(1))
    (row,) = _figures(flat, [sure])
    assert 0 < row["log_loss"] <= -np.log(LEAST)


def test_two_groups_are_too_few():
    with pytest.raises(FewshotError, match="3 groups"):
        fit_score_calibrator([cell("a"), cell("b")])


def test_between_numbers_of_shots_coefficients_are_linear_in_the_logarithm():
    entry = Temperatures(
        np.array([1.0, 4.0]), np.array([[0.0, 0, 0, 0], [2.0, 1, 1, 1]]), np.array([0.2, 0.4])
    )
    rows = entry.at(torch.tensor([0.5, 1.0, 2.0, 4.0, 100.0])).T.tolist()
    assert rows[0] == rows[1] == pytest.approx([0, 0, 0, 0, 0.2])
    assert rows[2] == pytest.approx([1, 0.5, 0.5, 0.5, 0.3])
    assert rows[3] == rows[4] == pytest.approx([2, 1, 1, 1, 0.4])


def test_scores_and_evidence_of_episodes_of_a_bank():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 12)
    features = rng.normal(size=(6, 8))[labels] + rng.normal(size=(72, 8))
    plan = ScorePlan(ways=(2, 3), shots=(1, 2), heads=("ncm", "ridge"), episodes=4)
    cells = score_cells({"a": [make_bank(features.astype(np.float32), labels)]}, plan)
    assert {(c.head, c.ways, c.shots) for c in cells} == {
        (h, N, K) for h in ("ncm", "ridge") for N in (2, 3) for K in (1, 2)
    }
    for part in cells:
        E, R, N = part.scores.shape
        assert R == len(part.labels) == 5 * N == 5 * part.ways
        assert part.evidence.covariates.shape == (E, 3)
        assert bool((part.evidence.covariates[:, 1:] != 0).any()) == (part.shots > 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "fewshot.calibrator"}, "no coefficients"),
        ({"format": 99}, "format 99"),
        ({"heads": {}}, "others"),
        ({"heads": {OTHERS: {"shots": [2], "coefficients": [[0] * 4], "floors": [0]}}}, "ascend"),
        ({"heads": {OTHERS: {"shots": [1], "coefficients": [[0] * 3], "floors": [0]}}}, "4 coef"),
        ({"heads": {OTHERS: {"shots": [1], "coefficients": [[0] * 4], "floors": [2]}}}, "floor"),
        ({"heads": {OTHERS: {"shots": [1]}}}, "no 'coefficients'"),
        ({"heads": [1]}, "cannot be read"),
    ],
)
def test_what_is_no_file_of_coefficients_is_refused(tmp_path, change, message):
    entry = Temperatures(np.array([1.0]), np.zeros((1, 4)), np.zeros(1))
    ScoreCalibrator({OTHERS: entry}).save(tmp_path / "f.json")
    content = json.loads((tmp_path / "f.json").read_text())
    (tmp_path / "f.json").write_text(json.dumps(content | change))
    with pytest.raises(FewshotError, match=message):
        load_score_calibrator(tmp_path / "f.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FewshotError, match=r"none\.json"):
        load_score_calibrator(tmp_path / "none.json")
