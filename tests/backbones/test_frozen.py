"""What `Backbone.load` gives: features without gradients, and the network itself for export."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders, FrozenNetwork, run_frozen
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 4, 3), nn.Dropout(0.5)

    def forward(self, images):
        return self.drop(self.conv(images)).mean((2, 3), keepdim=True)


def test_features_are_those_of_the_module_in_evaluation_mode():
    module, images = Net(), torch.randn(2, 3, 8, 8)
    frozen = run_frozen(module, CPU)
    features = frozen(images)
    assert features.shape == (2, 4) and not features.requires_grad
    torch.testing.assert_close(features, module.conv(images).mean((2, 3)).detach())
    assert frozen.module is module and not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_function_of_the_module_takes_its_place():
    module = Net()
    frozen = run_frozen(module, CPU, lambda images: module(images).flatten(1) * 2)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(frozen(images), 2 * run_frozen(module, CPU)(images))
    assert frozen.module is module


@pytest.mark.parametrize("rows", [torch.zeros(4), torch.zeros(1, 4), [torch.zeros(2, 4)]])
def test_other_outputs_are_refused(rows):
    frozen = FrozenNetwork(Net(), CPU, lambda images: rows)
    with pytest.raises(FewshotError, match="a tensor \\(2, D\\) from the network"):
        frozen(torch.zeros(2, 3, 8, 8))


def test_backbones_give_it(save_timm, folders):
    save_timm("test_vit")
    for feature in ("pooled", "cls"):
        backbone = load_backbone({"kind": "timm", "model": "test_vit", "feature": feature}, folders)
        frozen = backbone.load(CPU)
        assert isinstance(frozen, FrozenNetwork)
        assert isinstance(frozen.module, nn.Module)


def test_a_network_of_a_user_stays_on_its_device(tiny_net):
    settings = {"kind": "callable", "target": "tiny_net:network", "size": 16}
    backbone = load_backbone(settings, Folders(Path()))
    frozen, images = backbone.load(CPU), torch.randn(2, 3, 16, 16)
    before = frozen(images)
    elsewhere = backbone.load(torch.device("meta"))  # of any machine
    assert {value.device.type for value in elsewhere.module.state_dict().values()} == {"meta"}
    torch.testing.assert_close(frozen(images), before)
    assert backbone.load(CPU).module is frozen.module
