"""A small network of timm with weights of its own."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from fewshot.backbones.base import Folders
from fewshot.backbones.timm import TimmBackbone


@pytest.fixture
def tiny_backbone(workplace):
    """Function that gives a backbone of timm with random weights."""
    folders = Folders(workplace / "weights")
    folders.weights.mkdir()

    def backbone(name="test_efficientnet"):
        torch.manual_seed(0)
        state = timm.create_model(name).state_dict()
        tensors = {key: value.contiguous().clone() for key, value in state.items()}
        save_file(tensors, folders.weights / f"{name}.safetensors")
        return TimmBackbone(folders=folders, model=name)

    return backbone
