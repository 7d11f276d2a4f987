"""Maps of the tokens of vision transformers that have been written for images of one size.

Adapters with the interface of timm's models: position embeddings are interpolated to the grid of
each image, as timm and DINOv2 do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def embedded(patches: Tensor, first: Tensor, positions: Tensor) -> Tensor:
    """Tokens (B, 1 + h w, D) of patches, with a class token and with positions.

    Parameters
    ----------
    patches : Tensor of shape (B, D, h, w)
    first : Tensor of shape (D,)
        The class token.
    positions : Tensor of shape (1 + N, D)
        Of the class token and of a square grid; interpolated bicubically to h x w.
    """
    from timm.layers import resample_abs_pos_embed

    grid = [int(side) for side in patches.shape[-2:]]
    tokens = torch.cat([first.expand(len(patches), 1, -1), patches.flatten(2).mT], dim=1)
    return tokens + resample_abs_pos_embed(positions[None], grid, num_prefix_tokens=1)


def as_map(tokens: Tensor, patches: Tensor) -> Tensor:
    """Tokens (B, 1 + h w, D) without the first as a map (B, D, h, w), like that of the patches."""
    return tokens[:, 1:].mT.unflatten(2, patches.shape[-2:])


class OfTorchvision(nn.Module):
    """Adapter of torchvision's VisionTransformer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.feature_info = [{"reduction": network.patch_size} for _ in network.encoder.layers]

    def forward_intermediates(self, images: Tensor, indices: list[int]) -> list[Tensor]:
        """Maps of some blocks, after the final norm."""
        patches = self.network.conv_proj(images)
        encoder, outputs = self.network.encoder, []
        first, positions = self.network.class_token.flatten(), encoder.pos_embedding[0]
        tokens = encoder.dropout(embedded(patches, first, positions))
        for number, block in enumerate(encoder.layers[: max(indices) + 1]):
            tokens = block(tokens)
            if number in indices:
                outputs.append(as_map(encoder.ln(tokens), patches))
        return outputs


class OfOpenClip(nn.Module):
    """Adapter of open_clip's VisionTransformer."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual
        patch = visual.patch_size[0]
        self.feature_info = [{"reduction": patch} for _ in visual.transformer.resblocks]

    def forward_intermediates(self, images: Tensor, indices: list[int]) -> list[Tensor]:
        """Maps of some blocks, after the final norm."""
        visual = self.visual
        patches = visual.conv1(images)
        tokens = embedded(patches, visual.class_embedding, visual.positional_embedding)
        tokens = visual.ln_pre(visual.patch_dropout(tokens))
        _, outputs = visual.transformer.forward_intermediates(
            tokens, indices=indices, stop_early=True
        )
        return [as_map(visual.ln_post(output), patches) for output in outputs]
