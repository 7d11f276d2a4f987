"""What base classes say of predictions from text, and files of it."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fewshot.exceptions import FewshotError
from fewshot.text.gaussians.class_gaussians import LEAST_DIAGONAL
from fewshot.text.gaussians.fitted import (
    MOST_FREEDOM,
    TextGaussians,
    load_text_gaussians,
    main_directions,
    prior_freedom,
    residual_variances,
)
from fewshot.text.gaussians.mixing import Pool
from fewshot.text.gaussians.predictors.base import BaseMoments
from fewshot.text.gaussians.predictors.ridge import RidgePredictor

D = 6


def planted(classes, doubt=0.5, freedom=12.0, images=(4, 30), seed=0):
    """Base moments around predictions, with means and variances off as said; the predictions."""
    rng = np.random.default_rng(seed)
    means, scale = rng.normal(size=(classes, D)), np.exp(rng.normal(size=D))
    counts = rng.integers(*images, size=classes)
    true = means + np.sqrt(doubt * scale) * rng.normal(size=(classes, D))
    # A scaled inverse chi-squared prior; np.inf for variances that are as predicted.
    spread = np.ones((classes, D))
    if np.isfinite(freedom):
        spread = freedom / rng.chisquare(freedom, size=(classes, D))
    samples = [
        m + np.sqrt(scale * s) * rng.normal(size=(n, D))
        for m, s, n in zip(true, spread, counts, strict=True)
    ]
    moments = BaseMoments(
        torch.arange(classes),
        torch.from_numpy(counts).double(),
        torch.from_numpy(np.stack([x.mean(0) for x in samples])),
        torch.from_numpy(np.stack([x.var(0, ddof=1) for x in samples])),
    )
    return moments, torch.from_numpy(means), scale


@pytest.mark.parametrize("doubt", [0.1, 0.5])
def test_residual_variances_are_without_the_noise_of_class_means(doubt):
    moments, predicted, scale = planted(1500, doubt, freedom=np.inf)
    result = residual_variances(predicted, moments).numpy() / scale
    np.testing.assert_allclose(result, doubt, rtol=0.15)
    # What that leaves out would show: means of 4 to 29 images have noise of their own.
    plain = (moments.means - predicted).square().mean(0).numpy() / scale
    assert (plain > doubt + 0.05).all()


def test_residual_variances_stay_above_zero():
    moments, predicted, _ = planted(20, doubt=0.0)
    moments.means.copy_(predicted)
    assert bool((residual_variances(predicted, moments) > 0).all())


@pytest.mark.parametrize("freedom", [3.0, 12.0, 50.0])
def test_degrees_of_freedom_are_recovered(freedom):
    moments, _, scale = planted(3000, freedom=freedom)
    # E log(nu / chi2_nu): what an unbiased prediction of log-variances would say
    half = torch.tensor(freedom / 2).double()
    logs = torch.from_numpy(np.log(scale)) + half.log() - torch.digamma(half)
    result = prior_freedom(logs.expand(3000, D), moments)
    assert result == pytest.approx(freedom, rel=0.15)


def test_variances_exactly_as_predicted_are_worth_the_most():
    moments, _, _ = planted(50, freedom=np.inf)
    assert prior_freedom(moments.log_variances(), moments) == MOST_FREEDOM


@pytest.mark.parametrize(("dim", "images"), [(40, 400), (40, 20), (8, 100), (1, 9)])
def test_main_directions_leave_a_positive_diagonal(dim, images):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(images, dim)) @ rng.normal(size=(dim, dim)) * np.geomspace(1, 99, dim)
    covariance = torch.from_numpy(np.atleast_2d(np.cov(data.T)))
    factor = main_directions(covariance)
    assert factor.shape == (dim, max(1, dim // 4))
    remainder = covariance.diagonal() - factor.square().sum(1)
    assert bool((remainder >= -1e-9 * covariance.diagonal()).all())
    assert images < dim or dim == 1 or bool((remainder > 0).all())


def test_main_directions_find_planted_ones():
    rng = np.random.default_rng(0)
    true = torch.from_numpy(rng.normal(size=(20, 2)))
    # Equal correlations with the noise in every dimension make the rest a multiple of identity.
    true = 2 * true / true.norm(dim=1, keepdim=True)
    covariance = true @ true.T + torch.eye(20).double()
    factor = main_directions(covariance, 2)
    torch.testing.assert_close(factor @ factor.T, true @ true.T)


def test_low_rank_covariances_keep_some_diagonal():
    gaussians = fitted().gaussians(torch.zeros(1, D), torch.zeros(1, D))[None].to(torch.float64)
    tiny = 1e-3 * gaussians.factor.square().sum(1).expand(1, 1, D)
    weights, _ = gaussians.form(gaussians.means + 1, tiny, "low_rank")
    S = np.diag(LEAST_DIAGONAL * tiny[0, 0]) + (gaussians.factor @ gaussians.factor.T).numpy()
    apart = (gaussians.means + 1 - gaussians.origin)[0, 0].numpy()
    np.testing.assert_allclose(S @ weights[0, 0].numpy(), apart)


def test_predicted_variances_are_means_and_not_medians():
    rng = np.random.default_rng(0)
    model = fitted(freedom=30.0)
    draws = 30 / rng.chisquare(30, size=(400_000, 1))  # around one
    logs = torch.full((1, D), float(np.log(draws).mean())).double()
    variances = model.gaussians(torch.zeros(1, D), logs).variances
    assert variances.tolist()[0] == pytest.approx([draws.mean()] * D, rel=0.01)
    assert abs(np.exp(np.log(draws).mean()) / draws.mean() - 1) > 0.02


def fitted(freedom=20.0):
    """A predictor of 15 classes, with numbers that are as they come."""
    moments, predicted, _ = planted(15)
    rng = np.random.default_rng(1)
    return TextGaussians(
        RidgePredictor().fit(predicted.float(), moments),
        origin=moments.means.mean(0),
        within=moments.pooled,
        doubt=residual_variances(predicted, moments),
        factor=torch.from_numpy(rng.normal(size=(D, 2))),
        freedom=freedom,
        pools={("diagonal", "both"): Pool(0.1, 0.2, 30.0, 0.4)},
        space={"backbone": "b", "dimensions": D, "fingerprint": None},
        classnames=tuple(f"class {c}" for c in range(15)),
        record={"dataset": "toy", "classes": 15},
    )


@pytest.fixture
def saved(workplace):
    """A predictor and the file that it was written to."""
    model, path = fitted(), workplace / "p.safetensors"
    model.save(path)
    return model, path


def test_a_file_gives_back_the_same(saved):
    model, path = saved
    other = load_text_gaussians(path)
    text = torch.from_numpy(np.random.default_rng(2).normal(size=(4, D)))
    first, second = model.predict(text), other.predict(text)
    for name in ("means", "variances", "origin", "within", "doubt", "factor"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert first.pools == second.pools
    assert first.freedom == second.freedom
    for name in ("space", "classnames", "record"):
        assert getattr(model, name) == getattr(other, name)


def test_base_classes_get_predictions_without_themselves():
    model = fitted()
    text = torch.from_numpy(np.random.default_rng(2).normal(size=(3, D))).float()
    result, plain = model.predict(text, {1: 4}), model.predict(text)
    assert torch.equal(result.means[1], model.predictor.held_out_means_[4].float())
    assert torch.equal(result.means[[0, 2]], plain.means[[0, 2]])
    assert not torch.equal(result.variances[1], plain.variances[1])


def rewritten(path, change):
    """The file with its note, its tensors or both changed."""
    with safe_open(str(path), framework="pt") as file:
        note = json.loads(file.metadata()["text_gaussians"])
    tensors = load_file(path)
    change(note, tensors)
    save_file(tensors, path, metadata={"text_gaussians": json.dumps(note)})


DAMAGED = {
    "newer": (lambda note, _: note.update(format=2), r"^text\.predictor: \S+ has format 2, and"),
    "unknown": (lambda note, _: note.update(predictor="rigde"), "Did you mean 'ridge'"),
    "no number": (lambda _, tensors: tensors["doubt"].fill_(torch.nan), "are not finite"),
    "lost": (lambda _, tensors: tensors.pop("origin"), "no file of fewshot text fit: KeyError"),
    "short": (lambda note, _: note.pop("pools"), "no file of fewshot text fit: KeyError"),
    "odd": (lambda note, _: note.update(freedom="a lot"), "no file of fewshot text fit"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_files_that_are_not_as_written(saved, how):
    change, words = DAMAGED[how]
    rewritten(saved[1], change)
    with pytest.raises(FewshotError, match=words) as caught:
        load_text_gaussians(saved[1])
    assert "\n" not in str(caught.value)


def test_foreign_files(saved):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(FewshotError, match="is no file of fewshot text fit"):
        load_text_gaussians(path)
    path.write_bytes(b"P5 not at all")
    with pytest.raises(FewshotError, match="is no file of fewshot text fit"):
        load_text_gaussians(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(FewshotError, match="is no file of fewshot text fit"):
        load_text_gaussians(path)
    with pytest.raises(FewshotError, match=r"expected a file, got nothing there: '\S*q\.safe"):
        load_text_gaussians(path.with_name("q.safetensors"))
