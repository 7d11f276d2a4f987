"""Models of torchvision with local weights."""

import hashlib
import math
import re
import socket
import time

import pytest
import torch
from torchvision import models

from fewshot.backbones import load_backbone
from fewshot.backbones import torchvision as kind
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, workplace):
    monkeypatch.setenv("TORCH_HOME", str(workplace / "torch"))


def described(folders, model="squeezenet1_1", **settings):
    return load_backbone({"kind": "torchvision", "model": model, **settings}, folders)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def images(size, count=2):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def random_network(name, **settings):
    torch.manual_seed(0)
    return models.get_model(name, weights=None, **settings).eval()


def save(network, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "classify"),
    [
        ("resnet18", lambda network, rows: network.fc(rows)),
        ("mobilenet_v3_small", lambda network, rows: network.classifier[3](rows)),
        ("shufflenet_v2_x0_5", lambda network, rows: network.fc(rows)),
        ("densenet121", lambda network, rows: network.classifier(rows)),
    ],
)
def test_features_are_what_the_last_linear_layer_sees(folders, name, classify):
    network = random_network(name)
    save(network, folders.weights / f"{name}.pth")
    x = images(64)
    with torch.no_grad():
        rows = described(folders, name, size=64).load(CPU)(x)
        assert torch.allclose(classify(network, rows), network(x), atol=1e-4)


def test_a_convolution_may_be_the_classifier(folders):
    network = random_network("squeezenet1_1")
    save(network, folders.weights / "squeezenet1_1.pth")
    with torch.no_grad():
        expected = network.features(images(64)).mean((2, 3))
        rows = described(folders, size=64).load(CPU)(images(64))
    assert torch.allclose(rows, expected, atol=1e-5)


def test_names_of_densenet_s_published_file(folders):
    network = random_network("densenet121")
    old = {}
    for name, values in network.state_dict().items():
        dotted = re.sub(r"(denselayer.*\.(?:norm|conv))([12])\.", r"\1.\2.", name)
        old[dotted] = values
    assert any("denselayer1.norm.1.weight" in name for name in old)
    torch.save(old, folders.weights / "densenet121.pth")
    assert described(folders, "densenet121", size=32).load(CPU)(images(32)).shape == (2, 1024)


def tiny_transformer(name, weights=None, image_size=224):
    from torchvision.models.vision_transformer import VisionTransformer

    return VisionTransformer(image_size, 32, 1, 2, 16, 16).eval()


@pytest.mark.parametrize("size", [224, 64])
def test_a_transformer_takes_other_sizes(folders, monkeypatch, size):
    monkeypatch.setattr(models, "get_model", tiny_transformer)
    network = random_network("vit_b_32")
    save(network, folders.weights / "vit_b_32.pth")
    rows = described(folders, "vit_b_32", size=size).load(CPU)(images(size))
    assert rows.shape == (2, 16)
    if size == 224:
        network.heads = torch.nn.Identity()
        with torch.no_grad():
            assert torch.allclose(rows, network(images(size)), atol=1e-4)
    message = refusal(lambda: described(folders, "vit_b_32", size=65).load(CPU))
    assert "backbone.size: 'vit_b_32' does not take 65 px" in message


@pytest.mark.slow
def test_every_classifier_is_found_and_every_transform_is_the_weights_own():
    """All of torchvision's networks, without memory; RegNet computes while it is built."""
    for name in models.list_models(module=models):
        if not name.startswith(("regnet", "swin", "efficientnet", "vgg1", "densenet", "conv")):
            with torch.device("meta"):
                network = models.get_model(name, weights=None, **_quick(name))
            last = kind.without_classifier(network)
            assert last.partition(".")[0] in ("fc", "classifier", "head", "heads")
        for entry in models.get_model_weights(name):
            if entry.meta.get("categories") is None:
                continue
            preset = entry.transforms()
            transform = described(None, name, pretrained=entry.name).transform
            assert transform.size == preset.crop_size[0]
            assert math.floor(transform.size / transform.crop_pct) == preset.resize_size[0]
            assert list(transform.mean) == list(preset.mean)
            assert transform.interpolation == preset.interpolation.value


def _quick(name):
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def published(backbone):
    return backbone.url.rpartition("/")[2]


def with_digits(backbone, network, folder):
    """A file named as torchvision names its own, with the digits of its content."""
    path = save(network, folder / "partial")
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    backbone.url = f"https://nowhere.invalid/models/{backbone.model}-{digits}.pth"
    return path.rename(folder / published(backbone))


