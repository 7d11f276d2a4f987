"""Half precision: taken only where it changes nothing and helps."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.backbones.callable import CallableBackbone
from fewshot.datasets.folder import load_folder
from fewshot.exceptions import FewshotError
from fewshot.features.extraction import precision
from fewshot.features.extraction.estimate import estimate
from fewshot.features.extraction.precision import (
    at_precision,
    compare,
    resolve,
    verdict,
)
from fewshot.features.extraction.settings import Extraction
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
    assert set(check) == {"images", "cosine"}


def test_rows_under_autocast_are_float32_and_rounded():
    images = torch.randn(5, 3, 2, 2)
    encode = network()
    assert at_precision(encode, "float32", CPU) is encode
    low = at_precision(encode, "bfloat16", CPU)(images)
    assert low.dtype == torch.float32
    assert not torch.equal(low, encode(images))
    assert torch.equal(low, low.bfloat16().float())


@pytest.mark.parametrize(
    ("check", "taken"),
    [
        ({"cosine": 0.9999}, "bfloat16"),
        ({"cosine": 0.999}, "float32"),
        ({"cosine": 0.99}, "float32"),
        ({"cosine": -1.0}, "float32"),
        ({"images": 0}, "float32"),
    ],
)
def test_what_a_check_decides(check, taken):
    assert verdict(check, "bfloat16") == taken


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


@pytest.fixture(params=[True, False], ids=["bfloat16", "no bfloat16"])
def processor(request, monkeypatch):
    """A processor that computes in bfloat16, and one that does not, whatever this one is."""
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: request.param)
    return request.param


def features_under_load(bank, monkeypatch, busy):
    """Extract anew into an empty cache while the clock says that one of both precisions is slow."""
    autocast = torch.autocast

    class Slow(autocast):
        def __enter__(self):
            time.sleep(0.02 if busy == "low" else 0)
            return super().__enter__()

    monkeypatch.setattr(torch, "autocast", Slow)
    shutil.rmtree("banks", ignore_errors=True)
    return bank()


def test_a_busy_machine_changes_neither_key_nor_features(bank, processor, monkeypatch):
    idle, busy = (features_under_load(bank, monkeypatch, load) for load in ("none", "low"))
    assert idle.info["precision"] == ("bfloat16" if processor else "float32")
    assert busy.info["precision"] == idle.info["precision"]
    assert busy.info["key"] == idle.info["key"]
    assert np.array_equal(busy.features, idle.features)


def test_the_batch_size_does_not_choose_the_images_that_are_compared(bank, processor):
    checks = []
    for size in (3, 16):
        checks.append(bank(batch_size=size).info["precision_check"])
        shutil.rmtree("banks")
    assert checks[0] == checks[1]
    assert checks[0].get("images") == (16 if processor else None)


def distorting(tiny_net):
    """Make the network one that bfloat16 distorts."""
    text = tiny_net.read_text()
    # The small difference of large numbers, which bfloat16 does not resolve.
    large = "(means + 300) @ self.map - 300 * self.map.sum(0)"
    tiny_net.write_text(text.replace("means @ self.map", large))


def test_what_is_computed_in_float32_has_the_key_of_float32(bank, tiny_net, monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    distorting(tiny_net)
    wished, whole = bank(), bank(precision="float32")
    assert wished.info["precision"] == "float32"
    assert wished.info["precision_check"]["asked"] == "bfloat16"
    assert wished.info["key"] == whole.info["key"]
    assert len(list(Path("banks").glob("*/bank.json"))) == 1


def test_a_choice_is_made_once_and_found_again(bank, tiny_net, monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    distorting(tiny_net)
    first = bank()

    def never(*_):
        raise AssertionError("should not be called")

    monkeypatch.setattr(CallableBackbone, "load", never)
    assert np.array_equal(bank().features, first.features)
    (record,) = Path("banks").glob("*.precision.json")
    record.write_text("{}")
    with pytest.raises(FewshotError, match=r"paths\.cache: .*precision\.json cannot be read"):
        bank()


def test_an_estimate_leaves_no_choice_behind(bank, photos, monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    backbone = load_backbone(
        {"kind": "callable", "target": "tiny_net:network", "size": 16}, Folders(Path("w"))
    )
    text = str(estimate(load_folder("photos", str(photos)), backbone, Path("banks"), Extraction()))
    assert "bfloat16 gives a cosine of 0.99" in text
    assert not list(Path().glob("banks/*"))


def test_float32_leaves_switches_as_they_were_and_uses_no_tf32():
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    seen = []

    def encode(images):
        seen.append((convolutions.allow_tf32, products.allow_tf32))
        return images

    at_precision(encode, "float32", torch.device("cuda"))(torch.ones(1))
    assert seen == [(False, False)]
    assert (convolutions.allow_tf32, products.allow_tf32) == before


def test_a_network_that_half_precision_distorts_runs_in_float32(bank, tiny_net):
    distorting(tiny_net)
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
