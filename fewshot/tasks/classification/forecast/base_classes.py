"""Estimators of a forecast, fitted on base classes where there are any."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from fewshot.episodes import UnlabelledSampling
from fewshot.episodes.unlabelled_sampling import MIXED
from fewshot.estimators.auto import Auto
from fewshot.estimators.base import NO_BASE, BaseClasses
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.features.row_keys import row_keys
from fewshot.heads.base import Head, Support
from fewshot.tasks.engine.base_classes import evaluate_base_classes, fit_on_base_classes
from fewshot.tasks.engine.base_drawing import QUERIES_LEFT, draw_base_episodes

LISTED = 5  # classes that are named in an error


@dataclass(eq=False)
class Calibration:
    """Estimators of the error of a head on a support, fitted on base classes if there are any.

    Attributes
    ----------
    support : Support
    head : Head
        Unfitted; `fitted_head` is fitted.
    base : FeatureBank or None
    estimator : Auto
        Its parameters are taken.
    episodes : int
        Of base classes.
    seed : int
    """

    support: Support
    head: Head
    base: FeatureBank | None
    estimator: Auto
    episodes: int
    seed: int

    def __post_init__(self) -> None:
        self.fitted_head = self.head.clone().fit(self.support)

    def fitted(self, per_class: float = 0, share: float = 1.0) -> tuple[Auto, BaseClasses]:
        """The estimator for so many unlabelled images per class, and what it was fitted on.

        Parameters
        ----------
        per_class : float
        share : float
            Of the episodes of base classes.
        """
        number = max(1, round(per_class)) if per_class else 0
        base_classes = self._base_classes(number, max(1, round(share * self.episodes)))
        auto = Auto(**self.estimator.get_params())
        fit_on_base_classes(auto, base_classes)
        return auto, base_classes

    def _base_classes(self, number: int, episodes: int) -> BaseClasses:
        """Base-class evidence from episodes with the ways and shots of the support."""
        if self.base is None:
            return NO_BASE
        marked = replace(self.base, parts=("base",) * len(self.base.classnames))
        counts = self.support.counts
        # With two shots or more the variance within classes can be estimated, unlike with one.
        least = 2 if bool((counts > 1).any()) else 1
        shots = max(least, round(float(self.support.typical_shots)))
        sampling = UnlabelledSampling(number, MIXED, MIXED, QUERIES_LEFT) if number else None
        drawn = draw_base_episodes(
            marked, counts.shape[1], shots, "all", episodes, self.seed, sampling
        )
        return evaluate_base_classes(marked, drawn, self.head, device=torch.device("cpu"))


def check_base(bank: FeatureBank, base: FeatureBank) -> None:
    """Check that base classes are other classes of other images in the same feature space."""
    shared = sorted(set(base.classnames) & set(bank.classnames))
    if shared:
        more = f" and {len(shared) - LISTED} more" * (len(shared) > LISTED)
        raise FewshotError(
            "base",
            "expected other classes than those of the support, both have "
            f"{', '.join(shared[:LISTED])}{more}",
            "An error on classes that were learned from is no guide to others.",
        )
    if base.dim != bank.dim:
        raise FewshotError("base", f"expected {bank.dim}-d features, got {base.dim}-d ones")
    support_keys, base_keys = (
        row_keys(np.asarray(source.features, np.float32)) for source in (bank, base)
    )
    copies = len(np.intersect1d(support_keys, base_keys))
    if copies:
        raise FewshotError(
            "base",
            f"expected other images than those of the support, got {copies} that are in both",
            "An error on images that were learned from is no guide to others.",
        )
