"""Features of intermediate blocks of timm's models, concatenated.

As the linear evaluation of DINOv2 (Oquab et al., TMLR 2024, appendix B.3) joins the class tokens of
the last four blocks: ``backbone.blocks=[-4,-3,-2,-1] backbone.feature=cls``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import Encode
from fewshot.exceptions import FewshotError, expect

Pool = Callable[[Any], Tensor]


def check_blocks(blocks: object) -> list[int] | None:
    """The setting ``backbone.blocks`` as a list, or None for the last output."""
    if blocks is None:
        return None
    whole = isinstance(blocks, Sequence) and not isinstance(blocks, str) and len(blocks) > 0
    if not whole or not all(isinstance(b, int) and not isinstance(b, bool) for b in blocks):  # type: ignore[attr-defined]
        raise FewshotError(
            "backbone.blocks",
            f"expected null or a list of integers, got {blocks!r}",
            "The last four blocks are backbone.blocks=[-4,-3,-2,-1].",
        )
    return list(blocks)  # type: ignore[call-overload]


def block_features(model: Any, name: str, blocks: Sequence[int], feature: str) -> Encode:
    """A function from images (B, 3, S, S) to (B, sum of the blocks' dimensions).

    Parameters
    ----------
    model : torch.nn.Module
        Of timm, without its classifier.
    name : str
        For messages.
    blocks : sequence of int
        From 0, negative from the end. The features follow each other in this order.
    feature : {"pooled", "cls", "mean", "cls+mean"}
        Of every block. The tokens of a transformer pass its final norm, whichever block they
        come from; "pooled" is then what the network does with its last tokens. The blocks of
        other networks are the stages that timm lists (a stem counts), averaged over space,
        which both "pooled" and "mean" mean.

    Raises
    ------
    FewshotError
        The model gives no intermediate features, has fewer blocks, or no such tokens.
    """
    method = getattr(model, "forward_intermediates", None)
    expect(
        method is not None,
        "backbone.blocks",
        f"{name!r} of timm gives no intermediate features",
        "Set backbone.blocks=null.",
    )
    order = _from_zero(blocks, len(model.feature_info), name)
    tokens = "return_prefix_tokens" in inspect.signature(model.forward_intermediates).parameters
    pool = _pool_tokens(model, name, feature) if tokens else _pool_maps(name, feature)
    settings: dict[str, Any] = {"norm": True, "stop_early": True, "intermediates_only": True}
    if tokens:
        settings |= {"output_fmt": "NLC", "return_prefix_tokens": model.num_prefix_tokens > 0}

    def encode(images: Tensor) -> Tensor:
        features = model.forward_intermediates(images, indices=sorted(order), **settings)
        by_block = dict(zip(sorted(order), features, strict=True))
        return torch.cat([pool(by_block[block]) for block in order], dim=1)

    return encode


def _from_zero(blocks: Sequence[int], count: int, name: str) -> list[int]:
    """Block numbers counted from 0; duplicates are errors."""
    for block in blocks:
        expect(
            -count <= block < count,
            "backbone.blocks",
            f"{name!r} has {count} blocks, 0 to {count - 1} or {-count} to -1; got {block}",
        )
    order = [block % count for block in blocks]
    expect(
        len(set(order)) == len(order),
        "backbone.blocks",
        f"expected every block once, got {list(blocks)} of {count}",
    )
    return order


def _pool_tokens(model: Any, name: str, feature: str) -> Pool:
    prefix = model.num_prefix_tokens
    if prefix == 0 and "cls" in feature:
        raise FewshotError("backbone.feature", f"{name!r} has no class token; got {feature!r}")

    def pool(tokens: Any) -> Tensor:
        # With prefix tokens (class, registers) timm gives pairs: (B, L, D) and (B, P, D).
        spatial, first = tokens if prefix else (tokens, tokens[:, :0])
        if feature == "pooled":
            joined: Tensor = model.forward_head(torch.cat([first, spatial], 1), pre_logits=True)
            return joined
        parts = {"cls": first[:, :1].flatten(1), "mean": spatial.mean(1)}
        return torch.cat([parts[part] for part in feature.split("+")], dim=1)

    return pool


def _pool_maps(name: str, feature: str) -> Pool:
    expect(
        "cls" not in feature,
        "backbone.feature",
        f"blocks of {name!r} are maps without tokens: expected 'pooled' or 'mean', got {feature!r}",
    )
    return lambda maps: maps.mean((2, 3))
