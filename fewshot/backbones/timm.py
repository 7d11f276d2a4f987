"""Image models of timm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    Encode,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.blocks import block_features, check_blocks
from fewshot.backbones.checkpoints import only_tensors, read_state_dict, unfit
from fewshot.backbones.dense import check_layers, intermediate_maps
from fewshot.backbones.transform import Transform
from fewshot.backbones.weights import (
    check_sha256,
    checked,
    from_hub,
    hub_page,
    hub_sha256,
    local_weights,
    out_of_reach,
)
from fewshot.download_errors import DownloadFailure
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_choice,
    suggestion,
)

FEATURES = ("pooled", "cls", "mean", "cls+mean")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
RESIZE = {"center": "shortest", "squash": "squash", "border": "longest"}  # by timm's crop_mode


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
    blocks : list of int, optional
        Features of these blocks, concatenated; from 0, negative from the end. See ``blocks.py``.
    weights : str, optional
        A local checkpoint (``.safetensors``, or a ``.pth`` without code in it).
    sha256 : str, optional
        What the weights file must hash to.
    size : int, optional
        Input pixels; the model's own by default.
    """

    def __init__(
        self,
        name: str = "timm",
        folders: Folders | None = None,
        model: str | None = None,
        feature: str = "pooled",
        blocks: Sequence[int] | None = None,
        weights: str | None = None,
        sha256: str | None = None,
        size: int | None = None,
    ) -> None:
        import timm
        from timm.models import PretrainedCfg

        if not model:
            raise FewshotError(
                "backbone.model",
                "expected the name of a timm model, got nothing",
                "Say for instance: fewshot backbone=timm backbone.model=resnet18.a1_in1k.",
            )
        model = str(model)
        if not timm.is_model(model):
            raise FewshotError(
                "backbone.model", f"timm has no model {model!r}", suggestion(model, _models())
            )
        expect_choice("backbone.feature", feature, FEATURES)
        self.name = name if name != "timm" else model
        self.folders = folders or Folders(Path())
        self.model, self.feature, self.weights = model, feature, weights
        self.blocks, self.sha256 = check_blocks(blocks), sha256
        check_sha256(sha256)
        try:
            config = timm.get_pretrained_cfg(model) or PretrainedCfg()
        except RuntimeError:  # the tag
            raise FewshotError(
                "backbone.model", f"timm has no weights {model!r}", suggestion(model, _models())
            ) from None
        self.config = config
        self.weights_source = hub_page(config.hf_hub_id or "")
        self.transform = _transform(model, config, size)

    def architecture(self) -> dict[str, Any]:
        """Name of the network in timm, and `blocks` if they are set."""
        settings: dict[str, Any] = {"timm": self.model.split(".")[0]}
        return settings if self.blocks is None else settings | {"blocks": self.blocks}

    def weights_file(self) -> Path:
        """The setting `weights`, a file in the folder of weights, or a file of the hub."""
        repository, folder = self.config.hf_hub_id or "", self.folders.weights
        path = local_weights(self.model, self.weights, folder, repository, HUB_FILES)
        if not (path or repository):
            failure = DownloadFailure("missing", "timm knows no hub repository for it", "")
            raise out_of_reach(self.model, "a checkpoint", folder, failure)
        path = path or from_hub(repository, HUB_FILES, self.model, folder)
        return checked(path, self.sha256 or hub_sha256(path), self.folders.cache)

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of the checkpoint."""
        return only_tensors(read_state_dict(self.model, self.weights_file()))

    def load(self, device: torch.device) -> Encode:
        """The network without its classifier, with the features of the setting `feature`."""
        model = self._loaded()
        if self.blocks is not None:
            encode = block_features(model, self.model, self.blocks, self.feature)
            return run_frozen(model, device, encode)
        if self.feature == "pooled":
            return run_frozen(model, device)
        return run_frozen(model, device, self._tokens(model))

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of blocks or stages; position embeddings are interpolated to the image's size."""
        layers = check_layers(layers)
        try:  # from the positions of the checkpoint's own size, whatever `size` is
            model = self._loaded(img_size=None, dynamic_img_size=True)
        except TypeError:  # networks without that setting take any size, or say that they do not
            model = self._loaded(img_size=None)
        return intermediate_maps(model, self.model, device, layers)

    def _loaded(self, **settings: Any) -> Any:
        """The network with its weights."""
        import timm

        path = self.weights_file()
        stored = timm.models.clean_state_dict(read_state_dict(self.model, path))
        try:
            return self._build(stored, settings)
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            raise unfit(self.model, path, error) from None

    def _build(self, stored: dict[str, Any], changes: dict[str, Any]) -> Any:
        """The model with stored weights; their classifier is ignored.

        A missing tensor is an error. timm alone would leave it random: it gives up checking as
        soon as the number of classes differs.
        """
        import timm

        classifier = self.config.classifier or ()
        heads = (classifier,) if isinstance(classifier, str) else classifier
        names = {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}
        overlay = {
            "state_dict": {name: value for name, value in stored.items() if name not in names},
            "custom_load": False,
            "num_classes": 0,
            "label_offset": 0,  # of the classifier, which is gone
        }
        settings: dict[str, Any] = {"pretrained": True, "num_classes": 0}
        if self.config.fixed_input_size:
            settings["img_size"] = self.transform.size
        settings |= changes
        try:
            return timm.create_model(self.model, pretrained_cfg_overlay=overlay, **settings)
        except RuntimeError as error:
            if "Missing key" in str(error) or "size mismatch" in str(error):
                raise
        overlay["num_classes"] = 1  # tensors too many, of a larger classifier for instance
        return timm.create_model(self.model, pretrained_cfg_overlay=overlay, **settings)

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


def _transform(model: str, config: Any, size: int | None) -> Transform:
    """Transform equal to timm's ``create_transform`` for evaluation."""
    from timm.data import resolve_data_config

    data = resolve_data_config(pretrained_cfg=config.to_dict())
    _, height, width = data["input_size"]
    expect(
        size is not None or height == width,
        "backbone.size",
        f"{model!r} takes images of {height} x {width} pixels, and inputs are square here",
        f"Set backbone.size={min(height, width)}, for instance.",
    )
    return Transform(
        width if size is None else size,
        data["crop_pct"],
        data["interpolation"],
        data["mean"],
        data["std"],
        RESIZE[data["crop_mode"]],
        tuple(round(255 * level) for level in data["mean"]),
    )


def _models() -> list[str]:
    import timm

    return timm.list_models() + timm.list_models(pretrained=True)
