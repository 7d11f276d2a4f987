"""Half precision: taken only where it changes nothing and helps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.datasets.folder import load_folder
from fewshot.exceptions import FewshotError
from fewshot.features import precision
from fewshot.features.precision import at_precision, compare, resolve, verdict
from fewshot.features.settings import Extraction
from fewshot.features.store import open_or_extract

CPU = torch.device("cpu")


def network(scale=1.0):
    weight = torch.randn(12, 6, generator=torch.Generator().manual_seed(0)) * scale
    return lambda images: images.flatten(1) @ weight


def test_the_cosine_is_that_of_the_rows():
    images = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    encode = network()
    check = compare(encode, images, "bfloat16", CPU)
    whole = encode(images).double()
    weight = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    half = (images.flatten(1).bfloat16() @ weight.bfloat16()).double()
    assert check["images"] == 5
    assert check["cosine"] == pytest.approx(
        float(torch.cosine_similarity(whole, half).min()), abs=2e-6
    )
    assert 0.999 < check["cosine"] < 1
    assert check["speedup"] > 0


def test_rows_under_autocast_are_float32_and_rounded():
    images = torch.randn(5, 3, 2, 2)
    encode = network()
    assert at_precision(encode, "float32", CPU) is encode
    low = at_precision(encode, "bfloat16", CPU)(images)
    assert low.dtype == torch.float32
    assert not torch.equal(low, encode(images))
    assert torch.equal(low, low.bfloat16().float())


@pytest.mark.parametrize(
    ("cosine", "speedup", "wish", "taken"),
    [
        (0.9999, 2.0, "auto", "bfloat16"),
        (0.9999, 0.9, "auto", "float32"),
        (0.9999, 0.9, "bfloat16", "bfloat16"),
        (0.99, 2.0, "auto", "float32"),
        (0.99, 2.0, "bfloat16", "float32"),
    ],
)
def test_what_a_check_decides(cosine, speedup, wish, taken):
    assert verdict({"cosine": cosine, "speedup": speedup}, wish, "bfloat16") == taken


def test_features_that_overflow_are_not_near():
    def encode(images):
        rows = images.flatten(1)[:, :4] * 1e30
        return rows * torch.inf if torch.is_autocast_enabled("cpu") else rows

    check = compare(encode, torch.ones(2, 3, 2, 2), "bfloat16", CPU)
    assert check["cosine"] < 0


def test_auto_asks_the_device(monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    assert resolve("auto", CPU) == "bfloat16"
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: False)
    assert resolve("auto", CPU) == "float32"
    assert resolve("bfloat16", CPU) == "bfloat16"
    with pytest.raises(FewshotError, match=r"features\.precision: expected one of .*'bf16'"):
        resolve("bf16", CPU)


@pytest.fixture
def bank(photos, tiny_net):
    """Function that extracts the photos at some precision."""

    def extracted(**settings):
        backbone = load_backbone(
            {"kind": "callable", "target": "tiny_net:network", "size": 16}, Folders(Path("w"))
        )
        return open_or_extract(
            load_folder("photos", str(photos)), backbone, Path("banks"), Extraction(**settings)
        )

    return extracted


def test_a_bank_says_what_it_was_computed_in(bank):
    whole, half = bank(precision="float32"), bank(precision="bfloat16")
    assert (whole.info["precision"], whole.info["precision_check"]) == ("float32", {})
    assert half.info["precision"] == "bfloat16"
    assert half.info["precision_check"]["cosine"] > 0.999
    assert whole.info["key"] != half.info["key"]
    assert not np.array_equal(whole.features, half.features)
    assert np.allclose(whole.features, half.features, atol=0.05)


def test_a_network_that_half_precision_distorts_runs_in_float32(bank, tiny_net):
    text = tiny_net.read_text()
    # The small difference of large numbers, which bfloat16 does not resolve.
    large = "(means + 300) @ self.map - 300 * self.map.sum(0)"
    tiny_net.write_text(text.replace("means @ self.map", large))
    half, whole = bank(precision="bfloat16"), bank(precision="float32")
    assert half.info["precision"] == "float32"
    assert half.info["precision_check"]["cosine"] <= 0.999
    assert np.array_equal(half.features, whole.features)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"dtype": "float64"}, r"features\.dtype"),
        ({"precision": 16}, r"features\.precision"),
        ({"batch_size": 0}, r"features\.batch_size"),
        ({"compile": "yes"}, r"features\.compile: expected true or false"),
        ({"threads": 0}, "threads"),
        ({"on_error": "ignore"}, r"dataset\.on_error"),
    ],
)
def test_settings_that_are_wrong(setting, words):
    with pytest.raises(FewshotError, match=words):
        Extraction(**setting)
