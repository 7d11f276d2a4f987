"""Backbones from a user function that returns a network."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    Encode,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.checkpoints import tensors_digest
from fewshot.backbones.dense import check_layers
from fewshot.backbones.module_maps import module_maps
from fewshot.backbones.transform import IMAGENET_MEAN, IMAGENET_STD, Transform
from fewshot.exceptions import FewshotError


class CallableBackbone(Backbone):
    """The network that the function ``backbone.target=my.module:factory`` returns.

    Parameters
    ----------
    name : str
    folders : Folders
    target : str
        ``module:factory``; the current folder is searched too. The factory returns a
        ``torch.nn.Module`` from images (B, 3, S, S) to features (B, D).
    size, crop_pct, interpolation, mean, std
        The transform; 224 pixels and ImageNet's statistics by default.
    options : mapping, optional
        Arguments of the factory, by name; none by default.

    Notes
    -----
    The features are kept under a hash of the module's parameters and buffers and of its class's
    name. That makes a changed checkpoint new features; changed code needs another
    ``backbone.version``. The network has to be built to know the hash.
    """

    argument = "backbone.target"  # the setting that errors name
    factory: Callable[..., Any] | None = None  # of `target`, where it is imported already

    def __init__(
        self,
        name: str = "callable",
        folders: Folders | None = None,
        target: str | None = None,
        feature: str = "pooled",
        version: str | int = 1,
        size: int | None = None,
        crop_pct: float = 0.875,
        interpolation: str = "bicubic",
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        module_name, _, factory = str(target or "").partition(":")
        if not (factory.isidentifier() and all(map(str.isidentifier, module_name.split(".")))):
            raise FewshotError(
                "backbone.target",
                f"expected module:factory, got {target!r}",
                "Say for instance: fewshot backbone=callable backbone.target=my.module:factory.",
            )
        target = str(target)
        self.name = name if name != "callable" else target
        self.folders = folders or Folders(Path())
        self.target, self.feature, self.version = target, feature, version
        self.options = dict(options or {})
        input_size = 224 if size is None else size
        self.transform = Transform(input_size, crop_pct, interpolation, mean, std)

    def architecture(self) -> dict[str, Any]:
        """Target, version, class, and the arguments of the factory if there are any."""
        facts = {
            "callable": self.target,
            "version": str(self.version),
            "class": type(self._module).__qualname__,
        }
        return facts | ({"options": self.options} if self.options else {})

    def weights_file(self) -> Path:
        """Not available: the factory loads its weights itself."""
        raise NotImplementedError

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 over names, shapes and values of parameters and buffers."""
        return tensors_digest(self._module.state_dict())

    def load(self, device: torch.device) -> Encode:
        """The module in evaluation mode; a copy of it on a device where it is not."""
        tensors = (*self._module.parameters(), *self._module.buffers())
        elsewhere = any(tensor.device.type != device.type for tensor in tensors)
        # What was loaded earlier stays on its device.
        return run_frozen(deepcopy(self._module) if elsewhere else self._module, device)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps that the module returns, or of its ``forward_intermediates``."""
        layers = check_layers(layers)
        return module_maps(self._module, self.name, device, layers, self.transform.size)

    @cached_property
    def _module(self) -> nn.Module:
        factory = _factory(self.target) if self.factory is None else self.factory
        module = factory(**self.options)
        if not isinstance(module, nn.Module):
            raise FewshotError(
                self.argument,
                f"{self.target} should return a torch.nn.Module, got {type(module).__name__}",
            )
        return module.eval()


def _factory(target: str) -> Any:
    place, _, name = target.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        factory = getattr(importlib.import_module(place), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # a dependency of the module
        raise FewshotError(
            "backbone.target",
            f"cannot import {place!r} of {target!r}: {error}",
            "Install it, or start fewshot in the folder that holds it.",
        ) from None
    if not callable(factory):
        what = "has no" if factory is None else "has no function"
        raise FewshotError("backbone.target", f"module {place!r} {what} {name!r}")
    return factory
