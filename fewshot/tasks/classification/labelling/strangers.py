"""Images of none of the classes: farther from all of them than the shots are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from fewshot.heads.base import Support


@dataclass(frozen=True, eq=False)
class Strangers:
    """Distances of shots that were left out, and class means to measure new images from.

    Attributes
    ----------
    means : Tensor of shape (N, D)
        Of the classes, at unit length.
    limit : float
        Distance (one minus the cosine) to the nearest mean from which on an image is of none.
    """

    means: Tensor
    limit: float

    def distances(self, features: Tensor) -> Tensor:
        """Distance (M,) of features (M, D) to the nearest class mean."""
        return 1 - (normalize(features, dim=-1) @ self.means.mT).amax(-1)

    def are_strangers(self, features: Tensor) -> Tensor:
        """Which of the images (M, D) look like none of the classes: (M,), bool."""
        return self.distances(features) > self.limit


def fit_strangers(support: Support) -> Strangers:
    """The largest distance of a shot to the mean of the others of its class (E = 1)."""
    features, mask, counts = support.features[0], support.mask[0], support.counts[0]
    means = normalize(support.means()[0], dim=-1)
    k = counts[:, None, None]
    rest = (k * support.means()[0][:, None] - features) / (k - 1).clamp_min(1)
    distance = 1 - (normalize(rest, dim=-1) * normalize(features, dim=-1)).sum(-1)
    held = mask & (counts > 1)[:, None]
    return Strangers(means, float(distance[held].max()) if bool(held.any()) else float("inf"))
