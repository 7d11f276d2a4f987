"""Any image model of timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import (
    Backbone,
    Encode,
    Folders,
    local_weights,
    out_of_reach,
    run_frozen,
    unfit,
)
from fewshot.backbones.transform import Transform
from fewshot.exceptions import FewshotError, expect_choice, suggestion

FEATURES = ("pooled", "cls", "mean", "cls+mean")


class TimmBackbone(Backbone):
    """A model of timm with its pretrained weights and its own transform.

    Parameters
    ----------
    name : str
    folders : Folders
    model : str
        timm's name with the tag of the weights, as ``vit_small_patch14_dinov2.lvd142m``.
    feature : {"pooled", "cls", "mean", "cls+mean"}
        "pooled" is what timm's classifier would see; the others are tokens of a transformer.
    weights : str, optional
        A local checkpoint (``.safetensors``, or a ``.pth`` without code in it).
    size : int, optional
        Input pixels; the model's own by default.
    """

    def __init__(
        self,
        name: str = "timm",
        folders: Folders | None = None,
        model: str | None = None,
        feature: str = "pooled",
        weights: str | None = None,
        size: int | None = None,
    ) -> None:
        import timm

        if not model:
            raise FewshotError(
                "backbone.model",
                "expected the name of a timm model, got nothing",
                "Say for instance: fewshot backbone=timm backbone.model=resnet18.a1_in1k.",
            )
        if not timm.is_model(model):
            known = timm.list_models() + timm.list_models(pretrained=True)
            raise FewshotError(
                "backbone.model",
                f"timm has no model {model!r}",
                suggestion(model, known) if "." in model or model else "",
            )
        expect_choice("backbone.feature", feature, FEATURES)
        self.name = name if name != "timm" else model
        self.folders = folders or Folders(Path())
        self.model, self.feature, self.weights = model, feature, weights
        config = timm.get_pretrained_cfg(model)
        self.config = config
        self.transform = Transform(
            size or config.input_size[-1],
            config.crop_pct or 0.875,
            config.interpolation or "bicubic",
            tuple(config.mean),
            tuple(config.std),
        )

    def architecture(self) -> dict[str, Any]:
        """timm's name of the network."""
        return {"timm": self.model.split(".")[0]}

    def weights_file(self) -> Path:
        """Given, in the folder of weights, in the hub's cache, or downloaded from the hub."""
        found = local_weights(self.model, self.weights, self.folders.weights)
        if found:
            return found
        repository = self.config.hf_hub_id
        if not repository:
            error = FileNotFoundError("timm knows no hub repository for it")
            raise out_of_reach(self.model, "a checkpoint", self.folders.weights, error)
        return _from_hub(repository, self.model, self.folders.weights)

    def load(self, device: torch.device) -> Encode:
        """The network without its classifier, giving the features asked for."""
        import timm

        path = self.weights_file()
        sizes = {"img_size": self.transform.size} if self.config.fixed_input_size else {}
        try:
            model = timm.create_model(
                self.model,
                pretrained=True,
                pretrained_cfg_overlay={"file": str(path), "custom_load": False},
                num_classes=0,
                **sizes,
            )
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise unfit(self.model, path, error) from None
        if self.feature == "pooled":
            return run_frozen(model, device)
        return run_frozen(model, device, self._tokens(model))

    def _tokens(self, model: Any) -> Encode:
        prefix = getattr(model, "num_prefix_tokens", None)
        if prefix is None or (prefix == 0 and "cls" in self.feature):
            raise FewshotError(
                "backbone.feature",
                f"{self.model!r} has no such tokens, so only 'pooled' is defined; got "
                f"{self.feature!r}",
            )

        def encode(images: Tensor) -> Tensor:
            tokens = model.forward_features(images)
            parts = {"cls": tokens[:, 0], "mean": tokens[:, prefix:].mean(1)}
            return torch.cat([parts[part] for part in self.feature.split("+")], dim=1)

        return encode


def _from_hub(repository: str, name: str, folder: Path) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    files = ("model.safetensors", "pytorch_model.bin")
    for file in files:
        cached = try_to_load_from_cache(repository, file)
        if isinstance(cached, str):
            return Path(cached)
    failure: Exception = FileNotFoundError(repository)
    for file in files:
        try:
            return Path(hf_hub_download(repository, file))
        except Exception as error:  # the hub's client raises whatever its transport does
            failure = error
    raise out_of_reach(name, f"{files[0]} of the hub's {repository}", folder, failure) from None
