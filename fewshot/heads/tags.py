"""What a head promises beside its interface, for the checks of `fewshot.testing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class HeadTags:
    """Tolerances of a head, and properties that it promises; a class attribute `tags` has them.

    Attributes
    ----------
    tolerance : float
        Largest relative difference, in float64, between scores that should be equal: of a batch and
        of its episodes by themselves, of shots in another order. Heads that iterate until a
        tolerance of their own have that one.
    any_order_of_shots : bool
        Whether the order of the shots within a class does not matter even if classes have different
        numbers of them. False for heads that divide the shots into folds.
    shift_invariant : bool
        Whether adding a vector to all features, shots and queries alike, leaves the differences
        between the scores of the classes as they are.
    scale_invariant : bool
        Whether multiplying all features by a number leaves the answers as they are.
    check_with : mapping
        Parameters to check the head with where the default ones take long.
    """

    tolerance: float = 1e-8
    any_order_of_shots: bool = True
    shift_invariant: bool = False
    scale_invariant: bool = False
    check_with: Mapping[str, Any] = field(default_factory=dict)
