"""The pixels of every backbone by name are those of the library that its weights come from.

No network is needed: each library is asked for its own transform.
"""

import io
from functools import cache

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import models, transforms

from fewshot.backbones import load_backbone
from fewshot.paths import options

# Kinds without a network of their own stand in the group for what users bring.
CARDS = {
    name: card
    for name, card in options("backbone").items()
    if name not in ("callable", "open_clip", "timm", "torchvision")
}
SHAPES = [
    (640, 480), (375, 500), (512, 512), (333, 127), (61, 90), (28, 28), (1, 1), (5, 3), (600, 60),
    (60, 600), (299, 301), (257, 255),
]  # fmt: skip


@cache
def photograph(width, height):
    """Shading, grain and an edge, written as JPEG and read again."""
    rng = np.random.default_rng(width * height)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = [127 + 90 * np.sin(9 * x + 5 * y * k) * np.cos((30 + k) * x * y) for k in (1, 2, 3)]
    values = np.stack(waves, axis=-1) + rng.normal(0, 12, (height, width, 3))
    values[(x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.06] = (250, 240, 5)
    file = io.BytesIO()
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return Image.open(file).convert("RGB")


def of_timm(model, size, crop_pct):
    settings = {"input_size": (3, size, size), "crop_pct": crop_pct}
    config = timm.get_pretrained_cfg(model).to_dict()
    return create_transform(**resolve_data_config(settings, pretrained_cfg=config))


def of_torchvision(model, weights, size, crop_pct):
    """As published, or with the crop's share of the resized image kept where the size changes."""
    entry = models.get_model_weights(model)[weights]
    published = entry.transforms()
    if (size, crop_pct) == (published.crop_size[0], None):
        return published
    share = crop_pct or published.crop_size[0] / published.resize_size[0]
    return entry.transforms(crop_size=size, resize_size=int(size / share))


def of_open_clip(model, pretrained, size):
    from open_clip import get_pretrained_cfg
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    config = merge_preprocess_dict(PreprocessCfg(size=size), get_pretrained_cfg(model, pretrained))
    return image_transform_v2(PreprocessCfg(**config), is_train=False)


def of_resnet12(transform, size, crop_pct):
    """As the few-shot literature's programs write it."""
    edge = 92 if (size, crop_pct) == (84, None) else int(size / (crop_pct or 84 / 92))
    return transforms.Compose([
        transforms.Resize(edge), transforms.CenterCrop(size), transforms.ToTensor(),
        transforms.Normalize(transform.mean, transform.std),
    ])  # fmt: skip


def theirs(backbone, card, crop_pct=None):
    """The library's transform at the size of the backbone's."""
    size = backbone.transform.size
    if card["kind"] in ("packaged", "conse"):
        wheel = getattr(backbone, "images", backbone).wheel
        if wheel.library == "timm":
            return of_timm(wheel.network, size, crop_pct)
        return of_torchvision(wheel.network, "IMAGENET1K_V1", size, crop_pct)
    if card["kind"] == "timm":
        return of_timm(card["model"], size, crop_pct)
    if card["kind"] == "torchvision":
        return of_torchvision(backbone.model, backbone.pretrained, size, crop_pct)
    if card["kind"] == "open_clip":
        assert crop_pct is None
        return of_open_clip(card["model"], card["pretrained"], size)
    return of_resnet12(backbone.transform, size, crop_pct)


def expect_equal(backbone, library, shapes):
    """Network inputs that differ by nothing but the rounding of float32, in levels of 255."""
    std = torch.tensor(backbone.transform.std).view(3, 1, 1)
    for shape in shapes:
        image = photograph(*shape)
        ours = backbone.transform.normalise(backbone.transform.pixels(image)[None])[0]
        assert ((ours - library(image)) * std * 255).abs().max() < 0.01, shape


@pytest.mark.parametrize("name", CARDS)
def test_every_backbone_by_name(name, folders):
    backbone = load_backbone(name, folders)
    expect_equal(backbone, theirs(backbone, CARDS[name]), SHAPES)


# Every way to say what the pixels are.
VARIED = [
    "resnet18", "convnext_tiny", "dinov2_vits14", "vit_s16", "clip_vitb32", "mobileclip_s1",
    "siglip_vitb16", "resnet18_tv", "resnet50_tv", "efficientnet_lite0", "efficientnet_lite1",
    "efficientnet_lite2", "mobilenet_v2", "conse_lite0", "resnet12",
]  # fmt: skip


@pytest.mark.parametrize("name", VARIED)
@pytest.mark.parametrize("size", [98, 160, 288])
def test_at_other_sizes(name, size, folders):
    backbone = load_backbone(CARDS[name] | {"size": size}, folders)
    assert backbone.transform.size == size
    expect_equal(backbone, theirs(backbone, CARDS[name]), SHAPES[:6])


@pytest.mark.parametrize("name", [n for n in VARIED if CARDS[n]["kind"] != "open_clip"])
@pytest.mark.parametrize("settings", [{"crop_pct": 1.0}, {"size": 64, "crop_pct": 0.9}])
def test_with_the_input_that_a_data_set_asks_for(name, settings, folders):
    backbone = load_backbone(CARDS[name] | {"size": None}, folders, **settings)
    expect_equal(backbone, theirs(backbone, CARDS[name], settings["crop_pct"]), SHAPES[:6])


@pytest.mark.parametrize(
    ("model", "resize"),
    [
        ("vit_base_patch16_clip_384.openai_ft_in12k_in1k", "squash"),
        ("dm_nfnet_f3.dm_in1k", "squash"),  # then cut
        ("vit_base_patch16_lingbot.robbyant", "squash"),  # bilinear
        ("deepseek_vit_412m.deepseek_v4_1_flash", "longest"),
    ],
)
def test_other_ways_of_timm(model, resize, folders):
    if model not in timm.list_models(pretrained=True):
        pytest.skip("this timm does not know the model")
    backbone = load_backbone({"kind": "timm", "model": model}, folders)
    assert backbone.transform.resize == resize
    shapes = [shape for shape in SHAPES if shape != (1, 1)]
    expect_equal(backbone, of_timm(model, backbone.transform.size, None), shapes)
