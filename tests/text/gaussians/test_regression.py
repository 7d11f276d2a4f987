"""Ridge regression and its leaving-one-out against scikit-learn, refitted without every class."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from fewshot.exceptions import FewshotError
from fewshot.text.gaussians.regression import PENALTIES, ridge

D = 4


def draw(classes=15, dims=6, noise=0.5, seed=0):
    """Inputs (C, P) and targets (C, D), linear in them but for noise, none of them centred."""
    generator = torch.Generator().manual_seed(seed)
    inputs, coefficients, errors = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((classes, dims), (dims, D), (classes, D))
    )
    return inputs + 1, (inputs @ coefficients) / dims**0.5 + noise * errors - 3


def reference(inputs, penalty):
    """scikit-learn's regression with this penalty, relative to the mean squared singular value."""
    singular = np.linalg.svd((inputs - inputs.mean(0)).numpy(), compute_uv=False)
    return Ridge(penalty * (singular**2).mean(), solver="svd")


def refitted(inputs, targets, penalty):
    """Prediction of every class by a regression on the others."""
    model, predictions = reference(inputs, penalty), []
    for c in range(len(inputs)):
        others = [i for i in range(len(inputs)) if i != c]
        model.fit(inputs[others].numpy(), targets[others].numpy())
        predictions.append(model.predict(inputs[c : c + 1].numpy())[0])
    return torch.from_numpy(np.stack(predictions))


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize(("classes", "dims"), [(15, 6), (7, 20), (3, 2), (10, 9), (10, 10)])
def test_fit_and_left_out_predictions(classes, dims, penalty):
    inputs, targets = draw(classes, dims)
    fit = ridge(inputs, targets, [penalty])
    assert fit.penalty == penalty
    expected = reference(inputs, penalty).fit(inputs.numpy(), targets.numpy())
    torch.testing.assert_close(fit.weights, torch.from_numpy(expected.coef_.T.copy()))
    new = torch.randn(5, dims, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(fit.predict(new), torch.from_numpy(expected.predict(new.numpy())))
    torch.testing.assert_close(fit.held_out, refitted(inputs, targets, penalty))


@pytest.mark.parametrize("noise", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 0, 30, 2]).double()])
def test_the_penalty_is_the_best_of_all(noise, weights):
    inputs, targets = draw(noise=noise)
    scale = torch.ones(D).double() if weights is None else weights

    def loss(penalty):
        return float(((refitted(inputs, targets, penalty) - targets).square() * scale).mean())

    candidates = PENALTIES[::3]
    fit = ridge(inputs, targets, candidates, weights=weights)
    assert fit.penalty == min(candidates, key=loss)


def test_weights_decide_whose_penalty_it_is():
    inputs, targets = draw(noise=0.0)
    noise = 50 * torch.randn(len(inputs), generator=torch.Generator().manual_seed(2)).double()
    targets[:, 1] = noise
    clean, noisy = torch.tensor([1.0, 0, 1, 1]), torch.tensor([0.0, 1, 0, 0])
    light, heavy = (ridge(inputs, targets, weights=w).penalty for w in (clean, noisy))
    assert light == PENALTIES[0]
    assert heavy > 10 * light


def test_units_of_the_inputs_do_not_matter():
    inputs, targets = draw()
    first, second = ridge(inputs, targets), ridge(1e4 * inputs, targets)
    assert first.penalty == second.penalty
    torch.testing.assert_close(first.held_out, second.held_out)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_reduced_rank_is_the_nearest_to_the_fitted_values(rank):
    inputs, targets = draw()
    full, fit = ridge(inputs, targets), ridge(inputs, targets, rank=rank)
    assert np.linalg.matrix_rank(fit.weights.numpy()) == rank
    centred = (inputs - inputs.mean(0)).numpy()
    U, s, Vh = np.linalg.svd(centred @ full.weights.numpy(), full_matrices=False)
    np.testing.assert_allclose(
        centred @ fit.weights.numpy(), (U[:, :rank] * s[:rank]) @ Vh[:rank], atol=1e-10
    )


def test_left_out_predictions_of_low_rank_do_not_know_their_class():
    """Directions that are planted for one class only are not those it is predicted on."""
    inputs, targets = draw()
    fit = ridge(inputs, targets, penalties=[0.1], rank=1)
    moved = targets.clone()
    moved[7] += 100
    again = ridge(inputs, moved, penalties=[0.1], rank=1)
    torch.testing.assert_close(again.held_out[7], fit.held_out[7])


@pytest.mark.parametrize("rank", [D, 50])
def test_a_rank_of_all_dimensions_changes_nothing(rank):
    inputs, targets = draw()
    full, fit = ridge(inputs, targets), ridge(inputs, targets, rank=rank)
    for actual, expected in zip(fit, full, strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_planted_rank_is_found_again():
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(200, 5, generator=generator).double()
    left, right = (torch.randn(s, generator=generator).double() for s in ((5, 1), (1, D)))
    errors = torch.randn(200, D, generator=generator).double()
    fit, full = (ridge(inputs, inputs @ left @ right + errors, rank=r) for r in (1, None))
    true = left @ right
    assert (fit.weights - true).norm() < 0.8 * (full.weights - true).norm()


def test_classes_that_are_there_twice():
    inputs, targets = draw(classes=8)
    inputs, targets = inputs.repeat(2, 1), targets.repeat(2, 1)
    fit = ridge(inputs, targets, [0.1])
    torch.testing.assert_close(fit.held_out, refitted(inputs, targets, 0.1))
    torch.testing.assert_close(fit.held_out[:8], fit.held_out[8:])


def test_dimensions_that_are_constant_or_there_twice():
    inputs, targets = draw()
    wide = torch.cat([inputs, torch.full((15, 1), 0.1).double(), inputs[:, :1]], 1)
    targets[:, 2] = 0.7
    fit = ridge(wide, targets, [0.1])
    torch.testing.assert_close(fit.held_out, refitted(wide, targets, 0.1))
    torch.testing.assert_close(fit.weights[0], fit.weights[-1])
    assert fit.weights[6].abs().max() < 1e-12
    torch.testing.assert_close(fit.held_out[:, 2], torch.full((15,), 0.7).double())


@pytest.mark.parametrize("value", [0.1, 1.0, 0.0])
def test_inputs_that_are_all_alike_leave_the_mean(value):
    _, targets = draw()
    fit = ridge(torch.full((15, 6), value).double(), targets)
    torch.testing.assert_close(fit.predict(torch.full((2, 6), value)), targets.mean(0).expand(2, D))
    torch.testing.assert_close(fit.held_out, (targets.sum(0) - targets) / 14)


def test_the_smallest_penalty_with_more_dimensions_than_classes():
    inputs, targets = draw(classes=12, dims=300, noise=0.0)
    fit = ridge(inputs, targets)
    assert fit.held_out.isfinite().all()
    torch.testing.assert_close(fit.held_out, refitted(inputs, targets, fit.penalty))


def test_errors():
    inputs, targets = draw()
    with pytest.raises(FewshotError, match=r"text.predictor: expected 3 base classes .* got 2"):
        ridge(inputs[:2], targets[:2])
    with pytest.raises(FewshotError, match=r"text.rank: expected .* got 0"):
        ridge(inputs, targets, rank=0)
