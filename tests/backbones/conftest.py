"""Small networks of every kind, with weights of their own in files."""

import json
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from fewshot.backbones.base import Folders


def tensors(model):
    return {name: value.contiguous().clone() for name, value in model.state_dict().items()}


@pytest.fixture
def folders(workplace):
    (workplace / "weights").mkdir()
    return Folders(workplace / "weights", workplace / "digests")


@pytest.fixture
def save_timm(folders):
    """Function that puts random weights of a timm model where they are looked for."""

    def save(name, seed=0, suffix=".safetensors"):
        torch.manual_seed(seed)
        model = timm.create_model(name).eval()
        path = folders.weights / f"{name}{suffix}"
        if suffix == ".safetensors":
            save_file(tensors(model), path)
        else:
            torch.save(model.state_dict(), path)
        return SimpleNamespace(model=model, path=path)

    return save


@pytest.fixture
def tiny_clip(workplace, folders):
    """A dual encoder of 160 thousand parameters, known to open_clip as ``tiny-clip``."""
    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16,
        },
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }  # fmt: skip
    (workplace / "tiny-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(workplace / "tiny-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip").eval()
    path = folders.weights / "tiny-clip-local.pth"
    torch.save(model.state_dict(), path)
    yield SimpleNamespace(model=model, path=path)
    from open_clip import factory

    factory._MODEL_CONFIG_PATHS.remove(workplace / "tiny-clip.json")
    factory._rescan_model_configs()
