"""The ResNet-12 of the few-shot literature, against another implementation."""

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from fewshot.backbones import load_backbone
from fewshot.backbones.resnet12 import ResNet12
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")
NARROW = (4, 6, 8, 10)


def images(size=32, count=3):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def tensors(widths=NARROW, seed=0):
    """Random weights and running values under FEAT's names, ``layer1.0.conv1.weight``."""
    torch.manual_seed(seed)
    checkpoint = {}
    for i, (inside, width) in enumerate(zip((3, *widths), widths, strict=False), start=1):
        layers = {"conv1": (inside, 3), "conv2": (width, 3), "conv3": (width, 3)}
        for name, (channels, side) in (layers | {"downsample.0": (inside, 1)}).items():
            weight = torch.randn(width, channels, side, side) / math.sqrt(channels * side)
            checkpoint[f"layer{i}.0.{name}.weight"] = weight
            norm = {"downsample.0": "downsample.1"}.get(name, name.replace("conv", "bn"))
            for kind in ("weight", "bias", "running_mean", "running_var"):
                checkpoint[f"layer{i}.0.{norm}.{kind}"] = torch.rand(width) + (kind != "bias") / 2
    return checkpoint


def obvious(w, x):
    """The network written out, formula by formula."""

    def norm(x, name):
        values = (w[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *values)

    for i in range(1, 5):
        block = f"layer{i}.0"
        side = norm(
            functional.conv2d(x, w[f"{block}.downsample.0.weight"]), f"{block}.downsample.1"
        )
        for j in (1, 2, 3):
            x = norm(
                functional.conv2d(x, w[f"{block}.conv{j}.weight"], padding=1), f"{block}.bn{j}"
            )
            x = functional.leaky_relu(x + side if j == 3 else x, 0.1)
        x = functional.max_pool2d(x, 2)
    return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def described(folders, checkpoint, **settings):
    path = folders.weights / "checkpoint.pth"
    torch.save(checkpoint, path)
    return load_backbone({"kind": "resnet12", "weights": str(path), **settings}, folders)


def prefixed(prefix, stored):
    return {f"{prefix}{name}": values for name, values in stored.items()}


PLAIN = tensors()
OTHERS = {"fc.weight": torch.zeros(64, 10), "fc.bias": torch.zeros(64)}
UNNESTED = {name.replace(".0.", ".", 1): values for name, values in PLAIN.items()}
CHECKPOINTS = {
    "plain": PLAIN,
    "with a classifier": PLAIN | OTHERS | {"classifier.weight": torch.zeros(64, 10)},
    "MetaOptNet": {"embedding": PLAIN, "head": {"scale": torch.ones(1)}},
    "FEAT": {"params": prefixed("encoder.", PLAIN) | {"slf_attn.fc.weight": torch.ones(2, 2)}},
    "DeepEMD": {"params": prefixed("module.encoder.", PLAIN) | prefixed("module.", OTHERS)},
    "Meta-Baseline": {
        "model": "classifier",
        "model_args": {"encoder": "resnet12"},
        "model_sd": prefixed("encoder.", UNNESTED) | {"classifier.linear.weight": torch.ones(3)},
        "training": {"epoch": 3},
    },
    "model": {"epoch": 90, "model": PLAIN | OTHERS},
    "state_dict": {"state_dict": prefixed("feature.", PLAIN), "arch": "resnet12"},
    "parallel": prefixed("module.", PLAIN | OTHERS),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_of_public_code_bases(folders, kind):
    rows = described(folders, CHECKPOINTS[kind]).load(CPU)(images())
    assert rows.shape == (3, NARROW[-1])
    assert torch.allclose(rows, obvious(PLAIN, images()), rtol=1e-4, atol=1e-4)


def test_easyfsl_has_the_same_network(folders):
    feat = pytest.importorskip("easyfsl.modules.feat_resnet12")
    torch.manual_seed(0)
    network = feat.feat_resnet12().eval()
    rows = described(folders, network.state_dict()).load(CPU)(images(84, 2))
    with torch.no_grad():
        assert torch.allclose(rows, network(images(84, 2)), rtol=1e-4, atol=1e-5)
    assert rows.shape == (2, 640)


def test_the_usual_widths_are_those_of_the_paper():
    count = sum(p.numel() for p in ResNet12().parameters())
    assert ResNet12()(torch.zeros(1, 3, 84, 84)).shape == (1, 640)
    assert round(count / 1e6, 1) == 12.4


def test_images_of_84_pixels_out_of_92(folders):
    transform = load_backbone("resnet12", folders).transform
    assert (transform.size, transform.interpolation) == (84, "bilinear")
    assert math.floor(84 / transform.crop_pct) == 92
    values = described(folders, PLAIN, size=32, mean=(0.1, 0.2, 0.3)).transform
    assert (values.size, values.mean) == (32, (0.1, 0.2, 0.3))


def test_weights_may_lie_in_the_folder_of_weights(folders):
    save_file(PLAIN, folders.weights / "resnet12.safetensors")
    backbone = load_backbone("resnet12", folders)
    assert backbone.load(CPU)(images()).shape == (3, NARROW[-1])
    assert len(backbone.fingerprint()["weights"]) == 64


def test_nothing_is_published(folders):
    with pytest.raises(FewshotError, match=r"backbone\.weights: .*Set backbone\.weights=FILE"):
        load_backbone("resnet12", folders).fingerprint()


def without(name):
    return {key: value for key, value in PLAIN.items() if key != name}


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (without("layer3.0.bn2.bias"), r"missing: layer3\.bn2\.bias; unexpected: none"),
        (without("layer2.0.conv1.weight"), r"missing: layer2\.conv1\.weight"),
        (PLAIN | {"layer4.0.se.weight": torch.ones(2)}, r"unexpected: layer4\.se\.weight"),
        (PLAIN | {"conv1.weight": torch.ones(2)}, r"unexpected: conv1\.weight"),
        (without("layer1.0.conv1.weight"), r"missing: layer1\.0\.conv1\.weight; there are layer1"),
        (PLAIN | {"layer1.0.conv1.weight": torch.ones(1)}, "size mismatch"),
        (PLAIN | {"layer1.0.conv1.weight": 7}, "layer1.conv1.weight"),
        ({"a": 1}, r"missing: layer1\.0\.conv1\.weight; there are a\.\.\."),
        ({"state_dict": nn.Linear(2, 2).state_dict()}, r"there are weight, bias\.\.\."),
    ],
)
def test_checkpoints_of_something_else(folders, checkpoint, message):
    with pytest.raises(FewshotError, match=message) as caught:
        described(folders, checkpoint).load(CPU)
    assert "checkpoint.pth does not load into 'resnet12'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_resnet_is_told_apart(folders):
    from torchvision.models import resnet18

    with pytest.raises(FewshotError, match=r"missing: .*; unexpected: .* and \d+ more"):
        described(folders, resnet18().state_dict()).load(CPU)


def test_truncated_checkpoints(folders):
    backbone = described(folders, PLAIN)
    path = backbone.weights_file()
    whole = path.read_bytes()
    for content in (whole[:-100], b"", b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(FewshotError, match=r"checkpoint\.pth"):
            backbone.load(CPU)
