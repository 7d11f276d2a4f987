"""Classification models of torchvision."""

from __future__ import annotations

import re
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
from fewshot.backbones.weights import check_sha256, checked, from_url, local_weights, torch_cache
from fewshot.exceptions import FewshotError, expect_choice, suggestion

# torchvision adds these to networks with trained weights: their input and the classifiers aside.
WITH_WEIGHTS = {"transform_input": True, "aux_logits": True, "init_weights": False}


class TorchvisionBackbone(Backbone):
    """A model of torchvision without its classifier, with the weights' own transform.

    The features are what the last linear layer sees: pooled, and after the hidden layers of
    those classifiers that have some (AlexNet, VGG, MobileNetV3).

    Parameters
    ----------
    name : str
    folders : Folders
    model : str
        As ``torchvision.models`` calls it: ``resnet18``.
    pretrained : str, optional
        Name of the weights, ``IMAGENET1K_V1``; torchvision's default if None.
    weights : str, optional
        A local checkpoint instead of the published one.
    sha256 : str, optional
        What the weights file must hash to. The digits in the names of torchvision's own files
        are always held against their content.
    size : int, optional
        Input pixels; those of the weights by default.
    """

    def __init__(
        self,
        name: str = "torchvision",
        folders: Folders | None = None,
        model: str | None = None,
        pretrained: str | None = None,
        feature: str = "pooled",
        weights: str | None = None,
        sha256: str | None = None,
        size: int | None = None,
    ) -> None:
        expect_choice("backbone.feature", feature, ["pooled"])
        check_sha256(sha256)
        entry = _entry(model, pretrained)
        self.model, self.pretrained = str(model), entry.name
        self.name = name if name != "torchvision" else self.model
        self.folders = folders or Folders(Path())
        self.feature, self.weights, self.sha256 = feature, weights, sha256
        self.url: str = entry.url
        self.weights_source = self.url
        preset = entry.transforms()
        crop = preset.crop_size[0]
        self.transform = Transform(
            crop if size is None else size,
            crop / preset.resize_size[0],
            preset.interpolation.value,
            tuple(preset.mean),
            tuple(preset.std),
        )

    def architecture(self) -> dict[str, Any]:
        """Name of the network in torchvision."""
        return {"torchvision": self.model}

    def weights_file(self) -> Path:
        """The setting `weights`, a file in the folder of weights, or a published file."""
        folder, file = self.folders.weights, self.url.rpartition("/")[2]
        published = [folder / file, torch_cache() / file]
        path = None if self.weights else next((p for p in published if p.is_file()), None)
        path = path or local_weights(self.model, self.weights, folder)
        path = path or self._download()
        return checked(path, self.sha256 or self._digits(path), self.folders.cache)

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of the checkpoint."""
        return only_tensors(read_state_dict(self.model, self.weights_file()))

    def load(self, device: torch.device) -> Encode:
        """The network with an identity in place of its last linear layer."""
        return run_frozen(self._loaded(), device)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of the stages, or of a transformer's blocks with interpolated positions."""
        layers = check_layers(layers)
        network = self._loaded()
        if not self.model.startswith("vit_"):
            return stage_maps(network, self.model, device, layers)
        from fewshot.backbones.token_maps import OfTorchvision

        return intermediate_maps(OfTorchvision(network), self.model, device, layers)

    def _loaded(self) -> nn.Module:
        """The network with its weights, with an identity in place of its last linear layer."""
        path = self.weights_file()
        stored = read_state_dict(self.model, path)
        network = self._network()
        last = without_classifier(network)
        kept = {
            _of_today(name): values
            for name, values in stored.items()
            if name not in (f"{last}.weight", f"{last}.bias")
        }
        try:
            network.load_state_dict(self._at_this_size(kept, network))
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            raise unfit(self.model, path, error) from None
        return network

    def _download(self) -> Path:
        """The published file in torch's cache, checked against the digits in its name."""
        digits = re.search(r"-([0-9a-f]{8,})\.", self.url)
        sha256 = digits[1] if digits else None
        return from_url(self.url, self.model, self.folders.weights, sha256)

    def _digits(self, path: Path) -> str | None:
        """The beginning of the SHA-256 in the name of a file of torchvision."""
        digits = re.search(r"-([0-9a-f]{8,})\.pth$", path.name)
        genuine = path.name == self.url.rpartition("/")[2] or path.name.startswith(f"{self.model}-")
        return digits[1] if digits and genuine else None

    def _network(self) -> nn.Module:
        from torchvision import models

        settings: dict[str, Any] = {}
        if self.model in ("googlenet", "inception_v3"):
            settings = WITH_WEIGHTS
        elif self.model.startswith("vit_"):
            settings = {"image_size": self.transform.size}
        elif self.model.startswith("maxvit_"):
            settings = {"input_size": (self.transform.size,) * 2}
        try:
            network: nn.Module = models.get_model(self.model, weights=None, **settings)
        except (AssertionError, ValueError) as error:
            raise FewshotError(
                "backbone.size", f"{self.model!r} does not take {self.transform.size} px: {error}"
            ) from None
        return network

    def _at_this_size(self, stored: dict[str, Any], network: nn.Module) -> dict[str, Any]:
        if not self.model.startswith("vit_"):
            return stored
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch: Any = network.patch_size
        return dict(interpolate_embeddings(self.transform.size, patch, dict(stored)))


def without_classifier(network: nn.Module) -> str:
    """Replace the last linear layer by an identity, and return its name.

    A 1 x 1 convolution (SqueezeNet) is a linear layer at every position.
    """
    linear = nn.Linear | nn.Conv2d
    last = [name for name, module in network.named_modules() if isinstance(module, linear)][-1]
    parent, _, child = last.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return last


def _entry(model: object, pretrained: object) -> Any:
    """The member of torchvision's enumeration of weights."""
    from torchvision import models

    names = models.list_models(module=models)
    if not model:
        raise FewshotError(
            "backbone.model",
            "expected the name of a classification model of torchvision, got nothing",
            "Say for instance: fewshot backbone=torchvision backbone.model=resnet34.",
        )
    if model not in names:
        raise FewshotError(
            "backbone.model",
            f"expected the name of a classification model of torchvision, got {model!r}",
            suggestion(str(model), names),
        )
    # Weights for other tasks (vgg16's IMAGENET1K_FEATURES) have NaN in the layers before the last.
    table = {
        name: entry
        for name, entry in models.get_model_weights(str(model)).__members__.items()
        if entry.meta.get("categories")
    }
    expect_choice("backbone.pretrained", pretrained or "DEFAULT", table)
    return table[str(pretrained or "DEFAULT")]


def _of_today(name: str) -> str:
    """Parameter name without the dots in layer names that DenseNet's published files have."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)
