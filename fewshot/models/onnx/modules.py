"""Torch modules that are exported: from features, or from pixels, to probabilities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fewshot.backbones.base import Encode, FrozenNetwork
from fewshot.backbones.transform import Transform
from fewshot.heads.base import Query
from fewshot.models.onnx.heads import exportable
from fewshot.tasks.classification.labelling.fitted import FittedClassifier


class Outputs(NamedTuple):
    """What the graph gives; the names are those of its outputs.

    Attributes
    ----------
    probabilities : Tensor of shape (B, N), float32
    scores : Tensor of shape (B, N), float32
        In the units of the head.
    label : Tensor of shape (B,), int64
        Number of the most probable class.
    """

    probabilities: Tensor
    scores: Tensor
    label: Tensor


class OfFeatures(nn.Module):
    """Head and probabilities: features (B, D) to `Outputs`.

    Parameters
    ----------
    fitted : FittedClassifier
    unit : bool
        Whether the head takes features at unit length.
    """

    def __init__(self, fitted: FittedClassifier, unit: bool) -> None:
        super().__init__()
        self.head, self.probabilities = exportable(fitted.head), fitted.probabilities
        self.unit = unit

    def forward(self, features: Tensor) -> Outputs:
        """Neither checks nor errors: a graph has none."""
        rows = scaled(features.float()) if self.unit else features.float()
        # Not len(rows), which would make the number of rows of the example a constant.
        mask = torch.ones((1, rows.shape[0]), dtype=torch.bool, device=rows.device)
        scores = self.head.scores(Query(rows[None], mask))[0]
        probabilities = self.probabilities.of(scores)
        return Outputs(probabilities.float(), scores.float(), probabilities.argmax(-1))


class OfPixels(nn.Module):
    """Normalisation, network, head and probabilities: pixels (B, 3, S, S), uint8, to `Outputs`."""

    def __init__(self, transform: Transform, encode: Encode, head: OfFeatures) -> None:
        super().__init__()
        self.transform, self.head = transform, head
        # Its weights are parameters of this module only if it is known as one.
        self.network = encode.module if isinstance(encode, FrozenNetwork) else None
        self.encode = encode.encode if isinstance(encode, FrozenNetwork) else encode

    def forward(self, pixels: Tensor) -> Outputs:
        """See `OfFeatures`."""
        outputs: Outputs = self.head(self.features(pixels))
        return outputs

    def features(self, pixels: Tensor) -> Tensor:
        """Features (B, D), as the network gives them."""
        return self.encode(self.transform.normalise(pixels)).flatten(1).float()


def scaled(rows: Tensor) -> Tensor:
    """Rows (B, D) at unit length, also if their squares leave the range; zeros stay zero."""
    largest = rows.abs().amax(-1, keepdim=True)
    rows = rows / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / torch.where(length > 0, length, 1.0)
