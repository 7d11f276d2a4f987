"""Many fitted heads on the tokens of one image: those that are linear are one product."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.tasks.segmentation.boundary import boundary_counts
from fewshot.tasks.segmentation.cells import Truth
from fewshot.tasks.segmentation.counting import confusions, segmented
from fewshot.tasks.segmentation.dense.encoder import Tokens
from fewshot.tasks.segmentation.heads.base import DenseHead, LinearDenseHead


class _Linear(NamedTuple):
    """Linear heads that take tokens in one way: places in the stack, (n, N, D) and (n, N)."""

    places: NDArray[np.int64]
    weights: Tensor
    biases: Tensor


class HeadStack:
    """Fitted heads of the same N classes.

    Parameters
    ----------
    heads : sequence of H DenseHead
    ways : int
        N.
    device : torch.device
    """

    def __init__(self, heads: Sequence[DenseHead], ways: int, device: torch.device) -> None:
        self.heads = [head.delegate() for head in heads]
        self.ways, self.device = ways, device
        self._linear = {unit: self._stacked(unit) for unit in (False, True)}

    def __len__(self) -> int:
        return len(self.heads)

    def _stacked(self, unit_length: bool) -> _Linear:
        places = [
            place
            for place, head in enumerate(self.heads)
            if isinstance(head, LinearDenseHead) and head.unit_length == unit_length
        ]
        maps = [self.heads[place].map_ for place in places]  # type: ignore[attr-defined]
        weights = torch.stack([m.weights for m in maps]) if maps else torch.empty(0)
        biases = torch.stack([m.biases for m in maps]) if maps else torch.empty(0)
        return _Linear(np.array(places, dtype=np.int64), weights, biases)

    def confusions(
        self,
        tokens: Tokens,
        truth: Truth,
        chosen: NDArray[np.int64] | None = None,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.int64]:
        """Pixels (H, N, N) by true and predicted class, of the chosen heads in order.

        Parameters
        ----------
        tokens : Tokens
            Of the image.
        truth : Truth
            Its mask.
        chosen : ndarray of int64, optional
            Places in the stack; all by default.
        seconds : ndarray of shape (H,), optional
            Takes what every head took; heads that are one product, in equal parts.
        """
        wanted = np.arange(len(self)) if chosen is None else chosen
        result = np.zeros((len(wanted), self.ways, self.ways), dtype=np.int64)
        seconds = np.zeros(len(wanted)) if seconds is None else seconds
        features = tokens.features.to(self.device)
        rest = np.ones(len(wanted), dtype=bool)
        for unit_length, linear in self._linear.items():
            among = np.isin(wanted, linear.places)
            rest &= ~among
            if among.any():
                begun = time.perf_counter()
                prepared = normalize(features, dim=-1) if unit_length else features
                places = np.searchsorted(linear.places, wanted[among])
                scores = _scores(prepared, linear, places).view(*tokens.grid, -1, self.ways)
                result[among] = confusions(scores, truth).cpu().numpy()
                seconds[among] = (time.perf_counter() - begun) / among.sum()
        for place in np.flatnonzero(rest):
            begun = time.perf_counter()
            scores = self.heads[int(wanted[place])].scores(features, tokens.grid)
            grid = scores.view(*tokens.grid, 1, self.ways)
            result[place] = confusions(grid, truth)[0].cpu().numpy()
            seconds[place] = time.perf_counter() - begun
        return result

    def segmented(self, tokens: Tokens, place: int) -> Tensor:
        """Class numbers (H, W) of the pixels of an image by one head, int16, on the CPU."""
        scores = self.heads[place].scores(tokens.features.to(self.device), tokens.grid)
        return segmented(scores.view(*tokens.grid, self.ways), tokens.placement).cpu()

    def boundary_counts(
        self, tokens: Tokens, mask: NDArray[np.int16], chosen: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Counts (H, 3, N) of the pixels near edges, of the chosen heads in order."""
        truth = torch.from_numpy(mask)
        return np.stack(
            [
                boundary_counts(self.segmented(tokens, int(place)), truth, self.ways).numpy()
                for place in chosen
            ]
        )


def _scores(features: Tensor, linear: _Linear, places: NDArray[np.int64]) -> Tensor:
    """Scores (T, n * N) of the linear heads at some places."""
    weights, biases = linear.weights, linear.biases
    if len(places) < len(weights):
        index = torch.from_numpy(places).to(weights.device)
        weights, biases = weights[index], biases[index]
    return torch.addmm(biases.flatten(), features, weights.flatten(0, 1).mT)
