"""Image encoders of CLIP and its kin, from open_clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot.backbones.base import Backbone, Encode, Folders, run_frozen
from fewshot.backbones.transform import CLIP_MEAN, CLIP_STD, Transform
from fewshot.backbones.weights import (
    from_hub,
    local_weights,
    out_of_reach,
    read_state_dict,
    unfit,
)
from fewshot.exceptions import FewshotError, expect, suggestion

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class OpenClipBackbone(Backbone):
    """The image half of a dual encoder, with the projection into the joint space.

    Parameters
    ----------
    name : str
    folders : Folders
    model : str
        open_clip's architecture, as ``ViT-B-32-quickgelu``.
    pretrained : str
        Tag of the weights, as ``openai``.
    weights : str, optional
        A local checkpoint instead of the hub's.
    size : int, optional
    """

    def __init__(
        self,
        name: str = "open_clip",
        folders: Folders | None = None,
        model: str | None = None,
        pretrained: str | None = None,
        weights: str | None = None,
        feature: str = "projection",
        size: int | None = None,
    ) -> None:
        import open_clip

        expect(
            bool(model) and bool(pretrained or weights),
            "backbone.model",
            f"expected a model and the tag of its weights, got {model!r} and {pretrained!r}",
            "Say for instance: fewshot backbone=open_clip backbone.model=ViT-B-32 "
            "backbone.pretrained=laion2b_s34b_b79k.",
        )
        expect(
            feature == "projection",
            "backbone.feature",
            f"open_clip backbones have 'projection' features, got {feature!r}",
        )
        self.model, self.pretrained, self.weights = str(model), pretrained, weights
        architecture = open_clip.get_model_config(self.model)
        if architecture is None:
            hint = suggestion(self.model, open_clip.list_models())
            raise FewshotError("backbone.model", f"open_clip has no model {model!r}", hint)
        self.config = open_clip.get_pretrained_cfg(self.model, pretrained or "")
        if pretrained and not self.config:
            tags = open_clip.list_pretrained_tags_by_model(self.model)
            hint = suggestion(pretrained, tags)
            raise FewshotError(
                "backbone.pretrained", f"{model} has no weights tagged {pretrained!r}", hint
            )
        self.name = name if name != "open_clip" else f"{self.model}/{pretrained or 'local'}"
        self.folders, self.feature = folders or Folders(Path()), feature
        own = architecture["vision_cfg"].get("image_size", 224)
        self.transform = Transform(
            own if size is None else size,
            1.0,
            self.config.get("interpolation", "bicubic"),
            tuple(self.config.get("mean", CLIP_MEAN)),
            tuple(self.config.get("std", CLIP_STD)),
        )

    def architecture(self) -> dict[str, Any]:
        """open_clip's name of the network."""
        return {"open_clip": self.model}

    def weights_file(self) -> Path:
        """Given, in the folder of weights, or where open_clip keeps or downloads it."""
        from open_clip.pretrained import download_pretrained

        label = f"{self.model}-{self.pretrained or 'local'}"
        found = local_weights(label, self.weights, self.folders.weights)
        if found:
            return found
        repository, _, file = self.config.get("hf_hub", "").rpartition("/")
        if repository:
            files = (str(Path(file).with_suffix(".safetensors")), file) if file else HUB_FILES
            return from_hub(repository, files, label, self.folders.weights)
        try:
            return Path(download_pretrained(self.config))
        except Exception as error:  # whatever the transport raises
            source = self.config.get("url") or "the checkpoint"
            raise out_of_reach(
                label, f"the weights in {source}", self.folders.weights, error
            ) from None

    def load(self, device: torch.device) -> Encode:
        """The image encoder with its projection, not normalised."""
        import open_clip

        path = self.weights_file()
        read_state_dict(self.model, path)  # older releases of open_clip would run what is in it
        try:
            model = open_clip.create_model(
                self.model,
                pretrained=str(path),
                force_image_size=self.transform.size,
            )
        except (RuntimeError, ValueError, KeyError, AttributeError, OSError) as error:
            raise unfit(self.model, path, error) from None
        return run_frozen(model, device, model.encode_image)
