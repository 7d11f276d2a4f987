"""Features of open_clip's image towers before the projection into the shared space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fewshot.backbones.base import Encode
from fewshot.backbones.blocks import block_features
from fewshot.backbones.token_maps import OfOpenClip
from fewshot.exceptions import FewshotError

FEATURES = ("projection", "pooled", "cls", "mean", "cls+mean")


def image_features(visual: Any, name: str, feature: str, blocks: Sequence[int] | None) -> Encode:
    """A function from images (B, 3, S, S) to features (B, D).

    Parameters
    ----------
    visual : torch.nn.Module
        open_clip's ``VisionTransformer``, ``ModifiedResNet`` or ``TimmModel``. Changed if need be.
    name : str
        For messages.
    feature : {"pooled", "cls", "mean", "cls+mean"}
    blocks : sequence of int, optional
        See ``blocks.py``; None with tokens means the last block.

    Raises
    ------
    FewshotError
        The tower has no such features.
    """
    if feature == "pooled" and blocks is None:
        return _pooled(visual, name)
    tower = _like_timm(visual, name, feature)
    if "cls" in feature and not getattr(tower, "num_prefix_tokens", 0):
        raise _undefined(name, feature, "its image tower has no class token")
    return block_features(tower, name, [-1] if blocks is None else blocks, feature)


def dense_tower(visual: Any, name: str, settings: Mapping[str, Any]) -> Any:
    """The tower with the interface of timm's models, for images of any size.

    Parameters
    ----------
    visual : torch.nn.Module
        As in `image_features`.
    name : str
        For messages.
    settings : mapping
        open_clip's ``vision_cfg``.

    Raises
    ------
    FewshotError
        A tower whose final norm follows a pooling by attention (CoCa).
    """
    if hasattr(visual, "trunk"):
        return _of_any_size(visual.trunk, settings)
    if hasattr(visual, "attnpool"):
        return _Maps(visual)
    if getattr(visual, "attn_pool", None) is not None:
        raise FewshotError(
            "backbone",
            f"{name!r} gives no dense features: its final norm follows a pooling by attention",
            "Take another model, for instance backbone=clip_vitb32.",
        )
    return OfOpenClip(visual)


def _of_any_size(trunk: Any, settings: Mapping[str, Any]) -> Any:
    """timm's network made anew so that it interpolates its positions, if it has such a setting."""
    import timm

    model: str = settings["timm_model_name"]
    kind: dict[str, Any] = {"num_classes": 0, "dynamic_img_size": True}
    if settings.get("timm_pool") and not settings.get("timm_proj"):
        kind["global_pool"] = settings["timm_pool"]
    try:
        network = timm.create_model(model, **kind)
        network.load_state_dict(trunk.state_dict())
    except (TypeError, RuntimeError):  # no such setting, or other parameters with it
        return trunk
    return network


def _pooled(visual: Any, name: str) -> Encode:
    """Features before the projection; for SigLIP, which has no projection, the output."""
    if hasattr(visual, "attnpool"):
        raise _undefined(name, "pooled", "its pooling projects as well")
    if hasattr(visual, "proj"):
        visual.proj = None

        def pooled(images: Tensor) -> Tensor:
            rows = visual(images)
            return rows[0] if isinstance(rows, tuple) else rows  # CoCa adds its tokens

        return pooled
    if hasattr(visual.head, "pool"):
        raise _undefined(name, "pooled", "its pooling projects as well")
    trunk = visual.trunk
    return lambda images: trunk.forward_head(trunk.forward_features(images), pre_logits=True)


def _undefined(name: str, feature: str, reason: str) -> FewshotError:
    return FewshotError(
        "backbone.feature",
        f"{feature!r} features are not defined for {name!r}: {reason}",
        "Set backbone.feature=projection.",
    )


def _like_timm(visual: Any, name: str, feature: str) -> Any:
    """An adapter of the tower with the interface of timm's models."""
    if hasattr(visual, "trunk"):
        return visual.trunk
    if hasattr(visual, "attnpool"):
        return _Maps(visual)
    if getattr(visual, "attn_pool", None) is not None:
        raise _undefined(name, feature, "its final norm follows a pooling by attention")
    return _Tokens(visual)


class _Tokens(nn.Module):
    """Adapter of open_clip's VisionTransformer."""

    num_prefix_tokens = 1

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual
        self.feature_info = list(visual.transformer.resblocks)

    def forward_intermediates(
        self,
        images: Tensor,
        indices: list[int],
        norm: bool,
        stop_early: bool,
        intermediates_only: bool,
        output_fmt: str,
        return_prefix_tokens: bool,
    ) -> list[tuple[Tensor, Tensor]]:
        """Pairs of spatial tokens (B, L, D) and the class token (B, 1, D)."""
        outputs = self.visual.forward_intermediates(
            images,
            indices=indices,
            stop_early=stop_early,
            normalize_intermediates=norm,
            intermediates_only=intermediates_only,
            output_fmt=output_fmt,
            output_extra_tokens=return_prefix_tokens,
        )
        tokens = outputs["image_intermediates"], outputs["image_intermediates_prefix"]
        return list(zip(*tokens, strict=True))

    def forward_head(self, tokens: Tensor, pre_logits: bool) -> Tensor:
        """The class token, or the mean of the others, as the model was trained."""
        pooled = tokens[:, 1:].mean(1) if self.visual.pool_type == "avg" else tokens[:, 0]
        return pooled


class _Maps(nn.Module):
    """Adapter of open_clip's ModifiedResNet: its stem and its four stages."""

    # The stem and layer1, layer2, layer3, layer4.
    feature_info = tuple({"reduction": stride} for stride in (4, 4, 8, 16, 32))

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward_intermediates(
        self,
        images: Tensor,
        indices: list[int],
        norm: bool,
        stop_early: bool,
        intermediates_only: bool,
    ) -> list[Tensor]:
        """Maps (B, D, H, W)."""
        outputs = self.visual.forward_intermediates(
            images, indices=indices, stop_early=stop_early, intermediates_only=intermediates_only
        )
        maps: list[Tensor] = outputs["image_intermediates"]
        return maps
