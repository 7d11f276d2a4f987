"""Transductive heads that were fitted with unlabelled images learn from these, then and later."""

import json
import warnings

import numpy as np
import pytest
import torch

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.heads import NCM, SoftKMeans
from fewshot.heads.base import Query, Support
from fewshot.heads.semi_supervised import SemiSupervised
from fewshot.models.classifier import Classifier

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def unlabelled():
    rng = np.random.default_rng(5)
    return rng.normal(size=(30, 8)).astype(np.float32)


def fit(bank, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fewshot.fit(bank, **options)


@pytest.fixture(scope="module")
def model(make_bank_of, unlabelled) -> Classifier:
    return fit(make_bank_of(), head="soft_kmeans", unlabelled=unlabelled)


def test_every_image_is_classified_by_itself_given_the_unlabelled_ones(model, queries, unlabelled):
    whole = model.decision_function(queries)
    alone = np.concatenate([model.decision_function(row[None]) for row in queries])
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    shots = model.fitted_.support
    rows = [torch.from_numpy(part) for part in (queries, unlabelled)]
    rows = [part / part.norm(dim=1, keepdim=True) for part in rows]
    learn = torch.arange(39) >= 9
    query = Query.of(torch.cat(rows)[None], None, learn[None])
    expected = SoftKMeans().fit(shots).scores(query)[0, :9]
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    without = SoftKMeans().fit(shots).scores(Query.of(rows[0][None]))[0]
    assert np.abs(whole - without.numpy()).max() > 1e-3


def test_labels_are_the_same_in_batches(model, queries, monkeypatch):
    expected = model.classify(queries).table["probability"].to_numpy()
    monkeypatch.setattr("fewshot.models.classifying.ROWS", 2)
    assert model.classify(queries).table["probability"].to_numpy() == pytest.approx(expected)


def test_a_file_keeps_the_unlabelled_features(model, queries, tmp_path):
    model.save(tmp_path / "model.fewshot")
    loaded = fewshot.load(tmp_path / "model.fewshot")
    np.testing.assert_array_equal(loaded.predict_proba(queries), model.predict_proba(queries))
    assert "15 labelled images and 30 unlabelled images" in loaded.card


def test_a_file_with_other_unlabelled_features_than_it_says_is_damaged(model, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    model.save(tmp_path / "model.fewshot")
    with safe_open(tmp_path / "model.fewshot", "pt") as file:
        notes = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for change in (tensors["head.unlabelled"][:7], tensors["head.unlabelled"][:, :5], None):
        changed = {**tensors, "head.unlabelled": change}
        if change is None:
            del changed["head.unlabelled"]
        else:
            changed["head.unlabelled"] = change.contiguous()
        save_file(changed, tmp_path / "other.fewshot", notes)
        with pytest.raises(FewshotError) as caught:
            fewshot.load(tmp_path / "other.fewshot")
        assert "\n" not in str(caught.value)


def test_other_heads_have_no_use_for_them(make_bank_of, queries, unlabelled):
    with_them = fit(make_bank_of(), head="ncm", unlabelled=unlabelled)
    without = fit(make_bank_of(), head="ncm")
    np.testing.assert_array_equal(with_them.predict(queries), without.predict(queries))
    assert "unlabelled" not in with_them.header_.head
    assert json.dumps(with_them.header_.head)


def test_it_is_not_exported(model, tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(FewshotError, match="learns from 30 unlabelled images whenever"):
        model.to_onnx(tmp_path / "model.onnx")


def test_refuses_unlabelled_images_of_another_length():
    support = Support.of(torch.randn(1, 2, 3, 5))
    head = SemiSupervised(SoftKMeans(), torch.zeros(4, 6))
    with pytest.raises(FewshotError, match=r"unlabelled: expected features \(U, 5\)"):
        head.fit(support)
    assert SemiSupervised(SoftKMeans(), torch.zeros(4, 5)).uses == frozenset()
    assert SemiSupervised(NCM(), torch.zeros(4, 5)).fit(support).head_.linear() is not None
