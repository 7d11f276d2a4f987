"""The paper's networks against transcriptions in torch's own modules."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fewshot.exceptions import FewshotError
from fewshot.text.gaussians.network_regression import Regressor, train
from fewshot.text.gaussians.predictors import predictors
from fewshot.text.gaussians.predictors.base import BaseMoments
from fewshot.text.gaussians.predictors.network import NetworkPredictor

P, D = 4, 3
SETTINGS = {"batch": 100, "weight_decay": 0.01, "dropout": 0.1, "width": 4}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def planted(classes=12, seed=0):
    """Text vectors (C, P), and moments that are linear in them, the deviations far above zero."""
    generator = seeded(seed)
    text = torch.randn(classes, P, generator=generator)
    maps = torch.randn(2, P, D, generator=generator).double()
    deviations = 5 + 0.5 * text.double() @ maps[1]
    counts = torch.full((classes,), 30.0).double()
    moments = BaseMoments(
        torch.arange(classes), counts, 2 + text.double() @ maps[0], deviations.clamp_min(1).square()
    )
    return text, moments


def quick(**settings):
    return NetworkPredictor(**({"epochs": 3} | settings))


def as_modules(model, dropout=0.0):
    """The same network in modules, float64."""
    H = len(model.inner)
    norm, inner, outer = nn.BatchNorm1d(H), nn.Linear(P, H), nn.Linear(H, D)
    with torch.no_grad():
        inner.weight.copy_(model.inner)
        inner.bias.zero_()
        norm.weight.copy_(model.scale)
        norm.bias.copy_(model.shift)
        norm.running_mean.copy_(model.running_mean)
        norm.running_var.copy_(model.running_variance)
        outer.weight.copy_(model.outer)
        outer.bias.copy_(model.outer_bias)
    return nn.Sequential(inner, norm, nn.GELU(), nn.Dropout(dropout), outer).double()


def standard(values):
    return (values - values.mean(0)) / values.std(0)


def test_the_first_step_is_that_of_the_paper():
    inputs, targets = (torch.randn(12, n, generator=seeded(n)).double() for n in (P, D))
    result = train(inputs, targets, seeded(7), epochs=1, learning_rate=0.01, **SETTINGS)

    generator = seeded(7)
    start = Regressor.initial(inputs, targets, 4, generator)
    training = torch.randperm(12, generator=generator)[2:]
    training = training[torch.randperm(10, generator=generator)]
    mask = (torch.rand(10, 16, generator=generator) >= 0.1).double() / 0.9
    inner, norm, gelu, _, outer = as_modules(start)
    output = outer(gelu(norm(inner(standard(inputs)[training]))) * mask)
    (output - standard(targets)[training]).square().mean().backward()
    expected = [inner.weight, norm.weight, norm.bias, outer.weight, outer.bias]
    for name, value in zip(
        ["inner", "scale", "shift", "outer", "outer_bias"], expected, strict=True
    ):
        # AdamW's first step; where a slope is next to nothing, its sign is rounding.
        stepped = value * (1 - 0.01 * 0.01) - 0.01 * value.grad / (value.grad.abs() + 1e-8)
        sure = value.grad.abs() > 1e-4
        assert sure.float().mean() > 0.9
        assert torch.allclose(getattr(result, name).double()[sure], stepped[sure], atol=1e-6), name
    torch.testing.assert_close(result.running_mean.double(), norm.running_mean)
    torch.testing.assert_close(result.running_variance.double(), norm.running_var)


def test_initial_weights_have_the_range_of_torch_modules():
    inputs, targets = torch.randn(9, 50).double(), torch.randn(9, D).double()
    model = Regressor.initial(inputs, targets, 4, seeded())
    assert model.inner.shape == (200, 50)
    assert model.outer.shape == (D, 200)
    module = nn.Linear(50, 200)
    for value, other in ((model.inner, module.weight), (model.outer * 2, module.weight)):
        assert value.abs().max() <= 1 / math.sqrt(50)
        assert value.std() == pytest.approx(float(other.detach().std()), rel=0.1)
        assert abs(value.mean()) < 0.01


def test_a_prediction_is_that_of_modules_at_rest():
    text, moments = planted()
    predictor = quick().fit(text, moments)
    new = torch.randn(5, P, generator=seeded(3)).double()
    means, log_variances = predictor.predict(new)
    known_text = text.double()
    expected = []
    for model, targets in (
        (predictor.fit_.means, moments.means),
        (predictor.fit_.deviations, moments.variances.sqrt()),
    ):
        outputs = as_modules(model, 0.1).eval()((new - known_text.mean(0)) / known_text.std(0))
        expected.append((targets.mean(0) + targets.std(0) * outputs).detach())
    assert means.dtype == log_variances.dtype == torch.float64
    torch.testing.assert_close(means, expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_variances, expected[1].square().log(), rtol=1e-5, atol=1e-5)


def test_a_planted_linear_map_is_found():
    text, moments = planted(classes=50)
    predictor = NetworkPredictor(epochs=40, learning_rate=1e-2, batch=20).fit(text, moments)
    log_variances = moments.log_variances()
    for result, truth in (
        (predictor.held_out_means_, moments.means),
        (predictor.held_out_log_variances_, log_variances),
    ):
        assert (result - truth).square().mean() < 0.25 * (truth - truth.mean(0)).square().mean()


def test_the_epoch_that_is_kept_is_the_best_on_classes_held_out():
    inputs, noise = (torch.randn(40, n, generator=seeded(n)).double() for n in (P, D))
    targets = inputs[:, :D] + noise
    generator = seeded(5)
    Regressor.initial(inputs, targets, 4, generator)
    held = torch.randperm(40, generator=generator)[:4]

    def error(epochs):
        model = train(inputs, targets, seeded(5), epochs=epochs, learning_rate=0.03, **SETTINGS)
        errors = (model.predict(inputs[held]) - targets[held]) / targets.std(0)
        return float(errors.square().mean())

    errors = [error(epochs) for epochs in (1, 3, 10, 30, 60, 90)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 2
    assert errors[-2] == errors[-1]  # noise is learned by heart in the end


def test_a_class_has_no_say_in_its_held_out_prediction():
    text, moments = planted()
    first = quick().fit(text, moments)
    changed = BaseMoments(
        moments.classes, moments.counts, moments.means.clone(), moments.variances.clone()
    )
    changed.means[4] += 100
    changed.variances[4] *= 100
    second = quick().fit(text, changed)
    for name in ("held_out_means_", "held_out_log_variances_"):
        before, after = getattr(first, name), getattr(second, name)
        same = (before == after).all(1)
        assert same[4]
        assert same.sum() <= 3  # with its fold
    assert not torch.equal(first.predict(text)[0][4], second.predict(text)[0][4])


def test_what_is_learned_goes_to_a_file_and_back(workplace):
    text, moments = planted()
    predictor = quick(width=2).fit(text, moments)
    save_file(predictor.tensors(), "predictor.safetensors")
    again = NetworkPredictor().load(load_file("predictor.safetensors"))
    for result, expected in zip(again.predict(text), predictor.predict(text), strict=True):
        assert torch.equal(result, expected)


def test_the_seed_is_all_the_randomness_there_is():
    text, moments = planted()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = quick().fit(text, moments)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    with torch.no_grad():
        second = quick().fit(text, moments)
    for name in ("held_out_means_", "held_out_log_variances_"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(
            getattr(quick(seed=1).fit(text, moments), name), getattr(first, name)
        )
    assert torch.equal(first.predict(text)[0], second.predict(text)[0])


def test_deviations_are_clamped():
    text, moments = planted()
    predictor = quick(epochs=1).fit(text, moments)
    tensors = predictor.tensors()
    tensors["deviations.outer_bias"] = torch.full((D,), -1e6)
    _, log_variances = predictor.load(tensors).predict(text[:2])
    pooled = moments.variances.mean(0)  # counts are alike
    torch.testing.assert_close(log_variances, (1e-3 * pooled).log().expand(2, D))


def test_constant_dimensions():
    text, moments = planted()
    text = torch.cat([text, torch.full((12, 1), 0.1)], 1)
    moments.means[:, 1] = 0.3
    predictor = quick().fit(text, moments)
    new = text[:2].clone()
    new[:, P] = 50.0
    for result, expected in zip(predictor.predict(new), predictor.predict(text[:2]), strict=True):
        assert torch.equal(result, expected)
    torch.testing.assert_close(predictor.predict(new)[0][:, 1], torch.full((2,), 0.3).double())


@pytest.mark.parametrize(("classes", "batch"), [(8, 3), (9, 3), (9, 6), (13, 10)])
def test_no_batch_is_of_a_single_class(classes, batch):
    predictor = quick(batch=batch, epochs=1).fit(*planted(classes))
    assert predictor.held_out_means_.isfinite().all()


def test_too_few_classes():
    with pytest.raises(FewshotError, match=r"text.predictor: 'network' needs 8 base .* got 7\."):
        quick().fit(*planted(classes=7))


def test_training_that_diverges():
    text, moments = planted()
    moments.means[2] = float("nan")
    with pytest.raises(FewshotError, match=r"text\.learning_rate: .* not finite"):
        quick().fit(text, moments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", 2),
        ("learning_rate", 0),
        ("weight_decay", -1),
        ("dropout", 1),
        ("width", 0.5),
        ("seed", "x"),
    ],
)
def test_parameters_outside_their_range(name, value):
    with pytest.raises(FewshotError, match=rf"text\.{name}: expected .* got {value!r}"):
        quick(**{name: value}).fit(*planted())


def test_it_is_registered_with_its_parameters():
    predictor = predictors.create("network", width=2, seed=3)
    assert predictor.get_params() == {
        "epochs": 50,
        "batch": 128,
        "learning_rate": 1e-3,
        "weight_decay": 1e-2,
        "dropout": 0.1,
        "width": 2,
        "seed": 3,
    }