def test_where_weights_are_looked_for(folders, workplace):
    network = random_network("squeezenet1_1")
    backbone = described(folders)
    cached = with_digits(backbone, network, workplace / "torch" / "hub" / "checkpoints")
    assert backbone.weights_file() == cached
    plain = save(network, folders.weights / "squeezenet1_1.pth")
    assert backbone.weights_file() == cached  # the published file, wherever it is
    file = with_digits(backbone, network, folders.weights)
    assert backbone.weights_file() == file
    file.unlink()
    cached.unlink()
    assert backbone.weights_file() == plain
    local = save(network, workplace / "mine.pth")
    backbone.weights = str(local)
    assert backbone.weights_file() == local


def test_a_file_is_held_against_the_digits_in_its_name(folders, workplace):
    backbone = described(folders)
    path = with_digits(backbone, random_network("squeezenet1_1"), folders.weights)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    message = refusal(lambda: backbone.load(CPU))
    assert f"{path} is truncated" in message
    assert "Delete it and fetch it again" in message
    older = workplace / "squeezenet1_1-0123abcd.pth"
    older.write_bytes(whole)
    local = described(folders, weights=str(older))
    assert "expected SHA-256 0123abcd, got" in refusal(local.fingerprint)
    mine = workplace / "run-20240131.pth"  # a date of another's file is no hash
    mine.write_bytes(whole)
    assert described(folders, weights=str(mine)).weights_file() == mine


def test_weights_of_another_network(folders):
    path = save(random_network("shufflenet_v2_x0_5"), folders.weights / "squeezenet1_1.pth")
    message = refusal(lambda: described(folders).load(CPU))
    assert f"{path} does not load into 'squeezenet1_1'" in message
    assert "Missing key" in message
    stored = random_network("squeezenet1_1").state_dict()
    del stored["features.3.squeeze.weight"]
    torch.save(stored, path)
    assert "features.3.squeeze.weight" in refusal(lambda: described(folders).load(CPU))
    path.write_bytes(b"PK\3\4")
    assert str(path) in refusal(lambda: described(folders).load(CPU))


def test_without_a_network_it_says_what_to_fetch(folders, monkeypatch):
    def refuse(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    begun = time.perf_counter()
    message = refusal(described(folders, "resnet18").weights_file)
    assert time.perf_counter() - begun < 5
    assert f"get {models.ResNet18_Weights.IMAGENET1K_V1.url}" in message
    assert f"put it at {folders.weights / 'resnet18-f37072fd.pth'}, or set" in message


def test_a_download_goes_into_torch_s_cache_and_is_checked(folders, workplace, monkeypatch):
    """From a local file, as from a server."""
    backbone = described(folders)
    served = with_digits(backbone, random_network("squeezenet1_1"), workplace / "server")
    backbone.url = served.as_uri()
    cached = workplace / "torch" / "hub" / "checkpoints" / served.name
    assert backbone.weights_file() == cached
    assert cached.read_bytes() == served.read_bytes()
    cached.unlink()
    served.write_bytes(b"not what was asked for")
    assert "invalid hash value" in refusal(backbone.weights_file)
    assert not cached.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": None}, "backbone.model: expected the name of a classification model"),
        ({"model": "resnet1"}, "got 'resnet1'. Did you mean 'resnet18'"),
        ({"model": "fasterrcnn_resnet50_fpn"}, "a classification model of torchvision, got"),
        ({"pretrained": "IMAGENET1K_V3"}, "backbone.pretrained: expected one of 'IMAGENET1K_V1'"),
        ({"model": "vgg16", "pretrained": "IMAGENET1K_FEATURES"}, "backbone.pretrained: expected"),
        ({"feature": "cls"}, "backbone.feature: expected one of 'pooled', got 'cls'"),
        ({"size": 0}, "backbone.size: expected an integer >= 1, got 0"),
        ({"weights": "no.pth"}, "backbone.weights: expected a file, got nothing there"),
    ],
)
def test_settings_that_make_no_sense(folders, settings, message):
    settings = {"model": "resnet18"} | settings
    assert message in refusal(lambda: described(folders, **settings).weights_file())


def test_the_default_weights_and_name(folders):
    backbone = described(folders, "resnet50")
    assert (backbone.pretrained, backbone.name) == ("IMAGENET1K_V2", "resnet50")
    assert load_backbone("resnet50_tv", folders).name == "resnet50_tv"
    assert backbone.architecture() == {"torchvision": "resnet50"}
