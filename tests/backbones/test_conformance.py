"""What every kind of backbone must do."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.backbones import kinds, load_backbone

CPU = torch.device("cpu")


@pytest.fixture(params=list(kinds))
def make(request, folders, save_timm):
    """Function that describes the backbone anew, with other settings if so wished."""
    settings = {
        "efficientnet_lite": {"size": 64},
        "timm": {"model": "test_vit"},
        "open_clip": {
            "model": "tiny-clip",
            "weights": str(folders.weights / "tiny-clip-local.pth"),
        },
        "callable": {"target": "tiny_net:network", "size": 16},
    }[request.param]
    if request.param == "timm":
        save_timm("test_vit")
    elif request.param == "open_clip":
        request.getfixturevalue("tiny_clip")
    elif request.param == "callable":
        request.getfixturevalue("tiny_net")
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
    one = make().fingerprint()
    assert one == make().fingerprint()
    assert json.loads(json.dumps(one)).keys() == one.keys()
    assert {"architecture", "weights", "feature", "transform"} == one.keys()
    assert len(one["weights"]) == 64


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
