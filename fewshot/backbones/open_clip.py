"""Dual encoders of open_clip (CLIP, SigLIP, CoCa, ...)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    DualEncoder,
    Encode,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.blocks import check_blocks
from fewshot.backbones.checkpoints import only_tensors, read_state_dict, unfit
from fewshot.backbones.dense import check_layers, intermediate_maps
from fewshot.backbones.open_clip_features import FEATURES, dense_tower, image_features
from fewshot.backbones.open_clip_text import (
    expect_tokenizer_package,
    load_tokenizer,
    text_encoder,
    token_counter,
)
from fewshot.backbones.open_clip_weights import hub_place, refuse_program, weights_of
from fewshot.backbones.transform import CLIP_MEAN, CLIP_STD, Transform
from fewshot.backbones.weights import check_sha256, checked, hub_page, hub_sha256
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)


class OpenClipBackbone(Backbone):
    """A dual encoder of open_clip with its own transform and tokenizer.

    Parameters
    ----------
    name : str
    folders : Folders
    model : str
        open_clip's architecture, as ``ViT-B-32-quickgelu``.
    pretrained : str
        Tag of the weights, as ``openai``.
    feature : {"projection", "pooled", "cls", "mean", "cls+mean"}
        "projection" is the space that texts share; "pooled" what is projected into it; the others
        are tokens of the image tower.
    blocks : list of int, optional
        Features of these blocks, concatenated; from 0, negative from the end. Not projections.
    weights : str, optional
        A local checkpoint instead of the hub's.
    sha256 : str, optional
        What the weights file must hash to.
    size : int, optional
        Input pixels; the model's own by default.
    """

    def __init__(
        self,
        name: str = "open_clip",
        folders: Folders | None = None,
        model: str | None = None,
        pretrained: str | None = None,
        feature: str = "projection",
        blocks: Sequence[int] | None = None,
        weights: str | None = None,
        sha256: str | None = None,
        size: int | None = None,
    ) -> None:
        self.model, self.pretrained, self.weights = str(model), pretrained, weights
        settings, self.config = _described(model, pretrained, weights)
        self.vision = dict(settings["vision_cfg"])
        self.weights_source = hub_page(hub_place(self.config)[0]) or self.config.get("url", "")
        self._check_features(feature, blocks)
        check_sha256(sha256)
        self.feature, self.blocks, self.sha256 = feature, check_blocks(blocks), sha256
        self.has_text = feature == "projection"
        self.label = f"{self.model}-{pretrained or 'local'}"
        self.name = name if name != "open_clip" else f"{self.model}/{pretrained or 'local'}"
        self.folders = folders or Folders(Path())
        # As trained; models of open_clip without -quickgelu would silently compute otherwise.
        quick = bool(self.config.get("quick_gelu"))
        self.force_quick_gelu = quick and not settings.get("quick_gelu")
        self.transform = Transform(
            settings["vision_cfg"].get("image_size", 224) if size is None else size,
            1.0,
            self.config.get("interpolation", "bicubic"),
            tuple(self.config.get("mean", CLIP_MEAN)),
            tuple(self.config.get("std", CLIP_STD)),
            self.config.get("resize_mode", "shortest"),
            (self.config.get("fill_color", 0),) * 3,
        )

    def _check_features(self, feature: str, blocks: object) -> None:
        expect_choice("backbone.feature", feature, FEATURES)
        expect(
            blocks is None or feature != "projection",
            "backbone.blocks",
            f"expected null with 'projection' features, which only the last block has, got "
            f"{blocks!r}",
            "Set backbone.feature to pooled, cls, mean or cls+mean.",
        )

    def architecture(self) -> dict[str, Any]:
        """Name of the network in open_clip, and settings that differ from its defaults."""
        settings: dict[str, Any] = {"open_clip": self.model}
        if self.force_quick_gelu:
            settings["quick_gelu"] = True
        return settings if self.blocks is None else settings | {"blocks": self.blocks}

    def weights_file(self) -> Path:
        """The setting `weights`, a file in the folder of weights, or a file of the hub."""
        path = weights_of(self.label, self.weights, self.config, self.folders.weights)
        return checked(path, self.sha256 or hub_sha256(path), self.folders.cache)

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of both towers."""
        path = self.weights_file()
        refuse_program(path, self.label, self.config, self.folders)
        return only_tensors(read_state_dict(self.model, path))

    def load(self, device: torch.device) -> Encode:
        """The image tower with the features of the setting `feature`, not normalised."""
        model = self._build(self.transform.size)
        if self.feature == "projection":
            return run_frozen(model.visual, device, model.encode_image)
        encode = image_features(model.visual, self.model, self.feature, self.blocks)
        return run_frozen(model.visual, device, encode)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of the image tower's blocks or stages, before the projection."""
        layers = check_layers(layers)
        visual = self._build(size=None).visual
        tower = dense_tower(visual, self.model, self.vision)
        return intermediate_maps(tower, self.model, device, layers)

    def check_text(self) -> None:
        """Raise without a text encoder or without the package that reads the tokenizer."""
        super().check_text()
        expect_tokenizer_package(self.model)

    def load_dual(self, device: torch.device) -> DualEncoder:
        """Both towers, not normalised, with the model's own scale and bias.

        Raises
        ------
        FewshotError
            The features are not those of the shared space, or the tokenizer is missing.
        """
        expect(
            self.has_text,
            "backbone.feature",
            f"texts share the space of 'projection' features only, got {self.feature!r}",
            "Set backbone.feature=projection.",
        )
        repository, _ = hub_place(self.config)
        tokenizer = load_tokenizer(self.model, self.label, repository, self.folders.weights)
        model = self._build(self.transform.size)
        encode_image = run_frozen(model, device, model.encode_image)
        bias = getattr(model, "logit_bias", None)
        return DualEncoder(
            encode_image,
            text_encoder(model, tokenizer, device),
            float(model.logit_scale.exp()),
            0.0 if bias is None else float(bias),
            tokenizer.context_length,
            token_counter(tokenizer),
        )

    def _build(self, size: int | None) -> Any:
        """The model with its weights, for images of this size; None: its own."""
        import open_clip

        path = self.weights_file()
        refuse_program(path, self.label, self.config, self.folders)
        read_state_dict(self.model, path)  # older releases of open_clip would run code in it
        try:
            return open_clip.create_model(
                self.model,
                pretrained=str(path),
                force_image_size=size,
                force_quick_gelu=self.force_quick_gelu,
            )
        except (RuntimeError, ValueError, KeyError, AttributeError, OSError) as error:
            raise unfit(self.model, path, error) from None


def _described(
    model: str | None, pretrained: str | None, weights: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """open_clip's settings of the architecture and of the weights; {} for weights without tag."""
    import open_clip

    expect(
        bool(model) and bool(pretrained or weights),
        "backbone.model",
        f"expected a model and the tag of its weights, got {model!r} and {pretrained!r}",
        "Say for instance: fewshot backbone=open_clip backbone.model=ViT-B-32 "
        "backbone.pretrained=laion2b_s34b_b79k.",
    )
    if model not in open_clip.list_models():
        hint = suggestion(str(model), open_clip.list_models())
        raise FewshotError("backbone.model", f"open_clip has no model {model!r}", hint)
    config = open_clip.get_pretrained_cfg(model, pretrained or "")
    if pretrained and not config:
        tags = open_clip.list_pretrained_tags_by_model(model)
        hint = suggestion(pretrained, tags)
        raise FewshotError(
            "backbone.pretrained", f"{model} has no weights tagged {pretrained!r}", hint
        )
    return open_clip.get_model_config(model), dict(config)
