"""What an estimator promises beside its interface, for the checks of `fewshot.testing`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EstimatorTags:
    """Tolerances of an estimator, and what it promises; a class attribute `tags` has them.

    None promises neither.

    Attributes
    ----------
    order_tolerance : float
        Largest difference of predicted errors when classes and shots come in another order. More
        for estimators that draw at random which shots to hold out.
    varies : bool
        Whether episodes that are harder get larger predictions. False for those that say the same
        of all episodes.
    scale_invariant : bool
        Whether multiplying all features by a number leaves its predictions as they are, for heads
        whose answers stay as well.
    at_one_shot : bool, optional
        Whether it has a number for one shot per class with base classes to learn from.
    without_base : bool, optional
        Whether it has a number without base classes.
    has_interval : bool, optional
        Whether its predictions have an interval, with base classes to learn from.
    """

    order_tolerance: float = 0.02
    varies: bool = True
    scale_invariant: bool = False
    at_one_shot: bool | None = None
    without_base: bool | None = None
    has_interval: bool | None = None
