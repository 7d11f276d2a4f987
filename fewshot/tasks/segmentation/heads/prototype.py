"""Cosine with class prototypes."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from fewshot.tasks.segmentation.heads.base import LinearMap, MomentHead, absent_never
from fewshot.tasks.segmentation.moments import Moments


class Prototype(MomentHead):
    """Cosine between a token and the mean of the class's tokens, as PANet without training.

    Prototypes are means over the pixels of a class in all support images, of tokens at unit length
    (Wang et al., PANet, ICCV 2019: masked average pooling and cosine distance).
    """

    references = ("wang2019panet",)
    unit_length = True
    needs_second = False

    def from_moments(self, moments: Moments) -> LinearMap:
        """Prototypes at unit length, biases zero."""
        weights = normalize(moments.sums, dim=-1)
        return absent_never(weights, torch.zeros_like(moments.counts), moments.counts)
