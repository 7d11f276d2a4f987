"""How much the shots of a class count in a fit."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from fewshot.exceptions import expect_choice
from fewshot.heads.base import Support

ClassWeight = Literal["none", "balanced"]


def shot_weights(support: Support, head: str, class_weight: ClassWeight) -> Tensor:
    """Weights (E, N, K) of the shots, zero in the padding; their sum is the number of shots.

    Parameters
    ----------
    support : Support
    head : str
        Name, for the error.
    class_weight : {"none", "balanced"}
        1 for every shot; or ``R / (N K_c)``, so that all classes count alike.

    Raises
    ------
    FewshotError
        Another class_weight.
    """
    expect_choice(f"head.{head}.class_weight", class_weight, get_args(ClassWeight))
    weights = support.mask.to(support.features)
    if class_weight == "balanced":
        counts = support.counts.to(weights)
        weights = weights * (counts.mean(-1, keepdim=True) / counts)[..., None]
    return weights
