"""Image encoders of open_clip with a local checkpoint."""

import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.transform import CLIP_MEAN, CLIP_STD
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


def described(folders, **settings):
    return load_backbone({"kind": "open_clip", "model": "tiny-clip", **settings}, folders)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_features_are_the_projections(tiny_clip, folders):
    backbone = described(folders, weights=str(tiny_clip.path))
    assert backbone.transform.size == 32
    assert (backbone.transform.mean, backbone.transform.std) == (CLIP_MEAN, CLIP_STD)
    assert backbone.name == "tiny-clip/local"
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = tiny_clip.model.encode_image(images)
    rows = backbone.load(CPU)(images)
    assert rows.shape == (3, 16)
    assert torch.allclose(rows, expected, atol=1e-5)
    assert backbone.load(CPU)(images).requires_grad is False


def test_another_input_size(tiny_clip, folders):
    backbone = described(folders, weights=str(tiny_clip.path), size=64)
    assert backbone.load(CPU)(torch.randn(1, 3, 64, 64)).shape == (1, 16)


def test_checkpoints_that_do_not_fit(tiny_clip, folders, workplace):
    whole = tiny_clip.path.read_bytes()

    def message():
        return refusal(lambda: described(folders, weights=str(tiny_clip.path)).load(CPU))

    tiny_clip.path.write_bytes(whole[:-5000])
    assert "does not load into 'tiny-clip'" in message()
    torch.save(torch.nn.Linear(2, 2).state_dict(), tiny_clip.path)
    assert "does not load into 'tiny-clip'" in message()

    class Bomb:
        def __reduce__(self):
            return open, ("exploded", "w")

    torch.save({"state_dict": Bomb()}, tiny_clip.path)
    assert "could run code" in message()
    assert not (workplace / "exploded").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": None, "pretrained": "openai"}, "backbone.model: expected a model and the tag"),
        ({"model": "ViT-B-32"}, "backbone.model: expected a model and the tag"),
        ({"model": "ViT-B-33", "pretrained": "openai"}, "Did you mean 'ViT-B-32'"),
        ({"model": "ViT-B-32", "pretrained": "opnai"}, "tagged 'opnai'. Did you mean 'openai'"),
        ({"model": "ViT-B-32", "pretrained": "openai", "feature": "cls"}, "'projection' features"),
        ({"model": "ViT-B-32", "pretrained": "openai", "size": -1}, "backbone.size"),
    ],
)
def test_settings_that_make_no_sense(folders, settings, message):
    assert message in refusal(lambda: described(folders, **settings))
