"""Batch norms in convolutions: the same maps, or the network as it was."""

import pytest
import timm
import torch
from torch import nn

from fewshot.backbones.folding import folded


def norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def trained(model, seed=0):
    """The network with statistics and weights of its norms as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in ((module.running_mean, -1), (module.running_var, 0.5)):
                values.copy_(torch.rand(values.shape, generator=generator) * 2 + low)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -1, 1, generator=generator)
    return model.eval().requires_grad_(False)


def outputs(model, images):
    return [model(images)]


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "resnet18", "mobilenetv3_small_050"]
)
def test_networks_of_timm_lose_their_norms_and_keep_their_features(name):
    torch.manual_seed(0)
    model = trained(timm.create_model(name, num_classes=0))
    fast = folded(model, outputs, (64, 96))
    assert norms(fast) == 0 < norms(model)
    images = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    expected = model(images)
    assert torch.allclose(fast(images), expected, atol=1e-4 * float(expected.abs().max()))


def net(*modules):
    torch.manual_seed(0)
    return trained(nn.Sequential(*modules))


def test_a_norm_before_a_convolution_or_after_something_else_stays():
    model = net(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    assert norms(folded(model, outputs, (8, 8))) == 2


def test_a_convolution_whose_output_is_used_twice_keeps_its_norm():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, images):
            maps = self.first(images)
            return maps + self.norm(maps)

    model = net(Skip())
    assert folded(model, outputs, (8, 8)) is model


def test_layers_that_are_used_twice_keep_their_norm():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, images):
            return self.norm(self.first(self.norm(self.first(images))))

    assert norms(folded(net(Twice()), outputs, (8, 8))) == 1


def test_convolutions_that_change_their_weights_are_noticed():
    """Weight standardisation undoes the scale that was folded in."""

    class Standardised(nn.Conv2d):
        def forward(self, images):
            weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(images, weight, self.bias)

    model = net(Standardised(3, 4, 3), nn.BatchNorm2d(4))
    assert folded(model, outputs, (8, 8)) is model


def test_networks_that_do_not_take_the_images_are_left():
    model = net(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    assert folded(model, outputs, (8, 8)) is model


def test_norms_without_statistics_stay():
    model = net(nn.Conv2d(3, 4, 3), nn.ReLU())
    model.append(nn.BatchNorm2d(4, track_running_stats=False).eval())
    assert norms(folded(model, outputs, (8, 8))) == 1
